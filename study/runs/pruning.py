"""Decides when a search ends a run early: its embeddings stay collapsed."""

from collections.abc import Mapping, Sequence
from typing import Any

from study.runs.outcomes import DIVERGED, FINISHED, NOTHING_MEASURED, PRUNED
from study.runs.run import Run
from vicreg.evaluation.collapse_diagnosis import diagnose_collapse
from vicreg.methods import target_std_of


def prune_reason(history: Sequence[Mapping[str, Any]], run: Run, prune_after: int | None) -> str | None:
    """Return why a run whose log has come so far is ended, or None where it goes on.

    The log alone decides, so an interrupted run is pruned at the epoch at which it would have been otherwise.

    Args:
        history: a record an epoch.
        run: the run; nothing is pruned during its warm-up.
        prune_after: end it once it has been collapsed completely for so many epochs in a row; None for never.
    """
    if prune_after is None or len(history) <= run.config.pretrain.warmup_epochs + prune_after:
        return None
    pretrain = run.config.pretrain
    target_std = target_std_of(pretrain.method, pretrain.method_settings)
    named = [
        diagnose_collapse(
            embeddings=one["embeddings"],
            representations=one["representations"],
            knn_accuracy=None,
            chance=None,
            images=None,
            dimensions=None,  # of a complete collapse alone, whose bounds they do not change
            target_std=target_std,
        )  # fmt: skip
        for one in history[-prune_after:]
    ]
    if not all(one.name == "complete" for one in named):
        return None
    epochs = f"{prune_after} epoch{'s' if prune_after > 1 else ''}"
    return f"complete collapse for {epochs}, at epoch {len(history)}: {named[-1].reason}"


def apply_pruning(result: Mapping[str, Any], run: Run, prune_after: int | None) -> Mapping[str, Any]:
    """Return a run's result as a search sees it that prunes after so many epochs.

    Another command may have trained the run beyond the epoch at which the search would have ended it. The search then
    sees `pruned`, the log up to that epoch, and no measurement.
    """
    if result["status"] not in (FINISHED, DIVERGED):
        return result
    for epochs in range(1, len(result["history"]) + 1):
        history = result["history"][:epochs]
        if reason := prune_reason(history, run, prune_after):
            return {**result, "status": PRUNED, "reason": reason, "history": history, **NOTHING_MEASURED}
    return result
