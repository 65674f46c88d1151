"""The console script `vicreg-study`: runs a command by its name."""

import difflib
import importlib
import sys
from collections.abc import Mapping, Sequence

from study.cli.command import run_command
from vicreg.errors import InputError

# Name on the command line -> what it does. Each is the module `study.<name>`, with `_` for `-`.
COMMANDS: Mapping[str, str] = {
    "check": "refuse parameters and studies that cannot be, before anything runs",
    "prepare": "read a data set and write it as tensors, with splits and digest",
    "pretrain": "train the baseline",
    "evaluate": "measure the baseline with every probe, and its untrained control",
    "project": "map the baseline's features of test images by t-SNE",
    "ablate": "run a study: every arm at every seed, only what is missing",
    "verify": "run finished runs again from nothing and compare the numbers",
    "report": "write the report of a study: one HTML page and its Markdown twin",
    "source-paper": "run the studies that answer the source paper",
    "source-page": "hold the source paper's claims against what was measured",
    "index": "write one page on all studies: answers, a leaderboard, what is stale",
    "sync": "copy finished runs to an address and from it, verified by digest",
    "compare": "compare two studies, revisions or profiles cell by cell",
}


def main(argv: Sequence[str] | None = None) -> None:
    """Run the command that the arguments name, and end the process with its exit status.

    `vicreg-study ablate --study lambda-mu-nu` does what `python -m study.ablate --study lambda-mu-nu` does. Without a name
    it lists the commands; a name that no command has ends in one sentence and status 2.
    """
    run_command(lambda: _run([*(sys.argv[1:] if argv is None else argv)]))


def _run(argv: Sequence[str]) -> int | None:
    name, *arguments = argv or ["--help"]
    if name in ("-h", "--help"):
        if arguments:
            raise InputError(f"--help takes nothing after it, but got {arguments[0]!r}; ask for `COMMAND --help`.")
        print(listing(), flush=True)
        return 0
    if name not in COMMANDS:
        close = difflib.get_close_matches(name, COMMANDS, n=1)
        hint = f"did you mean {close[0]!r}?" if close else f"there are {', '.join(COMMANDS)}."
        raise InputError(f"there is no command {name!r}; {hint}")
    status: int | None = importlib.import_module(f"study.{name.replace('-', '_')}").main(arguments)
    return status


def listing() -> str:
    """Return a line for each command, in the order of the pipeline."""
    width = max(map(len, COMMANDS))
    lines = [f"  {name.ljust(width)}  {does}" for name, does in COMMANDS.items()]
    return "\n".join(["vicreg-study COMMAND [--help | ARGUMENTS]", "", *lines])


if __name__ == "__main__":
    main()
