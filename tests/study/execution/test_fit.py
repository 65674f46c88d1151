"""Settings that do not fit the data are refused before the first run, with the arm that has them."""

import dataclasses

import pytest

from study import ablate
from study.execution.request import Request
from study.execution.session import open_session
from vicreg.errors import InputError
from vicreg.training import setup


def edit(project, name, old, new):
    path = project.studies / f"{name}.yaml"
    text = path.read_text()
    assert old in text
    path.write_text(text.replace(old, new))


@pytest.mark.parametrize(
    ("settings", "said"),
    [
        ("{pretrain.batch_size: 4000}", "pretrain.batch_size must not exceed the number of training images, but got 4000"),
        ("{pretrain.normalisation: imagenet}", "pretrain.normalisation imagenet is for images of 3 channels"),
    ],
)
@pytest.mark.parametrize("asked", [[], ["--dry-run"], ["--status"], ["--arm", "nu-1"]])
def test_an_arm_that_does_not_fit_the_data_is_refused_before_any_run(project, trained, command, settings, said, asked):
    edit(project, "tiny", "{pretrain.nu: 2}", settings)
    status, _, errors = command(ablate.main, "--study", "tiny", *asked)
    assert (status, trained()) == (2, []) and errors.startswith(f"error: arm 'nu-2' of study 'tiny': {said}")
    assert errors.count("\n") == 1 and not (project.folder / "store" / "runs").exists()


def test_an_end_of_a_searchs_range_that_does_not_fit_the_data_is_refused(project):
    edit(project, "front", "pretrain.width: {low: 2, high: 8, int: true}", "pretrain.batch_size: {choices: [80, 4000]}")
    with pytest.raises(InputError, match="^search.parameters of study 'front': pretrain.batch_size must not exceed"):
        open_session(Request(study="front"))


def test_a_value_of_a_nuisance_parameter_that_does_not_fit_the_data_is_refused(project, trained, command):
    edit(project, "tuned", "pretrain.base_lr: [0.01, 0.05, 0.2]", "pretrain.batch_size: [80, 4000]")
    status, _, errors = command(ablate.main, "--study", "tuned")
    assert (status, trained()) == (2, []) and "error: arm 'nu-1@batchsize4000' of study 'tuned'" in errors


def test_the_check_builds_no_network(project, monkeypatch):
    monkeypatch.setattr(setup, "new_model", lambda *_, **__: pytest.fail("was built"))
    monkeypatch.setattr(setup, "build_model", lambda *_, **__: pytest.fail("was built"))
    session = open_session(Request(study="tiny"))
    assert len(session.plan().cells) == 3


def test_a_run_that_trains_nothing_needs_no_full_batch(project, command):
    session = open_session(Request(study="tiny", overrides={"pretrain.batch_size": 4000, "pretrain.epochs": 0}))
    assert {cell.run.config.pretrain.epochs for cell in session.plan().cells} == {0}
    few = dataclasses.replace(session.config.pretrain, epochs=1, warmup_epochs=0, drop_last=False)
    setup.check_fit(few, session.dataset)  # one short batch
