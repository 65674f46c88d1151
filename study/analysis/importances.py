"""Importances of searched parameters by fANOVA and PED-ANOVA, beside two controls."""

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from statistics import fmean
from typing import Any

import numpy as np
import optuna
from optuna.distributions import BaseDistribution, CategoricalDistribution, FloatDistribution, IntDistribution

from study.spec.search import word_of
from vicreg.errors import InputError

SEED, NOISE = "seed", "noise"
# With 10, 15, 20 and 30 random trials of four numbers, one of which explained most, fANOVA put it first in 72, 95, 95 and
# 100 % of 40 searches, PED-ANOVA in 68, 50 to 70, 70 to 80 and 100 %.
LEAST_TRIALS = 20
# PED-ANOVA compares the best trials with all; Optuna's documentation asks for five of the best, which is a quarter of 20.
# With its default, a tenth, the number above was first in 42 % of searches of 20 trials, and in 45 % of 30.
BEST_SHARE = 0.25
MOST_FITS, MOST_TREES, LEAST_TREES = 9, 64, 16

Trial = tuple[Mapping[str, Any], int, float]


@dataclass(frozen=True, kw_only=True)
class Importances:
    """Shares that add up to 1, by parameter, of n trials; "seed" and "noise" are the controls.

    `floor` is by evaluator the largest share that the noise had in any of the fits. A share below it cannot be
    distinguished from none. fANOVA's share is of the variance over the whole space, PED-ANOVA's of what sets the best
    quarter of trials apart. So they may disagree and both be right.
    """

    n: int
    fanova: Mapping[str, float]
    ped_anova: Mapping[str, float]
    floor: Mapping[str, float]


def importances(trials: Sequence[Trial], *, space: Mapping[str, Mapping[str, Any]], seed: int = 0) -> Importances:
    """Return importances by fANOVA (Hutter et al., ICML 2014) and PED-ANOVA (Watanabe et al., IJCAI 2023, arXiv 2304.10255).

    Two controls stand beside the parameters. "seed" is the trial's seed as a category, left out where all trials have one.
    "noise" is a number drawn at random for each trial, anew in each fit; shares are means over up to nine fits. A category
    of three seeds offers a tree fewer splits than a number does. It gets a third of a number's share by chance (0.015 and
    0.045 in searches of 30 trials). So a number is compared with the noise and a category with the seed.

    Designs (a grid, arms that a person chose) have effect sizes and `anova` instead: both methods take the settings for
    draws from the space. Of a grid's few levels PED-ANOVA has put the wrong factor of a known truth first.

    Args:
        trials: (settings, seed, value) of each finished trial, higher values better. Failed ones have no value and are no
            part of this, so it says nothing of what makes runs fail.
        space: each searched parameter as {"low": ..., "high": ..., "log": bool, "int": bool} or {"choices": [...]}.
        seed: of the forest and of the noise; the same trials and seed give the same shares.

    Raises:
        InputError: for fewer than 20 trials, or a value that is not finite or the same in all. Also for a trial without one
            of the parameters or with a choice that is none, and for parameters named as the controls are.
    """
    # Takes half a second to import, which searches alone need.
    from optuna.importance import FanovaImportanceEvaluator, PedAnovaImportanceEvaluator, get_param_importances

    _check(trials, space)
    n = len(trials)
    distributions = {name: _distribution(given, [t[0][name] for t in trials], name) for name, given in space.items()}
    if len(seeds := sorted({trial[1] for trial in trials})) > 1:
        distributions[SEED] = CategoricalDistribution(seeds)
    distributions[NOISE] = FloatDistribution(0, 1)
    # A forest of 1000 trials takes 400 times as long as one of 20, and is the surer one: fewer fits of fewer trees.
    fits, trees = max(1, min(MOST_FITS, 900 // n)), max(LEAST_TREES, min(MOST_TREES, 6400 // n))
    shares: dict[str, list[dict[str, float]]] = {"fanova": [], "ped_anova": []}
    for fit in range(fits):
        study = _study(trials, distributions, np.random.default_rng([seed, fit]).uniform(size=n).tolist())
        evaluators = {
            "fanova": FanovaImportanceEvaluator(n_trees=trees, seed=seed + fit),
            "ped_anova": PedAnovaImportanceEvaluator(target_quantile=BEST_SHARE),
        }
        for name, evaluator in evaluators.items():
            shares[name].append(get_param_importances(study, evaluator=evaluator))
    means = {name: {key: fmean(float(one[key]) for one in found) for key in distributions} for name, found in shares.items()}
    floor = {name: max(float(one[NOISE]) for one in found) for name, found in shares.items()}
    return Importances(n=n, floor=floor, **means)


def _check(trials: Sequence[Trial], space: Mapping[str, Mapping[str, Any]]) -> None:
    """Check trials and parameters.

    Raises:
        InputError: for what `importances` refuses.
    """
    if len(trials) < LEAST_TRIALS:
        raise InputError(f"importances need at least {LEAST_TRIALS} finished trials, but got {len(trials)}; search on.")
    if named := {SEED, NOISE} & set(space):
        raise InputError(f"a parameter must not be named as a control is, but one is {min(named)}.")
    for settings, _, value in trials:
        if not math.isfinite(value):
            raise InputError(f"values must be finite, but one is {value}; leave its trial out and say so.")
        if missing := set(space) - set(settings):
            raise InputError(f"every trial must set every searched parameter, but one has no {min(missing)}.")
    if len({value for _, _, value in trials}) == 1:
        raise InputError(f"values must differ for anything to matter, but all {len(trials)} are {trials[0][2]}.")


def _distribution(given: Mapping[str, Any], found: Sequence[Any], name: str) -> BaseDistribution:
    """Return a parameter's range, widened to what was run: settings are rounded, and may lie a digit outside."""
    if "choices" in given:
        if unknown := [value for value in found if value not in given["choices"]]:
            raise InputError(f"{name} must be one of {', '.join(map(str, given['choices']))}, but a trial has {unknown[0]}.")
        return CategoricalDistribution([word_of(choice) for choice in given["choices"]])
    low, high = min(given["low"], *found), max(given["high"], *found)
    kind = IntDistribution if given.get("int") else FloatDistribution
    return kind(low, high, log=bool(given.get("log")))


def _study(trials: Sequence[Trial], distributions: dict[str, BaseDistribution], noise: Sequence[float]) -> optuna.Study:
    """Return the trials as an Optuna study, each with its drawn noise."""
    optuna.logging.set_verbosity(optuna.logging.WARNING)
    study = optuna.create_study(direction="maximize")
    for (settings, seed, value), drawn in zip(trials, noise, strict=True):
        every = {**settings, SEED: seed, NOISE: float(drawn)}
        params = {name: word_of(every[name]) for name in distributions}
        study.add_trial(optuna.trial.create_trial(params=params, distributions=distributions, value=value))
    return study
