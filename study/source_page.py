"""The stage `source_page`: the source paper's claims beside measurements of them.

    python -m study.source_page [--keep FOLDER ...] [--readme]

It writes `reports/source-paper.html` and its Markdown twin from all results there are: those of this profile, and those of
any profile that git keeps under `reports/measured`. So what a GPU measured elsewhere stands beside what is measured here.
Each study that `study.source_paper` ran gets a report of its own. `--keep` takes folders there that hold a `study.json` or a
`tsne.json`, and writes the reports of all that is kept there, and a page from these alone. What is kept is analysed by
today's statistics, whatever code made its runs. The README's quotation of an answer follows them.
`--readme` writes the README's quotation of a kept answer alone, as today's analysis has it; `--keep` does so too.
"""

import argparse
from collections.abc import Sequence

from study.cli.arguments import Parser, path
from study.cli.command import run_command
from study.config.places import KEPT_RESULTS, PAPER_PAGE
from study.paper.kept_results import keep, kept_files, require_keepable, write_kept_report
from study.paper.readme import README, update_readme
from study.paper.write import write_own_reports, write_page

KEPT_PAGE = KEPT_RESULTS / PAPER_PAGE.name


def main(argv: Sequence[str] | None = None) -> int:
    """Keep the results that are asked to be kept, and write the page."""
    arguments = parse_arguments(argv)
    folders = arguments.keep
    kept = []
    for folder in folders:  # all of them, before the first is kept
        require_keepable(folder)
    for folder in folders:
        kept.append(keep(folder))
        print(f"kept: {kept[-1]}")
    if folders:
        for older in sorted(set(kept_files()) - set(kept)):  # their runs stay, and today's analysis of them may be another
            write_kept_report(older)
        write_page(KEPT_PAGE, kept_only=True)
        print(f"kept: {KEPT_PAGE.with_suffix('.md')}")
    if folders or arguments.readme:
        print(f"{'written' if update_readme() else 'as before'}: {README}, which quotes a kept answer")
    if arguments.readme and not folders:
        return 0
    write_own_reports()
    write_page()
    print(f"written: {PAPER_PAGE} and {PAPER_PAGE.with_suffix('.md')}")
    return 0


def parse_arguments(argv: Sequence[str] | None) -> argparse.Namespace:
    """Parse the command line, by default this process's."""
    parser = Parser("study.source_page", "The source paper's claims beside what was measured.")
    parser.add_argument("--keep", nargs="+", type=path, default=[], metavar="FOLDER",
                        help="take the results in these folders into reports/measured, for git to keep")  # fmt: skip
    parser.add_argument("--readme", action="store_true", help="write the README's quotation of a kept answer anew, alone")
    return parser.parse_args(argv)


if __name__ == "__main__":
    run_command(main)
