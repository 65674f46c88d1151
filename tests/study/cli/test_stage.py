"""A stage ends when the DVC that has started it is gone, by whatever shells it did."""

import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import psutil
import pytest

ROOT = Path(__file__).parents[3]
# What a stage does: it says who it is, and works for long.
STAGE = """
import os, time
from study.cli import stage
stage.INTERVAL = 0.05
stage.end_with_dvc()
print(os.getpid(), flush=True)
time.sleep(60)
"""
# What DVC does: it starts the stage by a shell, and waits. The second command keeps the shell from becoming the first.
DVC = """
import os, subprocess, sys
command, environment = sys.argv[1], dict(os.environ, DVC_STAGE="ablate")
subprocess.run(["/bin/sh", "-c", command], env=environment)
"""


def quoted(code):
    return f"{sys.executable} -c '{code}'"


@pytest.fixture
def started():
    """`started(command)`: the process that takes the part of DVC, and that of the stage which it has started."""
    processes = []

    def start(command):
        environment = {**os.environ, "PYTHONPATH": str(ROOT)}
        environment.pop("DVC_STAGE", None)
        dvc = subprocess.Popen(
            [sys.executable, "-c", DVC, command], env=environment, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True
        )
        processes.append(psutil.Process(dvc.pid))
        stage = psutil.Process(int(dvc.stdout.readline()))
        processes.append(stage)
        return dvc, stage

    yield start
    for process in processes:
        if process.is_running():
            process.kill()


def has_ended(process, *, within):
    deadline = time.monotonic() + within
    while process.is_running() and process.status() != psutil.STATUS_ZOMBIE:
        if time.monotonic() > deadline:
            return False
        time.sleep(0.01)
    return True


@pytest.mark.parametrize(
    "command",
    [
        f"{quoted(STAGE)}; true",  # by its shell
        f'/bin/sh -c "{quoted(STAGE)}; true"; true',  # by a shell below its shell, as of `make`
        f"exec {quoted(STAGE)}",  # by none
    ],
)
def test_a_stage_ends_with_the_dvc_that_has_started_it(started, command):
    dvc, stage = started(command)
    assert not has_ended(stage, within=0.3)
    dvc.send_signal(signal.SIGKILL)
    assert has_ended(stage, within=10)
    assert dvc.stderr.read() == "stopped, because dvc is gone; what was finished is kept, run dvc again to go on\n"
    dvc.communicate()


def test_a_dvc_that_no_one_has_waited_for_is_gone_as_well(started):
    dvc, stage = started(f"{quoted(STAGE)}; true")
    os.kill(dvc.pid, signal.SIGKILL)  # this process, its parent, does not wait for it: it is a zombie
    assert has_ended(stage, within=10)
    dvc.communicate()


def test_a_command_that_is_no_stage_outlives_its_parent(started):
    dvc, stage = started(f"env -u DVC_STAGE {quoted(STAGE)}; true")
    dvc.send_signal(signal.SIGKILL)
    assert not has_ended(stage, within=0.4)
    stage.kill()
    dvc.communicate()


def test_a_stage_whose_dvc_was_gone_before_it_looked_ends_at_once(started):
    late = "import time; time.sleep(0.5)" + STAGE.replace("print(os.getpid(), flush=True)", "")
    first = "import os; print(os.getpid(), flush=True)"
    dvc, stage = started(f"{quoted(first + chr(10) + late)}; true")
    dvc.send_signal(signal.SIGKILL)
    dvc.wait()
    _, above = stage.parents()[:2]
    if above.pid != 1:
        pytest.skip("orphans of this machine go to another process than the first")
    assert has_ended(stage, within=10)
    dvc.communicate()
