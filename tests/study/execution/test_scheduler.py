"""Cells are brought to their outcomes by whatever executor there is, each run once."""

from collections import deque

import pytest
import torch

from study import ablate
from study.execution.executors.base import Event
from study.execution.request import Request
from study.execution.scheduler import Lookup, Runner, deduplicate, have_outcomes
from study.execution.session import open_session
from study.runs.execute import execute

CPU = torch.device("cpu")


class Inline:
    """An executor of another kind: it executes a run in this process at the moment that it is submitted."""

    def __init__(self, session):
        self.session, self.waiting, self.ran, self.left = session, deque(), [], 0

    def __enter__(self):
        return self

    def __exit__(self, *error):
        self.left += 1

    @property
    def free(self):
        return 2 - len(self.active)

    @property
    def active(self):
        return list(dict.fromkeys(event.run.digest for event in self.waiting))

    def submit(self, run, *, prune_after=None, keep=()):
        assert self.free > 0
        self.ran.append((run.digest, prune_after))
        heard = []
        status = execute(
            run, store=self.session.store, dataset=self.session.dataset, device=CPU, on_epoch=heard.append,
            prune_after=prune_after, keep=keep,
        )  # fmt: skip
        self.waiting.extend(Event(run=run, kind="epoch", record=record) for record in heard)
        self.waiting.append(Event(run=run, kind="end", status=status))

    def events(self):
        while self.waiting:
            yield self.waiting.popleft()


@pytest.fixture
def session(project):
    return open_session(Request(study="tiny", store=project.store.root))


def run_on(executor, session, cells, **named):
    with Runner(session, open_executor=lambda asked: executor) as runner:
        return runner.finish(cells, **named)


def test_an_executor_of_any_kind_brings_every_cell_to_its_outcome(session, untold, capsys):
    cells, executor = session.plan().cells, Inline(session)
    assert not Lookup(session).finish(cells)
    assert run_on(executor, session, cells)
    assert [session.store.status(cell.run) for cell in cells] == [("finished", None)] * 3
    assert [digest for digest, _ in executor.ran] == [cell.run.digest for cell in cells]
    assert executor.left == 1 and executor.active == []
    assert Lookup(session).finish(cells) and have_outcomes(cells, session.store)


def test_the_executor_is_not_opened_where_nothing_is_missing(session, untold, capsys):
    cells = session.plan().cells
    assert run_on(Inline(session), session, cells)
    with Runner(session, open_executor=lambda asked: pytest.fail("was opened")) as runner:
        assert runner.finish(cells) and runner.finish_batch(cells, total=3)


def test_a_batch_is_run_in_order_with_its_rule_of_pruning(session, untold, capsys):
    cells, executor = list(reversed(session.plan().cells)), Inline(session)
    with Runner(session, open_executor=lambda asked: executor) as runner:
        assert runner.finish_batch(cells, total=3, prune_after=5)
    assert executor.ran == [(cell.run.digest, 5) for cell in cells]


def test_two_arms_that_are_one_run_are_run_once_and_told_to_optuna_twice(session, project, capsys):
    text = (project.studies / "tiny.yaml").read_text().replace("{pretrain.nu: 2}", "{pretrain.nu: 1.0}")
    (project.studies / "tiny.yaml").write_text(text)
    same = open_session(Request(study="tiny", store=project.store.root))
    cells, executor = same.plan().cells, Inline(same)
    assert len(deduplicate(cells)) == 2 and {cell.run.digest for cell in deduplicate(cells)} == {c.run.digest for c in cells}
    assert run_on(executor, same, cells)
    assert len(executor.ran) == 2 and len(project.trials("tiny")) == 3


def test_what_a_worker_left_that_was_killed_after_its_runs_end_is_cleared(finished, command):
    digest = finished.arm("tiny", "nu-1")["runs"][0]["digest"]
    left = finished.store.folder(digest) / "checkpoint-00003"
    left.mkdir()
    assert command(ablate.main, "--study", "tiny")[0] == 0
    assert not left.exists() and finished.statuses("tiny")["nu-1"] == ["finished"]
