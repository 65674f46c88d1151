"""Copies finished runs to an address and from it, without locks.

    python -m study.sync --to ADDRESS | --from ADDRESS [--study NAME] [--store STORE]

ADDRESS is a folder, or anything else that fsspec knows: s3://bucket/runs, gs://..., sftp://host/folder. Runs that have
finished, diverged or were pruned are copied, with their measurements; what is there already is not copied again, and nothing
is replaced. Each file is verified by its SHA-256 on arrival. A copy that was cut short is no run, and goes on when the
command is called again. Data are carried by `dvc push` and `dvc pull`.

Exit status: 0, 1 where a run was damaged and left out, 2 for bad input.
"""

import argparse
from collections.abc import Sequence
from pathlib import Path

from study.cli.arguments import Parser, path, require_folder
from study.cli.command import run_command
from study.config.places import STORE
from study.config.storage import hide_password, without_password
from study.transfer.copies import copy_from, copy_to
from study.transfer.remote import open_remote
from vicreg.errors import InputError


def main(argv: Sequence[str] | None = None) -> int:
    """Copy the runs and print how many were copied, were there, or were left out."""
    arguments = parse_arguments(argv)
    copy, way, address = (copy_from, "from", arguments.source) if arguments.to is None else (copy_to, "to", arguments.to)
    if arguments.to is not None:
        require_folder("--store", arguments.store, of="runs")
    if "://" not in address and Path(address).resolve() == arguments.store.resolve():
        raise InputError(f"--{way} must be another place than the store, but both are {arguments.store}; give another.")
    try:
        remote = open_remote(address)
        if arguments.to is None and not remote.exists():
            raise InputError(f"--from must be an address with runs, but {without_password(address)} does not exist.")
        counts = copy(arguments.store, remote, study=arguments.study)
    except (InputError, KeyboardInterrupt):
        raise
    except Exception as error:  # each file system of fsspec has its own errors
        said = hide_password((str(error).strip() or type(error).__name__).splitlines()[0].rstrip("."), address)
        remedy = "what has arrived is kept, start again to go on"
        raise InputError(f"{without_password(address)} cannot be used ({said}); {remedy}.") from None
    print(f"{way} {without_password(address)}: {counts.sentence()}")
    for run in counts.damaged:
        print(f"damaged: run {run}; delete its folder there, and copy or compute it again")
    return 1 if counts.damaged else 0


def parse_arguments(argv: Sequence[str] | None) -> argparse.Namespace:
    """Return the command's arguments."""
    parser = Parser("study.sync", "Copies finished runs to an address and from it.")
    ways = parser.add_mutually_exclusive_group(required=True)
    ways.add_argument("--to", metavar="ADDRESS", help="copy runs of the store there")
    ways.add_argument("--from", dest="source", metavar="ADDRESS", help="copy runs from there into the store")
    parser.add_argument("--study", metavar="NAME", help="runs that this study has asked for; default: all")
    parser.add_argument("--store", type=path, default=STORE, help="folder of finished runs; default: store")
    return parser.parse_args(argv)


if __name__ == "__main__":
    run_command(main)
