"""Writes the results of a study, for reports and for DVC."""

from pathlib import Path

from study.results.files import FILE, results_bytes
from study.results.schema import ArmResults, StudyResults
from vicreg.files import to_csv, to_json, write_atomically

METRICS = ("knn_20", "rankme_representations", "rankme_embeddings", "std_mean_embeddings")  # beside the primary accuracy


def write_results(out: Path, results: StudyResults) -> None:
    """Write `study.json` for the report, and beside it `metrics.json` and `history.csv` for DVC.

    Raises:
        InputError: where the disk is full or may not be written.
    """
    measured = [arm for arm in results.arms if arm.summary]
    columns = (METRICS[0], results.primary, *METRICS[1:])
    metrics = {
        arm.name: {"verdict": arm.collapse_type.marked_name}
        | {name: round(arm.summary[name].mean, 4) for name in columns if name in arm.summary}
        for arm in measured
    }
    write_atomically(out / FILE, results_bytes(results))
    write_atomically(out / "metrics.json", to_json(metrics))
    rows = [row for arm in measured for row in _log(arm)]
    logged = ("arm", "seed", "epoch", "total", "rankme_embeddings", "std_mean_embeddings")
    write_atomically(out / "history.csv", to_csv(logged, rows))


def _log(arm: ArmResults) -> list[tuple[object, ...]]:
    """Return a row for each epoch of an arm's runs."""
    rows = []
    for run in arm.runs:
        for record in run.history:
            trace = record.embeddings
            numbers = [record.total, *((None, None) if trace is None else (trace.rankme, trace.std_mean))]
            shown = ["" if number is None else f"{number:.6g}" for number in numbers]
            rows.append((arm.name, run.seed, record.epoch, *shown))
    return rows
