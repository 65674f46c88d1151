"""Which settings make another run, and which another untrained network."""

import pytest

from study.config.config import UNTRAINED
from study.runs import weights
from tests.study.runs.identities import identify, untrained
from vicreg.models.joint_embedding import build_model
from vicreg.randomness import make_generator
from vicreg.training.checkpoint import save_weights

# Another value for every key of params.yaml's section pretrain. A key added there has to be added here, too.
OTHER = {
    "pretrain.seed": 1,
    "pretrain.backbone": "resnet34",
    "pretrain.stem": "imagenet",
    "pretrain.width": 8,
    "pretrain.zero_init_residual": True,
    "pretrain.expander": [16, 16],
    "pretrain.expander_batchnorm": False,
    "pretrain.image_size": 12,
    "pretrain.convention": "algorithm",
    "pretrain.lambda": 24,
    "pretrain.mu": 24,
    "pretrain.nu": 2,
    "pretrain.gamma": 2,
    "pretrain.epsilon": 1e-3,
    "pretrain.weights": "theirs.safetensors",  # written to each test's own folder
    "pretrain.normalisation": "imagenet",
    "pretrain.epochs": 5,
    "pretrain.stop_after": 2,
    "pretrain.probe_every": 1,
    "pretrain.batch_size": 16,
    "pretrain.drop_last": False,
    "pretrain.optimizer": "sgd",
    "pretrain.base_lr": 0.06,
    "pretrain.lr_batch_size": 64,
    "pretrain.start_lr": 0.01,
    "pretrain.end_lr": 0.001,
    "pretrain.warmup_epochs": 2,
    "pretrain.weight_decay": 0.01,
    "pretrain.momentum": 0.8,
    "pretrain.lars_eta": 0.002,
    "pretrain.decay_bias_and_norm": True,
    "pretrain.adapt_bias_and_norm": True,
    "pretrain.precision": "bfloat16",
    "pretrain.view_passes": "together",
    "pretrain.compile": True,
    "pretrain.lars_clip": True,
    "pretrain.nesterov": True,
    "pretrain.processes": 2,
    "pretrain.threads": 2,
    "pretrain.train_on": "all",
    "pretrain.augmentation.preset": "official",
    "pretrain.augmentation.crop_scale": [0.3, 1.0],
    "pretrain.augmentation.crop_ratio": [1.0, 1.0],
    "pretrain.augmentation.flip": 0.1,
    "pretrain.augmentation.jitter": 0.1,
    "pretrain.augmentation.brightness": 0.1,
    "pretrain.augmentation.contrast": 0.1,
    "pretrain.augmentation.saturation": 0.1,
    "pretrain.augmentation.hue": 0.05,
    "pretrain.augmentation.grayscale": 0.1,
    "pretrain.augmentation.blur": [0.1, 0.2],
    "pretrain.augmentation.blur_sigma": [0.5, 1.0],
    "pretrain.augmentation.solarize": 0.3,
    "pretrain.augmentation.solarize_threshold": 0.6,
}
OF_LARS = ("pretrain.lars_clip", "pretrain.nesterov")  # AdamW, the tiny config's optimiser, has none of these
WITHOUT_EFFECT = {
    "pretrain.checkpoint_every": 2,
    "pretrain.checkpoint_share": 0.5,
    "pretrain.graph": False,  # on a CPU, which has no graphs
    "pretrain.batchnorm_over": "process",  # in one process
}


@pytest.fixture(autouse=True)
def theirs(tmp_path, monkeypatch):
    """The weights that `OTHER` names lie in this test's folder: a network as wide as the tiny runs'."""
    network = build_model(
        architecture="resnet18", stem="cifar", width=4, in_channels=1, expander=(8,), batchnorm=True,
        generator=make_generator(1, "weights"), zero_init_residual=False,
    )  # fmt: skip
    save_weights(tmp_path / OTHER["pretrain.weights"], network)
    monkeypatch.chdir(tmp_path)
    weights.load_once.cache_clear()


# ---- settings


def test_every_pretraining_setting_is_accounted_for(tiny_config):
    keys = {key for key in tiny_config().recipe if key.startswith("pretrain.")}
    assert keys == {*OTHER, *WITHOUT_EFFECT, "pretrain.method"}  # another method: tests/study/test_new_method.py


@pytest.mark.parametrize("key", OTHER)
def test_every_setting_that_has_an_effect_makes_another_run(tiny_config, key):
    base = {"pretrain.optimizer": "lars"} if key in OF_LARS else {}
    before, after = identify(tiny_config(base)), identify(tiny_config({**base, key: OTHER[key]}))
    assert after.digest != before.digest
    assert after.differences(before), key


@pytest.mark.parametrize("optimizer", ["lars", "sgd", "adamw"])
@pytest.mark.parametrize(("key", "having"), [("pretrain.lars_clip", ("lars",)), ("pretrain.nesterov", ("lars", "sgd"))])
def test_a_switch_makes_another_run_with_an_optimiser_that_has_it_alone(tiny_config, key, having, optimizer):
    base = {"pretrain.optimizer": optimizer}
    before, after = identify(tiny_config(base)), identify(tiny_config({**base, key: True}))
    assert (after.digest != before.digest) == (optimizer in having)


@pytest.mark.parametrize("key", WITHOUT_EFFECT)
def test_what_has_no_effect_does_not_make_another_run(tiny_config, key):
    assert tiny_config({key: WITHOUT_EFFECT[key]}).pretrain != tiny_config().pretrain
    assert identify(tiny_config({key: WITHOUT_EFFECT[key]})).digest == identify(tiny_config()).digest


@pytest.mark.parametrize(
    ("key", "value"),
    [("evaluate.knn", [3]), ("project.seed", 5), ("ablate.seeds", 7), ("ablate.workers", 2), ("data.root", "elsewhere")],
)
def test_settings_of_other_sections_do_not_make_another_run(tiny_config, key, value):
    assert identify(tiny_config({key: value})).digest == identify(tiny_config()).digest


def test_a_value_spelled_out_is_the_run_of_the_preset_that_implies_it(tiny_config):
    implied = tiny_config().pretrain.views[0].crop_scale
    spelled = tiny_config({"pretrain.augmentation.crop_scale": list(implied)})
    assert identify(spelled).digest == identify(tiny_config()).digest


def test_a_whole_number_and_the_same_number_with_a_point_are_one_run(tiny_config):
    assert identify(tiny_config({"pretrain.nu": 1})).digest == identify(tiny_config({"pretrain.nu": 1.0})).digest


def test_whose_rows_batchnorm_normalises_makes_another_run_of_several_processes(tiny_config):
    several = tiny_config({"pretrain.processes": 2})
    assert identify(several.with_settings({"pretrain.batchnorm_over": "process"})).digest != identify(several).digest
    assert identify(several.with_settings({"pretrain.processes": 4})).digest != identify(several).digest


# ---- untrained networks


NETWORK = (
    "seed", "backbone", "stem", "width", "zero_init_residual", "weights", "normalisation", "expander", "expander_batchnorm",
    "image_size", "precision", "threads", "train_on",
)  # fmt: skip
SCHEDULE = ("epochs", "warmup_epochs", "stop_after")  # of which an untrained network has none


@pytest.mark.parametrize("key", [key for key in OTHER if key.removeprefix("pretrain.") not in SCHEDULE])
def test_untrained_networks_are_one_run_unless_the_network_differs(tiny_config, key):
    same = identify(untrained(tiny_config({key: OTHER[key]}))).digest == identify(untrained(tiny_config())).digest
    assert same == (key.removeprefix("pretrain.") not in NETWORK)


def test_an_untrained_network_has_no_part_of_a_schedule_to_stop_after(tiny_config):
    halted = tiny_config({"pretrain.stop_after": 2})
    whole = identify(tiny_config().with_settings(UNTRAINED))
    assert identify(halted.with_settings(UNTRAINED)).digest == whole.digest == identify(untrained(tiny_config())).digest


def test_an_untrained_network_is_another_run_than_the_trained_one(tiny_config):
    assert identify(untrained(tiny_config())).digest != identify(tiny_config()).digest
