"""What a job of a test does in its own process, which imports this module alone."""

import os
import signal
from pathlib import Path

import submitit


def double(job):
    return {"status": "finished", "reason": None, "doubled": 2 * job["number"]}


def die(job):
    """Leave a sign of each try and die."""
    with open(job["signs"], "a", encoding="utf-8") as file:
        file.write("tried\n")
    os.kill(os.getpid(), signal.SIGKILL)


def die_once(job):
    if not Path(job["signs"]).exists():
        die(job)
    return double(job)


def fail(job):
    raise ImportError("no module of that name here")


def wait_for_ever(job):
    Path(job["signs"]).write_text(str(os.getpid()), encoding="utf-8")
    signal.pause()


class Interrupted:
    """Waits for the signal that a job must end, the first time; is queued again and ends by itself then."""

    def __init__(self):
        self.before = 0

    def __call__(self, job):
        if not self.before:
            Path(job["signs"]).write_text(str(os.getpid()), encoding="utf-8")
            while True:
                signal.pause()
        return double(job) | {"interrupted": self.before}

    def checkpoint(self, job):
        self.before += 1
        return submitit.helpers.DelayedSubmission(self, job)
