"""The baseline class by class."""

from study.reporting.figures import classes as figures
from study.reporting.figures.maps import MANY_CLASSES
from study.reporting.format import figure_of
from study.reporting.names import measure_name
from study.reporting.panels.panel import Panel, make_panel
from study.reporting.selection import baseline_of
from study.results.schema import StudyResults


def class_panels(study: StudyResults) -> list[Panel]:
    """Return the baseline's accuracy of each class, and the confusion of its first run, by the primary probe."""
    classes, primary = study.data.classes, study.primary
    baseline = baseline_of(study.arms)
    tests = [(run.seed, run.test.get(primary)) for run in baseline.runs] if baseline else []
    known = [
        (seed, test.per_class) for seed, test in tests if test and test.per_class and len(test.per_class) == len(classes)
    ]
    return _accuracies(known, classes, primary) + [
        panel for seed, test in tests[:1] if test and test.confusion and len(test.confusion) == len(classes)
        for panel in [_confusion(seed, test.confusion, classes, primary)]
    ]  # fmt: skip


def _accuracies(known: list[tuple[int, tuple[float, ...]]], classes: tuple[str, ...], primary: str) -> list[Panel]:
    """Return the accuracy of each class from (seed, shares (C,)); nothing without one."""
    if not known:
        return []
    seeds, per_class = [seed for seed, _ in known], [shares for _, shares in known]
    title = f"Accuracy of each class, a dot a seed ({measure_name(primary)})"
    rows = [
        [str(name), ", ".join(figure_of(values[index], ".1f", 100) for values in per_class)]
        for index, name in enumerate(classes)
    ]
    svg = figures.class_accuracies(per_class, classes, seeds=seeds)
    return [make_panel("classes-accuracy", title, svg, (["Class", "Each seed, %"], rows))]


def _confusion(seed: int, counts: tuple[tuple[int, ...], ...], classes: tuple[str, ...], primary: str) -> Panel:
    """Return the confusion matrix of one run, with its table where classes are few."""
    title = f"Confusion on the test images, seed {seed} ({measure_name(primary)})"
    rows = [[str(name), *map(str, row)] for name, row in zip(classes, counts)]
    table = (["True class", *map(str, classes)], rows) if len(classes) <= MANY_CLASSES else None
    return make_panel("classes-confusion", title, figures.confusion_matrix(counts, classes), table)
