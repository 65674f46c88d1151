"""Notes on where results agree with published ones, and on what sets their runs apart."""

import dataclasses

from study.spec.study_file import Arm
from tests.study.made_up import ARMS, Plans, by_seed, log_record, study


def notes_on_outcomes(summary: dict) -> list[str]:
    """All notes but the one on the network's dead taps, which has a test of its own."""
    return [note for note in summary["notes"] if "never receive a gradient" not in note]


def test_a_note_says_how_much_of_the_network_can_never_learn(summary_of):
    small = [note for note in summary_of(by_seed("base", [0.5] * 3))["notes"] if "never receive" in note]
    # Width 4 at 8 x 8 with the cifar stem: 1 x 1 in the last stage and 2 x 2 before it, as torchvision's network at 32 x 32.
    assert len(small) == 1 and small[0].startswith(
        "At 8 x 8 pixels with the cifar stem, 61 % of the resnet18's parameters never receive a gradient."
    )


def test_a_note_says_where_both_views_were_normalised_together(summary_of):
    one = (ARMS[0], Arm(name="both", settings={"pretrain.view_passes": "joint"}))
    (note,) = [note for note in summary_of({}, asked=study(one, source=None))["notes"] if "BatchNorm saw" in note]
    assert "joint) in view passes joint." in note
    assert not any("BatchNorm saw" in note for note in summary_of({})["notes"])


def test_a_note_says_that_nuisance_parameters_were_tuned_and_how(plans):
    (note,) = [note for note in plans.summary({}, of=plans.tuned({}))["notes"] if "tuned" in note]
    assert note == "In every arm alike, pretrain.base_lr was tuned on validation, at a seed that is none of the study's."


def test_a_note_says_that_accuracy_says_nothing_of_one_class(tiny_config, digits):
    alone = dataclasses.replace(digits, classes=("digit",))
    (note,) = [note for note in Plans(tiny_config, alone).summary({})["notes"] if "one class" in note]
    assert (
        note == "All images are of one class, so every accuracy is 100 % and says nothing. Only geometry shows a collapse."
    )


def test_a_note_says_of_which_k_all_training_images_vote(plans, digits):
    images = len(digits.train.images)
    plan = plans.plan(study(ARMS), settings={"evaluate.knn": [5, images, images + 1, 5000]})
    runs = by_seed("base", [0.5] * 3)
    for run in runs.values():
        run["test"] = {**run["test"], **{f"knn_{k}": run["test"]["knn_5"] for k in (images, images + 1, 5000)}}
    (note,) = [note for note in plans.summary(runs, of=plan)["notes"] if "vote" in note]
    assert note == f"There are {images} training images, so all vote in the k-NN with k = {images + 1} and k = 5000."


def test_a_note_says_how_far_the_variance_term_of_the_baseline_got(summary_of):
    results = by_seed("base", [0.5] * 2)
    terms = {"invariance": 0.0, "covariance": 0.0, "weighted_invariance": 0.0, "weighted_covariance": 0.0}
    for seed, (std, below) in enumerate([(0.8, 0.9), (0.6, 0.7)]):
        early = log_record(1, **terms, embedding_std_mean=0.0, embedding_share_below_gamma=1.0)
        late = log_record(2, **terms, embedding_std_mean=std, embedding_share_below_gamma=below)
        results["base", seed]["history"] = [early, late]
    (note,) = [note for note in summary_of(results)["notes"] if "gamma" in note]
    assert "embedding dimensions have a mean standard deviation of 0.70" in note
    assert "80 % of dimensions are below gamma" in note


def test_without_published_outcomes_there_is_no_note(summary_of):
    arms = tuple(Arm(name=arm.name, settings=arm.settings) for arm in ARMS)
    assert notes_on_outcomes(summary_of(by_seed("base", [0.5] * 3), asked=study(arms, source=None))) == []
