"""A project folder to run commands in, whose workers are copies of this process and start at once."""

import copy
import functools
import json
import os
import shutil
import signal
import subprocess
import sys
import textwrap
import time
import traceback
import warnings
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import optuna
import pytest
import torch
import yaml

from study import ablate, evaluate, prepare, pretrain, source_paper, verify
from study import project as project_stage
from study.cli.command import run_command
from study.config.config import Config
from study.config.load import SECTIONS, load_params
from study.design.unfold import unfold
from study.execution import scheduler, session
from study.execution.executors.engine import EngineExecutor
from study.execution.job import run_job
from study.execution.scheduler import Lookup
from study.execution.session import open_session
from study.runs import execute as executing
from study.runs import identity
from study.runs.outcomes import KILLED
from study.runs.store import Store
from study.spec.plan import Cell, Plan
from study.spec.study_file import load_study
from tests.study.made_up_runs import Unshown, Workshop, faraway

PARAMS = Path(__file__).parents[2] / "params.yaml"

STUDIES = {
    "tiny": """
        question: Does the weight of the covariance matter?
        hypothesis: It does not.
        baseline: nu-1
        arms:
          nu-1: {pretrain.nu: 1}
          nu-2: {pretrain.nu: 2}
        published: {source: nobody, arms: {nu-2: {collapse: true}}}
    """,
    "rough": """
        question: Does a learning rate beyond all measure diverge?
        hypothesis: It does.
        baseline: calm
        arms:
          wild: {pretrain.optimizer: sgd, pretrain.base_lr: 1.0e+30}
          calm: {pretrain.nu: 1}
    """,
    "quest": """
        question: Which weights are right?
        hypothesis: The published ones.
        mode: search
        baseline: published
        arms:
          published: {pretrain.lambda: 25, pretrain.mu: 25}
        search:
          parameters:
            pretrain.lambda: {low: 0.1, high: 100, log: true}
            pretrain.mu: {low: 1, high: 1000, log: true}
          trials: 4
          batch: 2
          seed: 0
          seeds: 1
          objective: knn_5
          prune_after: 1
    """,
    "tuned": """
        question: Does the weight of the covariance matter, each at its own learning rate?
        hypothesis: It does not.
        baseline: nu-1
        nuisance: {pretrain.base_lr: [0.01, 0.05, 0.2]}
        arms:
          nu-1: {pretrain.nu: 1}
          nu-2: {reason: Twice as much., settings: {pretrain.nu: 2}}
    """,
    "walk": """
        question: Which of three changes earned what?
        hypothesis: The learning rate.
        mode: path
        baseline: plain
        arms:
          plain: {pretrain.base_lr: 0.0001}
          far: {pretrain.base_lr: 0.05, pretrain.nu: 2, pretrain.weight_decay: 0.01}
        path: {to: far}
    """,
    "front": """
        question: What does accuracy cost?
        hypothesis: Width.
        mode: search
        baseline: usual
        arms:
          usual: {}
        search:
          parameters:
            pretrain.width: {low: 2, high: 8, int: true}
            pretrain.expander: {choices: [[], [16, 16]]}
          trials: 6
          batch: 3
          seeds: 2
          objective: [knn_5, cost]
          confirm: 2
    """,
}


@pytest.hookimpl(tryfirst=True)
def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Mark as slow what needs `unfolded`, whose three studies take ten seconds."""
    for item in items:
        if "unfolded" in getattr(item, "fixturenames", ()):
            item.add_marker(pytest.mark.slow)


class Forked:
    """What `subprocess.Popen` is to its caller, but a copy of this process in place of a new one: it has its imports
    behind it, and whatever a test has replaced. It runs `body` on three file descriptors and ends."""

    def __init__(self, body: Callable[[], int | None], *, stdin: int, stdout: int, stderr: int) -> None:
        self.returncode: int | None = None
        with warnings.catch_warnings():
            warnings.simplefilter("ignore", DeprecationWarning)  # Python 3.12 on forks beside threads; these hold no lock
            self.pid = os.fork()
        if self.pid == 0:
            self._run(body, (stdin, stdout, stderr))

    @staticmethod
    def _run(body, descriptors):
        status: Any = 1
        try:
            for target, source in enumerate(descriptors):
                os.dup2(source, target)
            Forked._let_go()
            Forked._renew_thread_pool()
            sys.stdin, sys.stdout, sys.stderr = (open(fd, mode, closefd=False) for fd, mode in enumerate("rww"))
            status = body()
        except SystemExit as error:
            status = error.code
        except BaseException:
            traceback.print_exc()
        finally:
            sys.stdout.flush()
            sys.stderr.flush()
            os._exit(status or 0)

    @staticmethod
    def _renew_thread_pool() -> None:
        """Give Dask a new pool for its messages: a copy of a process has none of its threads, but the pool counts them."""
        if utils := sys.modules.get("distributed.utils"):
            vars(utils)["_offload_executor"] = ThreadPoolExecutor(max_workers=1)

    @staticmethod
    def _let_go() -> None:
        """Give up every other descriptor, the ends of other processes' pipes among them.

        Each stays taken, by the null device: the files of this process that had it would close a new one of that number
        when they are collected.
        """
        null = os.open(os.devnull, os.O_RDWR)
        for descriptor in map(int, os.listdir("/dev/fd")):
            if descriptor not in (0, 1, 2, null):
                os.dup2(null, descriptor, inheritable=False)

    def poll(self) -> int | None:
        if self.returncode is None:
            pid, status = os.waitpid(self.pid, os.WNOHANG)
            self.returncode = os.waitstatus_to_exitcode(status) if pid else None
        return self.returncode

    def wait(self, timeout: float | None = None) -> int:
        deadline = time.monotonic() + (timeout if timeout is not None else 300)
        while self.poll() is None:
            if time.monotonic() > deadline:
                raise subprocess.TimeoutExpired("a copy of this process", deadline)
            time.sleep(0.005)
        assert self.returncode is not None
        return self.returncode

    def send_signal(self, number: int) -> None:
        if self.poll() is None:
            os.kill(self.pid, number)

    def kill(self) -> None:
        self.send_signal(signal.SIGKILL)


class ForkedCommand(Forked):
    """`python -m study.ablate` with these arguments, in this process's folder."""

    def __init__(self, argv: Sequence[str]) -> None:
        with open("output.txt", "wb+") as output, open("errors.txt", "wb+") as errors, open(os.devnull, "rb") as nothing:
            descriptors = {"stdin": nothing.fileno(), "stdout": output.fileno(), "stderr": errors.fileno()}
            super().__init__(lambda: run_command(lambda: ablate.main(list(argv))), **descriptors)


# Laid over what is tiny in any test: runs of half a second.
QUICK = {
    "prepare.per_class": 20,
    "pretrain.epochs": 3,
    "pretrain.batch_size": 80,
    "ablate.seeds": 1,
    "ablate.probes": ["knn"],
    "ablate.workers": 1,
    "ablate.device": "cpu",
}
# Laid over that where the stages around a study are run, too.
QUICK_STAGES = {
    "evaluate.linear.batch_size": 32,
    "project.iterations": 250,
    "project.perplexity": 5,
    "project.max_images": 20,
}


@functools.lru_cache
def as_yaml(content: str) -> str:
    """Return JSON as YAML; most projects have the same parameters."""
    return yaml.safe_dump(json.loads(content))


class Project:
    """A folder with a `params.yaml` whose profile `tiny` is the digits one made tiny, and the studies above."""

    def __init__(self, folder: Path, tiny: Config) -> None:
        self.folder, self.studies, self.store = folder, folder / "studies", Store(folder / "store")
        self.studies.mkdir()
        self._started: list[ForkedCommand] = []
        for name, text in STUDIES.items():
            (self.studies / f"{name}.yaml").write_text(textwrap.dedent(text), encoding="utf-8")
        params = load_params(PARAMS)
        params["profile"] = "tiny"
        params["profiles"]["tiny"] = {section: tiny.values[section] for section in SECTIONS}
        self._write(params)

    def set(self, settings: dict[str, Any]) -> None:
        """Edits `params.yaml`: dotted settings of the profile."""
        params = load_params(self.folder / "params.yaml")
        for key, value in settings.items():
            *sections, name = key.split(".")
            target = params["profiles"]["tiny"]
            for section in sections:
                target = target[section]
            target[name] = value
        self._write(params)

    def track(self, study: str) -> None:
        """Has `dvc repro` run this study."""
        self._write({**load_params(self.folder / "params.yaml"), "studies": [study]})

    def _write(self, params: dict[str, Any]) -> None:
        (self.folder / "params.yaml").write_text(as_yaml(json.dumps(params)), encoding="utf-8")

    def start(self, *argv: str) -> ForkedCommand:
        """Starts `python -m study.ablate` with these arguments."""
        self._started.append(ForkedCommand(argv))
        return self._started[-1]

    def said(self) -> tuple[str, str]:
        """What the last command that was started has written: output, errors."""
        return (self.folder / "output.txt").read_text(), (self.folder / "errors.txt").read_text()

    def stop(self) -> None:
        """Kills what a test that failed has left running."""
        for command in self._started:
            command.kill()
            command.wait()

    def checkpoints(self) -> list[Path]:
        return sorted((self.folder / "store" / "runs").glob("*/checkpoint-*"))

    def results(self, name: str, *, folder: str = "results/ablate") -> bytes:
        return (self.folder / folder / name / "study.json").read_bytes()

    def summary(self, name: str) -> dict[str, Any]:
        return json.loads(self.results(name))

    def arm(self, name: str, arm: str) -> dict[str, Any]:
        (found,) = [one for one in self.summary(name)["arms"] if one["name"] == arm]
        return found

    def statuses(self, name: str) -> dict[str, list[str]]:
        """Arm -> how each of its runs stands in the results."""
        return {arm["name"]: [run["status"] for run in arm["runs"]] for arm in self.summary(name)["arms"]}

    def trials(self, name: str) -> list[optuna.trial.FrozenTrial]:
        """The trials of the one Optuna study of this study."""
        storage = f"sqlite:///{self.folder / 'store' / 'optuna.db'}"
        (found,) = [one for one in optuna.get_all_study_names(storage) if one.startswith(f"{name}@")]
        return optuna.load_study(study_name=found, storage=storage).trials


def enter(project: Project, patch: pytest.MonkeyPatch) -> None:
    patch.chdir(project.folder)
    patch.setenv("COLUMNS", "200")  # so that no line of a table is broken
    patch.setenv("GIT_CEILING_DIRECTORIES", str(project.folder.parent))
    for module in (session, source_paper):
        patch.setattr(module, "load_study", lambda name: load_study(name, folder=project.studies))
    patch.setattr("study.execution.executors.starting.START_METHOD", "fork")  # with whatever a test has replaced


class Inline:
    """An engine that executes a job in this process at the moment that it is sent. Ctrl-C in a run is its worker's death."""

    size = 1

    def __enter__(self) -> "Inline":
        return self

    def __exit__(self, *error: object) -> None:
        pass

    def send(self, job: dict[str, Any], answer: Callable[[Any], None]) -> None:
        try:
            answer(run_job(job))
        except KeyboardInterrupt:
            answer({"status": KILLED, "reason": "its process died 4 times"})


def run_inline(patch: pytest.MonkeyPatch) -> None:
    """Run what is missing in this process, where no test is about workers: those take longer to start than the runs."""

    def open_inline(*, workers, data, store, device, devices_each=1) -> EngineExecutor:
        return EngineExecutor(Inline(), data=data, store=store, device=str(device), look=0.0)

    patch.setattr(scheduler, "open_local", open_inline)


@pytest.fixture
def inline(monkeypatch) -> None:
    """Runs of commands are executed in this process."""
    run_inline(monkeypatch)


@pytest.fixture
def untold(monkeypatch) -> None:
    """Optuna's database is not written, which takes longer than a run."""
    monkeypatch.setattr(scheduler, "TrialDatabase", Unshown)


@pytest.fixture
def project(tmp_path, monkeypatch, tiny_config) -> Iterator[Project]:
    """A project that is the current folder, with nothing run yet; its workers are copies of this process."""
    project = Project(tmp_path, tiny_config(QUICK))
    enter(project, monkeypatch)
    yield project
    project.stop()


@pytest.fixture
def workshop(project, monkeypatch) -> Workshop:
    """A project whose runs are made up."""
    made = Workshop(project)
    monkeypatch.setattr(scheduler, "open_local", made.open_executor)
    monkeypatch.setattr(scheduler, "TrialDatabase", Unshown)
    return made


@pytest.fixture(scope="session")
def undisturbed(tmp_path_factory, tiny_config) -> Project:
    """A project in which the studies `tiny` and `quest` were run by one process, in one go. To be looked at alone."""
    project = Project(tmp_path_factory.mktemp("undisturbed"), tiny_config(QUICK))
    with pytest.MonkeyPatch.context() as patch:
        enter(project, patch)
        run_inline(patch)
        torch.set_num_threads(1)
        for name in ("tiny", "quest"):
            assert ablate.main(["--study", name]) == 0
    return project


@pytest.fixture
def finished(project, undisturbed) -> Project:
    """A project of one's own in which the studies `tiny` and `quest` have been run."""
    for name in ("store", "results"):
        shutil.copytree(undisturbed.folder / name, project.folder / name)
    return project


@pytest.fixture(scope="session")
def whole(tmp_path_factory, tiny_config, undisturbed) -> Project:
    """A project in which every stage was run, and one run verified. To be looked at alone."""
    made = Project(tmp_path_factory.mktemp("whole"), tiny_config({**QUICK, **QUICK_STAGES}))
    for name in ("store", "results"):  # so that no run is trained twice
        shutil.copytree(undisturbed.folder / name, made.folder / name)
    with pytest.MonkeyPatch.context() as patch:
        enter(made, patch)
        torch.set_num_threads(1)
        commands = (
            *((lambda main=stage: main()) for stage in (prepare.main, pretrain.main, evaluate.main, project_stage.main)),
            *((lambda name=name: ablate.main(["--study", name])) for name in ("tiny", "quest")),
            lambda: verify.main(["--study", "tiny", "--runs", "1"]),
        )
        for command in commands:
            with pytest.raises(SystemExit) as ended:
                run_command(command)
            assert ended.value.code == 0
    return made


@pytest.fixture
def copied(project, whole) -> Project:
    """A project of one's own in which every stage has been run."""
    for name in ("store", "results", "data", "models"):
        shutil.copytree(whole.folder / name, project.folder / name)
    shutil.copy(whole.folder / "params.yaml", project.folder / "params.yaml")
    return project


@pytest.fixture(scope="session")
def unfolded(tmp_path_factory, tiny_config) -> Project:
    """A project in which `tuned`, `walk` and `front` were run, where later runs depend on how earlier ones came out. To be
    looked at alone."""
    project = Project(tmp_path_factory.mktemp("unfolded"), tiny_config(QUICK))
    with pytest.MonkeyPatch.context() as patch:
        enter(project, patch)
        run_inline(patch)
        torch.set_num_threads(1)
        for name in ("tuned", "walk", "front"):
            assert ablate.main(["--study", name]) == 0
    return project


@pytest.fixture
def designed(project, unfolded) -> Project:
    """A project of one's own in which `tuned`, `walk` and `front` have been run."""
    for name in ("store", "results"):
        shutil.copytree(unfolded.folder / name, project.folder / name)
    return project


@pytest.fixture(scope="session")
def made_up_modes(tiny_config, digits) -> Callable[[], dict[str, dict[str, Any]]]:
    """`made_up_modes()`: the plain values of a made-up study of each mode, to be changed at will; they take seconds."""
    from tests.study.made_up import Plans
    from tests.study.made_up_reports import every_mode

    made = every_mode(Plans(tiny_config, digits))
    return lambda: copy.deepcopy(made)


@pytest.fixture
def plan_of() -> Callable[..., Plan]:
    """`plan_of("--study", "walk")`: the plan of a command as far as the results in this folder reach."""

    def build(*argv: str) -> Plan:
        opened = open_session(ablate.request_of(ablate.parse_arguments(list(argv))))
        return unfold(opened, Lookup(opened))

    return build


@pytest.fixture
def rewrite(project) -> Callable[[Cell, float], None]:
    """`rewrite(cell, 0.9)`: from now on the store says this validation accuracy of a cell's run, and no other."""

    def replace(cell: Cell, accuracy: float) -> None:
        path = project.store.evaluation_path(cell.run)
        measured = json.loads(path.read_bytes())
        measured["validation"]["knn_5"]["top1"] = accuracy
        path.write_text(json.dumps(measured))

    return replace


@pytest.fixture
def trained(tmp_path, monkeypatch) -> Callable[[], list[tuple[str, int]]]:
    """What has been trained since, in any process: (digest, process), one each time training began."""
    log = tmp_path / "trained.log"
    train = executing.pretrain

    def logged(*args, identity, **named):
        with open(log, "a", encoding="utf-8") as file:
            file.write(f"{identity} {os.getpid()}\n")
        return train(*args, identity=identity, **named)

    monkeypatch.setattr(executing, "pretrain", logged)

    def entries() -> list[tuple[str, int]]:
        lines = log.read_text().splitlines() if log.exists() else []
        return [(line.split()[0], int(line.split()[1])) for line in lines]

    return entries


@pytest.fixture
def wait_until() -> Callable[[Callable[[], bool]], None]:
    """Waits until something holds, and fails where it never does."""

    def wait(condition: Callable[[], bool], *, seconds: float = 30) -> None:
        deadline = time.monotonic() + seconds
        while not condition():
            assert time.monotonic() < deadline, "waited in vain"
            time.sleep(0.01)

    return wait


@pytest.fixture
def command(capsys) -> Callable[..., tuple[int, str, str]]:
    """`command(main, *argv)`: exit status, output and errors of a command."""

    def run(main: Callable[..., Any], *argv: str) -> tuple[int, str, str]:
        capsys.readouterr()
        with pytest.raises(SystemExit) as ended:
            run_command(lambda: main(list(argv)))
        captured = capsys.readouterr()
        return ended.value.code, captured.out, captured.err

    return run


@pytest.fixture
def befall(project, monkeypatch) -> Callable[..., None]:
    """`befall(what, nu=1)`: something happens to the run of this nu at the end of its second epoch, once."""

    def arrange(what: Callable[[], None], *, nu: float) -> None:
        train, flag = executing.pretrain, project.folder / "it-has-happened"

        def fateful(settings, *args, on_epoch, **named):
            def watch(record):
                on_epoch(record)
                if settings.method_settings.nu == nu and settings.epochs and record["epoch"] == 2 and not flag.exists():
                    flag.touch()
                    what()

            return train(settings, *args, on_epoch=watch, **named)

        monkeypatch.setattr(executing, "pretrain", fateful)

    return arrange


@pytest.fixture
def elsewhere(project, command, monkeypatch) -> None:
    """One run of `tiny` in the store is of a machine that this one is not."""

    with monkeypatch.context() as there:
        there.setattr(identity, "machinery", faraway)
        assert command(ablate.main, "--study", "tiny", "--arm", "nu-1")[0] == 0
