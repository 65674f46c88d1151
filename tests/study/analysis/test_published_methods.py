"""Published accuracies of methods: shown beside runs that follow their protocol, and beside no other."""

from pathlib import Path

import pytest

from study.analysis.published_methods import follows, published_outcome, read_published_methods
from study.config.load import load_config
from study.execution.request import Request
from study.execution.session import open_session
from study.spec.study_file import load_study
from vicreg.errors import InputError
from vicreg.methods import method_names

PARAMS = Path(__file__).parents[3] / "params.yaml"
PUBLISHED = read_published_methods()
SOLO = PUBLISHED.protocols["solo-online"]
STUDY = load_study("solo-learn")
DIFFERENT = {"vibcreg", "wmse"}  # methods of solo-learn whose recipes are not offered in full


def configs_of(profile):
    """The config of each arm on a profile, by the arm's name."""
    config = load_config(path=PARAMS, profile=profile, own=False)
    return {arm.name: config.with_settings(arm.settings) for arm in STUDY.arms}


def test_every_number_has_a_protocol_and_every_protocol_a_number_and_a_source():
    assert {one.protocol for one in PUBLISHED.numbers} == set(PUBLISHED.protocols)
    assert all(one.source and one.says and one.probe for one in PUBLISHED.protocols.values())
    pairs = [(one.method, one.protocol) for one in PUBLISHED.numbers]
    assert len(set(pairs)) == len(pairs)
    values = [value for one in PUBLISHED.numbers for value in (one.cifar10, one.cifar100) if value is not None]
    assert all(7 < value < 95 for value in values), "percentages"
    assert {one.method for one in PUBLISHED.numbers} <= set(method_names())


def test_the_numbers_of_solo_learn_are_those_of_its_readme():
    assert {one.method: (one.cifar10, one.cifar100) for one in PUBLISHED.numbers if one.protocol == "solo-online"} == {
        "barlow_twins": (92.10, 70.90), "byol": (92.58, 70.46), "mocov2": (92.94, 69.89), "mocov3": (93.10, 68.83),
        "simclr": (90.74, 65.78), "simsiam": (90.51, 66.04), "swav": (89.17, 64.88), "vibcreg": (91.18, 67.37),
        "vicreg": (92.07, 68.54), "wmse": (88.67, 61.33),
    }  # fmt: skip


def test_the_study_has_an_arm_for_each_of_solo_learns_methods_that_is_here():
    methods = {arm.settings["pretrain.method"] for arm in STUDY.arms}
    assert methods == {one.method for one in PUBLISHED.numbers if one.protocol == "solo-online"}
    assert methods - set(SOLO.methods) == DIFFERENT
    assert all(arm.reason for arm in STUDY.arms if arm.settings["pretrain.method"] in DIFFERENT), "what differs is said"
    assert STUDY.published_protocol == "solo-online"


@pytest.mark.parametrize("dataset", ["cifar10", "cifar100"])
def test_each_arm_has_the_published_settings_and_its_number_beside_it(dataset):
    numbers = {one.method: one.on(dataset) for one in PUBLISHED.numbers if one.protocol == "solo-online"}
    for name, config in configs_of(f"solo-learn-{dataset}").items():
        assert config.prepare.dataset == dataset
        method = config.pretrain.method
        if method in DIFFERENT:
            assert published_outcome(config, "solo-online") is None
            continue
        values = config.by_key
        wanted = {**SOLO.settings, **SOLO.methods[method]}
        assert {key: values[key] for key in wanted} | unset(values, wanted) == wanted, name
        assert published_outcome(config, "solo-online") == {"online linear": numbers[method]}


def unset(values, wanted):
    """The parts of a view that a config leaves to its preset, as the protocol has them; `follows` compares the views."""
    return {key: value for key, value in wanted.items() if key.startswith("pretrain.augmentation.") and values[key] is None}


@pytest.mark.parametrize("profile", ["cifar10", "digits", "cifar10-cpu"])
def test_on_other_profiles_no_arm_has_a_published_number(profile):
    assert all(published_outcome(config, "solo-online") is None for config in configs_of(profile).values())


CHANGES = {
    "pretrain.epochs": 200,
    "pretrain.stop_after": 100,
    "pretrain.batch_size": 512,
    "pretrain.stem": "cifar",
    "pretrain.width": 32,
    "pretrain.backbone": "resnet34",
    "pretrain.expander": [2048, 2048],
    "pretrain.nu": 2,
    "pretrain.convention": "official",
    "pretrain.lars_clip": False,
    "pretrain.lars_eta": 0.001,
    "pretrain.nesterov": True,
    "pretrain.base_lr": 0.4,
    "pretrain.start_lr": 0.0,
    "pretrain.warmup_epochs": 0,
    "pretrain.weight_decay": 0.001,
    "pretrain.augmentation.blur": 0.5,
    "pretrain.augmentation.flip": 0.0,
    "pretrain.view_passes": "joint",
    "pretrain.image_size": 64,
    "prepare.per_class": 500,
    "prepare.validation": 0.2,
    "prepare.dataset": "fashion-mnist",
}


@pytest.mark.parametrize("key", CHANGES)
def test_a_run_that_differs_in_anything_has_no_published_number(key):
    config = configs_of("solo-learn-cifar10")["vicreg"]
    assert published_outcome(config, "solo-online") == {"online linear": 92.07}
    assert published_outcome(config.with_settings({key: CHANGES[key]}), "solo-online") is None


def test_what_decides_no_result_or_only_rounding_keeps_the_number():
    config = configs_of("solo-learn-cifar10")["vicreg"]
    for key, value in {"pretrain.seed": 5, "pretrain.precision": "float32", "pretrain.threads": 4}.items():
        assert follows(config.with_settings({key: value}), SOLO), key


def test_an_unknown_protocol_is_refused_before_anything_is_run(monkeypatch, tmp_path):
    with pytest.raises(InputError, match="published.protocol must be one of solo-online, lightly"):
        PUBLISHED.protocol("solo")
    text = "question: A?\nhypothesis: B.\nbaseline: a\narms: {a: {}}\npublished: {protocol: solo}\n"
    (tmp_path / "mine.yaml").write_text(text, encoding="utf-8")
    monkeypatch.setattr("study.execution.session.load_study", lambda name: load_study(name, folder=tmp_path))
    with pytest.raises(InputError, match="but got 'solo'"):
        open_session(Request(study="mine", store=tmp_path / "store"))
