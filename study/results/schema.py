"""What a `study.json` holds, as dataclasses."""

import math
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

from study.results.comparisons import ColumnSummary, Difference, Outcomes
from study.results.findings import (
    Cost,
    GridFindings,
    Looks,
    PathFindings,
    Power,
    Predictor,
    ScaleClaim,
    SearchFindings,
    TunedValue,
)
from study.results.json_values import json_field
from study.results.methods import METHOD, VICREG, EmbeddingScale, MethodFindings, TermDescription
from study.results.runs import CollapseType, RunResults
from study.spec.about import COLLAPSE
from study.spec.predictions import Prediction


@dataclass(frozen=True, kw_only=True)
class ArmCollapseType(CollapseType):
    """The collapse type that most seeds of an arm share, or how they ended; and how many each has."""

    counts: Mapping[str, int] = field(default_factory=dict)

    @property
    def marked_name(self) -> str:
        """The name; with how many of the seeds have it where they differ."""
        if len(self.counts) < 2:
            return self.name
        return f"{self.name} ({self.counts.get(self.name, 0)} of {sum(self.counts.values())} seeds)"


@dataclass(frozen=True, kw_only=True)
class ArmResults:
    """One arm at every seed.

    `role` is `arm`, `step`, `trial`, `tuning` or `control`. `settings` are all in which it differs from the recipe, `tuned`
    those of them that tuning chose. `control` names the untrained arm it is compared with. `effective` are the coefficients
    in the official code's units. `embedding_scale` is what the loss drives embeddings to; None in files of earlier versions,
    which did not record it. `published` is the published outcome, and `agrees` whether ours is like it. `summary` maps
    columns (a probe, `validation_<probe>`, `<metric>_<space>`) to their statistics over seeds.
    """

    name: str
    label: str
    is_baseline: bool
    is_control: bool
    settings: Mapping[str, Any]
    command: str
    summary: Mapping[str, ColumnSummary]
    runs: tuple[RunResults, ...]
    collapse_type: ArmCollapseType = json_field(key="verdict")
    role: str = "arm"
    reason: str | None = None
    tuned: Mapping[str, Any] = field(default_factory=dict)
    control: str | None = None
    effective: Mapping[str, float] | None = None
    embedding_scale: EmbeddingScale | None = json_field(omitted=True)
    published: Mapping[str, Any] | None = None
    agrees: bool | None = None
    outcomes: Outcomes | None = None

    def difference(self, column: str) -> Difference | None:
        """Return the difference of a column from the baseline, or None where there is none."""
        return self.summary[column].difference if column in self.summary else None

    def gain(self, column: str) -> Difference | None:
        """Return the gain of a column over the untrained control, or None where there is none."""
        return self.summary[column].gain if column in self.summary else None

    def run_at(self, seed: int) -> RunResults | None:
        """Return the run at a seed, or None where there is none."""
        return next((run for run in self.runs if run.seed == seed), None)

    def accuracies(self, probe: str) -> dict[int, float]:
        """Return seed -> test top-1 by a probe, of the runs that have one that is a number."""
        measured = {run.seed: run.test[probe].top1 for run in self.runs if probe in run.test}
        return {seed: top1 for seed, top1 in measured.items() if math.isfinite(top1)}


@dataclass(frozen=True, kw_only=True)
class DataDescription:
    """A data set: number of images of each split, `shape` (C, H, W), and `chance`, the accuracy of the largest class.

    `files` is the format of the image files that it was decoded from; None where there were none, or it was not recorded.
    """

    dataset: str
    digest: str
    train: int
    validation: int
    test: int
    classes: tuple[str, ...] = ()
    shape: tuple[int, ...] = ()
    note: str | None = None
    chance: float | None = None
    files: str | None = json_field(omitted=True)


@dataclass(frozen=True, kw_only=True)
class RecordedIdentity:
    """What decided the runs' results: digests of the code and the data, and the machinery below.

    Files of earlier versions have a digest for each module under `code`, and no `definitions`.
    """

    code: str | Mapping[str, str]
    data: str | None = json_field(omitted=True)
    machinery: Mapping[str, str] | None = json_field(omitted=True)
    definitions: Mapping[str, str] | None = json_field(omitted=True)


@dataclass(frozen=True, kw_only=True)
class Parameters:
    """What a study varies to learn of it, what it tunes in every arm, and what it holds.

    `own_nuisance` maps each arm that is tuned over more to these settings and their values; None where there is none.
    """

    scientific: tuple[str, ...]
    nuisance: Mapping[str, tuple[Any, ...]]
    fixed: Mapping[str, Any]
    own_nuisance: Mapping[str, Mapping[str, tuple[Any, ...]]] | None = json_field(omitted=True)


@dataclass(frozen=True, kw_only=True)
class StudyResults:
    """Everything a report on one study shows.

    `recipe` are the settings that all arms share, by dotted key, `overrides` those set on the command line. `environment`
    has versions and hardware. `terms` are the terms of the loss by the name they are logged under; files of earlier versions
    have none. `about` is what the question is about, where it is not accuracy; `predictions` are parts of the hypothesis
    that results judge, `predicted_after` whether these were written after the runs. `methods` is of a study whose arms
    differ in their method. `answer` says in at most 40 words what to do, and `trust` in a few sentences how far to trust it.
    `alerts` and `notes` are sentences that follow from the numbers.
    """

    study: str
    profile: str
    mode: str
    question: str
    hypothesis: str
    baseline: str
    primary: str
    data: DataDescription
    environment: Mapping[str, Any]
    answer: str
    recipe: Mapping[str, Any]
    arms: tuple[ArmResults, ...]
    about: str | None = json_field(omitted=True)
    predictions: tuple[Prediction, ...] | None = json_field(omitted=True)
    predicted_after: bool | None = json_field(omitted=True)
    command: str | None = None
    overrides: Mapping[str, Any] = field(default_factory=dict)
    terms: Mapping[str, TermDescription] | None = json_field(omitted=True)
    methods: MethodFindings | None = json_field(omitted=True)
    published_source: str | None = None
    published_coefficients: Mapping[str, Any] | None = None
    identity: RecordedIdentity | None = json_field(omitted=True)
    commits: tuple[str, ...] = ()
    parameters: Parameters | None = None
    cost: Cost | None = None
    power: Power | None = None
    looks: Looks | None = json_field(omitted=True)
    predictors: tuple[Predictor, ...] = ()
    scale: ScaleClaim | None = None
    grid: GridFindings | None = None
    tuning: tuple[TunedValue, ...] | None = None
    search: SearchFindings | None = None
    path: PathFindings | None = None
    trust: tuple[str, ...] | None = json_field(omitted=True)
    alerts: tuple[str, ...] = ()
    notes: tuple[str, ...] = ()

    @property
    def is_about_collapse(self) -> bool:
        """Whether the study asks what collapses, and not which setting is the most accurate."""
        return self.about == COLLAPSE

    def arm(self, name: str) -> ArmResults:
        """Return the arm of this name. Raise KeyError where there is none."""
        for arm in self.arms:
            if arm.name == name:
                return arm
        raise KeyError(name)

    def method_of(self, arm: ArmResults) -> str:
        """Return the name of an arm's method. Files of earlier versions do not name theirs, which is VICReg."""
        return str({**self.recipe, **arm.settings}.get(METHOD, VICREG))

    def runs_by_cell(self) -> dict[tuple[str, int], RunResults]:
        """Return the runs by (arm, seed)."""
        return {(arm.name, run.seed): run for arm in self.arms for run in arm.runs}

    def digests(self) -> set[str]:
        """Return the digests of all runs."""
        return {run.digest for arm in self.arms for run in arm.runs}
