"""Two results aligned: what belongs together, what is said of it, and where the results come from."""

import copy
import hashlib
import json
import subprocess

import numpy as np
import pytest
from scipy import stats

from study import ablate, compare
from study.analysis.multiple_testing import holm
from study.comparison import alignment
from study.comparison.alignment import Pair, align, on_different_images
from study.comparison.sources import Source
from study.comparison.view import build_view

RECIPE = {"pretrain.mu": 25, "pretrain.nu": 1, "pretrain.epochs": 3}


def run(seed, accuracy, *, digest=None, verdict="healthy", status="finished", rank=10.0):
    """A run as `study.json` has one; its digest follows from its number, so that equal numbers are not the same run by chance."""
    measured = {"knn_20": {"top1": accuracy}} if accuracy is not None else {}
    return {
        "seed": seed, "digest": digest or hashlib.sha256(repr((seed, accuracy, rank)).encode()).hexdigest()[:16], "status": status,
        "verdict": {"name": verdict, "reason": ""} if measured else None, "history": [{"epoch": 1, "total": accuracy}],
        "validation": measured, "test": measured,
        "collapse": {space: {"rankme": rank} for space in alignment.SPACES} if measured else {},
    }  # fmt: skip


def arm(name, settings, runs, *, is_control=False, verdict="healthy"):
    return {
        "name": name, "label": name, "is_baseline": False, "is_control": is_control, "settings": settings, "command": "",
        "verdict": {"name": verdict, "reason": "", "counts": {}}, "runs": runs,
    }  # fmt: skip


def results(*arms, **changes):
    return {
        "study": "s", "profile": "p", "primary": "knn_20", "recipe": dict(RECIPE), "environment": {"torch": "2.0"}, "commits": ["c"],
        "data": {"dataset": "d", "digest": "sha256:1", "train": 100, "validation": 50, "test": 400},
        "identity": {"code": "1", "definitions": {"vicreg.methods.vicreg": "1", "vicreg.optim.lars": "1"}, "data": "sha256:1", "machinery": {"torch": "2.0"}},
        "arms": list(arms), **changes,
    }  # fmt: skip


def seeds(accuracies, **named):
    return [run(seed, accuracy, **named) for seed, accuracy in enumerate(accuracies)]


def view(a, b, *, margin=0.01):
    return build_view(Source(name="A", results=a), Source(name="B", results=b), margin=margin)


def one_arm(a, b, **named):
    """The view's row of an arm with these accuracies on either side."""
    (row,) = view(results(arm("x", {}, seeds(a))), results(arm("x", {}, seeds(b))), **named)["arms"]
    return row


def matches(a, b):
    return [(pair.a["name"] if pair.a else None, pair.b["name"] if pair.b else None, pair.by) for pair in align(a, b)]


# ---- what belongs together


def test_equal_settings_go_before_an_equal_name():
    a = results(arm("x", {"pretrain.mu": 1}, []), arm("y", {"pretrain.mu": 2}, []))
    b = results(arm("x", {"pretrain.mu": 2}, []), arm("z", {"pretrain.mu": 1}, []))
    assert matches(a, b) == [("y", "x", "settings"), ("x", "z", "settings")]


def test_a_setting_that_repeats_the_recipe_changes_no_arm():
    a, b = results(arm("x", {"pretrain.mu": 25.0}, [])), results(arm("y", {}, []))
    assert matches(a, b) == [("x", "y", "settings")]


def test_where_the_recipe_changed_arms_are_found_by_name_and_else_by_their_differences_from_it():
    a = results(arm("x", {"pretrain.nu": 2}, []), arm("old", {"pretrain.nu": 3}, []))
    b = results(
        arm("x", {"pretrain.nu": 2}, []), arm("new", {"pretrain.nu": 3}, []), recipe={**RECIPE, "pretrain.epochs": 9}
    )
    assert matches(a, b) == [("x", "x", "name"), ("old", "new", "differences from the recipe")]


def test_controls_are_found_by_name_alone_since_their_settings_do_not_tell_architectures_apart():
    control = {"pretrain.epochs": 0}
    a = results(arm("untrained", control, [], is_control=True), arm("untrained-resnet34", control, [], is_control=True))
    b = results(
        arm("untrained-resnet34", control, [], is_control=True), arm("untrained-resnet50", control, [], is_control=True)
    )
    assert matches(a, b) == [
        ("untrained-resnet34", "untrained-resnet34", "name and settings"), (None, "untrained-resnet50", None), ("untrained", None, None)
    ]  # fmt: skip


def test_an_arm_is_never_found_twice():
    a = results(arm("x", {}, []))
    b = results(arm("x", {}, []), arm("y", {}, []))
    assert matches(a, b) == [("x", "x", "name and settings"), (None, "y", None)]


# ---- what changed


def test_what_changed_is_said_by_kind_and_what_did_not_is_left_out():
    a = results(arm("x", {}, seeds([0.5])))
    b = results(
        arm("x", {}, seeds([0.5])), recipe={**RECIPE, "pretrain.epochs": 9}, environment={"torch": "2.1"},
        identity={"code": "2", "definitions": {"vicreg.methods.vicreg": "2", "vicreg.optim.lars": "1", "vicreg.new": "3"}, "machinery": {"torch": "2.1"}},
    )  # fmt: skip
    found = alignment.changes(a, b)
    assert found == {
        "code": [("vicreg.methods.vicreg", "1", "2"), ("vicreg.new", "none", "3")],
        "parameters": [("pretrain.epochs", "3", "9")],
        "environment": [("torch", "2.0", "2.1")],
    }
    assert view(a, b)["answer"].startswith(
        "B differs from A in the code of 2 definitions (vicreg.methods.vicreg, vicreg.new); 1 parameter (epochs 3 → 9); the environment "
        "(torch 2.0 → 2.1)."
    )


def test_results_that_do_not_say_what_code_they_are_of_are_said_not_to():
    a, b = results(arm("x", {}, seeds([0.5]))), results(arm("x", {}, seeds([0.5])))
    del a["identity"]
    assert view(a, b)["answer"].startswith("B differs from A in nothing that is recorded; the code of A is not recorded.")


# ---- what it did


def test_the_same_runs_are_not_tested():
    a = results(arm("x", {}, seeds([0.5, 0.6, 0.7])), arm("y", {"pretrain.nu": 2}, seeds([0.4])))
    shown = view(a, copy.deepcopy(a))
    assert shown["answer"] == (
        "B differs from A in nothing that is recorded. Every one of the 4 runs they share is the same run, so there is nothing "
        "to test."
    )
    assert {row["says"] for row in shown["arms"]} == {"the same runs"} and {row["p"] for row in shown["arms"]} == {"–"}
    assert {cell["same"] for cell in shown["cells"]} == {"the same run"}


def test_other_runs_with_every_number_equal_are_identical_and_not_tested_either():
    a = results(arm("x", {}, seeds([0.5, 0.6, 0.7])))
    b = copy.deepcopy(a)
    for one in b["arms"][0]["runs"]:
        one["digest"] += "-of-other-code"
        one["test"]["knn_20"]["correct"] = "ff"  # which A did not record yet
    shown = view(a, b)
    assert "All 3 pairs of runs have the same results, bit for bit" in shown["answer"]
    assert shown["arms"][0]["says"] == "identical results" and shown["arms"][0]["p"] == "–"
    b["arms"][0]["runs"][0]["history"][0]["total"] += 1e-12
    assert view(a, b)["arms"][0]["says"] == "the same accuracy on each of 3 seeds, though not the same numbers throughout"


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
    assert one_arm(a, [0.951, 0.950, 0.951, 0.949], margin=0.1)["says"] == "different, yet by less than 10"


def test_p_values_are_adjusted_over_the_arms_that_are_tested():
    rng = np.random.default_rng(0)
    pairs = [(rng.normal(0.8, 0.02, 4), rng.normal(0.8, 0.02, 4)) for _ in range(3)]
    a = results(*(arm(f"x{i}", {"pretrain.nu": i}, seeds(list(one))) for i, (one, _) in enumerate(pairs)))
    b = results(*(arm(f"x{i}", {"pretrain.nu": i}, seeds(list(other))) for i, (_, other) in enumerate(pairs)))
    same = arm("same", {"pretrain.nu": 9}, seeds([0.5, 0.6, 0.7]))
    a["arms"].append(same)
    b["arms"].append(same)
    effects = alignment.effects(align(a, b), a, b, probe="knn_20", margin=0.01)
    raw = [stats.ttest_rel(other, one).pvalue for one, other in pairs]
    assert [effect.p_holm for effect in effects[:3]] == pytest.approx(holm(raw)) and effects[3].p_holm is None


def test_a_difference_without_any_spread_is_described_and_not_tested():
    row = one_arm([0.5, 0.6, 0.7], [0.51, 0.61, 0.71])
    assert row["says"] == "the same difference on each of 3 seeds, which leaves no spread to test it by"
    assert (row["difference"], row["interval"], row["p"]) == ("+1.00", "–", "–")


def test_healthy_arms_together_tell_a_change_that_no_arm_tells():
    rng = np.random.default_rng(1)
    noise = rng.normal(0, 0.004, (8, 3))
    names = [(f"x{i}", {"pretrain.nu": i}) for i in range(8)]
    a = results(*(arm(*named, seeds([0.9, 0.9, 0.9])) for named in names))
    b = results(*(arm(*named, seeds(list(0.905 + own))) for named, own in zip(names, noise)))
    told = list(zip(align(a, b), alignment.effects(align(a, b), a, b, probe="knn_20", margin=0.01)))
    count, interval, _ = alignment.overall(told, margin=0.01)
    expected = stats.ttest_1samp(0.005 + noise.mean(axis=0), 0)
    assert count == 8 and interval.p == pytest.approx(expected.pvalue)
    assert all(effect.p_holm > 0.05 for _, effect in told)
    for one in b["arms"]:
        one["verdict"]["name"] = "complete"
    assert alignment.overall(list(zip(align(a, b), [effect for _, effect in told])), margin=0.01) is None


def test_changes_of_verdict_and_of_status_are_said_by_seed():
    a = results(arm("x", {}, [run(0, 0.5), run(1, 0.5), run(2, 0.5)]))
    b = results(
        arm("x", {}, [run(0, 0.1, verdict="complete"), run(1, 0.5), run(2, None, status="killed")], verdict="complete")
    )
    (row,) = view(a, b)["arms"]
    assert row["verdict"] == "healthy → complete (changed on seeds 0, 2)" and row["status"] == "seed 2 finished → killed"


def test_arms_of_one_side_alone_are_listed_with_their_accuracy():
    a = results(arm("x", {}, seeds([0.5])), arm("gone", {"pretrain.nu": 2}, seeds([0.25])))
    b = results(arm("x", {}, seeds([0.5])), arm("new", {"pretrain.nu": 3}, [run(0, None, status="missing")]))
    assert view(a, b)["one_sided"] == ["A alone has 1 arm: gone (25.00 %).", "B alone has 1 arm: new (no result)."]


def test_without_any_pair_of_runs_nothing_is_compared():
    a, b = results(arm("x", {}, seeds([0.5]))), results(arm("y", {"pretrain.nu": 2}, seeds([0.5])))
    assert "so nothing is compared" in view(a, b)["answer"]


# ---- on different images


def test_on_different_data_seeds_are_not_paired_and_the_page_says_so():
    a = results(arm("x", {}, seeds([0.5, 0.6, 0.7])))
    b = results(arm("x", {}, seeds([0.52, 0.62, 0.73, 0.7])))
    b["data"] = {**b["data"], "digest": "sha256:2", "test": 100}
    shown = view(a, b)
    assert "the tests are on different images (400 in A, 100 in B)" in shown["notes"][0]
    assert shown["arms"][0]["n"] == "3 | 4"


def test_the_unpaired_interval_is_welchs_where_the_test_sets_are_endless():
    values, others = [0.80, 0.82, 0.85, 0.81], [0.70, 0.78, 0.75]
    interval, close = on_different_images(values, others, images=(10**12, 10**12), margin=0.2)
    welch = stats.ttest_ind(values, others, equal_var=False)
    bounds = welch.confidence_interval(0.95)
    assert (interval.low, interval.high, interval.p) == pytest.approx((bounds.low, bounds.high, welch.pvalue), rel=1e-6)
    narrow = welch.confidence_interval(0.90)
    assert (close.low, close.high) == pytest.approx((narrow.low, narrow.high), rel=1e-6) and close.equivalent


def test_with_seeds_that_all_agree_the_interval_is_that_of_two_shares():
    interval, _ = on_different_images([0.8] * 5, [0.7] * 5, images=(400, 300), margin=0.01)
    error = (0.8 * 0.2 / 400 + 0.7 * 0.3 / 300) ** 0.5
    assert (interval.high - interval.low) / 2 == pytest.approx(1.96 * error, rel=0.01)


def test_the_unpaired_interval_covers_at_its_stated_rate():
    """Two accuracies that are truly equal, of four seeds on 300 images each: the interval holds 0 in 95 % of studies."""
    rng, covered, studies = np.random.default_rng(0), 0, 2000
    for _ in range(studies):
        sides = []
        for _ in range(2):
            easy = rng.random(300)  # an image is got right by a network where the network is better than it is hard
            sides.append([float((easy < 0.8 + rng.normal(0, 0.02)).mean()) for _ in range(4)])
        interval, _ = on_different_images(*sides, images=(300, 300), margin=0.01)
        covered += interval.low <= 0 <= interval.high
    assert 0.93 <= covered / studies <= 0.98


# ---- where results come from


def test_a_path_its_folder_and_a_studys_name_are_the_same_results(finished, command):
    for text in ("results/ablate/tiny/study.json", "results/ablate/tiny", "tiny"):
        status, output, _ = command(compare.main, text, "tiny")
        assert status == 0 and "Every one of the 3 runs they share is the same run" in output


def test_two_studies_meet_in_the_runs_they_share(finished, command):
    _, output, _ = command(compare.main, "tiny", "quest")
    assert "Every one of the 2 runs they share is the same run" in output  # the recipe under two names, and the control
    assert "A alone has 1 arm: ν 2 (" in output


def test_another_profile_is_read_from_the_store_and_what_is_missing_is_missing(finished, command):
    params = finished.folder / "params.yaml"
    params.write_text(params.read_text().replace("profiles:\n", "profiles:\n  other:\n    ablate: {probes: [knn], device: cpu, workers: 1}\n"
                                                 "    evaluate: {}\n    prepare: {}\n    pretrain: {}\n    project: {}\n", 1))  # fmt: skip
    finished.set({"pretrain.epochs": 4})
    status, output, errors = command(compare.main, "tiny", "tiny@tiny")
    assert (status, errors) == (0, "") and "1 parameter (epochs 3 → 4)" in output
    assert "seed 0 finished → missing" in output  # the control is there: it does not train, so no epochs are in it
    status, _, errors = command(compare.main, "tiny", "tiny@none")
    assert status == 2 and "profile must be one of" in errors


def git(*arguments):
    subprocess.run(
        ["git", "-c", "user.name=x", "-c", "user.email=x@example.org", *arguments], check=True, capture_output=True
    )


@pytest.fixture
def kept(finished):
    """A repository whose first revision has the results of `tiny` in DVC's cache, by its lock."""
    content = finished.results("tiny")
    md5 = hashlib.md5(content).hexdigest()
    cached = finished.folder / ".dvc/cache/files/md5" / md5[:2] / md5[2:]
    cached.parent.mkdir(parents=True)
    cached.write_bytes(content)
    (finished.folder / ".dvc/config").write_text("[core]\n    analytics = false\n")
    lock = {"stages": {"ablate@tiny": {"outs": [{"path": "results/ablate/tiny/study.json", "md5": md5}]}}}
    (finished.folder / "dvc.lock").write_text(json.dumps(lock))
    git("init", "-q")
    git("add", "dvc.lock")
    git("commit", "-qm", "results")
    return cached


def test_results_at_a_revision_come_from_dvcs_cache(kept, finished, command):
    finished.set({"pretrain.mu": 7})
    assert ablate.main(["--study", "tiny"]) == 0
    status, output, _ = command(compare.main, "HEAD:tiny", "tiny")
    assert status == 0 and "1 parameter (mu 25 → 7" in output
    assert "A is HEAD:tiny: study tiny" in output


def test_results_that_the_cache_holds_no_more_are_said_to_be_gone(kept, command):
    kept.unlink()
    status, _, errors = command(compare.main, "HEAD:tiny", "tiny")
    assert (
        status == 2
        and "results/ablate/tiny/study.json at HEAD is no longer in DVC's cache" in errors
        and errors.count("\n") == 1
    )


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("HEAD:nothing", "revision HEAD has no results of a study 'nothing'"),
        ("never:tiny", "revision 'never' must have a dvc.lock that git can show"),
        ("nothing", "results/ablate/nothing/study.json must be the results of a study, but: No such file"),
    ],
)
def test_results_that_are_not_there_are_one_sentence(kept, command, text, said):
    status, _, errors = command(compare.main, text, "tiny")
    assert status == 2 and said in errors and errors.count("\n") == 1


def test_a_margin_that_is_none_is_refused(finished, command):
    status, _, errors = command(compare.main, "tiny", "tiny", "--margin", "0")
    assert status == 2 and "--margin must be above 0, but got 0.0" in errors


# ---- pages


def test_the_pages_say_what_the_terminal_says_and_their_bytes_are_the_same_each_time(finished, command):
    written = []
    for folder in ("one", "two"):
        status, output, _ = command(compare.main, "tiny", str(finished.folder / "results/ablate/quest"), "--out", folder)
        assert status == 0
        written.append(
            [(finished.folder / folder / name).read_text(encoding="utf-8") for name in ("index.html", "README.md")]
        )
    assert written[0] == written[1]
    for text in written[0]:
        assert str(finished.folder) not in text and "http" not in text
        assert "Every one of the 2 runs they share is the same run" in text and "untrained" in text
    assert "<script" not in written[0][0]


def test_what_a_pair_is_called_by_when_its_label_changed():
    row = view(results(arm("x", {}, seeds([0.5]))), results(arm("y", {}, seeds([0.6]))))["arms"][0]
    assert row["label"] == "x → y" and Pair(a=None, b={"runs": []}).runs() == ({}, {})
