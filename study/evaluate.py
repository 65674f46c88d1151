"""The stage `evaluate`: every probe on the baseline's weights, and on the untrained control beside them."""

from collections.abc import Mapping
from pathlib import Path
from typing import Any

from study.cli.command import run_command
from study.runs.baseline import baseline_model, baseline_run, untrained, with_all_probes
from study.runs.store import FINISHED, execute, measure
from vicreg.errors import InputError
from vicreg.files import to_json, write_atomically

RESULTS = Path("results/evaluate")


def main() -> None:
    run, store, dataset, device = baseline_run()
    run = with_all_probes(run)
    control = untrained(run, dataset=dataset, device=device)
    trained = measure(run, baseline_model(run, dataset=dataset, device=device), dataset, device)
    if (status := execute(control, store=store, dataset=dataset, device=device)) != FINISHED:
        raise InputError(f"the untrained control must be measured, but ended as {status}; run the stage again.")
    before = store.result(control)
    metrics = {
        "digest": run.digest,
        "verdict": trained["verdict"]["name"],
        "trained": _top1(trained),
        "control": _top1(before),
    }
    write_atomically(RESULTS / "metrics.json", to_json(metrics))
    write_atomically(RESULTS / "linear.csv", linear_curves({"pretrained": trained, "untrained": before}).encode())
    classes = dataset.classes
    pairs = [
        f"{classes[i]},{classes[j]}\n"
        for i, row in enumerate(trained["test"]["linear"]["confusion"])
        for j, count in enumerate(row)
        for _ in range(count)
    ]
    write_atomically(RESULTS / "confusion.csv", "".join(["actual,predicted\n", *pairs]).encode())
    print(to_json(metrics).decode(), end="")


def linear_curves(results: Mapping[str, Mapping[str, Any]]) -> str:
    """The linear protocol epoch by epoch as CSV, from what was measured of each network by name."""
    rows = [
        f"{name},{split},{epoch},{top1:.6g}\n"
        for name, measured in results.items()
        for split in ("validation", "test")
        for epoch, top1 in enumerate(measured[split]["linear"]["curve"], start=1)
    ]
    return "".join(["network,split,epoch,top1\n", *rows])


def _top1(result: dict[str, Any]) -> dict[str, float]:
    return {probe: measured["top1"] for probe, measured in result["test"].items()}


if __name__ == "__main__":
    run_command(main)
