"""`--status`: how each run stands, and why a number is no longer served."""

import re

import pytest

from study import ablate
from study.runs import identity
from study.runs.code_digest import CodeDigest

pytestmark = pytest.mark.slow  # studies are run


def test_status_says_what_is_finished(finished, trained, command):
    status, output, _ = command(ablate.main, "--study", "tiny", "--status")
    assert status == 0 and "3 of 3 runs are finished" in output
    assert output.count(" finished ") == 3 and trained() == []


def test_status_says_what_was_never_run_and_what_is_half_done(project, command, wait_until):
    _, output, _ = command(ablate.main, "--study", "tiny", "--status")
    assert "0 of 3 runs are finished" in output and output.count("never run") == 3
    half = project.start("--study", "tiny", "--arm", "nu-1", "--set", "pretrain.epochs=200")
    wait_until(project.checkpoints)
    half.kill()
    half.wait()
    _, output, _ = command(ablate.main, "--study", "tiny", "--status", "--set", "pretrain.epochs=200")
    assert re.search(r"partial +│ \d+ of 200 epochs are trained", output)


@pytest.mark.parametrize(
    ("settings", "why"),
    [
        ({"pretrain.vicreg.mu": 7}, "setting mu changed from 25.0 to 7.0"),
        (
            {"pretrain.base_lr": 0.1, "pretrain.width": 8},
            "setting base_lr changed from 0.05 to 0.1; setting width changed from 4 to 8",
        ),
        ({"prepare.split_seed": 3}, "data changed from"),
    ],
)
def test_status_says_why_a_run_is_stale(finished, command, settings, why):
    finished.set(settings)
    _, output, _ = command(ablate.main, "--study", "tiny", "--status")
    rows = [line for line in output.splitlines() if "│ ν" in line]
    assert len(rows) == 2 and all("stale" in row and why in row for row in rows)


def test_status_says_which_code_a_run_is_stale_for_and_the_numbers_are_not_served(
    finished, inline, command, monkeypatch, trained
):
    real = identity.training_code("vicreg")
    edited = CodeDigest(root="edited", definitions={**real.definitions, "vicreg.methods.vicreg:vicreg_loss": "edited"})
    monkeypatch.setattr(identity, "training_code", lambda method, **switches: edited)
    _, output, _ = command(ablate.main, "--study", "tiny", "--status")
    assert output.count("stale") == 3 and output.count("code changed in vicreg/methods/vicreg.py (vicreg_loss)") == 3
    assert "0 of 3 runs are finished" in output
    assert command(ablate.main, "--study", "tiny")[0] == 0
    assert len(trained()) == 3


def test_what_looks_like_markup_of_the_terminal_in_a_reason_is_printed_as_it_stands(project, plan_of, command):
    (cell, *_) = plan_of("--study", "tiny").cells
    project.store.record_ending(cell.run, "failed", "weights [/encoder] has no [bold]conv1 :cat:")
    status, output, _ = command(ablate.main, "--study", "tiny", "--status")
    assert status == 0 and "weights [/encoder] has no [bold]conv1 :cat:" in output


@pytest.mark.parametrize("content", [b"", b"[1]", b'{"torn'])
def test_a_damaged_note_of_what_arms_stood_for_is_begun_anew(finished, command, content):
    (path,) = (finished.folder / "store" / "ledger").glob("tiny@*.json")
    good = path.read_bytes()
    path.write_bytes(content)
    assert command(ablate.main, "--study", "tiny", "--status")[0] == 0
    assert command(ablate.main, "--study", "tiny")[0] == 0 and path.read_bytes() == good
