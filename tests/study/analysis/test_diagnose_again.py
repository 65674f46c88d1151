"""Each arm is diagnosed again by the scale of its own method, and arms of other methods get none of VICReg's sentences."""

import dataclasses

import pytest

from study.analysis import summary
from study.analysis.diagnose_again import diagnose_again, undiagnosed_note
from study.analysis.reanalyse import reanalyse
from study.results.files import parse_results, results_bytes
from study.results.runs import CollapseType
from study.spec.study_file import Arm
from tests.study.made_up import finished, log_record, study
from vicreg.evaluation.collapse_diagnosis import Untrained, diagnose_collapse

METHODS = ("vicreg", "simclr", "lejepa")
ARMS = tuple(Arm(name=name, settings={"pretrain.method": name}) for name in METHODS)
TARGETS = {"vicreg": 1.0, "simclr": None, "lejepa": 1.0}
SPACE = {"dead_share": 0.0, "relative_dead_share": 0.0, "spectrum": [1.0] * 16, "rankme": 12.0}
SPHERE = {"std_mean": 0.05, "dead_share": 0.9}  # rows of unit length, isotropic in many dimensions
CONTROL = finished(0.4, knn=0.5, view_discrepancy=0.6, **SPACE)


@pytest.fixture(autouse=True)
def nothing_is_built(monkeypatch, request):
    """No network is built for costs, and none for notes but where these are tested."""
    monkeypatch.setattr(summary, "describe_methods", lambda *_, **__: None)
    if "dead_taps" not in request.node.name:
        monkeypatch.setattr(summary, "network_notes", lambda *_: [])


def measured(**changes):
    """A run as an earlier code named it, `changes` of both spaces."""
    return {**finished(0.8, knn=0.8, **{**SPACE, **changes}), "verdict": {"name": "old", "reason": "Because."}}


def results_of(plans, run, arms=ARMS):
    plan = plans.plan(study(arms, source=None), seeds=(0,))
    return plans.results({(cell.arm, 0): CONTROL if cell.is_control else run for cell in plan.cells}, of=plan)


def names_of(results):
    return {arm.name: arm.runs[0].collapse_type.name for arm in results.arms if not arm.is_control}


def fresh_name(run, target_std):
    """What `evaluate` names a run that was measured so."""
    return diagnose_collapse(
        embeddings=run["collapse"]["embeddings"], representations=run["collapse"]["representations"], knn_accuracy=0.8,
        chance=0.1, images=40, dimensions=(16, 16), untrained=Untrained(view_discrepancy=0.6, knn_accuracy=0.5),
        target_std=target_std,
    ).name  # fmt: skip


@pytest.mark.parametrize("changes", [
    {}, SPHERE, {**SPHERE, "relative_dead_share": 0.9}, {"normalised_std": 0.01}, {"std_mean": 0.01}, {"dead_share": 0.9},
])  # fmt: skip
def test_each_arm_gets_the_name_that_its_own_methods_scale_gives_it(plans, changes):
    run = measured(**changes)
    results = diagnose_again(results_of(plans, run))
    assert names_of(results) == {name: fresh_name(run, TARGETS[name]) for name in METHODS}
    assert undiagnosed_note(results) == []


def test_healthy_embeddings_of_unit_length_are_healthy_and_would_not_be_vicregs(plans):
    assert names_of(diagnose_again(results_of(plans, measured(**SPHERE)))) == {
        "vicreg": "complete", "simclr": "healthy", "lejepa": "complete",
    }  # fmt: skip


def test_an_arms_own_gamma_decides_in_either_spelling(plans):
    spellings = ("pretrain.gamma", "pretrain.vicreg.gamma")
    arms = (Arm(name="base", settings={}), *(Arm(name=key.split(".")[1], settings={key: 0.1}) for key in spellings))
    results = results_of(plans, measured(std_mean=0.05), arms)
    wanted = {"base": "complete", "gamma": "healthy", "vicreg": "healthy"}
    assert names_of(diagnose_again(results)) == wanted
    early = without_scales(results)
    assert names_of(diagnose_again(early)) == wanted and undiagnosed_note(early) == []


def without_scales(results):
    return dataclasses.replace(results, arms=tuple(dataclasses.replace(arm, embedding_scale=None) for arm in results.arms))


def test_an_arm_whose_scale_was_not_recorded_keeps_its_name_and_a_note_says_so(plans):
    results = without_scales(results_of(plans, measured(**SPHERE)))
    again = reanalyse(results)
    assert names_of(again) == {"vicreg": "complete", "simclr": "old", "lejepa": "old"}
    (note,) = [note for note in again.notes if note.startswith("Recorded collapse types were kept")]
    assert "SimCLR" in note and "LeJEPA" in note and "VICReg" not in note
    assert reanalyse(again) == again


def test_of_a_baseline_of_another_method_no_gamma_is_taken_for_vicregs(plans):
    arms = tuple(Arm(name=name, settings={"pretrain.method": name}) for name in ("vibcreg", "vicreg"))
    early = without_scales(results_of(plans, measured(std_mean=0.05), arms))
    other = dataclasses.replace(early, recipe={**early.recipe, "pretrain.method": "vibcreg"})
    assert names_of(diagnose_again(other)) == {"vibcreg": "old", "vicreg": "old"}


def test_without_the_measure_that_needs_no_scale_the_recorded_name_stands(plans):
    run = measured(**SPHERE, relative_dead_share=None)
    results = results_of(plans, run)
    assert diagnose_again(results).arm("simclr").runs[0].collapse_type == CollapseType(name="old", reason="Because.")
    (note,) = undiagnosed_note(results)
    assert "SimCLR" in note and "LeJEPA" not in note


def test_that_a_scale_is_free_is_not_lost_in_the_file(plans):
    results = results_of(plans, measured())
    again = parse_results(results_bytes(results), where="it")
    assert {name: again.arm(name).embedding_scale.target_std for name in METHODS} == TARGETS


@pytest.mark.parametrize("method", ["vicreg", "vibcreg"])
def test_the_source_papers_remark_and_its_coefficients_are_of_vicreg_alone(plans, method):
    """VIbCReg has terms of the same names, and a log of any method has the share below gamma."""
    terms = {"invariance": 1.0, "covariance": 2.0, "weighted_invariance": 25.0, "weighted_covariance": 2.0}
    log = [log_record(1, embedding_std_mean=0.1, embedding_share_below_gamma=1.0, **terms)]
    results = results_of(plans, {**measured(), "history": log}, (Arm(name="base", settings={"pretrain.method": method}),))
    said = [results.scale is not None, results.published_coefficients is not None, any("gamma" in n for n in results.notes)]
    assert said == [method == "vicreg"] * 3


def test_dead_taps_are_counted_on_what_the_backbone_is_given(plans):
    """CPC encodes patches; half the digits' 8 pixels here."""
    settings = {"pretrain.method": "cpc", "pretrain.patch": 4, "pretrain.stride": 2}
    dead = {}
    for name, own in {"whole": {}, "patches": settings}.items():
        results = results_of(plans, measured(), (Arm(name=name, settings=own),))
        (dead[name],) = [note for note in results.notes if "never receive" in note]
    assert dead["whole"].startswith("At 8 x 8 pixels with") and dead["patches"].startswith("At patches of 4 x 4 pixels with")
    assert int(dead["patches"].split(" %")[0].split()[-1]) > int(dead["whole"].split(" %")[0].split()[-1])


# ---- a method whose term for the scale is off


OFF = (Arm(name="lejepa off", settings={"pretrain.method": "lejepa", "pretrain.lejepa.lambda": 0}),)
SHRUNK = {"std_mean": 0.01, "normalised_std": 0.5, "view_discrepancy": 0.7}


def test_where_the_term_for_the_scale_is_off_the_methods_other_arms_give_it(plans):
    results = diagnose_again(results_of(plans, measured(**SHRUNK), ARMS + OFF))
    assert results.arm("lejepa off").embedding_scale.target_std is None  # what its loss sets stays recorded
    assert names_of(results) == {"vicreg": "complete", "simclr": "healthy", "lejepa": "complete", "lejepa off": "complete"}
    (note,) = [note for note in reanalyse(results).notes if note.startswith("The term that sets")]
    assert "is off in LeJEPA, λ 0. Its std is judged by the scale" in note


def test_without_another_arm_of_the_method_no_scale_is_taken(plans):
    alone = (*ARMS[:2], *OFF)
    results = results_of(plans, measured(**SHRUNK), alone)
    assert names_of(diagnose_again(results))["lejepa off"] == fresh_name(measured(**SHRUNK), None)
    assert not [note for note in reanalyse(results).notes if note.startswith("The term that sets")]


def test_a_summary_diagnoses_again_only_the_arms_that_lost_their_scale(plans):
    results = results_of(plans, measured(**SHRUNK), ARMS + OFF)
    assert names_of(results) == {"vicreg": "old", "simclr": "old", "lejepa": "old", "lejepa off": "complete"}
    assert names_of(reanalyse(results))["lejepa off"] == "complete"
