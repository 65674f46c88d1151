"""Which collapse metrics go with accuracy."""

from collections.abc import Sequence

from study.reporting.figures import correlations, scatter
from study.reporting.figures.correlations import Correlated, CorrelationRow
from study.reporting.figures.points import Point
from study.reporting.format import figure_of, is_finite
from study.reporting.names import metric_name
from study.reporting.panels.panel import Panel, make_panel
from study.results.comparisons import Correlation
from study.results.schema import ArmResults, StudyResults

LOGARITHMIC = ("rankme", "participation_ratio")
LEAST_SETTINGS = 10  # from which a metric's relation to accuracy is drawn as a line: fewer say nothing of it
# The literature disagrees about RankMe, so it is always shown, in both spaces.
ALWAYS = (("rankme", "embeddings"), ("rankme", "representations"))


def predictor_panels(study: StudyResults, trained: Sequence[ArmResults]) -> list[Panel]:
    """Return the rank correlations, and some metrics against accuracy; nothing without correlations."""
    found = study.predictors
    if not found:
        return []
    rows: list[CorrelationRow] = [
        {"label": metric_name(row.metric, row.space), "spearman": _correlated(row.spearman),
         "kendall": _correlated(row.kendall)}
        for row in found
    ]  # fmt: skip
    table = [
        [metric_name(row.metric, row.space), *(figure_of(one.value, ".2f") for one in (row.spearman, row.kendall))]
        for row in found
    ]
    drawn = make_panel("predictors", "Which collapse metric goes with accuracy", correlations.correlation_plot(rows),
                       (["Metric", "Spearman", "Kendall"], table))  # fmt: skip
    shown = dict.fromkeys([(found[0].metric, found[0].space), *ALWAYS])
    return [drawn, *(_against_accuracy(study.primary, trained, metric, space) for metric, space in shown)]


def _correlated(found: Correlation) -> Correlated:
    return {"value": found.value, "low": found.low, "high": found.high}


def _against_accuracy(primary: str, trained: Sequence[ArmResults], metric: str, space: str) -> Panel:
    """Return one metric against test accuracy, a point a run that has both."""
    name = metric_name(metric, space)
    points: list[Point] = []
    rows, settings = [], []
    for arm in trained:
        for run in arm.runs:
            top1 = run.test_top1(primary)
            x = None if top1 is None else run.collapse[space].metric(metric)
            if top1 is None or not is_finite(x):
                continue
            which = f"{arm.label}, seed {run.seed}"
            collapse_type = run.collapse_type.name if run.collapse_type else None
            tip = f"{which}: {name} {figure_of(x)}, {100 * top1:.1f} %, {collapse_type}"
            points.append({"x": x, "y": 100 * top1, "type": collapse_type, "tip": tip})
            settings.append(arm.name)
            rows.append([which, figure_of(x), figure_of(100 * top1, ".1f"), collapse_type or "–"])
    fitted = settings if len(set(settings)) >= LEAST_SETTINGS else ()
    svg = scatter.scatter_plot(points, xlabel=name, log_x=metric in LOGARITHMIC, settings=fitted)
    return make_panel(f"predictor-{metric.replace('_', '-')}-{space}", f"{name} against test accuracy, a point a run", svg,
                      (["Run", name, "Test, %", "Verdict"], rows))  # fmt: skip
