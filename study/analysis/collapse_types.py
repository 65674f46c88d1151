"""Names how an arm ended, by the collapse types of its runs."""

import dataclasses
from collections import Counter
from collections.abc import Mapping, Sequence
from typing import Any

from study.analysis.alerts import SAYS_NOTHING
from study.analysis.wording import count_of
from study.results.runs import CollapseType, RunResults
from study.results.schema import ArmCollapseType, ArmResults

UNNAMED = ArmCollapseType(name="")  # of an arm whose runs have not been looked at


def type_arm(arm: ArmResults) -> ArmResults:
    """Return an arm with the collapse type that its runs have, and whether that agrees with the published outcome."""
    shared = _shared_type(arm.runs, is_control=arm.is_control)
    return dataclasses.replace(arm, collapse_type=shared, agrees=_agrees(arm.published, shared.name))


def _shared_type(runs: Sequence[RunResults], *, is_control: bool) -> ArmCollapseType:
    """Return the collapse type most seeds share, with the reasons of the seeds that have it; of a tie the first seed's."""
    if is_control:
        return ArmCollapseType(name="untrained", reason="Initial weights: where training starts from.")
    named = [run.collapse_type or CollapseType(name=run.status, reason=run.reason or "") for run in runs]
    counts = Counter(one.name for one in named)
    name = counts.most_common(1)[0][0]
    reasons = {run.seed: one.reason for run, one in zip(runs, named, strict=True) if one.name == name}
    return ArmCollapseType(name=name, reason=_reason(reasons, of=len(runs)), counts=dict(sorted(counts.items())))


def _reason(reasons: Mapping[int, str], *, of: int) -> str:
    """Return why an arm has its collapse type: what its seeds say, each by its number where they differ."""
    (seed, first), *rest = reasons.items()
    if not first or len(reasons) == of and all(reason == first for _, reason in rest):
        return first
    return f"{len(reasons)} of {count_of(of, 'seed')}; seed {seed}: {first}"


def _agrees(published: Mapping[str, Any] | None, collapse_type: str) -> bool | None:
    """Return whether a published outcome and ours are alike: an accuracy and healthy, or a collapse in both.

    None where there is nothing to compare.
    """
    if not published or collapse_type in SAYS_NOTHING:
        return None
    return bool(published.get("collapse")) == (collapse_type != "healthy")
