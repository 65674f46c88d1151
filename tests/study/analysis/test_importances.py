"""Importances of searches whose truth is known."""

import dataclasses
import math

import numpy as np
import pytest

from study.analysis import importances as module
from study.analysis.importances import LEAST_TRIALS, importances
from vicreg.errors import InputError

pytestmark = pytest.mark.slow  # forests are fitted

SPACE = {
    "base_lr": {"low": 1e-3, "high": 1.0, "log": True},
    "mu": {"low": 0.0, "high": 50.0},
    "layers": {"low": 1, "high": 4, "int": True},
    "stem": {"choices": ["cifar", "imagenet"]},
}


def search(count=40, *, seeds=3, rng_seed=0, effect=1.0):
    """Random trials of which log base_lr decides most, and everything but the noise nothing else."""
    rng = np.random.default_rng(rng_seed)
    trials = []
    for _ in range(count):
        settings = {
            "base_lr": float(f"{10 ** rng.uniform(-3, 0):.3g}"),
            "mu": float(rng.uniform(0, 50)),
            "layers": int(rng.integers(1, 5)),
            "stem": SPACE["stem"]["choices"][rng.integers(2)],
        }
        value = -effect * (math.log10(settings["base_lr"]) + 1) ** 2 + 0.2 * rng.normal()
        trials.append((settings, int(rng.integers(seeds)), float(value)))
    return trials


@pytest.fixture(scope="module")
def found():
    return importances(search(), space=SPACE)


@pytest.mark.parametrize("evaluator", ["fanova", "ped_anova"])
def test_the_parameter_that_decides_is_first_and_far_above_the_controls(found, evaluator):
    shares = getattr(found, evaluator)
    assert max(shares, key=shares.get) == "base_lr"
    assert shares["base_lr"] > 0.5 and shares["base_lr"] > 2 * found.floor[evaluator]


def of_few_trees(trials, *, seed=0):
    """Importances of three fits of 16 trees, where they would be of nine of 64."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(module, "MOST_FITS", 3)
        patch.setattr(module, "MOST_TREES", 16)
        return importances(trials, space=SPACE, seed=seed)


@pytest.fixture(scope="module")
def several():
    return [of_few_trees(search(25, rng_seed=seed)) for seed in range(6)]


@pytest.mark.slow
@pytest.mark.parametrize("evaluator", ["fanova", "ped_anova"])
def test_numbers_and_categories_without_influence_are_about_as_high_as_their_controls(several, evaluator):
    """Means over searches: one search's inert shares have a spread as large as they are."""
    shares = [getattr(one, evaluator) for one in several]
    mean = {name: np.mean([one[name] for one in shares]) for name in shares[0]}
    assert 0.3 < mean["mu"] / mean["noise"] < 3
    assert 0.1 < mean["stem"] / mean["seed"] < 3
    assert mean["seed"] < mean["noise"]


def test_shares_add_up_and_the_floor_is_no_lower_than_the_noise(found):
    for evaluator in ("fanova", "ped_anova"):
        shares = getattr(found, evaluator)
        assert set(shares) == {*SPACE, "seed", "noise"}
        assert sum(shares.values()) == pytest.approx(1)
        assert min(shares.values()) >= 0
        assert found.floor[evaluator] >= shares["noise"]
    assert found.n == 40


@pytest.mark.slow
def test_the_same_trials_and_seed_give_the_same_shares(several):
    assert dataclasses.asdict(of_few_trees(search(25))) == dataclasses.asdict(several[0])


@pytest.mark.slow
def test_another_seed_draws_other_noise(several):
    assert of_few_trees(search(25), seed=1).fanova != several[0].fanova


def test_a_seed_that_decides_everything_is_first():
    trials = [(settings, seed, float(seed)) for settings, seed, _ in search(25)]
    shares = of_few_trees(trials)
    assert max(shares.fanova, key=shares.fanova.get) == max(shares.ped_anova, key=shares.ped_anova.get) == "seed"


def test_trials_of_one_seed_have_the_noise_alone_for_a_control():
    shares = of_few_trees(search(LEAST_TRIALS, seeds=1)).fanova
    assert set(shares) == {*SPACE, "noise"}


def test_a_setting_that_rounding_put_outside_its_range_counts():
    settings, seed, value = search()[0]
    trials = [*search()[1:], ({**settings, "base_lr": 1.004}, seed, value)]
    assert of_few_trees(trials[-LEAST_TRIALS:]).n == LEAST_TRIALS


def test_too_few_trials_have_no_importances():
    with pytest.raises(InputError, match=f"at least {LEAST_TRIALS} finished trials, but got {LEAST_TRIALS - 1}"):
        importances(search(LEAST_TRIALS - 1), space=SPACE)


@pytest.mark.parametrize("value", [0.5, math.nan, math.inf])
def test_values_that_cannot_be_explained_are_refused(value):
    trials = [(settings, seed, value) for settings, seed, _ in search()]
    with pytest.raises(InputError, match="values must"):
        importances(trials, space=SPACE)


def test_a_space_that_is_not_the_trials_is_refused():
    with pytest.raises(InputError, match="one has no nu"):
        importances(search(), space={**SPACE, "nu": {"low": 0, "high": 1}})
    with pytest.raises(InputError, match="stem must be one of cifar, but a trial has imagenet"):
        importances(search(), space={**SPACE, "stem": {"choices": ["cifar"]}})
    trials = [({**settings, "noise": 0.1}, seed, value) for settings, seed, value in search()]
    with pytest.raises(InputError, match="named as a control is, but one is noise"):
        importances(trials, space={**SPACE, "noise": {"low": 0, "high": 1}})


def test_choices_may_be_lists():
    space = {**SPACE, "expander": {"choices": [[], [16], [16, 16]]}}
    trials = [({**one, "expander": space["expander"]["choices"][at % 3]}, seed, value)
              for at, (one, seed, value) in enumerate(search())]  # fmt: skip
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(module, "MOST_FITS", 3)
        patch.setattr(module, "MOST_TREES", 16)
        found = importances(trials, space=space)
    assert set(found.fanova) == set(found.ped_anova) == {*space, "seed"} | set(found.fanova)
    assert found.fanova["expander"] < found.fanova["base_lr"]
