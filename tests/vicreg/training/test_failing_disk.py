"""A disk that fails, or a kill, leaves the previous checkpoint or the new one."""

import errno
import os
import shutil
import signal
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
import torch
from torch import nn

from tests.vicreg.training.runs import IDENTITY
from tests.vicreg.training.saved import same, save
from vicreg.errors import InputError
from vicreg.files import write_atomically
from vicreg.training import checkpoint as checkpoints
from vicreg.training.checkpoint import latest_checkpoint, load_checkpoint, save_checkpoint


def fail_at(monkeypatch, operation: str, error: BaseException, *, call: int = 1) -> None:
    """Makes the `call`-th use of a file-system operation in `vicreg.training.checkpoint` raise."""
    module, name = {
        "open": (checkpoints, "open"), "fsync": (os, "fsync"), "rename": (os, "rename"), "replace": (os, "replace"),
        "rmtree": (shutil, "rmtree"), "mkdir": (Path, "mkdir"),
    }[operation]  # fmt: skip
    original, calls = getattr(module, name, open), iter(range(1, 1000))

    def failing(*args, **kwargs):
        if next(calls) >= call:
            raise error
        return original(*args, **kwargs)

    monkeypatch.setattr(module, name, failing, raising=False)


@pytest.mark.parametrize("operation", ["mkdir", "open", "fsync", "rename"])
def test_a_full_disk_is_said_and_leaves_the_previous_checkpoint(tmp_path, monkeypatch, operation):
    previous, model, _ = save(tmp_path)
    expected = {name: tensor.clone() for name, tensor in model.state_dict().items()}
    fail_at(monkeypatch, operation, OSError(errno.ENOSPC, os.strerror(errno.ENOSPC)))
    with pytest.raises(InputError) as raised:
        save(tmp_path, epochs=2)
    monkeypatch.undo()
    assert str(raised.value) == (
        f"no space is left to write {tmp_path / 'checkpoint-00002'} (No space left on device); free some space and "
        "start again: what was finished before is kept."
    )
    assert list(tmp_path.iterdir()) == [previous] == [latest_checkpoint(tmp_path)]
    assert same(load_checkpoint(previous, identity=IDENTITY).weights, expected)


def test_a_folder_that_may_not_be_written_is_said(tmp_path, monkeypatch):
    fail_at(monkeypatch, "mkdir", OSError(errno.EACCES, os.strerror(errno.EACCES)))
    with pytest.raises(InputError, match=r"cannot be written \(Permission denied\); make its folder writable"):
        save(tmp_path)


def test_a_file_in_place_of_the_folder_is_said(tmp_path):
    (tmp_path / "run").write_text("")
    with pytest.raises(InputError, match="cannot be written"):
        save(tmp_path / "run")
    with pytest.raises(InputError, match="cannot be written"):
        write_atomically(tmp_path / "run" / "status.json", b"")


class Killed(BaseException):
    """Stands for SIGKILL: no handler of ours runs after it."""


FILES = range(1, 5)  # a checkpoint's files are opened and flushed one after the other
SECOND = 2  # rmtree clears the temporary folder first, and then removes the previous checkpoint


@pytest.mark.parametrize(
    ("operation", "call"),
    [
        ("mkdir", 1),
        *(("open", call) for call in FILES),
        *(("fsync", call) for call in FILES),
        ("rename", 1),
        ("rmtree", SECOND),
    ],
)
def test_a_save_killed_anywhere_leaves_the_old_checkpoint_or_the_new_one(tmp_path, monkeypatch, operation, call):
    save(tmp_path)
    fail_at(monkeypatch, operation, Killed(), call=call)
    with pytest.raises(Killed):
        save(tmp_path, epochs=2)
    monkeypatch.undo()
    survivor = latest_checkpoint(tmp_path)
    read = load_checkpoint(survivor, identity=IDENTITY)
    assert read.epoch == (2 if operation == "rmtree" else 1)
    save(tmp_path, epochs=2)  # and the next run clears away what the kill left
    assert [entry.name for entry in tmp_path.iterdir()] == ["checkpoint-00002"]


@pytest.fixture
def limited() -> Iterator[Callable[[int], None]]:
    """`limited(bytes)`: a write past so many bytes of a file fails as on a full disk, until the test ends."""
    resource = pytest.importorskip("resource", reason="file sizes are limited by POSIX systems alone")
    before, handler = resource.getrlimit(resource.RLIMIT_FSIZE), signal.signal(signal.SIGXFSZ, signal.SIG_IGN)
    yield lambda size: resource.setrlimit(resource.RLIMIT_FSIZE, (size, before[1]))
    resource.setrlimit(resource.RLIMIT_FSIZE, before)
    signal.signal(signal.SIGXFSZ, handler)


def test_a_disk_that_is_really_full_leaves_the_previous_checkpoint(tmp_path, limited):
    model = nn.Linear(100, 100)
    given = {"identity": IDENTITY, "model": model, "optimizer": torch.optim.SGD(model.parameters(), lr=0.1)}
    previous = save_checkpoint(tmp_path, **given, history=[{"epoch": 1}])
    limited(20_000)
    with pytest.raises(InputError) as raised:
        save_checkpoint(tmp_path, **given, history=[{"epoch": 1}, {"epoch": 2}])
    assert str(raised.value).startswith(f"no space is left to write {tmp_path / 'checkpoint-00002'} (File too large)")
    assert list(tmp_path.iterdir()) == [previous] == [latest_checkpoint(tmp_path)]
    assert load_checkpoint(previous, identity=IDENTITY).epoch == 1
