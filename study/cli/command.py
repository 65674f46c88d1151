"""What commands share: exit statuses, and a sentence for bad input."""

import argparse
import os
import sys
from collections.abc import Callable

from vicreg.errors import InputError

BAD_INPUT, INTERRUPTED = 2, 130


def run_command(main: Callable[[], int | None]) -> None:
    """Run a command's main function and exit with its status: 2 for bad input, 130 for Ctrl-C."""
    try:
        status = main()
    except InputError as error:
        print(f"error: {error}", file=sys.stderr)
        status = BAD_INPUT
    except BrokenPipeError:  # whoever read the output, `head` for one, has seen enough
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        status = 0
    except KeyboardInterrupt:
        print("stopped; what was finished is kept, start again to go on", file=sys.stderr)
        status = INTERRUPTED
    sys.exit(status or 0)


def positive(text: str) -> int:
    """Return the whole number of at least 1 that an argument gives; it is a `type` of argparse.

    Raises:
        argparse.ArgumentTypeError: for any other; argparse makes a sentence of it.
    """
    if not text.isdecimal() or int(text) < 1:
        raise argparse.ArgumentTypeError(f"must be a whole number of at least 1, but got {text!r}")
    return int(text)
