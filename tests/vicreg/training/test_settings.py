"""The settings of one run: what no run can have is refused in a sentence, with the name that params.yaml uses."""

import dataclasses

import pytest

from vicreg.errors import InputError
from vicreg.methods.vicreg import Coefficients
from vicreg.training.settings import UNTRAINED_FIELDS, PretrainSettings

NAN, INFINITY = float("nan"), float("inf")


@pytest.fixture
def settings(tiny_config) -> PretrainSettings:
    return tiny_config().pretrain


@pytest.mark.parametrize(
    ("change", "sentence"),
    [
        ({"backbone": "vgg"}, "pretrain.backbone must be one of resnet18, resnet34, resnet50, but got 'vgg'."),
        ({"stem": "mnist"}, "pretrain.stem must be one of imagenet, cifar, cifar-padded, but got 'mnist'."),
        ({"convention": "mine"}, "pretrain.convention must be one of equation, algorithm, official, but got 'mine'."),
        ({"optimizer": "adam"}, "pretrain.optimizer must be one of lars, sgd, adamw, but got 'adam'."),
        ({"precision": "float16"}, "pretrain.precision must be one of float32, bfloat16, but got 'float16'."),
        ({"view_passes": "both"}, "pretrain.view_passes must be one of separate, together, joint, but got 'both'."),
        ({"width": 0}, "pretrain.width must be a finite number of at least 1, but got 0."),
        ({"threads": 0}, "pretrain.threads must be a finite number of at least 1, but got 0."),
        ({"checkpoint_every": 0}, "pretrain.checkpoint_every must be a finite number of at least 1, but got 0."),
        ({"expander": (8, 0)}, "every size in pretrain.expander must be a finite number of at least 1, but got 0."),
        ({"seed": -1}, "pretrain.seed must be a finite number of at least 0, but got -1."),
        ({"epochs": -1}, "pretrain.epochs must be a finite number of at least 0, but got -1."),
        ({"lambda_": -1.0}, "pretrain.lambda must be a finite number of at least 0, but got -1.0."),
        ({"mu": NAN}, "pretrain.mu must be a finite number of at least 0, but got nan."),
        ({"nu": INFINITY}, "pretrain.nu must be a finite number of at least 0, but got inf."),
        ({"base_lr": NAN}, "pretrain.base_lr must be a finite number of at least 0, but got nan."),
        ({"end_lr": -1e-3}, "pretrain.end_lr must be a finite number of at least 0, but got -0.001."),
        ({"weight_decay": -1.0}, "pretrain.weight_decay must be a finite number of at least 0, but got -1.0."),
        ({"lars_eta": -1.0}, "pretrain.lars_eta must be a finite number of at least 0, but got -1.0."),
        ({"momentum": -0.1}, "pretrain.momentum must be a finite number of at least 0, but got -0.1."),
        ({"momentum": 1.0}, "pretrain.momentum must be below 1, but got 1.0."),
        ({"batch_size": 1}, "pretrain.batch_size must be at least 2 to estimate a variance, but got 1."),
        ({"lr_batch_size": 0}, "pretrain.lr_batch_size must be a finite number of at least 1, but got 0."),
        ({"normalisation": "mine"}, "pretrain.normalisation must be one of data, imagenet, but got 'mine'."),
        ({"probe_every": 0}, "pretrain.probe_every must be a finite number of at least 1, but got 0."),
        (
            {"stop_after": 5},
            "pretrain.stop_after must be between 1 and pretrain.epochs, 4, but got 5; null trains to the schedule's end.",
        ),
        (
            {"stop_after": 0},
            "pretrain.stop_after must be between 1 and pretrain.epochs, 4, but got 0; null trains to the schedule's end.",
        ),
        ({"image_size": 1}, "pretrain.image_size must be a finite number of at least 2, but got 1."),
        ({"gamma": 0.0}, "pretrain.gamma and pretrain.epsilon must be positive, but got 0.0, 0.0001."),
        ({"gamma": NAN}, "pretrain.gamma and pretrain.epsilon must be positive, but got nan, 0.0001."),
        ({"epsilon": -1.0}, "pretrain.gamma and pretrain.epsilon must be positive, but got 1.0, -1.0."),
        (
            {"warmup_epochs": 4.0},
            "pretrain.warmup_epochs must be below pretrain.epochs, but got 4.0 and 4; set both.",
        ),
        (
            {"lambda_": 0.0, "mu": 0.0, "nu": 0.0},
            "one of pretrain.lambda, mu and nu must be positive, but all are 0: nothing would be trained.",
        ),
    ],
)
def test_a_value_no_run_can_have_is_refused_in_one_sentence(settings, change, sentence):
    with pytest.raises(InputError) as raised:
        dataclasses.replace(settings, **change)
    assert str(raised.value) == sentence


@pytest.mark.parametrize(
    "change",
    [
        {"expander": ()}, {"expander": (8,)}, {"image_size": None}, {"lr_batch_size": None}, {"batch_size": 2},
        {"nu": 0.0}, {"momentum": 0.0}, {"weight_decay": 0.0}, {"warmup_epochs": 0.0}, {"base_lr": 0.0},
        {"epochs": 0, "warmup_epochs": 10.0}, {"epochs": 0, "lambda_": 0.0, "mu": 0.0, "nu": 0.0},
    ],
)  # fmt: skip
def test_a_value_at_its_bound_is_accepted(settings, change):
    changed = dataclasses.replace(settings, **change)
    assert all(getattr(changed, name) == value for name, value in change.items())


def test_settings_cannot_be_changed(settings):
    with pytest.raises(dataclasses.FrozenInstanceError):
        settings.nu = 2


@pytest.mark.parametrize(
    ("convention", "expected"),
    [("official", (25, 20, 1)), ("algorithm", (25, 40, 1)), ("equation", (25 * 16, 40, 1))],
)
def test_coefficients_are_in_the_official_codes_units(settings, convention, expected):
    changed = dataclasses.replace(
        settings, convention=convention, lambda_=25.0, mu=20.0, nu=1.0, expander=(8, 16)
    )
    assert changed.coefficients == Coefficients(lambda_=expected[0], mu=expected[1], nu=expected[2])


@pytest.mark.parametrize(
    ("backbone", "width", "dimension"), [("resnet18", 4, 32), ("resnet34", 64, 512), ("resnet50", 64, 2048)]
)
def test_the_embeddings_dimension_is_the_expanders_last_size_or_the_backbones(settings, backbone, width, dimension):
    changed = dataclasses.replace(settings, backbone=backbone, width=width)
    assert dataclasses.replace(changed, expander=(32, 8)).embedding_dimension == 8
    assert dataclasses.replace(changed, expander=()).embedding_dimension == dimension


def test_the_untrained_control_differs_in_its_epochs_alone(settings):
    untrained = settings.untrained()
    assert untrained.epochs == 0 and dataclasses.replace(untrained, epochs=settings.epochs) == settings
    begun = dataclasses.replace(settings, stop_after=2, weights="vicreg-resnet50")
    assert begun.untrained() == untrained and (begun.trained_epochs, settings.trained_epochs) == (2, 4)
    assert {field.name for field in dataclasses.fields(settings)} >= set(UNTRAINED_FIELDS)
