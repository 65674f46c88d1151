"""Writes what a study came to: for reports, `dvc metrics` and `dvc plots`."""

from collections.abc import Mapping
from pathlib import Path
from typing import Any

from vicreg.files import to_json, write_atomically

METRICS = ("knn_20", "rankme_representations", "rankme_embeddings", "std_mean_embeddings")  # beside the primary accuracy


def write_results(out: Path, summary: Mapping[str, Any]) -> None:
    """Write `study.json` for the report, and beside it `metrics.json` and `history.csv` for DVC."""
    write_atomically(out / "study.json", to_json(summary))
    measured = [arm for arm in summary["arms"] if arm["summary"]]
    columns = (METRICS[0], summary["primary"], *METRICS[1:])
    metrics = {
        arm["name"]: {"verdict": arm["verdict"]["name"]}
        | {name: round(arm["summary"][name]["mean"], 4) for name in columns if name in arm["summary"]}
        for arm in measured
    }
    write_atomically(out / "metrics.json", to_json(metrics))
    lines = ["arm,seed,epoch,total,rankme_embeddings,std_mean_embeddings\n"]
    for arm in measured:
        for run in arm["runs"]:
            for record in run["history"]:
                trace = record["embeddings"]
                numbers = f"{record['total']:.6g},{trace['rankme']:.6g},{trace['std_mean']:.6g}"
                lines.append(f"{arm['name']},{run['seed']},{record['epoch']},{numbers}\n")
    write_atomically(out / "history.csv", "".join(lines).encode())
