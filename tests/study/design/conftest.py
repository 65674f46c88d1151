"""What designs decide depends on how runs came out, and not on how they were executed: here most are made up."""

import functools
import os
import random
import shutil

import pytest

from study import ablate
from study.execution import scheduler
from study.runs.outcomes import DIVERGED, KILLED
from tests.study.conftest import QUICK, Project, enter
from tests.study.made_up import log_record
from tests.study.made_up_runs import MadeUp, Unshown
from vicreg.files import to_json, write_atomically


class Drawn(MadeUp):
    """Runs whose accuracy is drawn by their identity. A learning rate beyond all measure diverges.

    The first run of a nu that is in `killed` is killed, and the nu is taken out.
    """

    def __init__(self, store, killed) -> None:
        super().__init__(store, {})
        self.killed = killed

    def write(self, run):
        settings, nu = run.config.pretrain, run.config.by_key["pretrain.nu"]
        if settings.epochs and nu in self.killed:
            self.killed.remove(nu)
            return self.end(run, KILLED, "its process died 4 times")
        if settings.base_lr > 1e20:
            return self.end(run, DIVERGED, "the loss was not finite")
        drawn = random.Random(run.digest)
        write_atomically(self.store.folder(run.digest) / "provenance.json", to_json({"commit": "abc"}))
        history = [log_record(1 + epoch, images_per_second=drawn.uniform(50, 200)) for epoch in range(settings.epochs)]
        return self.finish(run, drawn.uniform(0.4, 0.9), history)


class Draws:
    """What was run, in order, and of which nu a run is yet to be killed."""

    def __init__(self) -> None:
        self.opened: list[Drawn] = []
        self.killed: list[float] = []

    def open_executor(self, *, workers, data, store, device, devices_each=1) -> Drawn:
        self.opened.append(Drawn(store, self.killed))
        return self.opened[-1]

    @property
    def ran(self) -> list[str]:
        return [digest for executor in self.opened for digest in executor.ran]


@pytest.fixture
def draws(monkeypatch) -> Draws:
    """Runs of commands are drawn."""
    made = Draws()
    monkeypatch.setattr(scheduler, "open_local", made.open_executor)
    return made


@pytest.fixture
def trained(draws):
    """What has been run since, in place of what was trained: (digest, process)."""
    return lambda: [(digest, os.getpid()) for digest in draws.ran]


@pytest.fixture(scope="package")
def unfolded(tmp_path_factory, tiny_config) -> Project:
    """A project in which `tuned`, `walk` and `front` were run, whose runs are drawn. To be looked at alone."""
    project = Project(tmp_path_factory.mktemp("unfolded"), tiny_config(QUICK))
    with pytest.MonkeyPatch.context() as patch:
        enter(project, patch)
        patch.setattr(scheduler, "open_local", Draws().open_executor)
        assert ablate.main(["--study", "front"]) == 0
        patch.setattr(scheduler, "TrialDatabase", Unshown)
        for name in ("tuned", "walk"):
            assert ablate.main(["--study", name]) == 0
    return project


@pytest.fixture
def designed(project, unfolded, draws) -> Project:
    """A project of one's own in which `tuned`, `walk` and `front` have been run, and where runs are drawn."""
    for name in ("store", "results"):
        shutil.copytree(unfolded.folder / name, project.folder / name)
    return project


@pytest.fixture
def killed_once(inline, befall):
    """`killed_once(nu=1)`: the first real run of this nu ends as killed in its second epoch; the next call goes on."""
    return functools.partial(befall, kill)


def kill():
    raise KeyboardInterrupt  # the engine in this process takes it for the death of a worker
