"""Compares what was published of an arm with ours: whether training taught the representations anything."""

import dataclasses
from collections.abc import Sequence

from study.analysis.by_decision import is_established
from study.results.schema import ArmResults
from study.runs.outcomes import DIVERGED


def with_agreement(arms: Sequence[ArmResults], *, primary: str, margin: float) -> tuple[ArmResults, ...]:
    """Return the arms with `agrees` filled in where they have a published outcome.

    A published outcome is an accuracy, or the word collapse in its place: nothing is published of the geometry of
    embeddings. So it is our accuracy that is compared, and no collapse type. A published accuracy says that representations
    were learned, a published collapse that none were. Ours were learned where the gain over the untrained network is
    established, corrected for the number of arms. They were not where the gain's own interval lies below the smallest gain
    that would matter, or where every run diverged. `agrees` is None where neither is so.

    Args:
        arms: compared, so that their summaries have gains.
        primary: the probe whose accuracy is compared.
        margin: the smallest difference that would matter, a share.
    """
    return tuple(dataclasses.replace(arm, agrees=_agrees(arm, learned(arm, primary=primary, margin=margin))) for arm in arms)


def learned(arm: ArmResults, *, primary: str, margin: float) -> bool | None:
    """Return whether an arm's training taught its representations more than an untrained network has; None if unknown."""
    if arm.runs and all(run.status == DIVERGED for run in arm.runs):
        return False
    gain = arm.gain(primary)
    if gain is None or gain.high is None:
        return None
    if is_established(gain):
        return True
    return False if gain.high < margin else None


def _agrees(arm: ArmResults, ours: bool | None) -> bool | None:
    if not arm.published or ours is None:
        return None
    return ours != bool(arm.published.get("collapse"))
