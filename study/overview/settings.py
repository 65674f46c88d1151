"""The table of settings: a row for each, its runs inside."""

import json
from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, TypedDict

from study.reporting.format import Paired, figure_of, is_finite, mean_and_sd, no_difference, paired, percent
from study.reporting.palette import Badge, TypeView, badge, type_view
from study.reporting.selection import CHOOSING
from study.reporting.terms import WEIGHTS
from study.results.comparisons import ColumnSummary
from study.results.runs import RunResults
from study.results.schema import ArmResults, StudyResults
from study.runs.outcomes import PRUNED
from study.spec.study_file import Arm

EPOCHS = "pretrain.epochs"
STOPPED_EARLY = "stopped early"  # what a reader is told of a run that was pruned
COLUMNS = {EPOCHS: "Epochs", **{key: Arm(name="", settings={key: ""}).label.strip() for key in WEIGHTS}}


@dataclass(frozen=True, kw_only=True)
class ReportedArm:
    """An arm as one study reports it."""

    study: StudyResults
    arm: ArmResults

    @property
    def settings(self) -> dict[str, Any]:
        """All settings of its runs, by dotted key."""
        return {**self.study.recipe, **self.arm.settings}

    @property
    def column(self) -> ColumnSummary | None:
        """Its accuracy on test over seeds; None where no run has one."""
        return self.arm.summary.get(self.study.primary)

    @property
    def chooses(self) -> bool:
        """Whether it was run in order to choose, as a trial of a search is."""
        return self.arm.role in CHOOSING


class Value(TypedDict):
    """A number as text, and to sort by; None where it is missing."""

    text: str
    value: float | None


class RunRow(TypedDict):
    """One run of a setting, as text."""

    seed: str
    validation: str
    test: str
    badge: Badge
    tried: bool
    digest: str
    command: str


class SettingRow(TypedDict):
    """A setting of the table; `numbers` has a value a column of settings."""

    label: str
    others: str
    is_control: bool
    numbers: list[Value]
    validation: Value
    test: Value
    seeds: str
    collapse_type: TypeView
    borderline: str
    gain: Paired
    gain_value: float | None
    studies: list[str]
    runs: list[RunRow]


class SettingTable(TypedDict):
    """The columns of settings that differ or are always shown, and the rows."""

    columns: list[str]
    rows: list[SettingRow]


def setting_table(studies: Sequence[StudyResults]) -> SettingTable:
    """Return a row for each setting, formatted, whatever studies and arms it is part of.

    First come settings that a study reports at its seeds, the most accurate on validation first; then those that a search or
    a tuning tried in order to choose. Of either those without an accuracy come last.
    """
    groups = group_by_setting(studies)
    speakers = [speaker_of(group) for group in groups]
    keys = [key for key in COLUMNS if any(key in one.settings for one in speakers)]
    usual = _usual_values(speakers)
    by_weights = len({_frozen([one.settings.get(key) for key in WEIGHTS]) for one in speakers if not one.arm.is_control}) > 1
    rows = [
        (one.chooses, -(value if value is not None else -1.0), row["label"], row)
        for group, one in zip(groups, speakers, strict=True)
        for row in [_row(group, one, keys, usual, by_weights=by_weights)]
        for value in [row["validation"]["value"]]
    ]
    ordered = sorted(rows, key=lambda entry: entry[:3])
    return {"columns": [COLUMNS[key] for key in keys], "rows": [row for *_, row in ordered]}


def group_by_setting(studies: Sequence[StudyResults]) -> list[list[ReportedArm]]:
    """Return all arms, those of one setting together: they have all settings, data and code in common, or share a run.

    Networks that were not trained share runs across settings that do not concern them.
    """
    groups: list[list[ReportedArm]] = []
    place: dict[str, int] = {}  # of what identifies a setting
    for study in studies:
        for arm in study.arms:
            one = ReportedArm(study=study, arm=arm)
            own = list(_identities(one))
            known = sorted({place[key] for key in own if key in place})
            target = known[0] if known else len(groups)
            if not known:
                groups.append([])
            for other in known[1:]:
                groups[target] += groups[other]
                groups[other] = []
            groups[target].append(one)
            place |= {key: target if at in known else at for key, at in place.items()} | dict.fromkeys(own, target)
    return [group for group in groups if group]


def _identities(one: ReportedArm) -> Iterator[str]:
    """Yield what tells whether two arms are one setting: its runs, and its settings with the data and the code.

    The settings of an untrained network do not say which network it is, so that its runs alone do.
    """
    yield from (run.digest for run in one.arm.runs)
    if one.arm.is_control:
        return
    identity = one.study.identity
    code = (identity.code, identity.machinery) if identity is not None else None
    yield _frozen([one.study.data.digest, code, sorted(one.settings.items())])


def _frozen(value: Any) -> str:
    """Return a setting's value as text; 25 and 25.0 are one value."""
    return json.dumps(_plain(value), sort_keys=True, default=str)


def _plain(value: Any) -> Any:
    if isinstance(value, Mapping):
        return {str(key): _plain(one) for key, one in value.items()}
    if isinstance(value, (list, tuple)):
        return [_plain(one) for one in value]
    return int(value) if isinstance(value, float) and value.is_integer() else value


def speaker_of(group: Sequence[ReportedArm]) -> ReportedArm:
    """Return the arm whose numbers stand in the row: of those that chose nothing the one of most runs with a result."""
    return max(group, key=lambda one: (not one.chooses, one.column.n if one.column else 0))


def _usual_values(speakers: Sequence[ReportedArm]) -> dict[str, str]:
    """Return the value that most trained settings have, for each key that is named beside a setting where it differs.

    Such a key has no column, and settings of equally many epochs differ in it: a warm-up that goes with the epochs says
    nothing more.
    """
    trained = [one.settings for one in speakers if not one.arm.is_control]
    keys = dict.fromkeys(key for settings in trained for key in settings if key not in COLUMNS)
    usual = {}
    for key in keys:
        pairs = Counter((_frozen(settings.get(EPOCHS)), _frozen(settings.get(key))) for settings in trained)
        if len(pairs) > len({epochs for epochs, _ in pairs}):
            counts = Counter(value for (_, value), count in pairs.items() for _ in range(count))
            usual[key] = counts.most_common(1)[0][0]
    return usual


def _row(
    group: Sequence[ReportedArm], one: ReportedArm, keys: Sequence[str], usual: Mapping[str, str], *, by_weights: bool
) -> SettingRow:
    """Return the row of a setting; it is named by the weights of the loss where these differ among settings."""
    arm, column, primary = one.arm, one.column, one.study.primary
    validation = arm.summary.get(f"validation_{primary}")
    gain = arm.gain(primary)
    label, others = _names(one, usual, by_weights=by_weights)
    return {
        "label": label,
        "others": others,
        "is_control": arm.is_control,
        "numbers": [_number(None if arm.is_control and key in WEIGHTS else one.settings.get(key)) for key in keys],
        "validation": _accuracy(validation, primary),
        "test": _accuracy(column, primary),
        "seeds": str(column.n) if column else "0",
        "collapse_type": _type(arm),
        "borderline": arm.collapse_type.borderline or "",
        "gain": no_difference("control") if arm.is_control else paired(gain, primary),
        "gain_value": 100 * gain.mean if gain and is_finite(gain.mean) and not arm.is_control else None,
        "studies": list(dict.fromkeys(other.study.study for other in group)),
        "runs": _runs(group, one),
    }


def _names(one: ReportedArm, usual: Mapping[str, str], *, by_weights: bool) -> tuple[str, str]:
    """Return what a setting is called, and in what it differs from most besides."""
    if one.arm.is_control:
        return one.arm.label, ""
    settings = one.settings
    weights = Arm(name="", settings={key: settings[key] for key in WEIGHTS if key in settings}).label
    apart = {key: settings[key] for key, value in usual.items() if key in settings and _frozen(settings[key]) != value}
    others = Arm(name="", settings=apart).label
    return (weights, others) if by_weights and weights else (others or "as most settings", "")


def _type(arm: ArmResults) -> TypeView:
    """Return the type of collapse of a setting, or how its runs ended."""
    shown = type_view(arm.collapse_type)
    return {**shown, "name": STOPPED_EARLY} if shown["name"] == PRUNED else shown


def _number(value: Any) -> Value:
    return {"text": figure_of(value, "g"), "value": value if is_finite(value) else None}


def _accuracy(column: ColumnSummary | None, primary: str) -> Value:
    mean = column.mean if column else None
    return {"text": mean_and_sd(column, primary), "value": 100 * mean if is_finite(mean) else None}


def _runs(group: Sequence[ReportedArm], speaker: ReportedArm) -> list[RunRow]:
    """Return every run of a setting once; those that only tried it, and are no part of its mean, last."""
    tried = {run.digest: one.chooses and not speaker.chooses for one in group for run in one.arm.runs}
    tried |= {run.digest: False for one in group if not one.chooses for run in one.arm.runs}
    found = {run.digest: _run(one, run, tried=tried[run.digest]) for one in reversed(group) for run in one.arm.runs}
    seeds = {run.digest: run.seed for one in group for run in one.arm.runs}
    return sorted(found.values(), key=lambda row: (row["tried"], seeds[row["digest"]], row["digest"]))


def _run(one: ReportedArm, run: RunResults, *, tried: bool) -> RunRow:
    # A network that was not trained has nothing that could collapse: its embeddings are what they are.
    named = "untrained" if one.arm.is_control else run.outcome
    status = STOPPED_EARLY if run.status == PRUNED else run.status
    return {
        "seed": str(run.seed),
        "validation": percent(run.validation_top1(one.study.primary)),
        "test": percent(run.test_top1(one.study.primary)),
        "badge": badge(named if run.collapse_type else None, status),
        "tried": tried,
        "digest": run.digest,
        "command": run.command or one.arm.command,
    }
