"""The stage `source_paper`: the studies that answer the source paper, run one after the other.

    python -m study.source_paper [--profile P] [--set key=value ...]

They are those that `source_paper.studies` names. What has run is not run again; `study.source_page` holds what came out
against the paper's claims.
"""

import argparse
from collections.abc import Sequence
from pathlib import Path

from study import ablate
from study.cli.command import run_command
from study.config.load import load_config
from study.config.values import parse_setting
from vicreg.errors import InputError
from vicreg.files import to_json, write_atomically

RESULTS = Path("results/source_paper")
FAILURES = "failures.json"


def main(argv: Sequence[str] | None = None) -> int:
    """Runs each study of the profile; notes why one could not be run, in its own sentence. What one lacks, another may have:
    weights that no network can be asked for do not keep the others from being run. Returns 1 where runs of a study did not
    finish, which it has printed: DVC would else take half a study for the whole."""
    arguments = parse_arguments(argv)
    config = load_config(profile=arguments.profile, settings=dict(map(parse_setting, arguments.set)))
    failures, status = {}, 0
    for name in config.source_paper.studies:
        try:
            argv = ["--study", name, *passed_on(arguments), "--out", str(RESULTS / name), "--allow-diverged"]
            status = max(status, ablate.main(argv))
        except InputError as error:
            failures[name] = str(error)
            print(f"not run: {name}: {error}")
    write_atomically(RESULTS / FAILURES, to_json(failures))
    return status


def passed_on(arguments: argparse.Namespace) -> list[str]:
    """The arguments of a study's own command."""
    passed = [text for setting in arguments.set for text in ("--set", setting)]
    passed += ["--profile", arguments.profile] if arguments.profile else []
    return passed + (["--workers", arguments.workers] if arguments.workers else [])


def parse_arguments(argv: Sequence[str] | None) -> argparse.Namespace:
    parser = argparse.ArgumentParser(
        prog="python -m study.source_paper", description="Runs the studies that answer the source paper."
    )
    parser.add_argument("--profile", help="of params.yaml; default: the one it names")
    parser.add_argument("--set", action="append", default=[], metavar="KEY=VALUE", help="over the profile; repeatable")
    parser.add_argument("--workers", metavar="N", help="runs at a time")
    return parser.parse_args(argv)


if __name__ == "__main__":
    run_command(main)
