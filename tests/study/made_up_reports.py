"""Made-up studies with all that a report shows: one of every mode, and what other stages give to a report."""

import hashlib
import random
from collections.abc import Mapping, Sequence
from typing import Any

import pytest

from study.projection.results import Projection
from study.reporting.figures import (
    classes,
    collapse_rows,
    correlations,
    curves,
    dots,
    forest,
    maps,
    method_plane,
    phase_diagram,
    scatter,
    search,
    similarity,
    trials,
)
from study.reporting.inputs import Evaluation, Inputs, ProbePoint, Timing
from study.reporting.render import render
from study.reporting.view.build import View, build_view
from study.results.certificate import certificate_from_values, certified
from study.results.files import results_from_values
from study.results.json_values import from_values
from study.results.schema import ArmResults
from study.spec.study_file import Arm
from tests.study.made_up import GRID, Plans, lifelike_results, study, unfinished

TABLE_7 = [  # lambda, mu, nu, published accuracy, verdict here, linear share here, rank of both spaces, std
    (1, 0, 0, None, "complete", 0.42, 1.5, 1e-5),
    (25, 0, 1, None, "complete", 0.41, 1.4, 2e-5),
    (0, 25, 1, None, "view-dependent", 0.32, 14.0, 1.0),
    (1, 1, 0, 57.5, "informational", 0.61, 6.0, 0.99),
    (1, 1, 1, None, "dimensional", 0.70, 3.0, 0.4),
    (1, 10, 1, None, "healthy", 0.85, 12.0, 0.97),
    (10, 1, 1, None, "dimensional", 0.58, 3.5, 0.2),
    (5, 5, 1, 68.1, "healthy", 0.88, 11.0, 0.9),
    (10, 10, 1, 68.2, "healthy", 0.90, 10.0, 0.95),
    (25, 25, 1, 68.6, "healthy", 0.92, 9.0, 0.98),
    (50, 50, 1, 68.3, "healthy", 0.91, 8.0, 0.99),
]
FEW = [TABLE_7[0], TABLE_7[3], TABLE_7[9]]


def table_7(
    plans: Plans, rows: Sequence[tuple] = FEW, *, seeds: Sequence[int] = (0, 1, 2), lost: Mapping[Any, Any] | None = None
) -> dict[str, Any]:
    """The summary of these rows of the VICReg paper's Table 7 as arms; `lost` are runs that ended otherwise."""
    names = {"-".join(map(str, row[:3])): row for row in rows}
    arms = tuple(
        Arm(
            name=name, settings={"pretrain.lambda": row[0], "pretrain.mu": row[1], "pretrain.nu": row[2]},
            published={"linear": row[3]} if row[3] else {"collapse": True},
        )
        for name, row in names.items()
    )  # fmt: skip
    asked = study(
        arms, name="lambda-mu-nu", baseline="25-25-1",
        question="Which balance of the three terms trains, and which collapses?",
        source="arXiv 2105.04906, Table 7; ImageNet, ResNet-50, 100 epochs, linear top-1",
    )  # fmt: skip
    plan = plans.plan(asked, seeds=seeds)

    def outcome_of(arm: str, seed: int) -> dict[str, Any]:
        if arm not in names:
            return {"linear": 0.5, "rank": 9.0, "std": 0.3}
        _, _, _, _, verdict, linear, rank, std = names[arm]
        return {"linear": linear, "rank": rank, "std": std, "verdict": verdict}

    return plans.summary({**lifelike_results(plan, outcome_of), **(lost or {})}, of=plan)


def every_mode(plans: Plans) -> dict[str, dict[str, Any]]:
    """A study of each mode and kind, with runs that were lost among them."""
    grid = plans.plan(study(GRID, mode="grid"))
    trials = [
        {
            "pretrain.lambda": 1 + 9 * number % 100,
            "pretrain.mu": 1 + 17 * number % 100,
            "pretrain.optimizer": ("sgd", "lars")[number % 2],
        }
        for number in range(22)
    ]
    search = plans.search(trials, best=3)
    found = lifelike_results(
        search, lambda arm, seed: {"linear": 0.5 + 0.02 * (int(arm[-3:]) if arm.startswith("trial") else 15)}
    )
    found["trial-002", 1002] = unfinished("pruned", "complete collapse for 1 epoch, at epoch 2")
    path = plans.path([{"step-1-nu": 0.9, "step-1-mu": 0.85}, {"step-2-mu": 0.95}])
    tuned = plans.tuned({"base": 0.1, "other": 0.01})
    tried = lifelike_results(tuned)
    tried["other@baselr0.1", 2000] = unfinished("diverged", "the loss was not finite at step 12")
    return {
        "arms": table_7(plans, lost={("1-1-0", 1): unfinished("killed", "killed by signal 9")}),
        "grid": plans.summary(
            lifelike_results(grid, lambda arm, seed: {"linear": 0.6 + 0.1 * ("λ25" in arm), "rank": 9.0}), of=grid
        ),
        "search": plans.summary(found, of=search),
        "path": plans.summary(lifelike_results(path, lambda arm, seed: {"linear": 0.6 if arm == "base" else 0.8}), of=path),
        "tuned": plans.summary(tried, of=tuned),
    }


def inputs_of(
    summary: Mapping[str, Any], *, project: Any = None, evaluation: Any = None, curves: Sequence[Any] = (),
    certificate: Any = None, timing: Any = None,
) -> Inputs:  # fmt: skip
    """What a report is made from, given what its files hold."""
    study = results_from_values(summary, where="summary")
    held = certificate_from_values(certificate, where="certificate") if certificate else None
    return Inputs(
        study=study,
        projection=from_values(Projection, project, where="project") if project else None,
        evaluation=from_values(Evaluation, evaluation, where="evaluation") if evaluation else None,
        curves=tuple(ProbePoint(*row) for row in curves),
        certificate=certified(held, study),
        timing=from_values(Timing, timing or {"runs": {}}, where="timing"),
    )


RUN = {
    "digest": "0123456789abcdef", "status": "finished", "verdict": None, "history": [], "validation": {}, "test": {},
    "collapse": {},
}  # fmt: skip
ARM = {
    "name": "a", "label": "a", "is_baseline": False, "is_control": False, "settings": {}, "command": "run it", "summary": {},
    "verdict": {"name": "healthy"},
}  # fmt: skip


def arm_with(runs: Sequence[Mapping[str, Any]], **changes: Any) -> ArmResults:
    """An arm with these runs, each given by what a test is about; seeds count from zero."""
    whole = [{**RUN, "seed": seed, **run} for seed, run in enumerate(runs)]
    return from_values(ArmResults, {**ARM, **changes, "runs": whole}, where="arm")


def view_of(summary: Mapping[str, Any], **others: Any) -> View:
    """The view of a report; `others` as `inputs_of` takes them."""
    return build_view(inputs_of(summary, **others))


def twins(summary: Mapping[str, Any], **others: Any) -> tuple[str, str]:
    """The HTML and the Markdown of a report; `others` as `inputs_of` takes them."""
    return render(view_of(summary, **others))


def everything(summary: Mapping[str, Any]) -> dict[str, Any]:
    """What other stages give to the report of a study, for `inputs_of`: what their files hold."""
    timing = {
        "study": summary["study"],
        "runs": {run["digest"]: {"seconds": 12.3, "joules": 45.6} for arm in summary["arms"] for run in arm["runs"]},
    }
    return {
        "project": project_of(summary),
        "evaluation": EVALUATION,
        "curves": CURVES,
        "certificate": make_certificate(summary),
        "timing": timing,
    }


def project_of(summary: Mapping[str, Any], images: int = 200) -> dict[str, Any]:
    """A t-SNE of the baseline's first run."""
    draw = random.Random(0)
    classes = summary["data"]["classes"]
    labels = [image % len(classes) for image in range(images)]
    centres = [[draw.uniform(-30, 30) for _ in range(3)] for _ in classes]
    points = [[middle + draw.gauss(0, 3) for middle in centres[label]] for label in labels]
    baseline = next(arm for arm in summary["arms"] if arm["is_baseline"])
    return {
        "digest": baseline["runs"][0]["digest"], "dataset": "digits", "classes": classes, "features": "representations",
        "perplexity": 30, "points_2d": [point[:2] for point in points], "points_3d": points, "labels": labels, "note": None,
        "confused": [{"first": 3, "second": 9, "share": 0.089}],
        "quality": {
            "neighbours": 10, "features": {"purity": 0.86}, "2d": {"purity": 0.87, "trustworthiness": 0.997},
            "3d": {"purity": 0.88, "trustworthiness": 0.998},
        },
    }  # fmt: skip


EVALUATION = {
    "digest": hashlib.sha256(b"another run").hexdigest()[:16],
    "trained": {"knn_5": 0.9611, "knn_20": 0.94, "linear": 0.9777, "linear_cached": 0.981},
    "control": {"knn_5": 0.95, "knn_20": 0.93, "linear": 0.9444, "linear_cached": 0.969},
}  # fmt: skip
CURVES = [
    (network, split, epoch, round(top - 0.5 / epoch, 4))
    for network, top in (("pretrained", 0.97), ("untrained", 0.9))
    for split in ("validation", "test")
    for epoch in range(1, 6)
]


def make_certificate(study: Mapping[str, Any]) -> dict[str, Any]:
    """What `study.verify` writes: of the first two runs that finished one came out alike, and the other did not."""
    runs = [(arm, run) for arm in study["arms"] for run in arm["runs"] if run["status"] == "finished"]
    outcomes = (("bit-identical", 0.0, [], "identical"), ("not reproduced", 0.025, ["test.linear_cached.top1"], "differ"))
    return {
        "study": study["study"], "tolerance": 0.0, "environment": study["environment"], "sentence": "As of another day.",
        "runs": [
            {
                "arm": arm["name"], "label": arm["label"], "seed": run["seed"], "digest": run["digest"], "outcome": outcome,
                "status": "finished", "status_again": "finished", "differing": differing, "differing_count": len(differing),
                "weights": weights, "largest_difference": largest,
            }
            for (arm, run), (outcome, largest, differing, weights) in zip(runs, outcomes)
        ],
    }  # fmt: skip


DRAWN = {
    classes: ("class_accuracies", "confusion_matrix"), collapse_rows: ("collapse_rows",),
    correlations: ("correlation_plot",), curves: ("curves",),
    dots: ("dot_plot",), forest: ("forest_plot",), maps: ("map_2d", "map_3d"), phase_diagram: ("phase_diagram",),
    scatter: ("scatter_plot",), search: ("search_history", "importance_bars"),
    trials: ("plane_of_trials", "parallel_trials"), method_plane: ("method_plane",), similarity: ("similarity_map",),
}  # fmt: skip


def without_figures(patch: pytest.MonkeyPatch) -> None:
    """Puts an empty drawing in the place of every figure, for tests of the text: drawing is what takes the time."""
    for module, names in DRAWN.items():
        for name in names:
            patch.setattr(module, name, lambda *_, **__: '<svg viewBox="0 0 1 1"></svg>')
