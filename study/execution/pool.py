"""Worker processes as the parent sees them: hand a run to a free one, hear what became of it."""

import dataclasses
import json
import queue
import signal
import subprocess
import sys
import threading
from collections.abc import Iterator
from contextlib import suppress
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import torch

from study.execution.energy import Meter, Shares
from study.runs.store import FAILED, KILLED, Store
from study.spec.plan import Cell


@dataclass
class Event:
    """Something a worker said: `kind` is `epoch` (with its record) or `end` (with status and reason)."""

    cell: Cell
    kind: str
    record: dict[str, Any] = field(default_factory=dict)
    status: str = ""
    reason: str | None = None


class Pool:
    """As many worker processes as asked for, started when first needed, replaced when they die.

    Use it as a context manager: on leaving it, for whatever reason, no worker is left. What the device used is shared among
    the runs that are going, and noted of each when it ends, however it ends.
    """

    def __init__(self, *, workers: int, data: Path, store: Store, device: str, meter: Meter | None = None) -> None:
        self._command = [
            sys.executable, "-m", "study.execution.worker",
            "--data", str(data), "--store", str(store.root), "--device", device,
        ]  # fmt: skip
        self._store = store
        self._size = workers
        self._energy = Shares(meter or Meter(torch.device(device)))
        self._idle: list[subprocess.Popen] = []
        self._busy: dict[int, tuple[subprocess.Popen, Cell]] = {}
        self._messages: queue.Queue[tuple[int, str | None]] = queue.Queue()

    def __enter__(self) -> "Pool":
        return self

    def __exit__(self, *error: object) -> None:
        processes = (*self._idle, *(process for process, _ in self._busy.values()))
        for process in processes:
            process.kill()
        for process in processes:
            _bury(process)
        for pid, (_, cell) in self._busy.items():
            self._note_energy(pid, cell)

    @property
    def free(self) -> int:
        """How many more runs can be handed out now."""
        return self._size - len(self._busy)

    @property
    def active(self) -> list[Cell]:
        return [cell for _, cell in self._busy.values()]

    def submit(self, cell: Cell, *, prune_after: int | None = None) -> None:
        """Hands a cell to an idle worker; call it only while `free` is positive."""
        assert self.free > 0, "submit needs a free worker"
        for dead in [process for process in self._idle if process.poll() is not None]:  # while nothing was to be run
            self._idle.remove(dead)
            _bury(dead)
        process = self._idle.pop() if self._idle else self._start()
        self._busy[process.pid] = (process, cell)
        self._energy.begin(process.pid)
        job = {
            "values": dict(cell.run.config.values),
            "probes": cell.run.probes,
            "views": [dataclasses.asdict(view) for view in cell.run.views],
            "prune_after": prune_after,
        }
        assert process.stdin is not None
        try:
            process.stdin.write(json.dumps(job) + "\n")
            process.stdin.flush()
        except BrokenPipeError:
            pass  # it has died: its reader thread says so

    def events(self) -> Iterator[Event]:
        """Waits for the next message and yields what it means; ends when nothing is active."""
        while self._busy:
            pid, line = self._messages.get()
            if pid not in self._busy:  # one that died with nothing to do
                for process in [one for one in self._idle if one.pid == pid]:
                    self._idle.remove(process)
                    _bury(process)
                continue
            process, cell = self._busy[pid]
            self._energy.read()
            if line is None:
                del self._busy[pid]
                self._note_energy(pid, cell)
                yield self._death(process, cell)
                continue
            message = json.loads(line)
            if message["event"] == "epoch":
                yield Event(cell=cell, kind="epoch", record=message["record"])
                continue
            del self._busy[pid]
            self._idle.append(process)
            self._note_energy(pid, cell)
            status, reason = message["status"], message.get("reason")
            if status == FAILED:
                self._store.record_ending(cell.run, FAILED, reason)
            yield Event(cell=cell, kind="end", status=status, reason=reason)

    def _note_energy(self, pid: int, cell: Cell) -> None:
        self._store.add_energy(cell.run, self._energy.end(pid))

    def _start(self) -> subprocess.Popen:
        self._store.root.mkdir(parents=True, exist_ok=True)
        with open(self._store.root / "workers.log", "ab") as log:
            process = subprocess.Popen(
                self._command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=log, text=True
            )
        threading.Thread(target=self._listen, args=(process,), daemon=True).start()
        return process

    def _listen(self, process: subprocess.Popen) -> None:
        assert process.stdout is not None
        with process.stdout as lines:
            for line in lines:
                self._messages.put((process.pid, line))
        self._messages.put((process.pid, None))

    def _death(self, process: subprocess.Popen, cell: Cell) -> Event:
        code = _bury(process)
        if code < 0:
            name = signal.Signals(-code).name
            hint = "; a killed worker often means that memory ran out" if code == -signal.SIGKILL else ""
            status, reason = KILLED, f"its process was ended by {name}{hint}"
        else:
            status, reason = FAILED, f"its process ended with status {code}; see {self._store.root.name}/workers.log"
        self._store.record_ending(cell.run, status, reason)
        return Event(cell=cell, kind="end", status=status, reason=reason)


def _bury(process: subprocess.Popen) -> int:
    """Waits for the end of a process and returns its exit status."""
    code = process.wait()
    assert process.stdin is not None
    with suppress(BrokenPipeError):  # a job that it no longer read
        process.stdin.close()
    return code
