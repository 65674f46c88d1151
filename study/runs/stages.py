"""What the stages `pretrain` and `evaluate` make of the baseline."""

from collections.abc import Mapping, Sequence
from typing import Any

from study.config.places import EVALUATE_RESULTS, PRETRAIN_RESULTS
from study.config.values import flatten
from study.runs.baseline import DESCRIPTION, WEIGHTS, Baseline, control_run, with_all_probes
from study.runs.execute import OnEpoch, execute, measure
from study.runs.outcomes import FINISHED
from vicreg.errors import InputError
from vicreg.files import to_csv, to_json, write_atomically


def pretrain_baseline(baseline: Baseline, *, on_epoch: OnEpoch = lambda record: None, keep: Sequence[int] = ()) -> None:
    """Train the baseline; leave its weights under `models/baseline` and its log under `results/pretrain`.

    Args:
        baseline: the run, opened.
        on_epoch: called with the log record of each epoch.
        keep: epochs at which runs of studies stop that are its beginning, and are given its checkpoint.

    Raises:
        InputError: if it does not train to its end.
    """
    run, store = baseline.run, baseline.store
    execute(
        run, store=store, dataset=baseline.dataset, device=baseline.device, on_epoch=on_epoch, keep_weights=True, keep=keep
    )
    result = store.result(run)
    if result["status"] != FINISHED:
        raise InputError(f"the baseline must train to its end, but ended as {result['status']} ({result['reason']}).")
    write_atomically(WEIGHTS, store.weights_path(run.digest).read_bytes())
    described = {"settings": dict(run.identity.settings), "effective_coefficients": result["effective_coefficients"]}
    write_atomically(DESCRIPTION, to_json({"digest": run.digest, **described}))
    rows = [flatten(record) for record in result["history"]]
    columns = list(dict.fromkeys(name for row in rows for name in row)) or ["epoch"]  # ranks are not logged each epoch
    table = to_csv(columns, [[row.get(name) for name in columns] for row in rows])
    write_atomically(PRETRAIN_RESULTS / "history.csv", table)
    write_atomically(PRETRAIN_RESULTS / "metrics.json", to_json(rows[-1] if rows else {}))


def evaluate_baseline(baseline: Baseline) -> dict[str, Any]:
    """Measure the baseline with every probe, and its untrained control; return and write the metrics.

    It also writes the linear protocol epoch by epoch and the pairs of classes of the confusion matrix.

    Raises:
        InputError: if the baseline was not trained, or its control cannot be measured.
    """
    store, dataset, device = baseline.store, baseline.dataset, baseline.device
    run = with_all_probes(baseline.run)
    control = control_run(run, device=device)
    trained = measure(run, baseline.model(), dataset, device)
    if (status := execute(control, store=store, dataset=dataset, device=device)) != FINISHED:
        raise InputError(f"the untrained control must be measured, but ended as {status}; run the stage again.")
    untrained = store.result(control)
    metrics = {
        "digest": run.digest,
        "verdict": trained["verdict"]["name"],
        "trained": _top1(trained),
        "control": _top1(untrained),
    }
    write_atomically(EVALUATE_RESULTS / "metrics.json", to_json(metrics))
    curves = linear_curves({"pretrained": trained, "untrained": untrained})
    write_atomically(EVALUATE_RESULTS / "linear.csv", curves)
    write_atomically(EVALUATE_RESULTS / "confusion.csv", confusion_pairs(trained, dataset.classes))
    return metrics


def linear_curves(results: Mapping[str, Mapping[str, Any]]) -> bytes:
    """Return the linear protocol epoch by epoch as CSV, from what was measured of each network by name."""
    rows = [
        (name, split, epoch, f"{top1:.6g}")
        for name, measured in results.items()
        for split in ("validation", "test")
        for epoch, top1 in enumerate(measured[split]["linear"]["curve"], start=1)
    ]
    return to_csv(("network", "split", "epoch", "top1"), rows)


def confusion_pairs(measured: Mapping[str, Any], classes: Sequence[str]) -> bytes:
    """Return a line for each test image: its class and the class that the linear protocol predicts, as CSV."""
    pairs = [
        (classes[actual], classes[predicted])
        for actual, row in enumerate(measured["test"]["linear"]["confusion"])
        for predicted, count in enumerate(row)
        for _ in range(count)
    ]
    return to_csv(("actual", "predicted"), pairs)


def _top1(result: Mapping[str, Any]) -> dict[str, float]:
    return {probe: measured["top1"] for probe, measured in result["test"].items()}
