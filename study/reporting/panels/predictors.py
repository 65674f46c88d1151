"""Which collapse metrics go with accuracy."""

from study.analysis.predictors import LEAST_SETTINGS, ranked
from study.reporting.figures import correlations, scatter
from study.reporting.figures.correlations import Correlated, CorrelationRow
from study.reporting.figures.points import Point
from study.reporting.format import figure_of, is_finite
from study.reporting.names import metric_name
from study.reporting.panels.panel import Panel, make_panel
from study.reporting.selection import trained_arms
from study.results.comparisons import Correlation
from study.results.schema import StudyResults

LOGARITHMIC = ("rankme", "participation_ratio")
# The literature disagrees about RankMe, so it is always shown, in both spaces.
ALWAYS = (("rankme", "embeddings"), ("rankme", "representations"))


def predictor_panels(study: StudyResults) -> list[Panel]:
    """Return the rank correlations, and some metrics against accuracy; nothing without correlations."""
    found = ranked(study.predictors)
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
    return [drawn, *(_against_accuracy(study, metric, space) for metric, space in shown)]


def _correlated(found: Correlation) -> Correlated:
    return {"value": found.value, "low": found.low, "high": found.high}


def _against_accuracy(study: StudyResults, metric: str, space: str) -> Panel:
    """Return one metric against test accuracy, a point for each run that the correlation counts, trials among them."""
    name = metric_name(metric, space)
    points: list[Point] = []
    rows, settings = [], []
    drawn: set[str] = set()
    for arm in trained_arms(study.arms):
        for run in arm.runs:
            if run.digest in drawn:
                continue
            drawn.add(run.digest)
            top1 = run.test_top1(study.primary)
            x = None if top1 is None else run.metric(metric, space)
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
    return make_panel(f"predictor-{metric.replace('_', '-')}-{space}", f"{name} against test accuracy, one point for "
                                                                       "each run", svg,
                      (["Run", name, "Test, %", "Collapse type"], rows))  # fmt: skip
