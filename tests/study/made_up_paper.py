"""Made-up results of the source paper's studies: the real studies and profiles, and runs that came to what a test says."""

import copy
import dataclasses
import functools
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any

import pytest
import torch

from study.analysis import summary as summary_module
from study.analysis.summary import summarise
from study.config.config import Config
from study.config.load import load_config
from study.paper.judged import Judged
from study.paper.published import read_published
from study.projection.results import ProjectedData, Projection
from study.results.files import results_bytes
from study.results.json_values import from_values
from study.results.schema import StudyResults
from study.runs import identity
from study.spec.plan import make_plan
from study.spec.study_file import Study, load_study
from tests.study.made_up import CPU, Shelf, lifelike, unfinished
from vicreg.data.dataset import Dataset
from vicreg.files import to_json

PARAMS = Path(__file__).parents[2] / "params.yaml"
PUBLISHED = read_published()
PAPER = PUBLISHED.source_paper
CLASSES = ("airplane", "automobile", "bird", "cat", "deer", "dog", "frog", "horse", "ship", "truck")
WHOLE = {"dataset": "cifar10", "classes": list(CLASSES), "train": 45_000, "validation": 5_000, "test": 10_000}
JPEG = {**WHOLE, "dataset": "imagefolder", "files": "JPEG"}  # a copy of it
FEW = {"train": 4500, "validation": 500, "test": 1000}  # of either
FINE = {**WHOLE, "dataset": "cifar100", "classes": [f"class {number}" for number in range(100)]}
SPREAD = (-0.002, 0.0, 0.002, -0.001, 0.001)  # of accuracies over seeds: one more of three lies within a point

Outcome = Callable[[str, int], Mapping[str, Any]]


def measured(name: str, seed: int, linear: float, **changes: Any) -> dict[str, Any]:
    """A run of this accuracy by every probe, on validation and test; `changes` lie over the whole of it."""
    run = lifelike(name, seed, 0.5, epochs=6)
    for split in ("validation", "test"):
        run[split]["linear"] = copy.deepcopy(run[split]["linear_cached"])
        for probe in run[split].values():
            probe["top1"] = linear
    return {**run, **changes}


def around(linear: float, **changes: Any) -> Outcome:
    """Every run comes to about this; untrained networks to 30 %."""
    return lambda arm, seed: measured(arm, seed, (0.3 if arm.startswith("untrained") else linear) + SPREAD[seed], **changes)


def by_arm(**levels: float) -> Outcome:
    """Arms, `-` written as `_`, come to about these, and all others to 70 %; each has a spread of its own over seeds."""

    def outcome(arm: str, seed: int) -> dict[str, Any]:
        own = SPREAD[seed] / (2 if len(arm) % 2 else 4)
        return measured(arm, seed, levels.get(arm.replace("-", "_"), 0.7) + own)

    return outcome


@functools.cache
def profile_of(name: str) -> Config:
    return load_config(path=PARAMS, profile=name)


@functools.cache
def study_of(name: str) -> Study:
    return load_study(name)


class Paper:
    """Results of the source paper's studies."""

    def __init__(self, digits: Dataset) -> None:
        images, labels = (torch.cat([part, part]) for part in (digits.train.images, digits.train.labels))
        twice = dataclasses.replace(digits.train, images=images, labels=labels)  # for batches of 256
        self.digits = dataclasses.replace(digits, train=twice)

    def results(
        self, study: str, outcome: Outcome | None = None, *, profile: str = "cifar10", seeds: Sequence[int] = (0, 1, 2),
        settings: Mapping[str, Any] | None = None, data: Mapping[str, Any] = WHOLE, command: str | None = None,
        lost: Sequence[str] = (),
    ) -> StudyResults:  # fmt: skip
        """A study under a profile, on data described by `data`; of the arms in `lost` nothing was run."""
        with pytest.MonkeyPatch.context() as patch:
            patch.setattr(identity, "starting_weights", lambda settings: None)  # which would be downloaded
            config = profile_of(profile).with_settings(dict(settings or {}))
            plan = make_plan(study_of(study), config, data=self.digits.digest, device=CPU, seeds=seeds)
        outcome = outcome or around(0.7)
        runs = {
            (cell.arm, cell.seed): unfinished("missing") if cell.arm in lost else outcome(cell.arm, cell.seed)
            for cell in plan.cells
        }
        command = command or f"python -m study.ablate --study {study} --profile {profile}"
        with pytest.MonkeyPatch.context() as patch:
            patch.setattr(summary_module, "network_notes", lambda *_: [])  # for one of which the whole network is built
            summary = summarise(plan, Shelf(plan, runs), self.digits, command=command, overrides=dict(settings or {}))
        return dataclasses.replace(summary, data=dataclasses.replace(summary.data, **_with_tuples(data)))

    def given(self, outcome: Outcome | None = None, **named: Any) -> StudyResults:
        """The study of the authors' network, which no epoch is trained of."""
        outcome = outcome or around(0.8)
        return self.results("generalisation", lambda arm, seed: {**outcome(arm, seed), "history": []}, **named)


def barred(row: Judged) -> list[str]:
    """What bars a verdict on a row, in words."""
    return [one.text for one in row.barring]


def _with_tuples(data: Mapping[str, Any]) -> dict[str, Any]:
    return {key: tuple(value) if isinstance(value, list) else value for key, value in data.items()}


def images(data: Mapping[str, Any]) -> ProjectedData:
    """A data set of this name, these classes and these numbers of images."""
    return ProjectedData(**_with_tuples(data))


def projection(**changes: Any) -> Projection:
    """The same as `map_of`, read."""
    return from_values(Projection, map_of(**changes), where="map")


def write_results(folder: Path, content: StudyResults | Mapping[str, Any], name: str = "study.json") -> Path:
    """Writes results, or what another file holds, into a folder, and returns the folder."""
    folder.mkdir(parents=True, exist_ok=True)
    given = results_bytes(content) if isinstance(content, StudyResults) else to_json(content)
    (folder / name).write_bytes(given)
    return folder


def map_of(*, purity: float = 0.7, pairs: Sequence[tuple[int, int]] = ((1, 9), (3, 5)), **changes: Any) -> dict[str, Any]:
    """A projection as `tsne.json` holds it, of the paper's recipe on CIFAR-10."""
    config = profile_of("cifar10")
    recipe = {key: value for key, value in config.recipe.items() if not key.startswith("evaluate.")}
    labels = [image % 10 for image in range(60)]
    points = [[label + image / 100, label % 3 + image / 50, label % 4] for image, label in enumerate(labels)]
    content = {
        "digest": "0123456789abcdef", "profile": "cifar10", "recipe": recipe, "dataset": "cifar10", "data": WHOLE,
        "classes": list(CLASSES), "features": "embeddings", "method": "t-SNE", "perplexity": 30, "iterations": 1000,
        "points_2d": [point[:2] for point in points], "points_3d": points, "labels": labels,
        "quality": {
            "neighbours": 10, "features": {"purity": 0.75}, "2d": {"purity": purity, "trustworthiness": 0.98},
            "3d": {"purity": 0.72, "trustworthiness": 0.99},
        },
        "confused": [{"first": first, "second": second, "share": 0.1} for first, second in pairs], "note": None,
    }  # fmt: skip
    return {**content, **changes}
