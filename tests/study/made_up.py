"""Studies of made-up runs, planned and summarised as real ones are."""

import math
import random
from collections.abc import Callable, Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any, cast

import numpy as np
import torch

from study.analysis.summary import summarise
from study.config.config import Config
from study.results.json_values import to_values
from study.results.schema import StudyResults
from study.runs.store import Store
from study.spec.names import grid_name
from study.spec.plan import Cell, Plan, Step, make_plan
from study.spec.study_file import Arm, Search, Study
from vicreg.data.dataset import Dataset

CPU = torch.device("cpu")
SPACES = ("representations", "embeddings")
SPACE = {
    "rankme": 10.0, "std_mean": 1.0, "rms_correlation": 0.1, "normalised_std": 0.9, "view_discrepancy": 0.3,
}  # fmt: skip
ARMS = (
    Arm(name="base", settings={"pretrain.nu": 1}, published={"linear": 68.6}),
    Arm(name="other", settings={"pretrain.nu": 2}, published={"collapse": True}),
    Arm(name="third", settings={"pretrain.nu": 3}),
)
GRID = tuple(
    Arm(name=grid_name(one), settings=one)
    for one in ({"pretrain.lambda": lambda_, "pretrain.mu": mu} for lambda_ in (1, 25) for mu in (1, 25))
)
RATES = {"pretrain.base_lr": (0.01, 0.1)}
RANGES: dict[str, dict[str, Any]] = {
    "pretrain.lambda": {"low": 1, "high": 100, "log": True}, "pretrain.mu": {"low": 1, "high": 100, "log": True},
    "pretrain.optimizer": {"choices": ["sgd", "lars"]},
}  # fmt: skip
COMMAND = "python -m study.ablate --study mine"
IMAGES = 40  # of test, in the digits of tests/conftest.py

Results = Mapping[tuple[str, int], Mapping[str, Any]]


# ---- runs: what a store says of one


def finished(linear: float, *, verdict: str = "healthy", knn: float = 0.5, **space: Any) -> dict[str, Any]:
    """Return a run of these accuracies, validation and test alike; `space` is measured of both spaces."""
    measured = {
        name: {"top1": value, "top5": 1.0, "per_class": [value], "confusion": [[1]]}
        for name, value in {"knn_5": knn, "linear_cached": linear}.items()
    }
    return {
        "status": "finished", "reason": None, "commit": "abc", "history": [], "validation": measured, "test": measured,
        "collapse": {name: {**SPACE, **space} for name in SPACES},
        "verdict": {"name": verdict, "reason": f"Because it is {verdict}."},
    }  # fmt: skip


def unfinished(status: str, reason: str | None = None, history: Sequence[Any] = ()) -> dict[str, Any]:
    return {
        "status": status, "reason": reason, "commit": None, "history": list(history), "validation": {}, "test": {},
        "collapse": {}, "verdict": None,
    }  # fmt: skip


def log_record(epoch: int, **logged: float) -> dict[str, Any]:
    """Return an epoch of a log with a loss and these numbers."""
    return {"epoch": epoch, "total": 1.0, **logged}


def by_seed(arm: str, values: Sequence[float], **named: Any) -> dict[tuple[str, int], Any]:
    return {(arm, seed): finished(value, **named) for seed, value in enumerate(values)}


def lifelike(
    name: str, seed: int, linear: float, *, verdict: str = "healthy", rank: float = 12.0, std: float = 0.9, epochs: int = 6,
    images: int = IMAGES, eigenvalues: int = 16,
) -> dict[str, Any]:  # fmt: skip
    """Return a run with all that a real one has: log, spectra, confusion, which images were right."""
    draw = random.Random(f"{name} {seed}")
    history = [_epoch(draw, epoch, rank, std) for epoch in range(1, epochs + 1)]
    collapse = {space: _geometry(rank * (1 + 0.1 * draw.random()), std, eigenvalues) for space in SPACES}
    validation, test = (
        {
            probe: _measured(draw, linear - cost, images)
            for probe, cost in (("knn_5", 0.04), ("knn_20", 0.03), ("linear_cached", 0.0))
        }
        for _ in range(2)
    )
    return {
        "status": "finished", "reason": None, "commit": "0123456789ab", "history": history, "validation": validation,
        "test": test, "collapse": collapse, "verdict": {"name": verdict, "reason": f"Because it is {verdict}."},
        "images_per_second": [1000.0 + 100 * draw.random() for _ in history],
    }  # fmt: skip


def _measured(draw: random.Random, share: float, images: int) -> dict[str, Any]:
    """Return a probe's record around a share: labels go round ten classes, and a wrong image is called the next class."""
    right = [draw.random() < share for _ in range(images)]
    confusion = [[0] * 10 for _ in range(10)]
    for image, hit in enumerate(right):
        confusion[image % 10][image % 10 if hit else (image + 1) % 10] += 1
    return {
        "top1": sum(right) / images, "top5": 1.0, "per_class": [row[at] / sum(row) for at, row in enumerate(confusion)],
        "confusion": confusion, "correct": bits(right),
    }  # fmt: skip


def bits(right: Sequence[bool]) -> str:
    """Return `Accuracy.correct` of images that were right or not."""
    return np.packbits(np.array(right, dtype=bool)).tobytes().hex()


def _geometry(rank: float, std: float, eigenvalues: int) -> dict[str, Any]:
    return {
        "std_mean": std, "std_min": std / 2, "std_quantiles": [std] * 5, "normalised_std": min(1.0, 0.8 * std),
        "dead_share": 0.0, "rankme": rank, "participation_ratio": rank / 2, "rms_correlation": 1 / math.sqrt(rank),
        "uniformity": -2.0 - rank / 50,
        "alignment": 0.3, "view_discrepancy": 0.2 + 1 / rank,
        "spectrum": [std**2 * math.exp(-3 * place / rank) for place in range(eigenvalues)],
    }  # fmt: skip


def _epoch(draw: random.Random, epoch: int, rank: float, std: float) -> dict[str, Any]:
    done = 1 - math.exp(-epoch / 3)
    now = std + (0.4 - std) * math.exp(-epoch)
    traced = {key: value for key, value in _geometry(5 + (rank - 5) * done, now, 1).items() if key in TRACED}
    terms = {
        "invariance": now * (0.5 - 0.3 * done) * draw.uniform(0.9, 1.1), "variance": max(0.0, 1 - now),
        "covariance": 10 * now**2 / done * draw.uniform(0.9, 1.1),
    }  # fmt: skip
    weighted = {f"weighted_{name}": 25 * value if name != "covariance" else value for name, value in terms.items()}
    return {
        "epoch": epoch, **terms, **weighted, "total": sum(weighted.values()), "learning_rate": 0.1, "gradient_norm": 1.0,
        "embedding_std_mean": now, "embedding_std_min": now / 2, "embedding_share_below_gamma": 1.0,
        "representations": traced, "embeddings": traced,
    }  # fmt: skip


TRACED = ("std_mean", "std_min", "normalised_std", "rankme", "rms_correlation", "dead_share")


class Shelf:
    """A store that holds what it is given: (arm, seed) -> what a run came to."""

    root = Path("nowhere")

    def __init__(self, plan: Plan, results: Results) -> None:
        self._results: dict[str, Mapping[str, Any]] = {cell.run.digest: unfinished("missing") for cell in plan.cells}
        for cell in plan.cells:  # of which two can be one run, and then it is enough to say of one how it ended
            if (cell.arm, cell.seed) in results:
                self._results[cell.run.digest] = results[cell.arm, cell.seed]

    def are_weights_whole(self, digest: str) -> bool:
        return False

    def result(self, run: Any) -> dict[str, Any]:
        told = {
            "seed": run.config.pretrain.seed, "digest": run.digest, "effective_coefficients": None, "images_per_second": [],
            "joules": None,
        }  # fmt: skip
        return {**told, **self._results[run.digest]}


# ---- plans: what a study of each mode asks for, where its runs have come out


def study(arms: Sequence[Arm] = ARMS, *, source: str | None = "a paper", mode: str = "arms", **changes: Any) -> Study:
    search = Search(parameters=RANGES, trials=2, batch=2, seed=0, objective="linear_cached", prune_after=1)
    given: dict[str, Any] = {
        "name": "mine", "question": "Does it?", "hypothesis": "It does.", "mode": mode, "baseline": arms[0].name,
        "settings": {}, "arms": tuple(arms), "search": search if mode == "search" else None, "seeds": None,
        "published_source": source,
    }  # fmt: skip
    return Study(**{**given, **changes})


class Plans:
    """Plans under one config, and the summary of any of them from made-up runs."""

    def __init__(self, config_of: Callable[..., Config], dataset: Dataset) -> None:
        self.config_of, self.dataset = config_of, dataset

    def plan(
        self, asked: Study, *, seeds: Sequence[int] = (0, 1, 2), settings: Mapping[str, Any] | None = None, **named: Any
    ) -> Plan:
        config = self.config_of({"ablate.probes": ["knn", "linear_cached"], **(settings or {})})
        return make_plan(asked, config, data=self.dataset.digest, device=CPU, seeds=seeds, **named)

    def search(self, trials: Sequence[Mapping[str, Any]], *, best: int = 0, **changes: Any) -> Plan:
        """Return a search of these trials, of which one was then confirmed as `best`."""
        asked = study(ARMS[:1], mode="search", **changes)
        plan = self.plan(asked, arms=[*ARMS[:1], Arm(name="best", settings=trials[best])])
        cells: list[Cell] = []
        for number, settings in enumerate(trials):
            arm = Arm(name=f"trial-{number:03d}", settings=settings)
            cells += self.plan(asked, arms=[arm], seeds=(1000 + number % 3,), role="trial").cells
        return replace(plan.with_cells(cells), front=(f"trial-{best:03d}",))

    def path(self, means: Sequence[Mapping[str, float | None]]) -> Plan:
        """Return a walk from nu 1, mu 25 to nu 2, mu 5, nu first; `means` are the alternatives' of both rounds."""
        far = Arm(name="far", settings={"pretrain.nu": 2, "pretrain.mu": 5})
        asked = study((Arm(name="base", settings={"pretrain.nu": 1, "pretrain.mu": 25}), far), mode="path", path="far")
        one = [
            Arm(name="step-1-nu", settings={"pretrain.nu": 2, "pretrain.mu": 25}),
            Arm(name="step-1-mu", settings={"pretrain.nu": 1, "pretrain.mu": 5}),
        ]
        two = [Arm(name="step-2-mu", settings={"pretrain.nu": 2, "pretrain.mu": 5})]
        steps = (
            Step(key="pretrain.nu", old=1, new=2, arm="step-1-nu", alternatives=means[0]),
            Step(key="pretrain.mu", old=25, new=5, arm="step-2-mu", alternatives=means[1]),
        )
        plan = self.plan(asked).with_cells(self.plan(asked, arms=[*one, *two], role="step").cells)
        return replace(plan, path=steps, notes=("The path walks to far.",))

    def tuned(self, chosen: Mapping[str, float]) -> Plan:
        """Return two arms, each at the learning rate that was chosen for it of `RATES`."""
        asked = study(ARMS[:2], nuisance=RATES)
        cells = []
        for arm in asked.arms:
            tried = [
                Arm(name=f"{arm.name}@{grid_name(one)}", settings={**arm.settings, **one})
                for one in asked.combinations_of(arm.name)
            ]
            made = self.plan(asked, arms=tried, seeds=(2000,), role="tuning").cells
            cells += [replace(cell, tunes=arm.name) for cell in made]
        plan = self.plan(asked, tuned={name: {"pretrain.base_lr": value} for name, value in chosen.items()})
        return plan.with_cells(cells)

    def results(
        self, runs: Results, *, of: Plan | None = None, asked: Study | None = None, command: str = COMMAND, **named: Any
    ) -> StudyResults:
        """Return the results of a plan, or of the arms of a study at three seeds."""
        plan = of or self.plan(asked or study(), **named)
        return summarise(plan, cast(Store, Shelf(plan, runs)), self.dataset, command=command, overrides={})

    def summary(self, runs: Results, **named: Any) -> dict[str, Any]:
        """Return the same as the plain values that are written."""
        return to_values(self.results(runs, **named))


def lifelike_results(
    plan: Plan, outcome_of: Callable[[str, int], Mapping[str, Any]] = lambda arm, seed: {}
) -> dict[Any, Any]:
    """Return a lifelike run for every cell of a plan; `outcome_of` may name its accuracy, verdict, rank and std."""
    results = {}
    for cell in plan.cells:
        given = {"linear": 0.8, **outcome_of(cell.arm, cell.seed)}
        epochs = cell.run.config.pretrain.epochs
        results[cell.arm, cell.seed] = given.get("run") or lifelike(cell.arm, cell.seed, epochs=epochs, **given)
    return results


def arm_of(summary: Mapping[str, Any], name: str) -> dict[str, Any]:
    (arm,) = [arm for arm in summary["arms"] if arm["name"] == name]
    return arm
