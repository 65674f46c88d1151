"""A method's settings have a section of their own, and a short spelling each."""

import pytest

from study.config.methods import full_key, is_same_setting, keys_of, study_keys, symbols, with_short_keys
from vicreg.methods import method_names


def test_the_keys_of_a_section_are_spelled_as_in_params_yaml():
    assert keys_of("vicreg") == ("convention", "lambda", "mu", "nu", "gamma", "epsilon")


def test_labels_write_the_weights_of_the_loss_as_the_papers_do():
    assert {symbols()[key] for key in ("lambda", "mu", "nu", "gamma")} == {"λ", "μ", "ν", "γ"}


@pytest.mark.parametrize(
    ("key", "full"),
    [
        ("pretrain.nu", "pretrain.vicreg.nu"),
        ("pretrain.vicreg.nu", "pretrain.vicreg.nu"),
        ("pretrain.epochs", "pretrain.epochs"),
        ("evaluate.nu", "evaluate.nu"),
    ],
)
def test_a_short_spelling_is_the_chosen_methods(key, full):
    assert full_key(key, "vicreg") == full


@pytest.mark.parametrize(
    ("key", "other", "same"),
    [
        ("pretrain.nu", "pretrain.vicreg.nu", True),
        ("pretrain.vicreg.nu", "pretrain.nu", True),
        ("pretrain.nu", "pretrain.nu", True),
        ("pretrain.nu", "pretrain.vicreg.mu", False),
        ("pretrain.epochs", "pretrain.vicreg.epochs", False),
        ("evaluate.linear.lr", "evaluate.lr", False),
    ],
)
def test_both_spellings_of_a_setting_are_the_same_one(key, other, same):
    assert is_same_setting(key, other) == same


def test_a_study_may_set_every_method_by_either_spelling():
    for name in method_names():
        assert {f"pretrain.{name}.{key}" for key in keys_of(name)} <= set(study_keys())
        assert {f"pretrain.{key}" for key in keys_of(name)} <= set(study_keys())


def test_values_are_shown_by_short_keys_of_the_chosen_method_alone():
    values = {"pretrain": {"method": "vicreg", "epochs": 2, **{name: {} for name in method_names()}, "vicreg": {"nu": 3}}}
    assert with_short_keys(values) == {"pretrain.method": "vicreg", "pretrain.epochs": 2, "pretrain.nu": 3}
