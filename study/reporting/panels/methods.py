"""Figures of a study of methods: accuracy against cost, geometry, similarity, and each method's own loss."""

import statistics
from collections.abc import Callable, Sequence

from study.reporting.figures import method_plane, similarity
from study.reporting.figures.points import Point
from study.reporting.format import figure_of, finite, is_finite
from study.reporting.names import measure_name, metric_name
from study.reporting.panels.curves import SPACES, epoch_panel
from study.reporting.panels.lines import histories, run_ends, trace
from study.reporting.panels.panel import Panel, make_panel
from study.reporting.terms import TOTAL_OF_METHOD, titled
from study.results.methods import MethodFindings
from study.results.schema import ArmResults, StudyResults
from study.results.timing import Timing

UNTRAINED_LABEL = "untrained"


def plane_panels(study: StudyResults, trained: Sequence[ArmResults], timing: Timing) -> list[Panel]:
    """Return accuracy against operations and seconds, and alignment against uniformity; nothing for other studies."""
    methods = study.methods
    if methods is None:
        return []
    of_run = {one.arm: one.run_operations for one in methods.compared}
    accuracy = f"{measure_name(study.primary)}, test, %"
    front = {one.arm for one in methods.compared if one.on_front}
    drawn = [
        _plane("methods-operations", f"{measure_name(study.primary)} against operations of a run", trained,
               lambda arm: of_run.get(arm.name), _mean(study.primary, 100), axes=("operations of a run", accuracy),
               log_x=True, front=front),
        _plane("methods-seconds", f"{measure_name(study.primary)} against seconds a step", trained,
               lambda arm: step_seconds(arm, timing), _mean(study.primary, 100), axes=("seconds a step", accuracy),
               log_x=True),
    ]  # fmt: skip
    for space, title in SPACES.items():
        names = [metric_name(metric, space) for metric in ("alignment", "uniformity")]
        drawn.append(
            _plane(f"methods-uniformity-{space}", f"Alignment and uniformity of the {title}, lower is better", trained,
                   _mean(f"alignment_{space}"), _mean(f"uniformity_{space}"), axes=(names[0], names[1]))
        )  # fmt: skip
    return [panel for panel in drawn if panel is not None]


def step_seconds(arm: ArmResults, timing: Timing) -> float | None:
    """Return the median over an arm's runs of the seconds a step; None where none was timed."""
    timed = [timing.runs[run.digest].step_seconds for run in arm.runs if run.digest in timing.runs]
    known = finite(timed)
    return statistics.median(known) if known else None


Reader = Callable[[ArmResults], float | None]


def _mean(column: str, scale: float = 1) -> Reader:
    """Return what reads the mean of a column, times `scale`."""

    def read(arm: ArmResults) -> float | None:
        return scale * arm.summary[column].mean if column in arm.summary else None

    return read


def _plane(
    name: str, title: str, arms: Sequence[ArmResults], x_of: Reader, y_of: Reader, *, axes: tuple[str, str],
    log_x: bool = False, front: set[str] | None = None,
) -> Panel | None:  # fmt: skip
    """Return the figure of two measures, a point an arm; None where no arm has both."""
    points: list[Point] = []
    names, rows, on_front = [], [], []
    for arm in arms:
        x, y = x_of(arm), y_of(arm)
        if not is_finite(x) or not is_finite(y) or (log_x and x <= 0):
            continue
        tip = f"{arm.label}: {axes[0]} {figure_of(x)}, {axes[1]} {figure_of(y)}"
        points.append({"x": x, "y": y, "type": arm.collapse_type.name, "tip": tip})
        names.append(arm.label)
        is_first = arm.name in (front or ())
        on_front += [(x, y)] if is_first else []
        rows.append([arm.label, figure_of(x), figure_of(y), *(["yes" if is_first else ""] if front else [])])
    if not points:
        return None
    svg = method_plane.method_plane(points, names, xlabel=axes[0], ylabel=axes[1], log_x=log_x, front=on_front)
    return make_panel(name, title, svg, (["Method", *axes, *(["On the front"] if front else [])], rows))


def similarity_panels(study: StudyResults) -> list[Panel]:
    """Return how alike networks' representations are; nothing where none were compared."""
    found = study.methods.similarity if study.methods else None
    if found is None:
        return []
    names = [UNTRAINED_LABEL if arm.is_control else arm.label for arm in map(study.arm, found.arms)]
    rows = [[name, *(figure_of(value, ".2f") for value in row)] for name, row in zip(names, found.values)]
    title = f"Linear CKA of the representations, debiased, seed {found.seed}"
    return [make_panel("methods-similarity", title, similarity.similarity_map(found.values, names), (["", *names], rows))]


def loss_panels_by_method(study: StudyResults, trained: Sequence[ArmResults]) -> list[tuple[str, list[Panel]]]:
    """Return (title, figures) of each method's own loss: one method's terms are never drawn beside another's."""
    methods = study.methods
    if methods is None:
        return []
    return [
        (described.called, drawn)
        for name, described in methods.described.items()
        if (drawn := _losses(methods, name, [arm for arm in trained if _is_of(methods, arm, name)]))
    ]


def _is_of(methods: MethodFindings, arm: ArmResults, name: str) -> bool:
    found = methods.of_arm(arm.name)
    return found is not None and found.method == name


def _losses(methods: MethodFindings, name: str, arms: Sequence[ArmResults]) -> list[Panel]:
    if not any(histories(arm) for arm in arms):
        return []
    described = methods.described[name]
    return [
        epoch_panel(
            f"loss-{name}-{key}".replace("_", "-"), f"{described.called}: {titled(term)}", arms,
            [trace(arm, key) for arm in arms], log=term.log_axis, ends=[run_ends(arm, key) for arm in arms],
        )
        for key, term in [*described.terms.items(), ("total", TOTAL_OF_METHOD)]
    ]  # fmt: skip
