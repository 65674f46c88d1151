"""The methods of a study as a table, and what is measured of each."""

import itertools
from collections.abc import Callable, Sequence
from typing import TypedDict

from study.analysis.by_decision import is_established, is_loss
from study.analysis.moments import LEAST_SEEDS
from study.analysis.wording import count_of, listed
from study.reporting.format import (
    Number,
    figure_of,
    is_finite,
    mean_and_sd,
    memory,
    paired,
    quantity,
    settings_lines,
)
from study.reporting.names import measure_name
from study.reporting.panels.methods import step_seconds
from study.reporting.panels.panel import Panel
from study.results.comparisons import Difference
from study.results.methods import ComparedMethod, MethodFindings
from study.results.schema import ArmResults, StudyResults
from study.results.timing import Timing

ESTABLISHED, A_LOSS, NOT_ESTABLISHED = "established", "a loss", "not established"  # of gains over untrained networks
Column = tuple[str, Callable[[ArmResults], str]]


class MethodsView(TypedDict):
    """What the sections on methods print.

    `columns` and `rows` are the table of methods, `keys` its arms. `probed` is a table of what each method is and what is
    measured of it. `losses` are the figures of each method's loss under its title. `similarity` says how to read the map.
    """

    columns: list[str]
    rows: list[list[str]]
    keys: list[str]
    probed_columns: list[str]
    probed: list[list[str]]
    labelled: str
    front: str
    losses: list[tuple[str, list[Panel]]]
    similarity: str


def methods_view(
    study: StudyResults, trained: Sequence[ArmResults], measures: Sequence[str], timing: Timing, losses: Sequence[Panel]
) -> MethodsView | None:
    """Return what a report says of methods; None for a study that compares none.

    Args:
        study: the results.
        trained: the arms that are shown, without controls.
        measures: probes whose accuracies are shown.
        timing: what the runs took.
        losses: the figures of the methods' losses.
    """
    methods = study.methods
    if methods is None:
        return None
    arms = [arm for arm in trained if methods.of_arm(arm.name)]
    cells = [(name, [cell(arm) for arm in arms]) for name, cell in _columns(study, methods, measures, timing)]
    shown = [(name, column) for name, column in cells if any(text not in ("", "–") for text in column)]
    return {
        "columns": ["Method", *(name for name, _ in shown)],
        "rows": [[arm.label, *(column[row] for _, column in shown)] for row, arm in enumerate(arms)],
        "keys": [arm.name for arm in arms],
        "probed_columns": ["Method", "Source", "What is measured"],
        "probed": _probed(methods, arms),
        "labelled": _labelled(methods, arms),
        "front": _front(methods, arms),
        "losses": [(title, list(own)) for title, own in itertools.groupby(losses, lambda one: one["title"].split(": ")[0])],
        "similarity": _similarity(methods),
    }


def _columns(study: StudyResults, methods: MethodFindings, measures: Sequence[str], timing: Timing) -> list[Column]:
    def said(read: Callable[[ComparedMethod], str]) -> Callable[[ArmResults], str]:
        def cell(arm: ArmResults) -> str:
            found = methods.of_arm(arm.name)
            return read(found) if found else "–"

        return cell

    def accuracy(name: str) -> Callable[[ArmResults], str]:
        return lambda arm: mean_and_sd(arm.summary.get(name), name)

    probes = [(f"{measure_name(name)}, test, %", accuracy(name)) for name in measures]
    ranks = [(measure_name(name), accuracy(name)) for name in ("rankme_representations", "rankme_embeddings")]
    return [
        ("Family", said(lambda one: methods.described[one.method].family)),
        *probes,
        ("Gain over untrained, points", lambda arm: _gain(arm, study.primary)),
        ("The gain is", lambda arm: gain_decision(arm.gain(study.primary))),
        ("Collapse type", lambda arm: arm.collapse_type.marked_name),
        *ranks,
        ("Seconds a step", lambda arm: figure_of(step_seconds(arm, timing))),
        ("Operations a step", said(lambda one: _amount(one.step_operations))),
        ("Memory of its state", said(lambda one: memory(one.state_bytes))),
        ("Runs to tune it", said(lambda one: Number(str(one.tuning_runs), one.tuning_runs))),
        ("Tuned to", lambda arm: "; ".join(settings_lines(arm.tuned))),
    ]


def _gain(arm: ArmResults, primary: str) -> str:
    gain = paired(arm.gain(primary), primary)
    return Number(f"{gain['text']} {gain['interval']}".rstrip(), getattr(gain["text"], "value", None))


def gain_decision(gain: Difference | None) -> str:
    """Return whether a gain over the untrained network is established, by its adjusted p-value; empty with few seeds."""
    if gain is None or gain.n < LEAST_SEEDS:
        return ""
    if is_established(gain):
        return ESTABLISHED
    return A_LOSS if is_loss(gain) else NOT_ESTABLISHED


def _amount(value: float | None) -> Number:
    return Number(quantity(value), value) if is_finite(value) else Number("–", None)


def _probed(methods: MethodFindings, arms: Sequence[ArmResults]) -> list[list[str]]:
    """Return a row for each method: its source, and which network and embedding are measured."""
    rows = []
    for arm in arms:
        described = methods.description(arm.name)
        if described:
            rows.append([arm.label, described.source or "–", described.probed or "The network that is trained."])
    return rows


def _labelled(methods: MethodFindings, arms: Sequence[ArmResults]) -> str:
    """Return which arms take labels and what that means for them; empty where none does."""
    names = [arm.label.partition(" (")[0] for arm in arms if methods.takes_labels(arm.name)]
    if not names:
        return ""
    one = len(names) == 1
    return (f"{listed(names)} {'takes' if one else 'take'} labels: {'a control' if one else 'controls'}, never the best "
            "self-supervised method.")  # fmt: skip


def _front(methods: MethodFindings, arms: Sequence[ArmResults]) -> str:
    """Return which methods are on the Pareto front; empty where no cost is known."""
    labels = {arm.name: arm.label for arm in arms}
    names = [labels[one.arm] for one in methods.compared if one.on_front and one.arm in labels]
    if not names:
        return ""
    many = (
        f"{count_of(len(names), 'method')} are"
        if len(names) > 4
        else f"{listed(names)} {'is' if len(names) == 1 else 'are'}"
    )
    return (f"{many} on the Pareto front: no other is at least as accurate for at most as many operations. The front is of "
            "means, and no test.")  # fmt: skip


def _similarity(methods: MethodFindings) -> str:
    found = methods.similarity
    if found is None:
        return ""
    images = count_of(found.images, "test image")
    return (f"Linear CKA (arXiv 1905.00414) by the unbiased estimate of HSIC, on {images}. At 1 two "
            "networks differ by a rotation and a scale alone; near 0 they have nothing in common. One seed says nothing "
            "of its spread.")  # fmt: skip
