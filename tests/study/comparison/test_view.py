"""What a comparison says of two results: sentences and rows, as a reader sees them."""

import dataclasses

import pytest
from scipy import stats

from study.results.runs import ProbeAccuracy
from study.results.schema import RecordedIdentity
from tests.study.comparison.sides import DATA, PROBE, RECIPE, arm, one_arm, results, run, seeds, view
from vicreg.errors import InputError


def with_runs(side, change):
    """The side with every run of its arms changed."""
    arms = [dataclasses.replace(one, runs=tuple(map(change, one.runs))) for one in side.arms]
    return dataclasses.replace(side, arms=tuple(arms))


# ---- what changed


def test_the_answer_names_what_changed():
    identity = RecordedIdentity(
        code="2", definitions={"vicreg.methods.vicreg": "2", "vicreg.optim.lars": "1", "vicreg.new": "3"},
        machinery={"torch": "2.1"},
    )  # fmt: skip
    a = results(arm("x", {}, seeds([0.5])))
    b = dataclasses.replace(a, recipe={**RECIPE, "pretrain.epochs": 9}, environment={"torch": "2.1"}, identity=identity)
    assert view(a, b)["answer"].endswith(
        "B differs from A in code, parameters and environment. Code changed in 2 definitions: vicreg.methods.vicreg, "
        "vicreg.new. 1 parameter changed: epochs 3 → 9. The environment changed: torch 2.0 → 2.1."
    )


def test_results_that_do_not_say_what_code_they_are_of_are_said_not_to():
    b = results(arm("x", {}, seeds([0.5])))
    shown = view(dataclasses.replace(b, identity=None), b)
    assert shown["answer"].endswith("B differs from A in nothing that is recorded. The code of A is not recorded.")


def test_a_path_in_a_changed_value_is_cut_to_its_end_and_a_digest_to_its_digits():
    b = results(recipe={**RECIPE, "data.root": "/home/someone/data"}, data=dataclasses.replace(DATA, digest="sha256:2"))
    rows = dict(view(results(arm("x", {}, [])), dataclasses.replace(b, arms=(arm("x", {}, []),)))["changes"])
    assert rows["Data"] == [("digest", "1", "2")] and "/home/someone" not in rows["Parameters"][0][2]


# ---- what it did


def test_the_same_runs_are_not_tested():
    a = results(arm("x", {}, seeds([0.5, 0.6, 0.7])), arm("y", {"pretrain.nu": 2}, seeds([0.4])))
    shown = view(a, a)
    assert shown["answer"] == (
        "All 4 runs they share are the same in both, so there is nothing to test. B differs from A in nothing that is "
        "recorded."
    )
    assert {row["says"] for row in shown["arms"]} == {"the same runs"} and {row["p"] for row in shown["arms"]} == {"–"}
    assert {cell["same"] for cell in shown["cells"]} == {"the same run"}


def test_other_runs_with_every_number_equal_are_identical_and_not_tested_either():
    a = results(arm("x", {}, seeds([0.5, 0.6, 0.7])))

    def of_other_code(one):
        correct = {PROBE: ProbeAccuracy(top1=one.test[PROBE].top1, correct="ff")}  # which A did not record yet
        return dataclasses.replace(one, digest=one.digest + "-of-other-code", test=correct)

    b = with_runs(a, of_other_code)
    shown = view(a, b)
    assert "All 3 pairs of runs have the same results, bit for bit" in shown["answer"]
    assert shown["arms"][0]["says"] == "identical results" and shown["arms"][0]["p"] == "–"
    assert {cell["same"] for cell in shown["cells"]} == {"equal results"}

    def of_another_log(one):
        record = dataclasses.replace(one.history[0], total=one.history[0].total + 1e-12)
        return dataclasses.replace(one, history=(record,))

    says = view(a, with_runs(b, of_another_log))["arms"][0]["says"]
    assert says == "the same accuracy on each of 3 seeds, though other numbers differ"


def test_a_difference_is_b_minus_a_paired_by_seed():
    a, b = [0.50, 0.60, 0.70, 0.80], [0.52, 0.61, 0.73, 0.80]
    row = one_arm(a, b)
    interval = stats.ttest_rel(b, a).confidence_interval(0.95)
    assert row["difference"] == "+1.50" and row["n"] == "4"
    assert row["interval"] == f"[{100 * interval.low:+.2f}, {100 * interval.high:+.2f}]".replace("-", "−")
    assert row["p"] == f"{stats.ttest_rel(b, a).pvalue:.3f}"


def test_seeds_that_one_side_alone_has_are_named_and_left_out_of_the_difference():
    a = results(arm("x", {}, [run(0, 0.5), run(1, 0.6), run(7, 0.1)]))
    b = results(arm("x", {}, [run(0, 0.6), run(1, 0.7), run(2, 0.9)]))
    (row,) = view(a, b)["arms"]
    assert (row["n"], row["difference"], row["a"]) == ("2", "+10.00", "55.00 ± 7.07")
    assert row["status"] == "seed 7 in A alone; seed 2 in B alone" and row["says"] == "n = 2: descriptive only"


def test_what_is_said_of_equivalence_follows_from_the_data_and_the_margin():
    a = [0.900, 0.902, 0.901, 0.899]
    close = [0.901, 0.902, 0.900, 0.900]  # differences +0.1, 0, -0.1, +0.1 points
    assert one_arm(a, close, margin=0.01)["says"] == "no difference larger than 0.14 points"
    assert one_arm(a, close, margin=0.001)["says"] == "undecided: could be as large as 0.14 points"
    assert one_arm(a, [0.951, 0.950, 0.951, 0.949], margin=0.01)["says"] == "different"
    assert one_arm(a, [0.951, 0.950, 0.951, 0.949], margin=0.1)["says"] == "different, yet by less than 10 points"


def test_a_difference_without_any_spread_is_described_and_not_tested():
    row = one_arm([0.5, 0.6, 0.7], [0.51, 0.61, 0.71])
    assert row["says"] == "the same difference on each of 3 seeds, so no spread to test it by"
    assert (row["difference"], row["interval"], row["p"]) == ("+1.00", "–", "–")


def test_changes_of_collapse_type_and_of_status_are_said_by_seed():
    a = results(arm("x", {}, [run(0, 0.5), run(1, 0.5), run(2, 0.5)]))
    changed = [run(0, 0.1, collapse_type="complete"), run(1, 0.5), run(2, None, status="killed")]
    (row,) = view(a, results(arm("x", {}, changed, collapse_type="complete")))["arms"]
    assert row["verdict"] == "healthy → complete (changed on seeds 0, 2)" and row["status"] == "seed 2 finished → killed"


def test_arms_of_one_side_alone_are_listed_with_their_accuracy():
    a = results(arm("x", {}, seeds([0.5])), arm("gone", {"pretrain.nu": 2}, seeds([0.25])))
    b = results(arm("x", {}, seeds([0.5])), arm("new", {"pretrain.nu": 3}, [run(0, None, status="missing")]))
    assert view(a, b)["one_sided"] == ["A alone has 1 arm: gone (25.00 %).", "B alone has 1 arm: new (no result)."]


def test_without_any_pair_of_runs_nothing_is_compared():
    a, b = results(arm("x", {}, seeds([0.5]))), results(arm("y", {"pretrain.nu": 2}, seeds([0.5])))
    assert "so nothing is compared" in view(a, b)["answer"]


def test_on_different_data_the_page_says_that_seeds_are_not_paired():
    a = results(arm("x", {}, seeds([0.5, 0.6, 0.7])))
    other = dataclasses.replace(DATA, digest="sha256:2", test=100)
    shown = view(a, results(arm("x", {}, seeds([0.52, 0.62, 0.73, 0.7])), data=other))
    assert "the tests are on different images (400 in A, 100 in B)" in shown["notes"][0]
    assert shown["arms"][0]["n"] == "3 | 4"


def test_an_arm_whose_label_changed_goes_by_both():
    row = view(results(arm("x", {}, seeds([0.5]))), results(arm("y", {}, seeds([0.6]))))["arms"][0]
    assert row["label"] == "x → y"


# ---- what cannot be compared


def test_a_margin_must_be_above_zero():
    with pytest.raises(InputError, match="--margin must be above 0, but got 0"):
        view(results(), results(), margin=0)


def test_sides_without_a_common_probe_are_refused():
    a = results(arm("x", {}, seeds([0.5])))
    b = with_runs(a, lambda one: dataclasses.replace(one, test={"linear": ProbeAccuracy(top1=0.5)}))
    with pytest.raises(InputError, match="must have a probe in common, but A has knn_20 and B linear; set ablate.probes"):
        view(a, b)
