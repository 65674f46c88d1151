"""The stage `source_paper`: runs the studies that answer the source paper.

    python -m study.source_paper [--profile P] [--set key=value ...]

They are those that `source_paper.studies` names. What has run is not run again; `study.source_page` holds what came out
against the paper's claims. With other settings, or another profile than params.yaml's, results go to `results/custom/`, and
the page does not show them.

Exit status: 1 where runs of a study did not finish, or DVC would take half a study for the whole.
"""

import argparse
from collections.abc import Sequence

from study.cli.arguments import Parser, positive
from study.cli.command import run_command
from study.config.load import load_config, load_params
from study.config.places import PAPER_FAILURES, PAPER_RESULTS
from study.config.values import parse_settings
from study.design.run_study import run_studies
from study.execution.request import Request
from study.runs.stored_json import stored_object
from study.spec.study_file import load_study
from vicreg.files import to_json, write_atomically


def main(argv: Sequence[str] | None = None) -> int:
    """Run each study of the profile, note why one could not be run, and return the exit status."""
    arguments = parse_arguments(argv)
    overrides = parse_settings(arguments.set)
    config = load_config(profile=arguments.profile, settings=overrides)
    names = config.source_paper.studies
    for name in names:
        load_study(name)  # a wrong name is found before the first runs
    of_runs = {key: value for key, value in overrides.items() if not key.startswith("source_paper.")}
    request = Request(study="", profile=arguments.profile, overrides=of_runs, workers=arguments.workers)
    if of_runs or config.profile != load_params()["profile"]:
        return run_studies(names, request, out=None)[0]
    others = {name: why for name, why in stored_object(PAPER_FAILURES).items() if name not in names} if overrides else {}
    status, failures = run_studies(names, request, out=PAPER_RESULTS)
    write_atomically(PAPER_FAILURES, to_json(others | failures))
    return status


def parse_arguments(argv: Sequence[str] | None) -> argparse.Namespace:
    """Return the arguments of the command line; what argparse refuses ends the process with status 2."""
    parser = Parser("study.source_paper", "Runs the studies that answer the source paper.")
    parser.add_argument("--profile", help="of params.yaml; default: the one it names")
    parser.add_argument("--set", action="append", default=[], metavar="KEY=VALUE", help="over the profile; repeatable")
    parser.add_argument("--workers", type=positive, metavar="N", help="runs at a time")
    return parser.parse_args(argv)


if __name__ == "__main__":
    run_command(main)
