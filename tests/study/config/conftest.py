"""Copies of params.yaml that a test has changed."""

import copy
import functools
from pathlib import Path

import pytest
import yaml

from tests.study.config.refused import PARAMS

DUMPER = getattr(yaml, "CSafeDumper", yaml.SafeDumper)  # ten times as fast, where PyYAML has it


@functools.cache
def _params() -> dict:
    return yaml.safe_load(PARAMS.read_text(encoding="utf-8"))


@pytest.fixture
def edited(tmp_path):
    """`edited(change)`: a copy of params.yaml whose mapping `change` has altered in place."""

    def write(change) -> Path:
        params = copy.deepcopy(_params())
        change(params)
        path = tmp_path / "params.yaml"
        path.write_text(yaml.dump(params, Dumper=DUMPER, sort_keys=False), encoding="utf-8")
        return path

    return write
