"""The stage `pretrain`: the baseline, trained once; its weights under `models/baseline`, its log under `results/`."""

import csv
import shutil
from pathlib import Path

from study.cli.command import run_command
from study.config.values import flatten
from study.runs.baseline import MODEL, baseline_run
from study.runs.store import FINISHED, execute
from vicreg.errors import InputError
from vicreg.files import to_json, write_atomically

RESULTS = Path("results/pretrain")


def main() -> None:
    run, store, dataset, device = baseline_run()
    execute(run, store=store, dataset=dataset, device=device, on_epoch=lambda record: print(describe(record), flush=True))
    result = store.result(run)
    if result["status"] != FINISHED:
        raise InputError(f"the baseline must train to its end, but ended as {result['status']} ({result['reason']}).")
    MODEL.mkdir(parents=True, exist_ok=True)
    shutil.copyfile(store.folder(run.digest) / "model.safetensors", MODEL / "model.safetensors")
    described = {"settings": dict(run.identity.settings), "effective_coefficients": result["effective_coefficients"]}
    write_atomically(MODEL / "run.json", to_json({"digest": run.digest, **described}))
    rows = [flatten(record) for record in result["history"]]
    RESULTS.mkdir(parents=True, exist_ok=True)
    with open(RESULTS / "history.csv", "w", newline="") as file:
        writer = csv.DictWriter(file, fieldnames=list(rows[0]) if rows else ["epoch"])
        writer.writeheader()
        writer.writerows(rows)
    write_atomically(RESULTS / "metrics.json", to_json(rows[-1] if rows else {}))


def describe(record: dict) -> str:
    trace = record["embeddings"]
    return (
        f"epoch {record['epoch']}: loss {record['total']:.3f} = invariance {record['weighted_invariance']:.3f} + variance "
        f"{record['weighted_variance']:.3f} + covariance {record['weighted_covariance']:.3f}; RankMe {trace['rankme']:.1f}, "
        f"std {trace['std_mean']:.3f}; {record['images_per_second']:.0f} images/s"
    )


if __name__ == "__main__":
    run_command(main)
