"""Worker processes on this machine, which an executor hands runs to."""

import json
import queue
import signal
import subprocess
import sys
import threading
from collections.abc import Iterator, Sequence
from contextlib import suppress
from pathlib import Path
from types import TracebackType
from typing import Self

import torch

from study.execution.energy import Meter, Shares
from study.execution.executors.base import Event
from study.execution.job import Job
from study.runs.outcomes import FAILED, KILLED
from study.runs.run import Run
from study.runs.store import Store


class LocalExecutor:
    """As many worker processes as asked for, started when first needed, replaced when they die.

    Use it as a context manager: on leaving it, for whatever reason, no worker is left. What the device used is shared among
    the runs that are going, and noted of each when it ends, however it ends.
    """

    def __init__(self, *, workers: int, data: Path, store: Store, device: str, meter: Meter | None = None) -> None:
        """Start nothing yet.

        Args:
            workers: runs at a time.
            data: the folder of the prepared data set.
            store: where runs are kept.
            device: that all workers share, in torch's words.
            meter: of the energy that the device uses; None for its own counters.
        """
        self._command = [
            sys.executable, "-m", "study.execution.worker",
            "--data", str(data), "--store", str(store.root), "--device", device,
        ]  # fmt: skip
        self._store = store
        self._size = workers
        self._energy = Shares(meter or Meter(torch.device(device)))
        self._idle: list[subprocess.Popen[str]] = []
        self._busy: dict[int, tuple[subprocess.Popen[str], Run]] = {}
        self._messages: queue.Queue[tuple[int, str | None]] = queue.Queue()

    def __enter__(self) -> Self:
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None) -> None:
        for process in self.processes:
            process.kill()
        for process in self.processes:
            _await_end(process)
        for pid, (_, run) in self._busy.items():
            self._note_energy(pid, run)

    @property
    def free(self) -> int:
        """How many more runs can be handed out now."""
        return self._size - len(self._busy)

    @property
    def active(self) -> Sequence[Run]:
        """The runs that were handed out and have not ended."""
        return [run for _, run in self._busy.values()]

    @property
    def processes(self) -> Sequence[subprocess.Popen[str]]:
        """The worker processes there are: first those with nothing to do, then the busy ones."""
        return [*self._idle, *(process for process, _ in self._busy.values())]

    def submit(self, run: Run, *, prune_after: int | None = None) -> None:
        """Hand a run to an idle worker; call it only while `free` is positive."""
        assert self.free > 0, "submit needs a free worker"
        for dead in [process for process in self._idle if process.poll() is not None]:  # while nothing was to be run
            self._idle.remove(dead)
            _await_end(dead)
        process = self._idle.pop() if self._idle else self._start()
        self._busy[process.pid] = (process, run)
        self._energy.begin(process.pid)
        assert process.stdin is not None
        try:
            process.stdin.write(Job(run=run, prune_after=prune_after).to_json() + "\n")
            process.stdin.flush()
        except BrokenPipeError:
            pass  # it has died: its reader thread says so

    def events(self) -> Iterator[Event]:
        """Wait for the next message and yield what it means; end when nothing is active."""
        while self._busy:
            pid, line = self._messages.get()
            if pid not in self._busy:
                self._forget_idle(pid)
                continue
            process, run = self._busy[pid]
            self._energy.read()
            if line is None:
                del self._busy[pid]
                self._note_energy(pid, run)
                yield self._death(process, run)
                continue
            message = json.loads(line)
            if message["event"] == "epoch":
                yield Event(run=run, kind="epoch", record=message["record"])
                continue
            del self._busy[pid]
            self._idle.append(process)
            self._note_energy(pid, run)
            status, reason = message["status"], message.get("reason")
            if status == FAILED:
                self._store.record_ending(run, FAILED, reason)
            yield Event(run=run, kind="end", status=status, reason=reason)

    def _forget_idle(self, pid: int) -> None:
        """Remove a worker that died with nothing to do."""
        for process in [one for one in self._idle if one.pid == pid]:
            self._idle.remove(process)
            _await_end(process)

    def _note_energy(self, pid: int, run: Run) -> None:
        self._store.add_energy(run, self._energy.end(pid))

    def _start(self) -> subprocess.Popen[str]:
        self._store.root.mkdir(parents=True, exist_ok=True)
        with open(self._store.root / "workers.log", "ab") as log:
            process = subprocess.Popen(self._command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=log, text=True)
        threading.Thread(target=self._listen, args=(process,), daemon=True).start()
        return process

    def _listen(self, process: subprocess.Popen[str]) -> None:
        assert process.stdout is not None
        with process.stdout as lines:
            for line in lines:
                self._messages.put((process.pid, line))
        self._messages.put((process.pid, None))

    def _death(self, process: subprocess.Popen[str], run: Run) -> Event:
        code = _await_end(process)
        if code < 0:
            name = signal.Signals(-code).name
            hint = "; a killed worker often means that memory ran out" if code == -signal.SIGKILL else ""
            status, reason = KILLED, f"its process was ended by {name}{hint}"
        else:
            status, reason = FAILED, f"its process ended with status {code}; see {self._store.root.name}/workers.log"
        self._store.record_ending(run, status, reason)
        return Event(run=run, kind="end", status=status, reason=reason)


def _await_end(process: subprocess.Popen[str]) -> int:
    """Wait for the end of a process and return its exit status."""
    code = process.wait()
    assert process.stdin is not None
    with suppress(BrokenPipeError):  # a job that it no longer read
        process.stdin.close()
    return code
