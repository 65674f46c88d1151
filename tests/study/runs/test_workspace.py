"""Each host trains in a folder of its own, and goes on from the furthest checkpoint of any."""

import hashlib
import shutil

import pytest

from study.runs import workspace
from study.runs.workspace import clear_workspaces, furthest_checkpoint, open_workspace
from vicreg.files import to_json


@pytest.fixture
def folder(tmp_path):
    made = tmp_path / "runs" / "0123456789abcdef"
    made.mkdir(parents=True)
    return made


@pytest.fixture
def on(monkeypatch):
    """`on("node2")`: from now on this process is on another host."""

    def move(name):
        monkeypatch.setattr(workspace, "this_host", lambda: {"name": name, "boot": name})
        monkeypatch.setattr(workspace, "writer_name", lambda: f"{name}-1-1")

    move("node1")
    return move


def save(folder, epoch):
    checkpoint = folder / f"checkpoint-{epoch:05d}"
    checkpoint.mkdir(parents=True)
    (checkpoint / "model.safetensors").write_bytes(b"weights %d" % epoch)
    digest = hashlib.sha256(b"weights %d" % epoch).hexdigest()
    (checkpoint / "manifest.json").write_bytes(to_json({"epoch": epoch, "sha256": {"model.safetensors": digest}}))
    return checkpoint


def names(folder):
    return sorted(path.name for path in folder.glob("*checkpoint-*"))


def test_the_host_that_began_a_run_goes_on_in_its_folder_and_another_in_an_attempt(folder, on):
    assert open_workspace(folder, is_locked=True) == folder
    on("node2")
    assert open_workspace(folder, is_locked=True) == folder / "attempt-node2-1-1"
    on("node1")
    assert open_workspace(folder, is_locked=True) == folder


def test_two_machines_of_one_name_are_two_hosts_by_their_boots(folder, tmp_path, monkeypatch):
    monkeypatch.setattr(workspace.platform, "node", lambda: "localhost")
    monkeypatch.setattr(workspace, "writer_name", lambda: "localhost-1-1")
    for boot in ("one", "two"):
        (tmp_path / boot).write_text(f"{boot}\n", encoding="ascii")
    monkeypatch.setattr(workspace, "_BOOT", tmp_path / "one")
    assert open_workspace(folder, is_locked=True) == folder == open_workspace(folder, is_locked=True)
    monkeypatch.setattr(workspace, "_BOOT", tmp_path / "two")
    assert open_workspace(folder, is_locked=True) == folder / "attempt-localhost-1-1"


def test_without_a_lock_even_the_host_that_began_has_an_attempt(folder, on):
    assert open_workspace(folder, is_locked=False) == folder / "attempt-node1-1-1"


def test_an_attempt_goes_on_from_a_copy_of_the_furthest_checkpoint(folder, on):
    open_workspace(folder, is_locked=True)
    save(folder, 2)
    save(folder / "attempt-node3-1-1", 5)
    on("node2")
    own = open_workspace(folder, is_locked=True)
    assert names(own) == ["checkpoint-00005"] and names(folder) == ["checkpoint-00002"]
    assert (own / "checkpoint-00005" / "model.safetensors").read_bytes() == b"weights 5"
    assert furthest_checkpoint(folder).name == "checkpoint-00005"
    on("node1")
    assert open_workspace(folder, is_locked=True) == folder and names(folder)[-1] == "checkpoint-00005"


def test_a_checkpoint_of_another_host_that_is_not_whole_is_left_for_an_earlier_one(folder, on):
    save(folder / "attempt-node3-1-1", 5)
    (folder / "attempt-node3-1-1" / "checkpoint-00005" / "model.safetensors").write_bytes(b"weig")
    save(folder, 2)
    on("node2")
    assert names(open_workspace(folder, is_locked=False)) == ["checkpoint-00002"]


def test_a_checkpoint_that_its_host_deletes_while_it_is_copied_is_none(folder, on, monkeypatch):
    checkpoint = save(folder / "attempt-node3-1-1", 5)
    copy = shutil.copytree

    def late(source, target):
        copy(source, target)
        (target / "manifest.json").unlink()
        shutil.rmtree(checkpoint)

    monkeypatch.setattr(workspace.shutil, "copytree", late)
    assert names(open_workspace(folder, is_locked=True)) == []


def test_a_run_that_has_ended_keeps_no_checkpoint_of_any_host(folder, on):
    save(folder, 2)
    save(folder / "attempt-node3-1-1", 5)
    (folder / ".checkpoint-00003.tmp").mkdir()  # of a process that was killed while it wrote
    (folder / "status.json").write_bytes(b"{}")
    clear_workspaces(folder)
    assert [path.name for path in folder.iterdir()] == ["status.json"]
