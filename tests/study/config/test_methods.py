"""A method's settings have a section of their own, and a short spelling each."""

import pytest

from study.config.load import load_config
from study.config.methods import full_key, is_same_setting, keys_of, study_keys, symbols, with_short_keys
from tests.study.config.refused import PARAMS
from vicreg.errors import InputError
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


@pytest.mark.parametrize(
    ("value", "sentence"),
    [
        ("no", r"^pretrain\.wmse\.epsilon must be a number, but got 'no'\.$"),
        (2, r"epsilon must be in \[0, 1\), but got 2\.0"),
        ({}, r"^pretrain\.wmse\.epsilon must be a number, but got \{\}\.$"),
    ],
)
def test_a_value_that_no_run_can_have_is_refused_of_methods_that_are_not_chosen_too(edited, tiny_config, value, sentence):
    key = "pretrain.wmse.epsilon"
    for refused in (
        lambda: load_config(path=PARAMS, settings={key: value}),
        lambda: load_config(path=edited(lambda params: params["baseline"]["pretrain"]["wmse"].update(epsilon=value))),
        lambda: tiny_config({key: value}),
    ):
        with pytest.raises(InputError, match=sentence):
            refused()
    assert tiny_config({key: 0.5}).pretrain.method == "vicreg"
