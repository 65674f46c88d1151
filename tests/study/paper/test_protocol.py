"""In what a measurement differs from the source paper's protocol: nothing that follows it, and each single change."""

import dataclasses

import pytest

from study.paper.evidence import baseline_of
from study.paper.protocol import (
    Kind,
    barring,
    copy_name,
    data_of,
    dataset_of,
    deviations,
    is_copy,
    settings_of,
    trained_on,
)
from tests.study.made_up_paper import CLASSES, FINE, JPEG, PAPER, WHOLE, Paper, images, profile_of

FOLDER = {**WHOLE, "dataset": "imagefolder"}
ALL = {**WHOLE, "train": 50_000, "validation": 0}  # none held out


def recipe_of(settings=None, *, profile="cifar10"):
    """The settings that a study's results record of its runs."""
    return profile_of(profile).with_settings(settings or {}).recipe


def found(settings=None, *, data=ALL, profile="cifar10", **named):
    """What sets such runs apart from the paper's protocol; by default no image is held out."""
    return deviations(recipe_of(settings, profile=profile), images(data), PAPER, **named)


def apart(settings=None, **named):
    return [one.text for one in found(settings, **named)]


@pytest.mark.parametrize(("profile", "data"), [("cifar10", ALL), ("cifar100", {**FINE, "train": 50_000, "validation": 0})])
def test_the_profiles_of_the_paper_have_no_difference_from_its_protocol(profile, data):
    assert apart(profile=profile, data=data) == []


CHANGES = {
    "pretrain.backbone": "resnet18",
    "pretrain.width": 32,
    "pretrain.stem": "cifar",
    "pretrain.zero_init_residual": True,
    "pretrain.normalisation": "imagenet",
    "pretrain.expander": [512, 512, 512],
    "pretrain.expander_batchnorm": False,
    "pretrain.image_size": 64,
    "pretrain.convention": "equation",
    "pretrain.lambda": 10,
    "pretrain.mu": 10,
    "pretrain.nu": 2,
    "pretrain.gamma": 2,
    "pretrain.epsilon": 0.001,
    "pretrain.epochs": 20,
    "pretrain.stop_after": 50,
    "pretrain.batch_size": 256,
    "pretrain.drop_last": False,
    "pretrain.optimizer": "adamw",
    "pretrain.base_lr": 0.8,
    "pretrain.lr_batch_size": 256,
    "pretrain.start_lr": 0.01,
    "pretrain.end_lr": 0.0,
    "pretrain.warmup_epochs": 5,
    "pretrain.weight_decay": 0.0001,
    "pretrain.momentum": 0.99,
    "pretrain.lars_eta": 0.02,
    "pretrain.decay_bias_and_norm": True,
    "pretrain.adapt_bias_and_norm": True,
    "pretrain.augmentation.crop_scale": [0.08, 1.0],
    "pretrain.augmentation.blur": 0.0,
    "prepare.image_size": 64,
    "evaluate.linear.epochs": 10,
    "evaluate.linear.lr": [0.01, 0.1],
    "evaluate.linear.batch_size": 256,
    "evaluate.linear.momentum": 0.0,
    "evaluate.linear.weight_decay": 0.001,
    "evaluate.linear.crop_scale": [0.08, 1.0],
    "evaluate.linear.flip": 0.0,
}


@pytest.mark.parametrize("key", CHANGES)
def test_a_single_change_is_the_single_difference_and_named(key):
    (text,) = apart({key: CHANGES[key]})
    name = key.removeprefix("pretrain.").removeprefix("augmentation.")
    assert {"stop_after": "stopped after 50 epochs"}.get(name, name) in text


def test_what_is_named_covers_every_setting_of_the_recipe_but_those_that_change_rounding_and_watching_alone():
    """A setting added to params.yaml has to be named here or in published.yaml."""
    rounding = {"view_passes", "compile", "graph", "threads", "probe_every"}
    rounding |= {"checkpoint_every", "checkpoint_share", "processes"}
    named = {*PAPER.settings, *PAPER.filled, "pretrain.image_size", "pretrain.precision", "pretrain.train_on"}
    recipe = {key for key in recipe_of() if key.startswith("pretrain.") and ".augmentation." not in key}
    assert recipe - named == {f"pretrain.{key}" for key in rounding} | {"pretrain.seed"}


def test_the_fill_of_a_silence_is_what_params_yaml_has_and_every_other_value_says_that_the_paper_is_silent():
    recipe = recipe_of()
    for key, value in {**PAPER.filled, **PAPER.filled_probe}.items():
        assert recipe[key] == value, key
    assert apart({"pretrain.stem": "cifar"}) == ["stem 3x3, where the paper is silent and 7x7 is usual here"]
    assert apart({"pretrain.base_lr": 0.8}) == ["base_lr 0.8 in place of 0.2"]


def test_an_arms_own_settings_lie_over_those_of_the_recipe(digits):
    results = Paper(digits).results("stem")
    arm = dataclasses.replace(baseline_of(results), settings={"pretrain.nu": 2})
    (one,) = barring(deviations(settings_of(results, arm), results.data, PAPER))
    assert one.text == "nu 2 in place of 1"


def test_results_of_earlier_versions_name_no_method_and_those_of_another_method_are_another_protocol():
    named = recipe_of()
    earlier = {key: value for key, value in named.items() if key != "pretrain.method"}
    assert deviations(earlier, images(ALL), PAPER) == []
    (one,) = deviations({**named, "pretrain.method": "other"}, images(ALL), PAPER)
    assert one.text == "method other in place of vicreg"


def test_what_a_claim_varies_is_no_difference_and_what_it_fixes_is_held_to_its_own_value():
    assert apart({"pretrain.stem": "cifar"}, free=("pretrain.stem",)) == []
    own = {"pretrain.batch_size": 256}
    assert apart({"pretrain.batch_size": 256}, instead=own) == []
    assert apart({"pretrain.batch_size": 512}, instead=own) == ["batch_size 512 in place of 256"]


def test_both_views_through_one_batchnorm_are_another_experiment_and_together_they_are_the_same():
    assert apart({"pretrain.view_passes": "together"}) == []
    assert apart({"pretrain.view_passes": "joint"}) == ["both views through one BatchNorm"]


def test_another_preset_of_views_is_named_with_it():
    assert apart({"pretrain.augmentation.preset": "official"}) == ["views: preset official"]


def test_views_that_spell_out_the_papers_crops_are_the_papers():
    assert apart({"pretrain.augmentation.crop_scale": [0.2, 1.0]}) == []


# ---- the probe


def test_another_probe_than_the_papers_is_a_difference_by_itself():
    assert apart(probe="linear_cached") == ["Linear, cached features in place of the paper's linear evaluation"]
    assert apart({"evaluate.linear.epochs": 1}, probe="knn_20") == ["k-NN, k = 20 in place of the paper's linear evaluation"]


def test_where_no_accuracy_is_compared_its_probe_is_no_difference():
    assert apart({"evaluate.linear.epochs": 1}, probe=None) == []


# ---- weights of others

GIVEN = {
    "pretrain.backbone": "resnet50", "pretrain.weights": "vicreg-resnet50", "pretrain.normalisation": "imagenet",
    "pretrain.expander": [], "pretrain.epochs": 0, "pretrain.warmup_epochs": 0,
}  # fmt: skip


def test_of_the_authors_network_the_recipe_of_training_is_no_part_and_which_network_it_is_is_one():
    assert apart(GIVEN, trained=False) == []
    assert apart({**GIVEN, "pretrain.base_lr": 9.0, "pretrain.lambda": 1}, trained=False) == []
    (text,) = apart({**GIVEN, "pretrain.weights": "/home/me/runs/other.pth"}, trained=False)
    assert text == "weights …/other.pth in place of vicreg-resnet50"
    assert "epochs 100 in place of 0" in apart(trained=False)


def test_a_network_that_starts_from_weights_of_others_is_not_trained_by_the_papers_recipe():
    assert apart({"pretrain.weights": "torchvision-resnet34"}) == ["weights torchvision-resnet34 in place of null"]


# ---- what bars a verdict

SMALLER = {
    "pretrain.backbone": "resnet18", "pretrain.width": 32, "pretrain.expander": [512, 512, 512], "pretrain.epochs": 20,
    "pretrain.stop_after": 50, "prepare.image_size": 16, "evaluate.linear.epochs": 10,
}  # fmt: skip
LARGER = {
    "pretrain.backbone": "resnet50", "pretrain.width": 128, "pretrain.expander": [8192, 8192, 8192], "pretrain.epochs": 400,
    "pretrain.image_size": 64, "evaluate.linear.epochs": 200,
}  # fmt: skip
OTHER = {
    "pretrain.optimizer": "adamw", "pretrain.base_lr": 0.8, "pretrain.batch_size": 64, "pretrain.nu": 2,
    "pretrain.warmup_epochs": 5, "pretrain.weights": "torchvision-resnet34", "pretrain.view_passes": "joint",
    "pretrain.expander": [2048, 1024, 3072],
}  # fmt: skip
SILENT = {"pretrain.stem": "cifar", "pretrain.convention": "equation", "pretrain.lars_eta": 0.02,
          "evaluate.linear.batch_size": 256}  # fmt: skip


@pytest.mark.parametrize(
    ("kind", "key", "value"),
    [
        (kind, key, value)
        for kind, changes in ((Kind.SMALLER, SMALLER), (Kind.LARGER, LARGER), (Kind.OTHER, OTHER), (Kind.SILENT, SILENT))
        for key, value in changes.items()
    ],
)
def test_a_change_makes_the_experiment_smaller_larger_or_another_and_where_the_paper_is_silent_it_bars_no_verdict(
    kind, key, value
):
    differences = found({key: value})
    assert {one.kind for one in differences} == {kind}
    assert bool(barring(differences)) == (kind is not Kind.SILENT)


def test_a_value_that_this_version_cannot_measure_is_another_setting():
    (one,) = deviations({**recipe_of(), "pretrain.backbone": "convnext"}, images(ALL), PAPER)
    assert one.kind is Kind.OTHER


def test_bfloat16_is_named_and_bars_no_verdict():
    (one,) = found({"pretrain.precision": "bfloat16"})
    assert one.text == "trained in bfloat16, where the paper is silent"
    assert one.kind is Kind.ARITHMETIC and barring([one]) == ()
    assert apart({**GIVEN, "pretrain.precision": "bfloat16"}, trained=False) == []  # it was not trained here


# ---- images


@pytest.mark.parametrize(
    ("data", "text", "kind"),
    [
        ({"train": 5_000}, "5,000 training images in place of 50,000", Kind.SMALLER),
        ({"test": 1_000}, "1,000 test images in place of 10,000", Kind.SMALLER),
        ({"train": 60_000}, "60,000 training images in place of 50,000", Kind.LARGER),
        ({"dataset": "digits", "classes": ["0", "1"]}, "digits in place of CIFAR", Kind.OTHER),
        (
            {"dataset": "imagefolder"},
            "a copy of CIFAR-10 (bytes not the canonical ones; in which format, an earlier version did not record) "
            "in place of the canonical images",
            Kind.COPY,
        ),
    ],
)  # fmt: skip
def test_fewer_images_others_and_copies_are_named(data, text, kind):
    (one,) = found(data={**ALL, **data})
    assert (one.text, one.kind) == (text, kind)


@pytest.mark.parametrize("data", [WHOLE, {**WHOLE, "train": 4_500, "validation": 500}])
def test_a_tenth_held_out_for_validation_is_named_and_bars_no_verdict_by_itself(data):
    own = {**recipe_of(), "pretrain.train_on": "train"}
    shown = images(data)
    differences = deviations(own, shown, PAPER)
    whole = shown.train + shown.validation
    (one,) = [one for one in differences if one.kind is Kind.HELD_OUT]
    assert one.text == f"{shown.validation:,} of {whole:,} training images held out for validation"
    assert bool(barring(differences)) == (whole < 50_000)
    assert trained_on(shown, differences) == (
        f"trained on {shown.train:,} of {whole:,} training images, {shown.validation:,} held out for validation"
    )


def test_more_than_a_tenth_held_out_is_a_smaller_scale():
    half = images({**WHOLE, "train": 25_000, "validation": 25_000})
    (one,) = barring(deviations({**recipe_of(), "pretrain.train_on": "train"}, half, PAPER))
    assert (one.text, one.kind) == ("trained on 25,000 of 50,000 training images", Kind.SMALLER)


def test_validation_that_is_trained_on_too_is_not_held_out_and_earlier_results_held_it_out():
    for own, data in (({"pretrain.train_on": "all"}, WHOLE), ({"pretrain.train_on": "train"}, ALL)):
        differences = deviations({**recipe_of(), **own}, images(data), PAPER)
        assert differences == [] and trained_on(images(data), differences) == "trained on all 50,000 training images"
    earlier = {key: value for key, value in recipe_of().items() if key != "pretrain.train_on"}
    assert [one.kind for one in deviations(earlier, images(WHOLE), PAPER)] == [Kind.HELD_OUT]


def test_a_folder_with_cifar_10s_names_of_classes_is_a_copy_of_it_and_says_so():
    folder = images(FOLDER)
    assert dataset_of(folder) == "cifar10" and is_copy(folder) and copy_name(folder) == "copy"
    assert (
        data_of(folder)
        == "a copy of CIFAR-10 (bytes not the canonical ones; in which format, an earlier version did not record)"
    )


def test_a_copy_is_called_by_the_format_of_its_files_where_that_was_recorded():
    assert copy_name(images(JPEG)) == "JPEG copy"
    assert data_of(images(JPEG)) == "a JPEG copy of CIFAR-10 (bytes not the canonical ones)"
    assert copy_name(images({**JPEG, "files": "PNG"})) == "PNG copy"
    assert copy_name(images({**WHOLE, "files": "JPEG"})) == ""  # of canonical images there is no copy


@pytest.mark.parametrize("classes", [CLASSES[:9], [*CLASSES[1:], CLASSES[0]], [*CLASSES[:9], "lorry"], []])
def test_a_folder_of_other_classes_is_no_cifar(classes):
    folder = images({**FOLDER, "classes": classes})
    assert dataset_of(folder) is None and not is_copy(folder) and data_of(folder) == "imagefolder"


def test_what_torchvision_reads_is_canonical():
    whole, fine = images(WHOLE), images(FINE)
    assert (dataset_of(whole), is_copy(whole), data_of(whole)) == ("cifar10", False, "CIFAR-10")
    assert (dataset_of(fine), is_copy(fine), data_of(fine)) == ("cifar100", False, "CIFAR-100")


def test_the_views_the_paper_gives_are_those_of_the_preset_that_has_its_name():
    views = profile_of("cifar10").pretrain.views
    assert {view.crop_scale for view in views} == {PAPER.crop_scale}
