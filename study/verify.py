"""Runs finished cells again from nothing, and says whether the reported results come out once more.

    python -m study.verify [--study NAME ...] [--runs K] [--tolerance 0.0]

What comes out is compared with `results/ablate/<study>/study.json`, that is with the numbers a report prints, and with the
weights where the store has kept them. The certificate is `results/verify/<study>.json`, which the report of the study shows.

Exit status: 0 when everything chosen was reproduced, 1 when something was not, 2 for bad input.
"""

import argparse
import hashlib
import platform
from collections import defaultdict
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from study.ablate import RESULTS
from study.cli.command import positive, run_command
from study.config.load import load_params
from study.config.values import flatten
from study.execution.session import Session
from study.results.certificate import IDENTICAL, NOT_REPRODUCED, OUTCOMES, TOLERATED, in_words, verdict
from study.results.results import changes_since, is_same_run, open_for, read_results, replan, reported
from study.runs.baseline import STORE
from study.runs.store import PRUNED, Store, current_commit
from study.spec.plan import Cell
from study.verification.rerun import compare, run_afresh
from vicreg.errors import InputError
from vicreg.files import to_json, write_atomically

CERTIFICATES = Path("results/verify")
_NAMED_AT_MOST = 20  # keys that differ: a run that went another way differs in all of some hundred


def main(argv: Sequence[str] | None = None) -> int:
    arguments = _parse_arguments(argv)
    studies = arguments.study or load_params()["studies"]
    if arguments.out and len(studies) != 1:
        raise InputError(f"--out takes the certificate of one study, but there are {len(studies)}; name one with --study.")
    sound = True
    for name in studies:
        results = read_results(arguments.results / name)
        session = open_for(
            name,
            store=arguments.store,
            profile=results["profile"],
            overrides=results.get("overrides"),
            device=arguments.device,
        )
        certificate = verify(results, session, runs=arguments.runs, tolerance=arguments.tolerance)
        write_atomically(arguments.out or CERTIFICATES / f"{name}.json", to_json(certificate))
        for cell in certificate["runs"]:
            print(f"{cell['label']}, seed {cell['seed']}, run {cell['digest']}: {in_words(cell)}")
        print(f"{name}: {certificate['sentence']}")
        sound = sound and certificate["counts"][NOT_REPRODUCED] == 0
    return 0 if sound else 1


def verify(results: Mapping[str, Any], session: Session, *, runs: int, tolerance: float) -> dict[str, Any]:
    """Runs `runs` of the cells that `results` report on again, and returns the certificate, as JSON values.

    Args:
        tolerance: an accuracy (a share, 0 to 1) may differ by this much and is still called reproduced; 0 asks for the
            same bits.

    Raises:
        InputError: if no reported run has an outcome, or none is a run of the code and parameters of now.
    """
    candidates = _candidates(results, session)
    chosen = choose(candidates, results, count=runs)
    before = reported(results)
    cells = [candidates[key] for key in chosen]
    labels = {arm["name"]: arm["label"] for arm in results["arms"]}
    pruned = [candidates[key] for key in chosen if before[key]["status"] == PRUNED]
    with run_afresh(cells, session, pruned=pruned) as fresh:
        verified = [
            {"arm": cell.arm, "label": labels[cell.arm], "seed": cell.seed, "digest": before[key]["digest"]}
            | judge(
                before[key],
                fresh.result(cell.run),
                weights=_weights(key, before, session.store, fresh, cell),
                tolerance=tolerance,
            )
            for key, cell in zip(chosen, cells, strict=True)
        ]
    machinery = dict(cells[0].run.identity.machinery)
    certificate = {
        "study": results["study"],
        "profile": results["profile"],
        "tolerance": tolerance,
        "environment": {"python": platform.python_version(), **machinery},
        "same_machinery": all(results["environment"].get(key) == value for key, value in machinery.items()),
        "commit": current_commit(),
    }
    return certificate | verdict(verified, certificate, results)


def choose(candidates: Mapping[tuple[str, int], Cell], results: Mapping[str, Any], *, count: int) -> list[tuple[str, int]]:
    """`count` of the candidates' keys: the same ones every time, yet nobody's choice, for a hash of the digest orders them.

    No arm has a second turn before every arm had its first, and controls, which train nothing, come last in each turn.
    """
    controls = {arm["name"] for arm in results["arms"] if arm["is_control"]}
    digests = {key: run["digest"] for key, run in reported(results).items()}
    by_arm = defaultdict(list)
    for key in candidates:
        by_arm[key[0]].append((hashlib.sha256(digests[key].encode()).hexdigest(), key))
    turns = [
        (turn, arm in controls, drawn, key)
        for arm, hashed in by_arm.items()
        for turn, (drawn, key) in enumerate(sorted(hashed))
    ]
    chosen: dict[str, tuple[str, int]] = {}
    for _, _, _, key in sorted(turns):  # two arms can be one run: it is run once, and has one line
        chosen.setdefault(digests[key], key)
    return list(chosen.values())[:count]


def judge(before: Mapping[str, Any], after: Mapping[str, Any], *, weights: str, tolerance: float) -> dict[str, Any]:
    """What became of one run done again: the outcome, the largest difference of any accuracy, and every key that differs.

    Bit-identical are equal logs, numbers, endings and weights (where there are weights to compare). Within tolerance are
    accuracies that differ by at most a `tolerance` above zero, with the same ending and the same verdict. Anything else is
    not reproduced: a tolerance of accuracies says nothing of runs without one (diverged, pruned), and one of zero asks for
    the same run, which other ranks, another log or other weights are not.
    """
    differing = compare(before, after)
    left, right = _accuracies(before), _accuracies(after)
    largest = max((abs(left[key] - right[key]) for key in left if key in right), default=None)
    same_outcome = before["status"] == after["status"] and _verdict(before) == _verdict(after)
    if not differing and weights != "differ":
        outcome = IDENTICAL
    elif same_outcome and left.keys() == right.keys() and largest is not None and largest <= tolerance > 0:
        outcome = TOLERATED
    else:
        outcome = NOT_REPRODUCED
    return {
        "outcome": outcome,
        "status": before["status"],
        "status_again": after["status"],
        "largest_difference": largest,
        "differing": differing[:_NAMED_AT_MOST],
        "differing_count": len(differing),
        "weights": weights,
    }


def _candidates(results: Mapping[str, Any], session: Session) -> dict[tuple[str, int], Cell]:
    """The reported runs that ended as an outcome, and that today's code and parameters would make again."""
    name, before = results["study"], reported(results)
    ended = {key for key, run in before.items() if run["status"] in OUTCOMES}
    if not ended:
        raise InputError(f"study {name!r} has no finished run to verify; run python -m study.ablate --study {name} first.")
    cells = {key: cell for key, cell in replan(results, session).items() if key in ended}
    same = {key: cell for key, cell in cells.items() if is_same_run(cell, before[key]["digest"], results)}
    if not same:
        changed = changes_since(results, next(iter(cells.values()))) if cells else []
        why = f" ({'; '.join(changed)})" if changed else ""
        raise InputError(
            f"none of the {len(ended)} finished runs that study {name!r} reports is a run of today's code, data and "
            f"parameters{why}; run python -m study.ablate --study {name} first."
        )
    return same


def _weights(key: tuple[str, int], before: Mapping[Any, Any], store: Store, fresh: Store, cell: Cell) -> str:
    """Whether the weights' files are the same bytes; `not kept` where the store has none for the reported run."""
    files = [store.folder(before[key]["digest"]), fresh.folder(cell.run.digest)]
    contents = [path.read_bytes() if path.exists() else None for path in (folder / "model.safetensors" for folder in files)]
    if contents[0] is None:
        return "not kept"
    return "identical" if contents[0] == contents[1] else "differ"


def _accuracies(result: Mapping[str, Any]) -> dict[str, float]:
    measured = flatten({part: result[part] for part in ("validation", "test")})
    return {key: value for key, value in measured.items() if key.rpartition(".")[2] in ("top1", "top5")}


def _verdict(result: Mapping[str, Any]) -> str | None:
    return result["verdict"]["name"] if result["verdict"] else None


def _parse_arguments(argv: Sequence[str] | None) -> argparse.Namespace:
    parser = argparse.ArgumentParser(prog="python -m study.verify", description="Runs finished cells again, from nothing.")
    parser.add_argument("--study", action="append", metavar="NAME", help="repeatable; default: those of params.yaml")
    parser.add_argument("--runs", type=positive, default=3, metavar="K", help="of each study; default: 3")
    parser.add_argument("--tolerance", type=_share, default=0.0, metavar="X", help="of accuracies, 0 to 1; default: 0.0")
    parser.add_argument("--out", type=Path, metavar="FILE", help=f"default: {CERTIFICATES}/<study>.json")
    parser.add_argument("--results", type=Path, default=RESULTS, help="default: results/ablate")
    parser.add_argument("--store", type=Path, default=STORE, help="folder of finished runs; default: store")
    parser.add_argument("--device", choices=("auto", "cpu", "cuda"), help="default: params.yaml's")
    return parser.parse_args(argv)


def _share(text: str) -> float:
    try:
        value = float(text)
    except ValueError:
        value = -1.0
    if not 0 <= value <= 1:
        raise argparse.ArgumentTypeError(f"must be a number from 0 to 1, but got {text!r}")
    return value


if __name__ == "__main__":
    run_command(main)
