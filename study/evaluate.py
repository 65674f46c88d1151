"""The stage `evaluate`: every probe on the baseline's weights, and on the untrained control beside them."""

from pathlib import Path
from typing import Any

from study.baseline import baseline_model, baseline_run, untrained, with_all_probes
from study.command import run_command
from study.runs import FINISHED, execute, measure
from vicreg.checkpoints import to_json, write_atomically
from vicreg.errors import InputError

RESULTS = Path("results/evaluate")


def main() -> None:
    run, store, dataset, device = baseline_run()
    run = with_all_probes(run)
    control = untrained(run, dataset=dataset, device=device)
    trained = measure(run, baseline_model(run, dataset=dataset, device=device), dataset, device)
    if (status := execute(control, store=store, dataset=dataset, device=device)) != FINISHED:
        raise InputError(f"the untrained control must be measured, but ended as {status}; run the stage again.")
    metrics = {
        "digest": run.digest,
        "verdict": trained["verdict"]["name"],
        "trained": _top1(trained),
        "control": _top1(store.result(control)),
    }
    write_atomically(RESULTS / "metrics.json", to_json(metrics))
    classes = dataset.classes
    pairs = [
        f"{classes[i]},{classes[j]}\n"
        for i, row in enumerate(trained["test"]["linear"]["confusion"])
        for j, count in enumerate(row)
        for _ in range(count)
    ]
    write_atomically(RESULTS / "confusion.csv", "".join(["actual,predicted\n", *pairs]).encode())
    print(to_json(metrics).decode(), end="")


def _top1(result: dict[str, Any]) -> dict[str, float]:
    return {probe: measured["top1"] for probe, measured in result["test"].items()}


if __name__ == "__main__":
    run_command(main)
