"""Writes all studies of a profile on one page.

    python -m study.index [--results results/ablate] [--reports reports] [--out reports/index.html] [--all]

The studies are those of params.yaml, which `dvc repro` runs. What else lies in the folder of results is left out, so that
the page is the same in every clone; `--all` takes it in. It has a Markdown twin beside it, `README.md`. It runs nothing.
Each study is planned anew under today's code and parameters; what its results report and what would be run now are
compared.
"""

import argparse
from collections.abc import Sequence

from study.cli.arguments import Parser, path, require_folder
from study.cli.command import run_command
from study.config.load import load_params, profile_of
from study.config.places import CERTIFICATES, INDEX_PAGE, REPORTS, STORE, STUDY_RESULTS
from study.overview.page import studies_with_results, write_page
from study.reporting.written import require_free


def main(argv: Sequence[str] | None = None) -> int:
    """Write the pages and print what they say in short."""
    arguments = parse_arguments(argv)
    params = load_params()
    markdown = arguments.out.parent / "README.md"
    require_folder("--results", arguments.results, of="results", unless=STUDY_RESULTS)
    require_folder("--store", arguments.store, of="runs", unless=STORE)
    require_free(arguments.out.parent, page=arguments.out.name)
    written = write_page(
        html=arguments.out,
        markdown=markdown,
        results=arguments.results,
        reports=arguments.reports,
        certificates=arguments.certificates,
        store=arguments.store,
        profile=profile_of(params, arguments.profile),
        wanted=list(
            dict.fromkeys([*params["studies"], *(studies_with_results(arguments.results) if arguments.all else ())])
        ),
        promised=params["studies"],
    )
    print(f"{written.finished} {written.state}")
    if written.left_out:
        print(f"left out, for params.yaml's `studies` do not name them: {', '.join(written.left_out)}")
    print(f"written: {arguments.out} and {markdown}")
    return 0


def parse_arguments(argv: Sequence[str] | None) -> argparse.Namespace:
    """Return the command's arguments."""
    parser = Parser("study.index", "All studies of a profile on one page.")
    parser.add_argument("--results", type=path, default=STUDY_RESULTS, help="default: results/ablate")
    parser.add_argument("--reports", type=path, default=REPORTS, help="folder of the studies' reports")
    parser.add_argument("--certificates", type=path, default=CERTIFICATES, help="default: results/verify")
    parser.add_argument("--out", type=path, default=INDEX_PAGE, help="README.md is written beside it")
    parser.add_argument("--profile", help="default: the one params.yaml names")
    parser.add_argument(
        "--all", action="store_true", help="every study that has results, and not those of params.yaml alone"
    )
    parser.add_argument("--store", type=path, default=STORE, help="folder of finished runs; default: store")
    return parser.parse_args(argv)


if __name__ == "__main__":
    run_command(main)
