"""The settings of one run: what no run can have is refused in a sentence, with the name that params.yaml uses."""

import dataclasses

import pytest

from vicreg.errors import InputError
from vicreg.methods import method_class, method_names
from vicreg.methods.base import MethodSettings
from vicreg.methods.vicreg import VICRegSettings
from vicreg.training.settings import UNTRAINED, PretrainSettings, decisive_settings

NAN = float("nan")


@pytest.fixture
def settings(tiny_config) -> PretrainSettings:
    return tiny_config().pretrain


@pytest.mark.parametrize(
    ("change", "sentence"),
    [
        ({"backbone": "vgg"}, "pretrain.backbone must be one of resnet18, resnet34, resnet50, but got 'vgg'."),
        ({"stem": "mnist"}, "pretrain.stem must be one of imagenet, cifar, cifar-padded, but got 'mnist'."),
        ({"optimizer": "adam"}, "pretrain.optimizer must be one of lars, sgd, adamw, but got 'adam'."),
        ({"precision": "float16"}, "pretrain.precision must be one of float32, bfloat16, but got 'float16'."),
        ({"view_passes": "both"}, "pretrain.view_passes must be one of separate, together, joint, but got 'both'."),
        ({"width": 0}, "pretrain.width must be a finite number of at least 1, but got 0."),
        ({"threads": 0}, "pretrain.threads must be a finite number of at least 1, but got 0."),
        (
            {"checkpoint_share": 0},
            "pretrain.checkpoint_share must be above 0 and at most 1, but got 0; 0.02 is 2 % of a run's time.",
        ),
        (
            {"checkpoint_share": 2.0},
            "pretrain.checkpoint_share must be above 0 and at most 1, but got 2.0; 0.02 is 2 % of a run's time.",
        ),
        ({"checkpoint_every": 0}, "pretrain.checkpoint_every must be a finite number of at least 1, but got 0."),
        ({"expander": (8, 0)}, "every size in pretrain.expander must be a finite number of at least 1, but got 0."),
        ({"seed": -1}, "pretrain.seed must be a finite number of at least 0, but got -1."),
        ({"epochs": -1}, "pretrain.epochs must be a finite number of at least 0, but got -1."),
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
        (
            {"epochs": 0, "stop_after": 2},
            "pretrain.stop_after must be null where pretrain.epochs is 0, but got 2; set it so.",
        ),
        *(
            (
                {name: 1e300},
                f"pretrain.{name} must be at most 3.4e38, float32's largest, but got 1e+300; lower it.",
            )
            for name in ("base_lr", "start_lr", "end_lr", "weight_decay", "lars_eta")
        ),
        (
            {"base_lr": 3e38, "lr_batch_size": 512},
            "pretrain.base_lr times the batch size / 256 must be at most 3.4e38, float32's largest, but got 6e+38; "
            "lower it.",
        ),
        ({"width": 10**10}, "pretrain.width must be at most 1048576, but got 10000000000; no machine holds more."),
        ({"expander": (8, 2**21)}, "pretrain.expander must be at most 1048576, but got 2097152; no machine holds more."),
        ({"image_size": 1}, "pretrain.image_size must be a finite number of at least 2, but got 1."),
        (
            {"warmup_epochs": 4.0},
            "pretrain.warmup_epochs must be below pretrain.epochs, but got 4.0 and 4; set both.",
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
        {"momentum": 0.0}, {"weight_decay": 0.0}, {"warmup_epochs": 0.0}, {"base_lr": 0.0},
        {"epochs": 0, "warmup_epochs": 10.0},
    ],
)  # fmt: skip
def test_a_value_at_its_bound_is_accepted(settings, change):
    changed = dataclasses.replace(settings, **change)
    assert all(getattr(changed, name) == value for name, value in change.items())


def test_settings_cannot_be_changed(settings):
    with pytest.raises(dataclasses.FrozenInstanceError):
        settings.epochs = 2


@pytest.mark.parametrize(
    ("backbone", "width", "dimension"), [("resnet18", 4, 32), ("resnet34", 64, 512), ("resnet50", 64, 2048)]
)
def test_the_embeddings_dimension_is_the_expanders_last_size_or_the_backbones(settings, backbone, width, dimension):
    changed = dataclasses.replace(settings, backbone=backbone, width=width)
    assert dataclasses.replace(changed, expander=(32, 8)).embedding_dimension == 8
    assert dataclasses.replace(changed, expander=()).embedding_dimension == dimension


def test_the_untrained_control_differs_in_what_its_fields_say_alone(settings):
    control = dataclasses.replace(settings, **UNTRAINED)
    assert UNTRAINED == {"epochs": 0, "warmup_epochs": 0, "stop_after": None, "weights": None}
    begun = dataclasses.replace(settings, stop_after=2, weights="vicreg-resnet50")
    assert dataclasses.replace(begun, **UNTRAINED) == control and (begun.trained_epochs, settings.trained_epochs) == (2, 4)
    assert decisive_settings(control, device="cpu").keys() == {
        "seed", "method", "backbone", "stem", "width", "zero_init_residual", "weights", "normalisation", "expander",
        "expander_batchnorm", "image_size", "precision", "threads", "epochs",
    }  # fmt: skip


def test_what_decides_a_run_depends_on_the_kind_of_device(settings):
    cpu, cuda = (decisive_settings(settings, device=device) for device in ("cpu", "cuda"))
    assert cpu.keys() ^ cuda.keys() == {"threads", "graph"} and "threads" in cpu and "checkpoint_every" not in cpu
    assert cpu["nu"] == 1.0 and cpu["method"] == "vicreg"


def test_a_field_that_came_later_leaves_runs_at_its_earlier_value_what_they_were(settings):
    @dataclasses.dataclass(frozen=True, kw_only=True)
    class Later(VICRegSettings):
        delta: float = dataclasses.field(default=0.0, metadata={"before": 0.0})

    own = {field.name: getattr(settings.method_settings, field.name) for field in dataclasses.fields(VICRegSettings)}
    known = decisive_settings(settings, device="cpu")
    assert decisive_settings(dataclasses.replace(settings, method_settings=Later(**own)), device="cpu") == known
    changed = dataclasses.replace(settings, method_settings=Later(**own, delta=1.0))
    assert decisive_settings(changed, device="cpu") == known | {"delta": 1.0}


def test_no_setting_of_a_method_has_the_name_of_one_of_the_loop():
    for name in method_names():
        own = {field.name for field in dataclasses.fields(method_class(name).Settings)}
        assert not own & {field.name for field in dataclasses.fields(PretrainSettings)}, name


def test_settings_of_another_method_are_refused(settings):
    with pytest.raises(TypeError, match="method vicreg takes VICRegSettings, not MethodSettings"):
        dataclasses.replace(settings, method_settings=MethodSettings())
