"""Runs finished cells again and certifies whether their results come out.

    python -m study.verify [--study NAME ...] [--runs K] [--tolerance 0.0]

What comes out is compared with `results/ablate/<study>/study.json`, that is with the numbers a report prints, and with the
weights where the store has kept them. The certificate is `results/verify/<study>.json`, which the report of the study shows.

Exit status: 0 when everything chosen was reproduced, 1 when something was not, 2 for bad input.
"""

import argparse
from collections.abc import Sequence

from study.cli.arguments import Parser, path, positive, require_folder, share
from study.cli.command import run_command
from study.config.load import load_params
from study.config.places import CERTIFICATES, STORE, STUDY_RESULTS
from study.execution.request import Request
from study.execution.session import open_session
from study.results.certificate import NOT_REPRODUCED, describe_run, write_certificate
from study.results.files import read_results
from study.verification.certify import certify
from vicreg.errors import InputError


def main(argv: Sequence[str] | None = None) -> int:
    """Write a certificate for each study and print what became of each run."""
    arguments = parse_arguments(argv)
    studies = arguments.study or load_params()["studies"]
    if arguments.out and len(studies) != 1:
        raise InputError(f"--out takes the certificate of one study, but there are {len(studies)}; name one with --study.")
    require_folder("--store", arguments.store, of="runs", unless=STORE)
    reproduced = True
    for name in studies:
        results = read_results(arguments.results / name)
        request = Request(
            study=name,
            store=arguments.store,
            profile=results.profile,
            overrides=results.overrides,
            device=arguments.device,
        )
        certificate = certify(results, open_session(request), runs=arguments.runs, tolerance=arguments.tolerance)
        write_certificate(arguments.out or CERTIFICATES / f"{name}.json", certificate)
        for run in certificate.runs:
            print(f"{run.label}, seed {run.seed}, run {run.digest}: {describe_run(run)}")
        print(f"{name}: {certificate.sentence}")
        reproduced = reproduced and certificate.counts[NOT_REPRODUCED] == 0
    return 0 if reproduced else 1


def parse_arguments(argv: Sequence[str] | None) -> argparse.Namespace:
    """Return the command's arguments."""
    parser = Parser("study.verify", "Runs finished cells again, from nothing.")
    parser.add_argument("--study", action="append", metavar="NAME", help="repeatable; default: those of params.yaml")
    parser.add_argument("--runs", type=positive, default=3, metavar="K", help="of each study; default: 3")
    parser.add_argument("--tolerance", type=share, default=0.0, metavar="X", help="of accuracies, 0 to 1; default: 0.0")
    parser.add_argument("--out", type=path, metavar="FILE", help=f"default: {CERTIFICATES}/<study>.json")
    parser.add_argument("--results", type=path, default=STUDY_RESULTS, help="default: results/ablate")
    parser.add_argument("--store", type=path, default=STORE, help="folder of finished runs; default: store")
    parser.add_argument("--device", choices=("auto", "cpu", "cuda"), help="default: params.yaml's")
    return parser.parse_args(argv)


if __name__ == "__main__":
    run_command(main)
