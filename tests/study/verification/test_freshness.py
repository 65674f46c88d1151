"""Which reported runs are stale or missing under today's code and parameters, and why."""

import pytest

from study.results.files import read_results
from study.runs import identity
from study.runs.code_digest import CodeDigest
from study.verification.freshness import freshness
from vicreg.data import sources


@pytest.fixture
def check(finished):
    """`check()`: how the results of the study `tiny` stand."""
    return lambda: freshness(read_results(finished.folder / "results/ablate/tiny"), store=finished.folder / "store")


def test_results_of_today_are_fresh(check):
    found = check()
    assert (found.groups, found.count, found.unchecked) == ((), 0, "")


def test_a_changed_parameter_makes_the_runs_that_it_decides_stale(check, finished):
    finished.set({"pretrain.vicreg.mu": 7})
    found = check()
    assert found.groups == (("stale: setting mu changed from 25.0 to 7.0", ("ν 1, seed 0", "ν 2, seed 0")),)
    assert found.count == 2  # the control does not train


def test_changed_code_makes_every_cell_stale(check, monkeypatch):
    real = identity.training_code("vicreg")
    edited = CodeDigest(root="edited", definitions={**real.definitions, "vicreg.methods.vicreg:vicreg_loss": "edited"})
    monkeypatch.setattr(identity, "training_code", lambda method, **switches: edited)
    assert check().groups == (
        (
            "stale: code changed in vicreg/methods/vicreg.py (vicreg_loss)",
            ("untrained, seed 0", "ν 1, seed 0", "ν 2, seed 0"),
        ),
    )


def test_runs_that_the_store_no_longer_has_and_seeds_that_were_never_run_are_missing(check, finished):
    (finished.store.folder(finished.arm("tiny", "nu-2")["runs"][0]["digest"]) / "status.json").unlink()
    finished.set({"ablate.seeds": 2})
    assert dict(check().groups) == {
        "its run is no longer in the store": ("ν 2, seed 0",),
        "never run": ("untrained, seed 1", "ν 1, seed 1", "ν 2, seed 1"),
    }


def test_arms_that_are_no_longer_asked_for_are_named(check, finished):
    path = finished.studies / "tiny.yaml"
    path.write_text(path.read_text().replace("nu-2: {pretrain.nu: 2}", "nu-3: {pretrain.nu: 3}").replace("{nu-2:", "{nu-3:"))
    assert dict(check().groups) == {"no longer asked for": ("ν 2, seed 0",), "never run": ("ν 3, seed 0",)}


def test_without_the_data_nothing_is_downloaded_and_nothing_is_checked(check, finished, monkeypatch):
    def never(*arguments, **named):
        raise AssertionError("a download")

    monkeypatch.setattr(sources, "read_published", never)
    finished.set({"prepare.dataset": "cifar10"})
    assert check().unchecked == "the data (cifar10) are not here, so no plan can be made."


def test_parameters_that_no_run_can_have_are_said_in_place_of_staleness(check, finished):
    finished.set({"pretrain.warmup_epochs": 99})
    assert "warmup_epochs" in check().unchecked and check().groups == ()
