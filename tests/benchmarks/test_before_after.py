"""Two commits in turn: real processes at a size that takes seconds, and figures that add up."""

import subprocess

import pytest

from benchmarks import before_after
from benchmarks.before_after import checkout, compare, rows_of
from benchmarks.children import child, turn
from benchmarks.measure import ROOT
from vicreg.errors import InputError

TINY = {
    "profile": "digits", "side": 8, "channels": 1, "steps": 1,
    "settings": {"pretrain.width": 4, "pretrain.expander": [8], "pretrain.batch_size": 8},
}  # fmt: skip


def worktrees():
    return subprocess.run(["git", "worktree", "list"], cwd=ROOT, check=True, capture_output=True, text=True).stdout


@pytest.mark.slow
@pytest.mark.exhaustive
def test_both_checkouts_train_in_turn_quiet_and_beside_a_busy_process():
    results = compare(ROOT, {"tiny": TINY}, loads=[0, 1], rounds=2)
    assert set(results["cases"]["tiny"]) == {"0", "1"} and len(results["foreign_load"]) == 2
    for paces in results["cases"]["tiny"].values():
        assert all(len(own) == 2 and min(own) > 0 for own in (paces["before"], paces["now"]))
    assert len(rows_of(results["cases"])) == 2


def test_a_ratio_is_of_figures_of_one_round():
    (row,) = rows_of({"one": {"0": {"before": [100.0, 200.0, 300.0], "now": [110.0, 260.0, 450.0]}}})
    assert (row["before"], row["now"], row["ratio"], row["over rounds"]) == ("200", "260", "1.30", "1.10 to 1.50")


def test_a_commit_is_checked_out_for_the_time_and_an_unknown_one_is_refused():
    before = worktrees()
    with checkout("HEAD") as (folder, name):
        assert (folder / "params.yaml").is_file() and len(name) == 40 and str(folder) in worktrees()
    assert worktrees() == before
    with pytest.raises(InputError, match="--before must be a commit that git can check out, but got 'no-such'"):
        with checkout("no-such"):
            pass


def test_a_child_that_has_ended_is_told_and_no_figure_is_made_of_it():
    with child(["-c", "pass"], folder=ROOT) as process:
        process.wait()
        with pytest.raises(InputError, match="has ended"):
            turn(process)


def test_cases_are_named_and_what_is_none_is_refused(monkeypatch):
    monkeypatch.setattr("sys.argv", ["before_after", "--before", "HEAD", "--only", "resnet99"])
    with pytest.raises(InputError, match="--only must be part of one of resnet18, one thread; "):
        before_after.main()
