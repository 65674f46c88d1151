"""A study whose arms are methods says what each is and costs; one that takes labels is a control, and never the best."""

import dataclasses

import pytest

from study.analysis.answer import answer
from study.analysis.by_decision import decisions_of
from study.analysis.methods import describe_method, with_front
from study.analysis.trust import trust
from study.analysis.wording import in_terms_of_methods, in_words, word_count
from study.reporting.view.first_screen import found_text
from study.results.files import results_bytes, results_from_values
from study.results.json_values import to_values
from study.spec.study_file import Arm
from tests.study.analysis.sentences import sentences
from tests.study.made_up import ARMS as ONE_METHOD
from tests.study.made_up import Plans, lifelike_results, study, unfinished
from tests.study.made_up_methods import ARMS, method_plans, method_summary, methods_at
from vicreg.methods import method_names


@pytest.fixture(scope="module")
def plans(tmp_path_factory, digits):
    folder = tmp_path_factory.mktemp("methods")
    with methods_at(folder):
        yield method_plans(folder, digits)


@pytest.fixture(scope="module")
def summary(plans):
    return method_summary(plans)


@pytest.fixture(scope="module")
def results(summary):
    return results_from_values(summary, where="made up")


def with_decisions(results, **decisions):
    """The results with these decisions of arms against the baseline, gains established."""
    arms = []
    for arm in results.arms:
        column = arm.summary[results.primary]
        gain = column.gain and dataclasses.replace(column.gain, mean=0.2, adjusted=dataclasses.replace(
            column.gain.adjusted, p_holm=0.001)) if column.gain and column.gain.adjusted else column.gain  # fmt: skip
        difference = column.difference
        if arm.name in decisions and difference is not None:
            mean = {"better": 0.05, "worse": -0.05}.get(decisions[arm.name], 0.0)
            adjusted = dataclasses.replace(difference.adjusted, decision=decisions[arm.name])
            difference = dataclasses.replace(difference, mean=mean, adjusted=adjusted)
        column = dataclasses.replace(column, gain=gain, difference=difference)
        arms.append(dataclasses.replace(arm, summary={**arm.summary, results.primary: column}))
    return dataclasses.replace(results, arms=tuple(arms))


def test_arms_are_called_by_their_methods_and_labels_are_said(results):
    labels = {arm.name: arm.label for arm in results.arms if not arm.is_control}
    assert labels == {"vicreg": "VICReg", "toy": "Toy", "queued": "Queued", "taught": "Supervised (takes labels)"}


def with_gains(results, **means):
    """The results with these mean gains over the untrained network."""
    arms = []
    for arm in results.arms:
        column = arm.summary[results.primary]
        if arm.name in means and column.gain is not None:
            column = dataclasses.replace(column, gain=dataclasses.replace(column.gain, mean=means[arm.name]))
        arms.append(dataclasses.replace(arm, summary={**arm.summary, results.primary: column}))
    return dataclasses.replace(results, arms=tuple(arms))


def test_the_page_says_which_methods_do_not_beat_the_untrained_network(results):
    above = with_gains(results, vicreg=0.1, toy=0.1, queued=0.1, taught=0.1)
    assert not any("on average" in sentence for sentence in trust(above))
    clear = sum(arm.gain(results.primary).adjusted.p_holm < 0.05 for arm in results.arms if arm.gain(results.primary))
    assert f"Training clearly gains accuracy for {in_words(clear) if clear else 'none'} of four methods." in trust(above)
    below = with_gains(results, vicreg=0.1, toy=-0.1, queued=-0.1, taught=0.1)
    (sentence,) = [one for one in trust(below) if "on average" in one]
    assert sentence.startswith("Toy and Queued lose accuracy on average") and word_count(sentence) <= 25


def test_arms_that_share_a_method_are_told_apart_by_their_settings(plans):
    arms = (*ARMS[:2], Arm(name="weak", settings={"pretrain.method": "toy", "pretrain.strength": 0.5}))
    labels = [arm["label"] for arm in method_summary(plans, arms)["arms"]]
    assert labels[:3] == ["VICReg", "Toy, strength 2", "Toy, strength 0.5"]


def test_of_arms_that_share_a_method_the_one_without_differences_has_its_title_alone(plans):
    arms = (
        Arm(name="whole", settings={"pretrain.method": "vicreg"}),
        Arm(name="without", settings={"pretrain.method": "vicreg", "pretrain.mu": 0}),
        ARMS[1],
    )
    summary = method_summary(plans, arms, baseline="whole")
    assert [arm["label"] for arm in summary["arms"]][:2] == ["VICReg", "VICReg, μ 0"]
    results = results_from_values(summary, where="made up")
    said = found_text(with_decisions(results, without="worse", toy="worse"))
    assert not results.methods.is_one_an_arm and "settings" in said and "method" not in said


def test_arms_of_as_many_methods_are_called_methods(results):
    said = found_text(with_decisions(results, toy="worse", queued="worse"))
    assert results.methods.is_one_an_arm and "methods" in said and "setting" not in said


def test_a_study_of_one_method_says_nothing_of_methods(tiny_config, digits):
    plans = Plans(tiny_config, digits)
    named = tuple(
        Arm(name=arm.name, settings={**arm.settings, "pretrain.method": "vicreg"}, published=arm.published)
        for arm in ONE_METHOD
    )
    for arms in (ONE_METHOD, named):
        plan = plans.plan(study(arms))
        assert "methods" not in plans.summary(lifelike_results(plan), of=plan)


def test_what_a_method_costs_is_counted_whole(summary):
    found = {one["arm"]: one for one in summary["methods"]["compared"]}
    steps = 4 * (160 // 32)
    assert all(one["run_operations"] == steps * one["step_operations"] for one in found.values())
    assert found["queued"]["state_bytes"] == 4 * (64 * 16 + 16 * 16)  # the queue, and the frozen map
    # Of the toy's second view no gradient is taken: two forward passes and one backward for two of each.
    assert found["toy"]["step_operations"] < 0.7 * found["queued"]["step_operations"]
    assert found["vicreg"]["tuning_runs"] == 0


def test_runs_that_tuned_an_arm_are_counted(plans):
    rates = {"pretrain.base_lr": (0.01, 0.1)}
    asked = study(ARMS[:2], source=None, nuisance=rates)
    tried = [Arm(name=f"toy@{rate}", settings={**ARMS[1].settings, "pretrain.base_lr": rate}) for rate in (0.01, 0.1)]
    cells = plans.plan(asked, arms=tried, seeds=(2000,), role="tuning").cells
    plan = plans.plan(asked, tuned={"toy": {"pretrain.base_lr": 0.1}})
    plan = plan.with_cells([dataclasses.replace(cell, tunes="toy") for cell in cells])
    found = plans.summary(lifelike_results(plan), of=plan)
    assert {one["arm"]: one["tuning_runs"] for one in found["methods"]["compared"]} == {"vicreg": 0, "toy": 2}
    assert [arm["label"] for arm in found["arms"]][:2] == ["VICReg", "Toy"]  # what was tuned does not name it


def test_the_front_is_of_methods_without_labels_that_no_other_betters(results):
    means = {"vicreg": 0.8, "toy": 0.7, "queued": 0.8, "taught": 0.95}
    costs = {"vicreg": 3.0, "toy": 1.0, "queued": 2.0, "taught": 0.5}
    compared = tuple(dataclasses.replace(one, run_operations=costs[one.arm]) for one in results.methods.compared)
    arms = [
        dataclasses.replace(
            arm, summary={"x": dataclasses.replace(arm.summary[results.primary], mean=means[arm.name])}
        )
        for arm in results.arms if arm.name in means
    ]  # fmt: skip
    found = with_front(dataclasses.replace(results.methods, compared=compared), arms, "x")
    assert {one.arm for one in found.compared if one.on_front} == {"toy", "queued"}


def test_a_method_with_labels_is_no_candidate_though_it_is_far_better(results):
    judged = with_decisions(results, taught="better", queued="better", toy="worse")
    found = decisions_of(judged)
    assert [arm.name for arm in found.better] == ["queued"] and found.tested == 2
    said = answer(judged)
    assert said.startswith("Use Queued: it is clearly better than VICReg (+5.0 points).")
    assert word_count(said) <= 40 and all(word_count(one) <= 25 for one in sentences(said))
    labels = [one for one in sentences(said) if "Supervised" in one]
    assert len(labels) == 1 and labels[0].startswith("With labels, Supervised reaches")


def test_where_only_the_method_with_labels_is_better_the_baseline_stays(results):
    said = answer(with_decisions(results, taught="better", queued="undecided", toy="worse"))
    assert said.startswith("Keep VICReg: nothing is clearly better.")


def test_a_baseline_with_labels_is_refused_in_the_answer(plans):
    arms = (ARMS[3], *ARMS[:2])
    assert method_summary(plans, arms)["answer"].startswith("Choose another baseline: this one takes labels")


def test_sentences_of_other_studies_on_settings_are_of_methods_here(results):
    assert in_terms_of_methods("Use one of the settings. Setting a is a setting.") == (
        "Use one of the methods. Method a is a method."
    )
    assert "setting" not in answer(with_decisions(results, toy="worse", queued="worse"))


def test_results_of_methods_are_read_as_they_are_written(summary, results):
    assert to_values(results) == summary
    assert results_bytes(results_from_values(summary, where="again")) == results_bytes(results)
    assert results.methods.similarity.arms == ("vicreg", "toy", "queued", "taught", "untrained")


def test_a_study_that_has_not_run_has_costs_and_no_similarity(plans):
    plan = plans.plan(study(ARMS, source=None))
    nothing = {(cell.arm, cell.seed): unfinished("missing") for cell in plan.cells}
    found = plans.summary(nothing, of=plan)
    assert "similarity" not in found["methods"] and found["methods"]["compared"][0]["step_operations"] > 0
    assert not any(one["on_front"] for one in found["methods"]["compared"])


@pytest.mark.parametrize("name", method_names())
def test_every_method_says_what_it_is(name):
    described = describe_method(name)
    assert described.title and described.probed and described.terms
    assert described.source and described.family
