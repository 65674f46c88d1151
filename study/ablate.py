"""Runs a study: every arm at every seed, only what is missing, and then the projection that reports read.

    python -m study.ablate --study lambda-mu-nu [--profile P] [--set key=value ...] [--seeds N | --add-seeds K] [--dry-run]

Exit status: 0 when every run ended as an outcome, 1 when some did not (diverged, out of memory, killed, failed; which
and why is printed), 2 for bad input, 130 for Ctrl-C.
"""

import argparse
import hashlib
import json
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from filelock import FileLock, Timeout

from study.analysis.summary import summarise, timing
from study.cli.command import positive, run_command
from study.config.load import load_config
from study.design.unfold import unfold, unfold_arms
from study.execution import status
from study.execution.dry_run import print_dry_run
from study.execution.scheduler import Lookup, Runner
from study.execution.session import Session, open_session
from study.runs.baseline import STORE
from study.runs.store import DIVERGED, FINISHED, PRUNED, Store
from study.spec.plan import Plan
from study.spec.study_file import available
from study.verification import rerun as again
from vicreg.errors import InputError
from vicreg.files import to_json, write_atomically

RESULTS = Path("results/ablate")


def main(argv: Sequence[str] | None = None) -> int:
    session = open_session(parse_arguments(argv))
    arguments = session.arguments
    plan = plan_of(session, Lookup(session))
    if arguments.dry_run:
        print_dry_run(plan, session.store, session.dataset, session.device, workers=session.workers)
        return 0
    if arguments.status:
        return status.print_status(plan, session.store)
    if arguments.again:
        if plan.later:
            one = plan.later[0]
            raise InputError(f"--again compares with runs there are, but {one.name} waits for {one.after}; run it first.")
        return again.run_again(plan, session)
    with _only_one(session.store, session.study.name):
        status.remember(plan, session.store)
        with Runner(session) as runner:
            plan = plan_of(session, runner)
        status.remember(plan, session.store)
    if not arguments.arm:
        out = arguments.out or default_out(session)
        summary = summarise(plan, session.store, session.dataset, command=session.command, overrides=session.overrides)
        write_results(out, summary)
        write_atomically(out / "timing.json", to_json(timing(plan, session.store, session.dataset)))
        print(summary["answer"])
        print(f"results: {out}; report: python -m study.report --results {out}/study.json --out reports/{out.name}")
        if arguments.add_seeds:
            print(_how_to_keep(session))
    return exit_status(plan, session.store, allow_diverged=arguments.allow_diverged)


def plan_of(session: Session, runner: Runner | Lookup) -> Plan:
    """The plan that a command asks for: the whole study, or some of its arms."""
    arms = session.arguments.arm
    return unfold_arms(session, arms, runner) if arms else unfold(session, runner)


def parse_arguments(argv: Sequence[str] | None) -> argparse.Namespace:
    parser = argparse.ArgumentParser(prog="python -m study.ablate", description="Runs a study, only what is missing.")
    parser.add_argument("--study", required=True, metavar="NAME", help=f"one of {', '.join(available())}")
    parser.add_argument("--profile", help="of params.yaml; default: the one it names")
    parser.add_argument("--set", action="append", default=[], metavar="KEY=VALUE", help="over the profile; repeatable")
    parser.add_argument("--seeds", type=positive, metavar="N", help="seeds 0 to N-1 in place of the configured ones")
    parser.add_argument("--first-seed", type=int, default=0, metavar="N", help="the first of --seeds; default: 0")
    parser.add_argument("--add-seeds", type=positive, metavar="K", help="so many seeds more than configured")
    parser.add_argument("--trials", type=positive, metavar="N", help="of a search")
    parser.add_argument("--workers", type=positive, metavar="N", help="runs at a time")
    parser.add_argument("--device", choices=("auto", "cpu", "cuda"), help="default: params.yaml's")
    parser.add_argument("--arm", action="append", metavar="NAME", help="only this arm, or one as KEY=VALUE,...; no results")
    parser.add_argument("--store", type=Path, default=STORE, help="folder of finished runs; default: store")
    parser.add_argument("--out", type=Path, help="folder for results; default: results/ablate/<study>")
    parser.add_argument("--allow-diverged", action="store_true", help="a diverged run does not make the status 1")
    what = parser.add_mutually_exclusive_group()
    what.add_argument("--dry-run", action="store_true", help="print the plan and what it would cost")
    what.add_argument("--status", action="store_true", help="print how each run stands, and why any is stale")
    what.add_argument("--again", action="store_true", help="compute runs once more, elsewhere, and compare the numbers")
    return parser.parse_args(argv)


def default_out(session: Session) -> Path:
    """`results/ablate/<study>` for the study as params.yaml has it, which is what DVC tracks; anything else has a folder
    of its own beside it, so that it never stands where the tracked results should."""
    arguments = session.arguments
    asked = [
        dict(session.overrides), session.config.profile, arguments.seeds, arguments.first_seed, arguments.trials,
        arguments.device, str(arguments.store), arguments.add_seeds,
    ]  # fmt: skip
    if asked == [{}, load_config().profile, None, 0, None, None, str(STORE), None]:
        return RESULTS / session.study.name
    digest = hashlib.sha256(json.dumps(asked, sort_keys=True).encode()).hexdigest()[:6]
    return Path("results/custom") / f"{session.study.name}-{digest}"


def _how_to_keep(session: Session) -> str:
    """How seeds that were added become part of what `dvc repro` runs; it runs none of them again."""
    name, seeds = session.study.name, json.dumps(list(session.seeds))
    return (
        f"These results stand beside the tracked ones. To keep the added seeds, write `seeds: {seeds}` in "
        f"study/studies/{name}.yaml (or `seeds` of `ablate` in params.yaml, for every study) and run `dvc repro`: "
        "what has run is not run again."
    )


def write_results(out: Path, summary: Mapping[str, Any]) -> None:
    """`study.json` for the report, and beside it what `dvc metrics` and `dvc plots` show."""
    write_atomically(out / "study.json", to_json(summary))
    measured = [arm for arm in summary["arms"] if arm["summary"]]
    columns = ("knn_20", summary["primary"], "rankme_representations", "rankme_embeddings", "std_mean_embeddings")
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


def exit_status(plan: Plan, store: Store, *, allow_diverged: bool) -> int:
    """0 where every run has an outcome; 1, and a line for each that has not. What is tried in order to choose may diverge:
    then it is not chosen."""
    standing = [(cell, *store.status(cell.run)) for cell in plan.cells]
    bad = [
        (cell, state, reason) for cell, state, reason in standing
        if state not in (FINISHED, PRUNED)
        and not (state == DIVERGED and (allow_diverged or cell.role in ("trial", "tuning")))
    ]  # fmt: skip
    for cell, state, reason in bad:
        print(f"not finished: {cell.label}, seed {cell.seed}: {state}" + (f" ({reason})" if reason else ""))
    for one in plan.later:
        print(f"not run: {one.name}, which waits for {one.after}")
    return 1 if bad or plan.later else 0


@contextmanager
def _only_one(store: Store, study: str) -> Iterator[None]:
    """Keeps a second call of the same study out, which does not wait."""
    path = store.root / "locks" / f"{study}.lock"
    lock = FileLock(path, timeout=0)
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        lock.acquire()
    except Timeout:
        raise InputError(f"study {study!r} is being run by another command on this store; wait for it to end.") from None
    except OSError as error:
        raise InputError(f"the store {store.root} cannot be written ({error.strerror}); choose another.") from None
    try:
        yield
    finally:
        lock.release()


if __name__ == "__main__":
    run_command(main)
