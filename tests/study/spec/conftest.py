"""A study from the text of its file."""

import textwrap

import pytest

from study.spec.study_file import load_study


@pytest.fixture
def study_of(tmp_path):
    """`study_of(text)`: the study that a file `mine.yaml` of this text states."""

    def load(text: str):
        (tmp_path / "mine.yaml").write_text(textwrap.dedent(text), encoding="utf-8")
        return load_study("mine", folder=tmp_path)

    return load
