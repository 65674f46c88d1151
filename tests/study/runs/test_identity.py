"""A run's digest: what changes it, what does not, and what is said of two that differ."""

import dataclasses
import functools
import json
import shutil
from pathlib import Path

import pytest
import torch

from study.config.config import UNTRAINED
from study.runs import identity, weights
from study.runs.code_digest import code_digest
from study.runs.identity import Identity, evaluation_code, evaluation_digest, run_identity, training_code
from vicreg.files import to_json
from vicreg.models.joint_embedding import build_model
from vicreg.randomness import make_generator
from vicreg.training.checkpoint import save_weights

ROOT = Path(__file__).parents[3]
DATA = "sha256:" + "a" * 64
CPU = torch.device("cpu")

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
    "pretrain.threads": 2,
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
WITHOUT_EFFECT = {"pretrain.checkpoint_every": 2, "pretrain.graph": False}  # on a CPU, which has no graphs


def evaluation(config, *, run="run", probes=("knn", "linear_cached")) -> str:
    return evaluation_digest(run, config, probes=probes, views=config.pretrain.views)


def identify(config, *, data=DATA, device=CPU) -> Identity:
    return run_identity(config, data=data, device=device)


@pytest.fixture
def edited(tmp_path, monkeypatch):
    """`edited(file, old, new)`: digests are taken as if the file of the project read so, for this test."""
    tree = tmp_path / "tree"
    shutil.copytree(ROOT / "vicreg", tree / "vicreg", ignore=shutil.ignore_patterns("__pycache__"))

    def edit(file: str, old: str, new: str) -> None:
        path = tree / file
        shutil.copyfile(ROOT / file, path)
        source = path.read_text(encoding="utf-8")
        assert old in source
        path.write_text(source.replace(old, new, 1), encoding="utf-8")
        code_digest.cache_clear()
        monkeypatch.setattr(identity, "code_digest", functools.partial(code_digest, tree=tree))

    yield edit
    code_digest.cache_clear()


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
    before, after = identify(tiny_config()), identify(tiny_config({key: OTHER[key]}))
    assert after.digest != before.digest
    assert after.differences(before), key


@pytest.mark.parametrize("key", WITHOUT_EFFECT)
def test_what_has_no_effect_does_not_make_another_run(tiny_config, key):
    assert tiny_config({key: WITHOUT_EFFECT[key]}).pretrain != tiny_config().pretrain
    assert identify(tiny_config({key: WITHOUT_EFFECT[key]})).digest == identify(tiny_config()).digest


@pytest.mark.parametrize(
    ("key", "value"),
    [("evaluate.knn", [3]), ("project.seed", 5), ("ablate.seeds", [7]), ("ablate.workers", 2), ("data.root", "elsewhere")],
)
def test_settings_of_other_sections_do_not_make_another_run(tiny_config, key, value):
    assert identify(tiny_config({key: value})).digest == identify(tiny_config()).digest


def test_a_value_spelled_out_is_the_run_of_the_preset_that_implies_it(tiny_config):
    implied = tiny_config().pretrain.views[0].crop_scale
    spelled = tiny_config({"pretrain.augmentation.crop_scale": list(implied)})
    assert identify(spelled).digest == identify(tiny_config()).digest


def test_a_whole_number_and_the_same_number_with_a_point_are_one_run(tiny_config):
    assert identify(tiny_config({"pretrain.nu": 1})).digest == identify(tiny_config({"pretrain.nu": 1.0})).digest


# ---- untrained networks


def untrained(config):
    return config.with_settings({"pretrain.epochs": 0, "pretrain.warmup_epochs": 0})


NETWORK = (
    "seed", "backbone", "stem", "width", "zero_init_residual", "weights", "normalisation", "expander", "expander_batchnorm",
    "image_size", "precision", "threads",
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


# ---- data and machinery


def test_other_data_make_another_run(tiny_config):
    before, after = identify(tiny_config()), identify(tiny_config(), data="sha256:" + "b" * 64)
    assert after.digest != before.digest
    assert after.differences(before) == ["data changed from aaaaaaaaaaaa to bbbbbbbbbbbb"]


@pytest.mark.parametrize("library", ["torch", "torchvision"])
def test_another_version_of_torch_or_torchvision_makes_another_run(tiny_config, monkeypatch, library):
    before = identify(tiny_config())
    monkeypatch.setattr(getattr(identity, library), "__version__", "9.9.9")
    after = identify(tiny_config())
    assert after.digest != before.digest
    assert after.differences(before) == [f"{library} changed from {before.machinery[library]} to 9.9.9"]


def test_the_number_of_threads_counts_on_a_cpu_alone(tiny_config, monkeypatch):
    monkeypatch.setattr(torch.cuda, "get_device_name", lambda device: "a GPU")
    one, two = tiny_config({"pretrain.threads": 1}), tiny_config({"pretrain.threads": 2})
    gpu = torch.device("cuda")
    assert identify(one).digest != identify(two).digest
    assert identify(one, device=gpu).digest == identify(two, device=gpu).digest
    assert identify(untrained(one), device=gpu).digest == identify(untrained(two), device=gpu).digest
    assert identify(one, device=gpu).digest != identify(one).digest


def test_a_graph_counts_on_a_gpu_alone_and_for_no_untrained_network(tiny_config, monkeypatch):
    monkeypatch.setattr(torch.cuda, "get_device_name", lambda device: "a GPU")
    graphed, eager = tiny_config({"pretrain.graph": True}), tiny_config({"pretrain.graph": False})
    gpu = torch.device("cuda")
    assert identify(graphed).digest == identify(eager).digest
    assert identify(graphed, device=gpu).digest != identify(eager, device=gpu).digest
    assert identify(graphed, device=gpu).differences(identify(eager, device=gpu)) == [
        "setting graph changed from False to True"
    ]
    assert identify(untrained(graphed), device=gpu).digest == identify(untrained(eager), device=gpu).digest


# ---- code


def test_a_change_of_what_the_code_does_makes_another_run(tiny_config, edited):
    before, measured = identify(tiny_config()), evaluation(tiny_config())
    edited("vicreg/methods/vicreg.py", "gram = centred @ centred.T", "gram = centred @ centred.T * 1.0")
    after = identify(tiny_config())
    assert after.digest != before.digest
    assert after.differences(before) == ["code changed in vicreg/methods/vicreg.py (_spread_and_redundancy)"]
    # evaluation looks at augmented images, as training does, but it computes no loss
    assert evaluation(tiny_config()) == measured


@pytest.mark.parametrize(
    ("old", "new"),
    [
        ("\ndef ", "\n# A comment.\n\n\n\ndef "),
        ('"""', '"""Other words. '),
        ('\n    """', '\n    """Other words in a function. '),
        ("def vicreg_loss(", "def vicreg_loss(  # why\n        "),
        ("convention must be one of", "the convention should be one of"),
        ("\ndef vicreg_loss", "\ndef nobody_calls_this():\n    return 1\n\n\ndef vicreg_loss"),
    ],
)
def test_what_changes_no_result_does_not_make_another_run(tiny_config, edited, old, new):
    before = identify(tiny_config()).digest
    edited("vicreg/methods/vicreg.py", old, new)
    assert identify(tiny_config()).digest == before


def test_what_trains_and_what_measures_are_told_apart():
    trains, measures = (" ".join(code().definitions) for code in (lambda: training_code("vicreg"), evaluation_code))
    for name in (
        "methods.vicreg:", "optim.lars:LARS", "optim.learning_rate:learning_rate", ":draw_parameters", "models.resnet:ResNet",
        "metrics.collapse:rankme", "training.step:", "models.live_taps:", "models.winograd:", "metrics.knn:knn_scores",
    ):  # fmt: skip
        assert name in trains, name
    for name in (":diagnose_collapse", ":fit_linear", "metrics.collapse:rankme", "metrics.knn:knn_scores"):
        assert name in measures, name
    # a moved threshold or another linear evaluation must not train anything again
    assert "evaluation." not in trains and ":vicreg_loss" not in measures and "study" not in trains + measures


def test_settings_are_known_by_their_values_so_code_that_checks_them_makes_no_other_run(tiny_config, edited):
    before = identify(tiny_config()).digest
    edited("vicreg/training/settings.py", "    def __post_init__(self) -> None:\n", "    def __post_init__(self) -> None:\n        print()\n")
    assert identify(tiny_config()).digest == before


def test_bfloat16_on_a_cpu_is_known_by_the_instructions_that_the_cpu_has_for_it(tiny_config, monkeypatch):
    half, single = tiny_config({"pretrain.precision": "bfloat16"}), tiny_config()
    runs = {}
    for kernels in ("amx", "avx512-bf16", "emulated"):
        monkeypatch.setattr(identity, "bfloat16_kernels", lambda kernels=kernels: kernels)
        runs[kernels] = (identify(half), identify(single))
    assert len({one.digest for one, _ in runs.values()}) == 3
    assert len({one.digest for _, one in runs.values()}) == 1
    assert runs["amx"][0].differences(runs["emulated"][0]) == ["bfloat16 changed from emulated to amx"]


@pytest.mark.parametrize("precision", ["float32", "bfloat16"])
def test_a_limit_on_the_instruction_set_of_onednn_makes_another_run(tiny_config, monkeypatch, precision):
    monkeypatch.delenv("ONEDNN_MAX_CPU_ISA", raising=False)
    config = tiny_config({"pretrain.precision": precision})
    before = identify(config)
    monkeypatch.setenv("ONEDNN_MAX_CPU_ISA", "AVX2")
    assert identify(config).differences(before) == ["onednn changed from None to at most AVX2"]


# ---- evaluation


def test_an_evaluation_is_decided_by_its_run_its_settings_its_views_its_probes_and_its_code(tiny_config, edited):
    before = evaluation(tiny_config())
    assert evaluation(tiny_config(), probes=("linear_cached", "knn")) == before
    assert evaluation(tiny_config({"ablate.seeds": [9]})) == before
    others = {
        evaluation(tiny_config(), run="another"),
        evaluation(tiny_config({"evaluate.knn": [3]})),
        evaluation(tiny_config({"evaluate.linear.lr": [0.5]})),
        evaluation(tiny_config({"pretrain.augmentation.blur": 0.9})),
        evaluation(tiny_config(), probes=("knn",)),
    }
    edited("vicreg/evaluation/collapse_diagnosis.py", "COMPLETE_STD = 0.1", "COMPLETE_STD = 0.2")
    others.add(evaluation(tiny_config()))
    assert before not in others and len(others) == 6


# ---- on disk


def test_an_identity_read_from_disk_is_the_one_that_was_written(tiny_config):
    for config in (tiny_config(), untrained(tiny_config())):
        written = identify(config)
        read = Identity(**json.loads(to_json(dataclasses.asdict(written))))
        assert read == written and read.digest == written.digest
        assert read.differences(written) == []


def test_differences_are_said_setting_by_setting_before_and_after(tiny_config):
    before = identify(tiny_config())
    after = identify(tiny_config({"pretrain.nu": 2, "pretrain.expander": [16]}))
    assert after.differences(before) == [
        "setting expander changed from [16, 16, 16] to [16]",
        "setting nu changed from 1.0 to 2.0",
    ]
    assert identify(tiny_config()).differences(before) == []
