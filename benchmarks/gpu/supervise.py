"""Starts the sections of the GPU script one after the other, and stops each in time."""

import os
import shutil
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from types import FrameType
from typing import Any

from benchmarks.gpu.call import ROOT, Call, written
from benchmarks.gpu.mps import served
from benchmarks.gpu.queue import IMAGES, PACKAGES, SECTIONS, Section
from benchmarks.gpu.ready import packages_path, ready_path, wait_until_ready
from benchmarks.gpu.results import DONE, FAILED, NOT_RUN, RUNNING, STOPPED, archive, mark, read_results
from vicreg.errors import InputError

GRACE = 5.0  # seconds that a section has to end after it was told to
RESERVE = 10.0  # seconds at the end of a call for that, and for the last archive
ARCHIVED_EVERY = 60.0
_POLL = 0.2


class Interrupted(Exception):
    """The call was told to stop, by a signal of this name."""


class Supervisor:
    """One call of the script."""

    def __init__(self, call: Call) -> None:
        self._call, self._started = call, time.monotonic()
        self._archived = self._started
        self._background: list[subprocess.Popen[bytes]] = []

    def run(self) -> int:
        """Do the sections that are asked for and not done, as far as the time goes; print what to do next."""
        for folder in (self._call.out, *(self._call.work / name for name in ("results", "logs", "ready"))):
            folder.mkdir(parents=True, exist_ok=True)
        interrupted = None
        with _signals():
            try:
                self._start_background()
                with self._served():
                    for name in self._call.sections:
                        self._do(SECTIONS[name])
            except Interrupted as error:
                interrupted = str(error)
                print(f"stopped by {interrupted}; what was measured is in {self._call.out}", flush=True)
            finally:
                for process in self._background:
                    end(process)
                self._mark_stopped(interrupted or "the call's time was over")
                self._mirror(archived=True)
        left = self._left()
        print(f"next: {self._call.command(left)}" if left else self._last_words(), flush=True)
        if interrupted:
            return 128 + signal.Signals[interrupted].value
        return 1 if self._wrong() else 0

    @contextmanager
    def _served(self) -> Iterator[None]:
        """Serve the GPU by MPS where that is asked for, and say what came of it."""
        if not self._call.mps:
            yield
            return
        with served(self._call.work) as said:
            print(said, flush=True)
            yield

    # ---- Time

    def _remaining(self) -> float:
        return self._started + self._call.seconds - RESERVE - time.monotonic()

    # ---- Sections

    def _do(self, section: Section) -> None:
        path = self._path(section.name)
        if self._is_done(section.name):
            self._say(section, "done before")
            return
        if IMAGES in section.needs and self._call.images is None:
            self._note(section, NOT_RUN, "no --images was given")
            return
        if self._remaining() < section.least:
            self._say(section, f"not begun: {max(0.0, self._remaining()):.0f} s are left of this call")
            return
        try:
            for what in section.needs:
                wait_until_ready(self._call.work, what, seconds=self._remaining() - section.least, sleep=self._sleep)
        except InputError as error:
            self._note(section, FAILED, str(error))
            return
        limit = min(self._remaining(), section.limit or self._remaining())
        path.unlink(missing_ok=True)
        self._say(section, f"begins, at most {limit:.0f} s: {section.says}")
        ends = time.monotonic() + limit
        process = self._start(["section", section.name, str(path), written(self._call), f"{ends:.1f}"], log=section.name)
        stopped = self._wait(process, limit)
        found = read_results(path) or {}
        if stopped or found.get("status") in (None, RUNNING):
            reason = f"its {limit:.0f} s were over" if stopped else f"its process ended with status {process.returncode}"
            mark(path, STOPPED if stopped else FAILED, reason, section=section.name, asked=self._call.asked)
        found = read_results(path) or {}
        self._say(section, f"{found['status']}{': ' + found['reason'] if found.get('reason') else ''}")
        self._mirror()

    def _wait(self, process: subprocess.Popen[bytes], limit: float) -> bool:
        """Wait for a section and mirror its results meanwhile; return whether it had to be stopped."""
        ends = time.monotonic() + limit
        try:
            while process.poll() is None:
                if time.monotonic() > ends:
                    return True
                self._sleep(_POLL)
            return False
        finally:
            end(process)

    def _sleep(self, seconds: float) -> None:
        time.sleep(seconds)
        self._mirror()

    def _start(self, arguments: list[str], *, log: str) -> subprocess.Popen[bytes]:
        """Start a module of this package as a process group of its own, with the installed packages on its path."""
        path = os.pathsep.join(
            [str(packages_path(self._call.work).absolute()), *filter(None, [os.environ.get("PYTHONPATH")]), str(ROOT)]
        )
        module, *rest = arguments
        with open(self._call.work / "logs" / f"{log}.txt", "ab") as out:
            return subprocess.Popen(
                [sys.executable, "-m", f"benchmarks.gpu.{module}", *rest], stdin=subprocess.PIPE, stdout=out, stderr=out,
                env=os.environ | {"PYTHONPATH": path}, start_new_session=True,
            )  # fmt: skip

    def _start_background(self) -> None:
        wanted = {need for name in self._call.sections if not self._is_done(name) for need in SECTIONS[name].needs}
        for what in (PACKAGES, IMAGES):
            said = read_results(ready_path(self._call.work, what))
            if what not in wanted or (what == IMAGES and self._call.images is None) or (said and "error" not in said):
                continue
            ready_path(self._call.work, what).unlink(missing_ok=True)
            self._background.append(self._start(["background", what, written(self._call)], log=what))

    # ---- Results

    def _path(self, name: str) -> Path:
        return self._call.work / "results" / f"{name}.json"

    def _found(self, name: str) -> dict[str, Any]:
        found = read_results(self._path(name)) or {}
        return found if found.get("asked") == self._call.asked else {}

    def _is_done(self, name: str) -> bool:
        return self._found(name).get("status") == DONE

    def _left(self) -> tuple[str, ...]:
        """Return the sections that another call would go on with: of all that are done by default, and those asked for."""
        names = [name for name, one in SECTIONS.items() if one.default or name in self._call.only]
        over = (DONE, FAILED, NOT_RUN)
        return tuple(name for name in names if self._found(name).get("status") not in over)

    def _wrong(self) -> list[str]:
        names = [name for name in self._call.sections if self._found(name).get("status") == FAILED]
        checks = self._found("agreement").get("results", {}) if "agreement" in self._call.sections else {}
        return names + [name for name, check in checks.items() if not check["agrees"]]

    def _note(self, section: Section, status: str, reason: str) -> None:
        self._path(section.name).unlink(missing_ok=True)
        mark(self._path(section.name), status, reason, section=section.name, asked=self._call.asked)
        self._say(section, f"{status}: {reason}")
        self._mirror()

    def _mark_stopped(self, reason: str) -> None:
        """Say of what was in the middle of itself that it was stopped: its process is gone."""
        for name in self._call.sections:
            if self._found(name).get("status") == RUNNING:
                mark(self._path(name), STOPPED, reason)

    def _mirror(self, *, archived: bool = False) -> None:
        """Copy results that are newer than what has come to `out`, and once a minute pack everything else."""
        for path in (self._call.work / "results").glob("[!.]*.json"):
            mirror(path, self._call.out / path.name)
        if archived or time.monotonic() > self._archived + ARCHIVED_EVERY:
            self._archived = time.monotonic()
            archive(self._call.work, self._call.out / "results.tar.gz")

    def _say(self, section: Section, what: str) -> None:
        print(f"{time.monotonic() - self._started:6.1f} s  {section.name}: {what}", flush=True)

    def _last_words(self) -> str:
        wrong = self._wrong()
        said = f"; look at {', '.join(wrong)}" if wrong else ""
        return f"nothing is left to do{said}; commit {self._call.out} as reports/gpu/ (benchmarks/README.md, On a GPU)"


def mirror(path: Path, target: Path) -> None:
    """Copy a file that is not the one last copied, and give the copy its time.

    The time is read first: where the file is replaced while it is copied, the copy has the time of the one before, and the
    next call copies again.
    """
    changed = path.stat().st_mtime_ns
    if target.exists() and target.stat().st_mtime_ns == changed:
        return
    temporary = target.with_name(f".{target.name}.tmp")
    shutil.copyfile(path, temporary)
    os.utime(temporary, ns=(changed, changed))
    temporary.replace(target)


def end(process: subprocess.Popen[Any]) -> None:
    """End a process and those it has started: told to first, then killed."""
    for number, seconds in ((signal.SIGINT, GRACE), (signal.SIGKILL, None)):
        if number == signal.SIGINT and process.poll() is not None:
            continue  # it has ended by itself; what it has left behind is killed
        try:
            os.killpg(process.pid, number)
        except (ProcessLookupError, PermissionError):
            break
        try:
            process.wait(seconds)
        except subprocess.TimeoutExpired:
            continue
    if process.stdin is not None:
        process.stdin.close()
    process.wait()


@contextmanager
def _signals() -> Iterator[None]:
    """Raise `Interrupted` where SIGTERM or SIGINT comes; a second one changes nothing while the first is dealt with."""
    told: list[int] = []

    def handle(number: int, frame: FrameType | None) -> None:
        if not told:
            told.append(number)
            raise Interrupted(signal.Signals(number).name)

    before = {number: signal.signal(number, handle) for number in (signal.SIGTERM, signal.SIGINT)}
    try:
        yield
    finally:
        for number, handler in before.items():
            signal.signal(number, handler)
