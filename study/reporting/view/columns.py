"""The columns that the table of five leaves out."""

from collections.abc import Callable, Sequence
from typing import TypedDict

from study.reporting.format import Number, figure_of, mean_and_sd, outcome_lines, p_value, plain
from study.reporting.names import key_name, measure_name
from study.reporting.terms import WEIGHTS
from study.results.comparisons import ColumnSummary, Difference
from study.results.runs import SPACES
from study.results.schema import ArmResults, StudyResults

Column = tuple[str, Callable[[ArmResults], str]]  # its name, and the cell of an arm


class Table(TypedDict):
    """A table as text, a row an arm; `keys` are the arms' names."""

    columns: list[str]
    rows: list[list[str]]
    keys: list[str]


def more_table(study: StudyResults, arms: Sequence[ArmResults], measures: Sequence[str]) -> Table:
    """Return the columns that the table of five leaves out; `measures` are probes. A column without a cell is left out."""
    columns = [*_setting_columns(study, arms), *_accuracy_columns(study.primary, measures), *_test_columns(study.primary),
               *_collapse_columns(), *_published_columns()]  # fmt: skip
    cells = [(name, [cell(arm) for arm in arms]) for name, cell in columns]
    shown = [(name, column) for name, column in cells if any(text not in ("", "–") for text in column)]
    return {
        "columns": ["Setting", *(name for name, _ in shown)],
        "rows": [[arm.label, *(column[row] for _, column in shown)] for row, arm in enumerate(arms)],
        "keys": [arm.name for arm in arms],
    }


def _setting_columns(study: StudyResults, arms: Sequence[ArmResults]) -> list[Column]:
    """Return a column for each setting that some arm varies, and the weights in the official code's units."""
    keys = dict.fromkeys(key for arm in arms for key in arm.settings)
    columns: list[Column] = [(key_name(key), _setting(study, key)) for key in keys]
    if any(arm.effective and _effective(arm) != _nominal(arm, study) for arm in arms):
        columns.append(("λ, μ, ν in the official code's units", lambda arm: _weights(arm) if arm.effective else ""))
    return columns


def _setting(study: StudyResults, key: str) -> Callable[[ArmResults], str]:
    """Return what reads an arm's value of a setting, marked where tuning chose it.

    A control has the value of the arms that are compared with it; where they have several, it counts for none of them.
    """

    def cell(arm: ArmResults) -> str:
        value = arm.settings.get(key, study.recipe.get(key))
        if arm.is_control and key not in arm.settings:
            values = [one.settings.get(key, study.recipe.get(key)) for one in study.arms if one.control == arm.name]
            value = values[0] if values and all(one == values[0] for one in values) else None
        return "" if value is None else plain(value) + (" (tuned)" if key in arm.tuned else "")

    return cell


def _weights(arm: ArmResults) -> str:
    return ", ".join(figure_of(value, ".5g") for value in _effective(arm))


def _effective(arm: ArmResults) -> tuple[object, ...]:
    """Return the weights of the loss in the official code's units."""
    return tuple((arm.effective or {}).get(key) for key in WEIGHTS.values())


def _nominal(arm: ArmResults, study: StudyResults) -> tuple[object, ...]:
    """Return the weights of the loss as the arm names them."""
    return tuple(arm.settings.get(key, study.recipe.get(key)) for key in WEIGHTS)


def _accuracy_columns(primary: str, measures: Sequence[str]) -> list[Column]:
    others = [name for name in measures if name != primary]
    return [
        (f"{measure_name(primary)}, validation, %", _accuracy(f"validation_{primary}")),
        *((f"{measure_name(name)}, test, %", _accuracy(name)) for name in others),
        ("Test images, points", lambda arm: _test_error(arm.summary.get(primary))),
    ]


def _accuracy(name: str) -> Callable[[ArmResults], str]:
    return lambda arm: mean_and_sd(arm.summary.get(name), name)


def _test_columns(primary: str) -> list[Column]:
    """Return what a difference from the baseline rests on: pairs, p-value, effect size and spread."""

    def of(read: Callable[[Difference], str]) -> Callable[[ArmResults], str]:
        def cell(arm: ArmResults) -> str:
            column = arm.summary.get(primary)
            tested = column is not None and not arm.is_baseline and not arm.is_control
            return read(column.difference) if tested and column and column.difference else Number("–", None)

        return cell

    def detail(name: str, spec: str, scale: float = 1) -> Callable[[ArmResults], str]:
        return of(lambda found: figure_of(getattr(found.detail, name, None), spec, scale))

    return [
        ("n", of(lambda found: plain(found.n))),
        ("Holm's p", of(lambda found: p_value(found.p_holm))),
        ("Holm's p of the gain", lambda arm: _gain_p(arm.gain(primary))),
        ("g", detail("effect_size", "+.1f")),
        ("P(better)", detail("probability_better", ".2f")),
        ("Spread of a difference, points", detail("spread", ".2f", 100)),
        ("Degrees of freedom", detail("freedom", ".1f")),
        ("Difference: test images, points", detail("test_error", ".1f", 100)),
    ]


def _gain_p(gain: Difference | None) -> Number:
    """Return the p-value of a gain over the untrained network, adjusted over all gains."""
    return p_value(gain.p_holm) if gain else Number("–", None)


def _collapse_columns() -> list[Column]:
    return [
        ("Runs that collapsed", lambda arm: "" if arm.is_control else outcome_lines(arm.outcomes)),
        *((f"RankMe, {measure_name(f'rankme_{space}').partition(', ')[2]}",
           lambda arm, space=space: _mean(arm.summary.get(f"rankme_{space}"), ".1f")) for space in SPACES),
        ("std, emb.", lambda arm: _mean(arm.summary.get("std_mean_embeddings"))),
    ]  # fmt: skip


def _published_columns() -> list[Column]:
    return [
        ("Published", _published),
        ("Agrees with it", lambda arm: {None: "", True: "agrees", False: "differs"}[arm.agrees]),
        ("Why this setting was run", lambda arm: arm.reason or ""),
    ]


def _mean(column: ColumnSummary | None, spec: str = ".3g") -> Number:
    return figure_of(column.mean if column else None, spec)


def _test_error(column: ColumnSummary | None) -> Number:
    """Return the standard error of an accuracy from the choice of test images, in points."""
    error = figure_of(None if column is None else column.test_error, ".1f", 100)
    return error if error.value is None else Number(f"± {error}", error.value)


def _published(arm: ArmResults) -> str:
    """Return the published outcome; empty where there is none."""
    published = arm.published
    if not published:
        return ""
    if published.get("collapse"):
        return "collapse"
    return ", ".join(f"{figure_of(value, '.1f')} % {name}" for name, value in published.items())
