"""`seeds: until-decided`: arms that are decided stop, and the others get the seeds of the next look."""

import json
import textwrap

import pytest

from study import ablate
from study.execution import scheduler
from tests.study.made_up_runs import MadeUp

ARMS = {1: 0.9, 2: 0.6, 3: 0.85, 4: 0.898}
STUDY = """
    question: Does the weight of the covariance matter?
    hypothesis: It does.
    baseline: nu-1
    seeds: until-decided
    looks: [3, 5, 8]
    arms:
      nu-1: {pretrain.nu: 1}
      nu-2: {pretrain.nu: 2}
      nu-3: {pretrain.nu: 3}
      nu-4: {pretrain.nu: 4}
"""


@pytest.fixture
def executors(project, monkeypatch):
    """Every executor that a command opened; runs are made up."""
    opened = []

    def open_executor(*, workers, data, store, device):
        opened.append(MadeUp(store, ARMS, workers=workers))
        return opened[-1]

    monkeypatch.setattr(scheduler, "LocalExecutor", open_executor)
    project.set({"ablate.margin": 0.01})
    write(project, STUDY)
    return opened


def write(project, text, *changes):
    text = textwrap.dedent(text)
    for old, new in changes:
        assert old in text
        text = text.replace(old, new)
    (project.studies / "settle.yaml").write_text(text)


def seeds_by_arm(project):
    return {arm["name"]: [run["seed"] for run in arm["runs"]] for arm in project.summary("settle")["arms"]}


def test_arms_stop_where_they_are_decided(project, executors, command):
    status, output, errors = command(ablate.main, "--study", "settle")
    print(output)
    print(errors)
    print(json.dumps(project.summary("settle")["looks"]), seeds_by_arm(project))
    assert 0
