"""Curves of what was logged, of spectra and of linear evaluation."""

from collections.abc import Sequence

from study.reporting.figures import curves
from study.reporting.figures.curves import MANY_ARMS, Line, LineStyle, RunEnd
from study.reporting.format import is_finite
from study.reporting.inputs import ProbePoint
from study.reporting.names import measure_name
from study.reporting.panels.lines import (
    histories,
    in_percent,
    lines_table,
    probe_curve,
    run_ends,
    spectrum,
    style_of,
    trace,
)
from study.reporting.panels.panel import Panel, make_panel
from study.reporting.terms import TOTAL, terms_of, titled
from study.results.schema import ArmResults, StudyResults
from study.results.training_images import saw_validation

SPACES = {"representations": "representations Y", "embeddings": "embeddings Z"}
TRACES = {  # path in an epoch's record -> title, whether the axis is logarithmic
    "embeddings.rankme": ("RankMe of the embeddings", False),
    "embeddings.std_mean": ("Mean standard deviation of the embeddings", True),
    "representations.rankme": ("RankMe of the representations", False),
    "embeddings.rms_correlation": ("Root-mean-square correlation of the embeddings", False),
}
MANY_METHODS = 30  # beyond this, lines of methods have no names
# Of methods: a standard deviation that does not depend on the scale, which most of them leave free.
TRACES_OF_METHODS = {
    key.replace("std_mean", "normalised_std"): ("Normalised standard deviation of the embeddings", False)
    if key.endswith("std_mean") else shown
    for key, shown in TRACES.items()
}  # fmt: skip


def loss_panels(study: StudyResults, trained: Sequence[ArmResults]) -> list[Panel]:
    """Return the loss term by term, and the accuracies that were logged over epochs.

    Losses of different methods are different functions, so a study of methods has the accuracies alone.
    """
    drawn = []
    if _have_history(trained) and not study.methods:
        for key, term in [*terms_of(study).items(), ("total", TOTAL)]:
            lines = [trace(arm, key) for arm in trained]
            ends = [run_ends(arm, key) for arm in trained]
            drawn.append(epoch_panel(f"loss-{key}", titled(term), trained, lines, log=term.log_axis, ends=ends))
    knn = [in_percent(trace(arm, "knn")) for arm in trained]
    if any(x for x, _ in knn):
        images = "validation images, trained on too," if saw_validation(study) else "validation"
        drawn.append(epoch_panel("epochs-knn", f"k-NN accuracy on {images} while training, %", trained, knn,
                                  ends=[run_ends(arm, "knn", scale=100) for arm in trained],
                                 most_named=MANY_METHODS if study.methods else MANY_ARMS))  # fmt: skip
    linear = [in_percent(probe_curve(arm)) for arm in trained]
    if any(x for x, _ in linear):
        title = f"{measure_name('linear')}: test accuracy by epoch of the probe, %"
        drawn.append(epoch_panel("epochs-linear", title, trained, linear))
    return drawn


def collapse_panels(arms: Sequence[ArmResults], trained: Sequence[ArmResults], *, of_methods: bool = False) -> list[Panel]:
    """Return collapse metrics over epochs, each beside the control's own level; of methods those that compare them."""
    if not _have_history(trained):
        return []
    return [
        epoch_panel(
            f"collapse-{key.replace('.', '-').replace('_', '-')}", title, trained, [trace(arm, key) for arm in trained],
            log=log, reference=_untrained(arms, key), from_zero=not log, ends=[run_ends(arm, key) for arm in trained],
            most_named=MANY_METHODS if of_methods else MANY_ARMS,
        )
        for key, (title, log) in (TRACES_OF_METHODS if of_methods else TRACES).items()
    ]  # fmt: skip


def spectrum_panels(arms: Sequence[ArmResults], *, most_named: int = MANY_ARMS) -> list[Panel]:
    """Return the eigenvalues of each space at the end, from the largest."""
    lines = {space: [spectrum(arm, space) for arm in arms] for space in SPACES}
    if not any(x for of_space in lines.values() for x, _ in of_space):
        return []
    styles = [style_of(arm) for arm in arms]
    return [
        make_panel(
            f"spectrum-{space}", f"Spectrum of the {title}",
            curves.curves(styles, lines[space], log=True, xlabel="eigenvalue, from the largest", log_x=True,
                          what="eigenvalue no.", most_named=most_named),
            lines_table(styles, lines[space], "no."),
        )
        for space, title in SPACES.items()
    ]  # fmt: skip


def probe_panels(points: Sequence[ProbePoint]) -> list[Panel]:
    """Return the linear protocol epoch by epoch, a line a network."""
    drawn = []
    for split in ("test", "validation"):
        lines: dict[str, Line] = {}
        for point in points:
            if point.split == split:
                x, y = lines.setdefault(point.network, ([], []))
                x.append(point.epoch)
                y.append((100 * point.top1, 100 * point.top1, 100 * point.top1))
        if lines:
            styles: list[LineStyle] = [
                {"label": name, "is_control": name == "untrained", "is_baseline": name == "pretrained", "type": None}
                for name in lines
            ]
            title = f"{measure_name('linear')}, {split} accuracy in %, by epoch of the probe"
            shown = list(lines.values())
            drawn.append(
                make_panel(f"probe-{split}", title, curves.curves(styles, shown), lines_table(styles, shown, "epoch"))
            )
    return drawn


def _have_history(trained: Sequence[ArmResults]) -> bool:
    return any(histories(arm) for arm in trained)


def epoch_panel(
    name: str, title: str, arms: Sequence[ArmResults], lines: Sequence[Line], *, log: bool = False,
    reference: tuple[str, float] | None = None, from_zero: bool = False,
    ends: Sequence[Sequence[RunEnd]] = (), most_named: int = MANY_ARMS,
) -> Panel:  # fmt: skip
    """Return a figure of one quantity over epochs, a line an arm."""
    styles = [style_of(arm) for arm in arms]
    svg = curves.curves(styles, lines, log=log, reference=reference, from_zero=from_zero, ends=ends, most_named=most_named)
    return make_panel(name, title, svg, lines_table(styles, lines, "epoch"))


def _untrained(arms: Sequence[ArmResults], key: str) -> tuple[str, float] | None:
    """Return the control's own level of a traced quantity, where there is one control to name."""
    space, _, metric = key.partition(".")
    columns = [arm.summary.get(f"{metric}_{space}") for arm in arms if arm.is_control]
    if len(columns) != 1 or columns[0] is None or not is_finite(columns[0].mean):
        return None
    return "untrained", columns[0].mean
