"""A finished ending is replaced by no other, whatever is written at the same moment."""

import json
import os

import pytest

from study.runs import endings
from study.runs.endings import digest_of, log_digest, read_ending, remove_ending, write_ending, write_partial_log
from vicreg.errors import InputError
from vicreg.files import to_json

HISTORY = [{"epoch": 1, "total": 0.5, "images_per_second": 100.0}]
FAILED = to_json({"status": "failed", "reason": "no memory"})


@pytest.fixture
def path(tmp_path):
    return tmp_path / "status.json"


@pytest.fixture
def log(tmp_path):
    return tmp_path / "history.json"


def finish(path, log, history=HISTORY):
    log.write_bytes(to_json(history))
    path.write_bytes(to_json({"status": "finished", "reason": None, "log": digest_of(history)}))


def test_a_log_has_the_digest_of_what_does_not_depend_on_time(log):
    log.write_bytes(to_json(HISTORY))
    assert (
        log_digest(log) == digest_of([{**HISTORY[0], "images_per_second": 7.0}]) != digest_of([{**HISTORY[0], "total": 0.6}])
    )


def test_a_finished_run_with_the_log_of_another_is_none(path, log):
    finish(path, log)
    assert read_ending(path, log)["status"] == "finished"
    log.write_bytes(to_json([{**HISTORY[0], "total": 0.75}]))
    assert read_ending(path, log) == {}


def test_an_ending_replaces_another_but_no_finished_one(path, log):
    assert write_ending(path, log, FAILED)
    assert write_ending(path, log, to_json({"status": "killed", "reason": None}))
    assert json.loads(path.read_bytes())["status"] == "killed"
    finish(path, log)
    assert not write_ending(path, log, FAILED) and not remove_ending(path, log)
    assert not write_partial_log(path, log, b"[]\n")
    assert read_ending(path, log)["status"] == "finished"
    assert sorted(one.name for one in path.parent.iterdir()) == ["history.json", "status.json"]


def in_between(monkeypatch, name, act):
    """Let another host act just before this one calls `os.<name>` for the first time."""
    call, calls = getattr(os, name), []

    def late(*arguments):
        if not calls:
            calls.append(name)
            act()
        return call(*arguments)

    monkeypatch.setattr(endings.os, name, late)


@pytest.mark.parametrize("name", ["replace", "link"])
def test_a_run_that_finishes_while_another_host_notes_a_failure_stays_finished(path, log, monkeypatch, name):
    path.write_bytes(FAILED)
    in_between(monkeypatch, name, lambda: finish(path, log))
    assert not write_ending(path, log, FAILED)
    assert read_ending(path, log)["status"] == "finished"


def test_a_run_that_finishes_while_another_host_begins_it_again_stays_finished(path, log, monkeypatch):
    path.write_bytes(FAILED)
    in_between(monkeypatch, "replace", lambda: finish(path, log))
    assert not remove_ending(path, log)
    assert read_ending(path, log)["status"] == "finished"


def test_an_ending_whose_log_is_lost_is_removed(path, log):
    finish(path, log)
    log.unlink()
    assert remove_ending(path, log) and not path.exists() and remove_ending(path, log)


def test_without_hard_links_an_ending_is_written_all_the_same(path, log, monkeypatch):
    def fail(*_):
        raise PermissionError(1, "Operation not permitted")

    monkeypatch.setattr(endings.os, "link", fail)
    assert write_ending(path, log, FAILED) and path.read_bytes() == FAILED


def test_a_folder_that_cannot_be_written_is_one_sentence(path, log, monkeypatch):
    path.write_bytes(FAILED)

    def fail(*_):
        raise PermissionError(13, "Permission denied")

    monkeypatch.setattr(endings.os, "replace", fail)
    with pytest.raises(InputError, match="cannot be written"):
        remove_ending(path, log)
