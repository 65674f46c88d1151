"""Where studies that will be run look at a training half-way: epochs whose checkpoint a longer run hands on."""

import dataclasses
from collections.abc import Iterable

from study.config.config import Config
from study.spec.plan import fixed_config
from study.spec.study_file import load_study
from vicreg.errors import InputError
from vicreg.training.settings import PretrainSettings


def early_stops(config: Config) -> tuple[PretrainSettings, ...]:
    """Return the settings of arms that stop early, of the studies that the source paper's page is made from.

    A study that cannot be run with this config is left out; it says why where it is run.
    """
    found = []
    for name in config.source_paper.studies:
        try:
            study = load_study(name)
            arms = [fixed_config(study, config).with_settings(arm.settings).pretrain for arm in study.arms]
        except InputError:
            continue
        found += [one for one in arms if one.stop_after is not None]
    return tuple(found)


def stops_within(settings: PretrainSettings, early: Iterable[PretrainSettings]) -> tuple[int, ...]:
    """Return the epochs at which runs stop early that are the beginning of a run of these settings, whatever the seed."""
    whole = dataclasses.replace(settings, stop_after=None)
    stops = {
        one.stop_after for one in early
        if one.stop_after is not None and one.stop_after < settings.trained_epochs
        and dataclasses.replace(one, stop_after=None, seed=settings.seed) == whole
    }  # fmt: skip
    return tuple(sorted(stops))
