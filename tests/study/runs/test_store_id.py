"""A store has one number, whoever asks first."""

import os

import pytest

from study.runs import store_id as module
from study.runs.store_id import store_id
from vicreg.errors import InputError


def test_a_store_keeps_its_number_and_another_has_another(tmp_path):
    one = store_id(tmp_path / "one")
    assert len(one) == 8 and store_id(tmp_path / "one") == one != store_id(tmp_path / "two")
    assert [path.name for path in (tmp_path / "one").iterdir()] == ["id.json"]


def test_of_two_commands_that_draw_at_once_both_get_the_first_number(tmp_path, monkeypatch):
    link = os.link

    def late(source, target):
        target.write_text('{"id": "aabbccdd"}')  # by the other
        link(source, target)

    monkeypatch.setattr(module.os, "link", late)
    assert store_id(tmp_path) == "aabbccdd" == store_id(tmp_path)
    assert [path.name for path in tmp_path.iterdir()] == ["id.json"]


def test_a_file_without_a_number_is_one_sentence(tmp_path):
    (tmp_path / "id.json").write_text("{")
    with pytest.raises(InputError, match="id.json holds no number of a store; delete it"):
        store_id(tmp_path)
