"""Locks are advice: they keep a second command out where they can, and their absence stops nothing."""

import errno
import os
import threading

import filelock
import pytest
from filelock import SoftFileLease, Timeout

from study.runs import locking
from study.runs.locking import hold
from vicreg.errors import InputError


@pytest.fixture(autouse=True)
def forgotten():
    locking._said.clear()


def without_locks(monkeypatch, number=errno.ENOSYS):
    """Make the file system one that has no `flock`."""

    def fail(*_):
        raise OSError(number, os.strerror(number))

    monkeypatch.setattr(filelock._unix.fcntl, "flock", fail)


def test_a_second_command_waits_and_gives_up_when_its_time_is_over(tmp_path):
    with hold(tmp_path / "lock") as is_held:
        assert is_held
        with pytest.raises(Timeout), hold(tmp_path / "lock", timeout=0):
            pass
    with hold(tmp_path / "lock", timeout=0) as is_held:
        assert is_held


@pytest.mark.parametrize("number", [errno.ENOSYS, errno.ENOLCK, errno.EOPNOTSUPP])
def test_without_locks_it_goes_on_says_so_once_and_leaves_no_soft_lock(tmp_path, monkeypatch, number):
    without_locks(monkeypatch, number)
    said = []
    for name in ("one", "two"):
        (tmp_path / name).mkdir()
        with hold(tmp_path / name / "lock", say=said.append) as is_held, hold(tmp_path / name / "lock", timeout=0):
            assert not is_held
    assert len(said) == 1 and "has no locks" in said[0] and "ablate.lock_lease_s" in said[0]


def test_another_error_is_not_taken_for_a_file_system_without_locks(tmp_path, monkeypatch):
    without_locks(monkeypatch, errno.EIO)
    with pytest.raises(OSError, match="Input/output"), hold(tmp_path / "lock"):
        pass


def test_a_lease_keeps_others_out_where_there_are_no_locks_and_ends_with_its_holder(tmp_path, monkeypatch):
    without_locks(monkeypatch)
    said = []
    with hold(tmp_path / "lock", lease_s=30, say=said.append) as is_held:
        assert not is_held and (tmp_path / "lock.lease").exists()
        with pytest.raises(Timeout), hold(tmp_path / "lock", lease_s=30, timeout=0):
            pass
    with hold(tmp_path / "lock", lease_s=30, timeout=0):
        pass
    assert said == [] and not (tmp_path / "lock.lease").exists()


def test_a_lease_of_a_host_that_died_expires(tmp_path, monkeypatch):
    without_locks(monkeypatch)
    marker = "filelock/2\npid=1\nhost=elsewhere\nmode=lease\ntoken=00\nduration=0.3\nstart=1\n"
    (tmp_path / "lock.lease").write_text(marker)
    with pytest.raises(Timeout), hold(tmp_path / "lock", lease_s=0.3, timeout=0):
        pass
    with hold(tmp_path / "lock", lease_s=0.3, timeout=20):  # the library's own clock: nobody has renewed it for 0.3 s
        assert "host=elsewhere" not in (tmp_path / "lock.lease").read_text()


def test_a_lease_that_another_host_took_over_is_said(tmp_path):
    said, lost = [], threading.Event()
    report = SoftFileLease._report_compromise

    def noted(*arguments):
        report(*arguments)
        lost.set()

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(SoftFileLease, "_report_compromise", noted)
        with hold(tmp_path / "lock", lease_s=0.3, say=said.append):
            other = tmp_path / "other"
            other.write_text("filelock/2\npid=1\nhost=elsewhere\nmode=lease\ntoken=00\nduration=0.3\nstart=1\n")
            os.replace(other, tmp_path / "lock.lease")
            assert lost.wait(20)
    assert len(said) == 1 and "was lost (owner-changed)" in said[0]
    assert "host=elsewhere" in (tmp_path / "lock.lease").read_text(), "the other's lease stays"


def test_a_lease_of_another_duration_is_refused_in_one_sentence(tmp_path):
    (tmp_path / "lock.lease").write_text("filelock/2\npid=1\nhost=elsewhere\nmode=lease\ntoken=00\nduration=9.0\nstart=1\n")
    with pytest.raises(InputError, match="ablate.lock_lease_s must be the same .* but is 30 here"):
        with hold(tmp_path / "lock", lease_s=30, timeout=5):
            pass
