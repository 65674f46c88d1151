"""Copies of params.yaml that a test has changed."""

from pathlib import Path

import pytest
import yaml

from tests.study.config.refused import PARAMS


@pytest.fixture
def edited(tmp_path):
    """`edited(change)`: a copy of params.yaml whose mapping `change` has altered in place."""

    def write(change) -> Path:
        params = yaml.safe_load(PARAMS.read_text(encoding="utf-8"))
        change(params)
        path = tmp_path / "params.yaml"
        path.write_text(yaml.safe_dump(params, sort_keys=False), encoding="utf-8")
        return path

    return write
