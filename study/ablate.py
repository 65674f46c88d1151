"""Runs a study: every arm at every seed, only what is missing.

    python -m study.ablate --study lambda-mu-nu [--profile P] [--set key=value ...] [--look L | --seeds N | --add-seeds K]

It writes the projection of the finished runs that reports read.

`--so-far` writes that of the runs that are measured already, also while another command is at the study. With `--machine`
they are runs of another machine, whose records were brought into the store: training on a GPU, reading without one.
`--measure` measures such runs on this machine, from their weights.

Exit status: 0 when every run ended as an outcome, 1 when some did not (diverged, out of memory, killed, failed; which
and why is printed), 2 for bad input, 130 for Ctrl-C.
"""

import argparse
from collections.abc import Sequence

from study.cli.arguments import Parser, name, path, positive, require_folder, scheduler_address, whole
from study.cli.command import run_command
from study.config.places import STORE
from study.config.values import parse_settings
from study.design.measure_here import measure_here
from study.design.out_folder import require_own_folder
from study.design.run_study import report_so_far, run_study
from study.design.unfold import unfold
from study.execution.dry_run import print_dry_run
from study.execution.request import Request
from study.execution.scheduler import Lookup
from study.execution.session import open_session
from study.execution.status import print_status
from study.spec.study_file import available
from study.verification.rerun import rerun_plan


def main(argv: Sequence[str] | None = None) -> int:
    """Do what the arguments ask for and return the exit status."""
    arguments = parse_arguments(argv)
    if arguments.status or arguments.so_far or arguments.again or arguments.measure is not None:  # a run makes a new one
        require_folder("--store", arguments.store, of="runs", unless=STORE)
    session = open_session(request_of(arguments))
    if arguments.out:
        require_own_folder(arguments.out, session, so_far=arguments.so_far)
    if arguments.dry_run:
        plan = unfold(session, Lookup(session))
        print_dry_run(plan, session.store, session.dataset, session.own_device, workers=session.workers)
        return 0
    if arguments.status:
        return print_status(unfold(session, Lookup(session)), session.store)
    if arguments.so_far:
        return report_so_far(session, out=arguments.out)
    if arguments.measure is not None:
        return measure_here(session, arguments.measure)
    if arguments.again:
        return rerun_plan(unfold(session, Lookup(session)), session)
    return run_study(session, out=arguments.out, allow_diverged=arguments.allow_diverged)


def request_of(arguments: argparse.Namespace) -> Request:
    """Return what the arguments ask for.

    Raises:
        InputError: for a setting that is none, or arguments that exclude one another.
    """
    return Request(
        study=arguments.study,
        profile=arguments.profile,
        overrides=parse_settings(arguments.set),
        seeds=arguments.seeds,
        first_seed=arguments.first_seed,
        add_seeds=arguments.add_seeds,
        look=arguments.look,
        trials=arguments.trials,
        workers=arguments.workers,
        device=arguments.device,
        executor=arguments.executor,
        machine=arguments.machine,
        store=arguments.store,
        arms=tuple(arguments.arm or ()),
    )


def parse_arguments(argv: Sequence[str] | None) -> argparse.Namespace:
    """Return the arguments of the command line; what argparse refuses ends the process with status 2."""
    parser = Parser("study.ablate", "Runs a study, only what is missing.")
    parser.add_argument("--study", required=True, metavar="NAME", help=f"one of {', '.join(available())}")
    parser.add_argument("--profile", help="of params.yaml; default: the one it names")
    parser.add_argument("--set", action="append", default=[], metavar="KEY=VALUE", help="over the profile; repeatable")
    parser.add_argument("--seeds", type=positive, metavar="N", help="seeds 0 to N-1 in place of the configured ones")
    parser.add_argument("--first-seed", type=whole, metavar="N", help="the first of --seeds; default: 0")
    parser.add_argument("--add-seeds", type=positive, metavar="K", help="so many seeds more; a look that was not declared")
    parser.add_argument("--look", type=positive, metavar="L", help="of those declared, with all seeds up to it")
    parser.add_argument("--trials", type=positive, metavar="N", help="of a search")
    parser.add_argument("--workers", type=positive, metavar="N", help="runs at a time")
    parser.add_argument("--device", choices=("auto", "cpu", "cuda"), help="default: params.yaml's")
    parser.add_argument(
        "--executor", type=scheduler_address, metavar="WHERE", help="slurm, or a Dask scheduler: tcp://, tls://"
    )
    parser.add_argument(
        "--machine",
        type=name,
        metavar="NAME",
        help="that trained the runs of --so-far, --status and --measure, part of its name: H200",
    )
    parser.add_argument("--arm", action="append", metavar="NAME", help="only this arm, or one as KEY=VALUE,...; no results")
    parser.add_argument("--store", type=path, default=STORE, help="folder of finished runs; default: store")
    parser.add_argument(
        "--out",
        type=path,
        help="folder for results; default: results/ablate/<study>, or results/custom/ with other settings",
    )
    parser.add_argument("--allow-diverged", action="store_true", help="a diverged run does not make the status 1")
    what = parser.add_mutually_exclusive_group()
    what.add_argument("--dry-run", action="store_true", help="print the plan and what it would cost")
    what.add_argument("--status", action="store_true", help="print how each run stands, and why any is stale")
    what.add_argument("--so-far", action="store_true", help="run nothing; write the results of the runs that are measured")
    what.add_argument(
        "--measure", type=path, metavar="FOLDER", help="measure runs of --machine here; encoders are FOLDER/RUN.safetensors"
    )
    what.add_argument("--again", action="store_true", help="compute runs once more, elsewhere, and compare the numbers")
    arguments = parser.parse_args(argv)
    _refuse_without_effect(parser, arguments)
    return arguments


def _refuse_without_effect(parser: Parser, arguments: argparse.Namespace) -> None:
    """Refuse an option that nothing of what is asked for uses."""
    what = next((one for one in ("dry_run", "status", "so_far", "measure", "again") if getattr(arguments, one)), None)
    said = "" if what is None else f"--{what.replace('_', '-')}"
    if arguments.out and (what not in (None, "so_far") or arguments.arm):
        parser.error(f"--out has no effect with {said or '--arm'}, which writes no results; leave it out")
    if arguments.so_far and arguments.arm:
        parser.error("--so-far writes the results of all arms; leave --arm out")
    if arguments.machine and what not in ("so_far", "status", "measure"):
        parser.error("--machine is for --so-far, --status and --measure, which train nothing; add one, or leave it out")
    if what == "measure" and not arguments.machine:
        parser.error("--measure is for runs of another machine, and what was trained here is measured anyway; add --machine")
    if arguments.allow_diverged and what:
        parser.error(f"--allow-diverged has no effect with {said}; leave it out")
    if arguments.workers and what in ("status", "so_far", "measure"):
        parser.error(f"--workers has no effect with {said}, which trains nothing; leave it out")


if __name__ == "__main__":
    run_command(main)
