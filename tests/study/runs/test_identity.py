"""A run's digest: what of data, machinery and code changes it, and what is said of two that differ."""

import dataclasses
import functools
import json
import shutil
from pathlib import Path

import pytest
import torch

from study.runs import identity
from study.runs.code_digest import code_digest
from study.runs.identity import Identity, evaluation_code, evaluation_digest, training_code
from tests.study.runs.identities import identify, untrained
from vicreg.files import to_json

ROOT = Path(__file__).parents[3]


def evaluation(config, *, run="run", probes=("knn", "linear_cached")) -> str:
    return evaluation_digest(run, config, probes=probes, views=config.pretrain.views)


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


# ---- data and machinery


def test_other_data_make_another_run(tiny_config):
    before, after = identify(tiny_config()), identify(tiny_config(), data="sha256:" + "b" * 64)
    assert after.digest != before.digest
    assert after.differences(before) == ["data changed from aaaaaaaaaaaa to bbbbbbbbbbbb"]


@pytest.mark.parametrize("library", ["torch", "torchvision", "numba"])
def test_another_version_of_torch_torchvision_or_numba_makes_another_run(tiny_config, monkeypatch, library):
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


def test_bfloat16_on_a_cpu_is_known_by_the_instructions_that_the_cpu_has_for_it(tiny_config, monkeypatch):
    half, single = tiny_config({"pretrain.precision": "bfloat16"}), tiny_config()
    runs = {}
    for kernels in ("amx", "avx512-bf16", "emulated"):
        monkeypatch.setattr(identity, "bfloat16_kernels", lambda kernels=kernels: kernels)
        runs[kernels] = (identify(half), identify(single))
    assert len({one.digest for one, _ in runs.values()}) == 3
    assert len({one.digest for _, one in runs.values()}) == 1
    assert runs["amx"][0].differences(runs["emulated"][0]) == ["bfloat16 changed from emulated to amx"]


@pytest.mark.parametrize(
    ("flags", "kernels"),
    [
        ({"avx2", "avx512_bf16", "amx_bf16", "amx_tile"}, "amx"),
        ({"avx2", "avx512_bf16", "amx_tile"}, "avx512-bf16"),
        ({"avx2", "avx512_bf16"}, "avx512-bf16"),
        ({"avx2", "amx_bf16"}, "emulated"),
        (set(), "emulated"),
    ],
)
def test_the_instructions_for_bfloat16_are_those_that_the_cpu_lists(monkeypatch, flags, kernels):
    monkeypatch.setattr(identity, "_cpu_flags", lambda: flags)
    assert identity.bfloat16_kernels() == kernels


@pytest.mark.parametrize("precision", ["float32", "bfloat16"])
def test_a_limit_on_the_instruction_set_of_onednn_makes_another_run(tiny_config, monkeypatch, precision):
    monkeypatch.delenv("ONEDNN_MAX_CPU_ISA", raising=False)
    config = tiny_config({"pretrain.precision": precision})
    before = identify(config)
    monkeypatch.setenv("ONEDNN_MAX_CPU_ISA", "AVX2")
    assert identify(config).differences(before) == ["onednn changed from None to at most AVX2"]


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
        "methods.vicreg:", "optim.lars:LARS", "optim.learning_rate:learning_rate", ":draw_parameters",
        "models.resnet:ResNet",
        "metrics.collapse:rankme", "training.step:", "models.live_taps:", "models.winograd:", "metrics.knn:knn_scores",
    ):  # fmt: skip
        assert name in trains, name
    for name in (":diagnose_collapse", ":fit_linear", "metrics.collapse:rankme", "metrics.knn:knn_scores"):
        assert name in measures, name
    # a moved threshold or another linear evaluation must not train anything again
    assert "evaluation." not in trains and ":vicreg_loss" not in measures and "study" not in trains + measures


def test_settings_are_known_by_their_values_so_code_that_checks_them_makes_no_other_run(tiny_config, edited):
    before = identify(tiny_config()).digest
    edited(
        "vicreg/training/settings.py",
        "    def __post_init__(self) -> None:\n",
        "    def __post_init__(self) -> None:\n        print()\n",
    )
    assert identify(tiny_config()).digest == before


# ---- evaluation


def test_an_evaluation_is_decided_by_its_run_its_settings_its_views_its_probes_and_its_code(tiny_config, edited):
    before = evaluation(tiny_config())
    assert evaluation(tiny_config(), probes=("linear_cached", "knn")) == before
    assert evaluation(tiny_config({"ablate.seeds": 9})) == before
    others = {
        evaluation(tiny_config(), run="another"),
        evaluation(tiny_config({"evaluate.knn": [3]})),
        evaluation(tiny_config({"evaluate.linear.lr": [0.5]})),
        evaluation(tiny_config({"pretrain.augmentation.blur": 0.9})),
        evaluation(tiny_config(), probes=("knn",)),
    }
    edited("vicreg/evaluation/collapse_criteria.py", "COMPLETE_STD = 0.1", "COMPLETE_STD = 0.2")
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
