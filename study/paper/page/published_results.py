"""What others report, beside a measurement of the same protocol."""

from collections.abc import Sequence
from typing import TypedDict

from study.paper.evidence import ResultsByStudy, arms_of
from study.paper.protocol import barring, data_of, dataset_of, deviations, settings_of
from study.paper.published import PublishedProtocol, Series
from study.paper.wording import arm_name
from study.reporting.format import figure_of
from study.results.schema import ArmResults, StudyResults


class FieldRow(TypedDict):
    """A published number and ours, as text."""

    source: str
    protocol: str
    paper: str
    arm: str
    ours: str
    n: str


class FieldView(TypedDict):
    """The published numbers that have a measurement."""

    rows: list[FieldRow]


def field_view(published: Sequence[Series], found: ResultsByStudy) -> FieldView:
    """Return published numbers of others beside measurements of the same protocol; without one, a number is absent."""
    return {"rows": [row for series in published for row in _measured(series, found)]}


def _measured(series: Series, found: ResultsByStudy) -> list[FieldRow]:
    """Return what was measured by the protocol of a series; nothing where its protocol is not known in full."""
    if series.probe != "linear" or series.settings is None:
        return []
    on = [one for studies in found.values() for one in studies if dataset_of(one.data) == series.dataset]
    rows = [_beside(series, results, arm) for results in on for arm in arms_of(results)]
    return [row for row in rows if row is not None]


def _beside(series: Series, results: StudyResults, arm: ArmResults) -> FieldRow | None:
    """Return a published number and ours, where every setting that it gives is ours; None elsewhere."""
    own, column = settings_of(results, arm), arm.summary.get("linear")
    value = series.rows.get("all" if series.varies == "none" else own.get(series.varies))
    protocol = PublishedProtocol(
        settings=series.settings or {}, filled={}, given_settings={}, probe_settings={}, filled_probe={},
        crop_scale=own.get("pretrain.augmentation.crop_scale"),
    )  # fmt: skip
    others = [one for one in barring(deviations(own, results.data, protocol)) if not one.text.startswith("views:")]
    if column is None or value is None or others:
        return None
    return {
        "source": series.source, "protocol": series.protocol, "paper": f"{value:.2f} %",
        "arm": f"{results.study}: {arm_name(arm)} on {data_of(results.data)}",
        "ours": f"{figure_of(column.mean, '.2f', 100)} %", "n": str(column.n),
    }  # fmt: skip
