"""Where submitit's jobs wait and run: a SLURM cluster, or this machine."""

import io
import os
import shutil
import subprocess
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager, redirect_stderr, suppress
from pathlib import Path
from typing import Any, Protocol

import psutil

from study.config.slurm import Option, SlurmSettings
from study.runs.locking import to_stderr
from vicreg.errors import InputError

try:
    import submitit
except ImportError:  # the sentence says what to do; nothing else of the harness needs it
    submitit = None  # type: ignore[assignment]

SIGNAL = 30  # seconds before its time is up at which SLURM tells a job so; all there is to do then is to queue it once more
ENDS_WITHIN = 10.0  # seconds that processes of this machine have to end
RESUMPTIONS = 10**6  # submitit's own limit, which is not needed: a run that gets nowhere is ended by `ResumableRun`

# What squeue gives as the reason of a job that SLURM will not start by itself.
HELD = ("launch failed requeued held", "job requeued in held state", "JobHoldMaxRequeue", "JobHeldAdmin", "BadConstraints")
# Beginnings of what it gives for one that waits until somebody changes a limit or the job: said once, and waited for.
STUCK = (
    "PartitionTimeLimit",
    "PartitionNodeLimit",
    "PartitionDown",
    "PartitionInactive",
    "Assoc",
    "QOSMax",
    "QOSGrp",
    "ReqNode",
)
# What sbatch says where a later try may succeed: the controller is busy or restarts, or the user has enough jobs queued.
LATER = ("timed out", "Unable to contact", "temporarily", "SubmitJob", "try again", "Zero Bytes")


class NotNow(Exception):
    """A queue takes no job at present."""


class Queue(Protocol):
    """Takes jobs, and says which of them are over without a result."""

    look_every: float  # seconds from one `lost` to the next

    def submit(self, work: Callable[..., Any], job: Mapping[str, Any]) -> "submitit.Job[Any]":
        """Queue `work(job)`.

        Raises:
            NotNow: where a later try may succeed.
            InputError: where it is refused.
        """

    def lost(self, jobs: "Sequence[submitit.Job[Any]]") -> dict[str, str]:
        """Return the ids of those that will leave no result, each with a reason."""

    def cancel(self, jobs: "Sequence[submitit.Job[Any]]") -> None:
        """Take jobs from the queue and end those that run."""


class SlurmQueue:
    """A SLURM cluster that this machine can submit to.

    Without accounting `sacct`, which submitit asks, never tells of a job that died. What squeue no longer lists is over.
    """

    def __init__(self, settings: SlurmSettings, *, folder: Path, look_every: float = 10.0) -> None:
        """Check that there is a SLURM.

        Args:
            settings: what every job asks for.
            folder: for submitit's files, which all hosts see.
            look_every: seconds from one squeue to the next; a busy controller is asked rarely.

        Raises:
            InputError: where submitit or SLURM's commands are missing.
        """
        _require_submitit("slurm")
        for command in ("sbatch", "srun", "squeue", "scancel"):
            if shutil.which(command) is None:
                raise InputError(f"--executor slurm needs SLURM's {command}, which is not here; run it on a login node.")
        self.look_every = look_every
        self._settings = settings
        self._executor = submitit.SlurmExecutor(folder=folder / "%j", max_num_timeout=RESUMPTIONS)
        self._absent: set[str] = set()  # at the last look
        self._told: set[str] = set()  # reasons to wait

    def submit(self, work: Callable[..., Any], job: Mapping[str, Any]) -> "submitit.Job[Any]":
        """Queue a job; see `Queue`."""
        cpus = self._settings.cpus or threads_of(job)
        own: dict[str, Option] = {"cpus-per-task": cpus, "requeue": True, "job-name": name_of(job)}
        options = dict(self._settings.options) | own
        self._executor.update_parameters(
            time=self._settings.time, signal_delay_s=SIGNAL, stderr_to_stdout=True, wckey=None,
            srun_args=[f"--cpus-per-task={cpus}"],  # srun has not taken it from sbatch since SLURM 22.05
            additional_parameters={key.replace("-", "_"): value for key, value in options.items()},
        )  # fmt: skip
        try:
            with _outside_of_slurm(), redirect_stderr(io.StringIO()):  # submitit prints what sbatch says
                return self._executor.submit(work, dict(job))
        except (submitit.core.utils.FailedJobError, submitit.core.utils.FailedSubmissionError, OSError) as error:
            said = str(error).strip().partition("\n")[0]
            for prefix in ("sbatch: ", "error: ", "Batch job submission failed: "):
                said = said.removeprefix(prefix)
            if any(word in str(error) for word in LATER):
                raise NotNow(said) from None
            raise InputError(f"sbatch refuses the job of a run ({said}); change ablate.slurm in params.yaml.") from None

    def lost(self, jobs: "Sequence[submitit.Job[Any]]") -> dict[str, str]:
        """Return what was absent from the queue twice, since a result takes time to be seen, and what is held in it."""
        listed = self._listed()
        if listed is None:
            return {}
        for reason in {listed.get(job.job_id, "") for job in jobs} - self._told:
            if reason.startswith(STUCK):
                self._told.add(reason)
                to_stderr(f"SLURM lets jobs of this study wait ({reason}); that may last until ablate.slurm asks for less.")
        held = {job.job_id: f"SLURM holds its job ({listed[job.job_id]})" for job in jobs if listed.get(job.job_id) in HELD}
        absent = {job.job_id for job in jobs} - listed.keys()
        gone = {name: f"its job {name} left SLURM's queue without a result" for name in absent & self._absent}
        self._absent = absent - gone.keys()
        return held | gone

    def cancel(self, jobs: "Sequence[submitit.Job[Any]]") -> None:
        """Cancel jobs; what runs gets SIGTERM, and SIGKILL after SLURM's `KillWait`."""
        if jobs:
            subprocess.run(["scancel", *(job.job_id for job in jobs)], capture_output=True, check=False)

    def _listed(self) -> dict[str, str] | None:
        """Return the user's jobs in the queue with their reasons; None where the controller does not answer."""
        command = ["squeue", "--noheader", "--array", f"--user={os.getuid()}", "--format=%i|%T|%r"]
        asked = subprocess.run(command, capture_output=True, text=True, check=False)
        return None if asked.returncode else read_queue(asked.stdout)


def read_queue(text: str) -> dict[str, str]:
    """Return the jobs that `squeue --format=%i|%T|%r` lists and that are not over: id -> reason, `None` for none."""
    over = ("BOOT_FAIL", "CANCELLED", "COMPLETED", "DEADLINE", "FAILED", "NODE_FAIL", "OUT_OF_MEMORY", "REVOKED", "TIMEOUT")
    jobs = (line.split("|", 2) for line in text.splitlines() if line.count("|") >= 2)
    return {name.strip(): reason.strip() for name, state, reason in jobs if state.strip() not in over}


class LocalQueue:
    """Processes of this machine, each started by submitit as a job of a cluster is. They outlive a parent that is killed."""

    look_every = 0.5

    def __init__(self, settings: SlurmSettings, *, folder: Path) -> None:
        """Start nothing yet.

        Args:
            settings: of which `gpus` counts, the GPUs that a job sees; every one where it is not set.
            folder: for submitit's files.

        Raises:
            InputError: where submitit is missing.
        """
        _require_submitit("submitit-local")
        import torch  # not above: SLURM's jobs import this module before they can hear a signal

        self._executor = submitit.LocalExecutor(folder=folder / "%j", max_num_timeout=RESUMPTIONS)
        gpus = dict(settings.options).get("gpus")
        seen = int(gpus) if isinstance(gpus, int) else torch.cuda.device_count()
        self._executor.update_parameters(timeout_min=60 * 24 * 365, stderr_to_stdout=True, gpus_per_node=seen)

    def submit(self, work: Callable[..., Any], job: Mapping[str, Any]) -> "submitit.Job[Any]":
        """Start a job's process."""
        return self._executor.submit(work, dict(job))

    def lost(self, jobs: "Sequence[submitit.Job[Any]]") -> dict[str, str]:
        """Return those whose process has ended and left no result."""
        ended = [job for job in jobs if job.done()]
        return {job.job_id: "its process ended without a result" for job in ended if not job.paths.result_pickle.exists()}

    def cancel(self, jobs: "Sequence[submitit.Job[Any]]") -> None:
        """Interrupt the processes, wait for their end, and kill those that do not hear.

        A script that starts this command in the background has it ignore Ctrl-C, and all its children with it.
        """
        left = [found for job in jobs for found in _processes_of(job)]
        for job in jobs:
            job.cancel()
        deadline = time.monotonic() + ENDS_WITHIN
        while left := psutil.wait_procs(left, timeout=max(0.0, deadline - time.monotonic()))[1]:
            # The one that watches is the first to go: it would start others. Meanwhile it may have started some.
            left = list(dict.fromkeys([*left, *(started for process in left for started in _started_by(process))]))
            for process in left:
                with suppress(psutil.Error):
                    process.kill()
            if time.monotonic() > deadline + ENDS_WITHIN:
                break  # another user's, or one that waits for a disk
            psutil.wait_procs(left, timeout=0.5)
        for job in jobs:
            job.done()  # its process is waited for, or it would stay as a zombie


def _processes_of(job: "submitit.Job[Any]") -> list[psutil.Process]:
    """Return the process that watches a job and those that it has started; none where it has ended."""
    if job.done():
        return []  # its number may be another's by now
    try:
        watching = psutil.Process(int(job.job_id))
    except psutil.Error:
        return []
    return [watching, *_started_by(watching)]


def _started_by(process: psutil.Process) -> list[psutil.Process]:
    try:
        return process.children(recursive=True)
    except psutil.Error:
        return []


def threads_of(job: Mapping[str, Any]) -> int:
    """Return how many processors a job's run can use; 1 for a job that is no run."""
    settings = job.get("values", {}).get("pretrain", {})
    return int(settings.get("threads", 1)) * int(settings.get("processes", 1))


def name_of(job: Mapping[str, Any]) -> str:
    """Return what squeue calls a job: by the digest of its run."""
    return f"vicreg-{job.get('digest', 'machinery')}"


def last_line(text: str) -> str:
    """Return the last line of a text that says something; rulers and submitit's places of its files do not."""
    lines = [line.strip() for line in text.partition("You can check full logs")[0].splitlines()]
    return next((line for line in reversed(lines) if line.strip("-")), "no reason was given")


@contextmanager
def _outside_of_slurm() -> Iterator[None]:
    """Hide from the environment that this process is itself a job, for a new one would inherit what it has."""
    inherited = [name for name in os.environ if name.startswith(("SLURM_", "SLURMD_", "SRUN_", "SUBMITIT_"))]
    taken = {name: os.environ.pop(name) for name in inherited if name != "SLURM_CONF"}
    try:
        yield
    finally:
        os.environ.update(taken)


def _require_submitit(executor: str) -> None:
    if submitit is None:
        raise InputError(f"--executor {executor} needs submitit, which is not here; pip install 'vicreg-study[slurm]'.")
