"""What commands share: exit statuses, and a sentence for bad input."""

import errno
import io
import os
import sys
from collections.abc import Callable

from study.cli.stage import end_with_dvc
from vicreg.errors import InputError

BAD_INPUT, INTERRUPTED, NOBODY_READS = 2, 130, 141


def run_command(main: Callable[[], int | None]) -> None:
    """Run a command's main function and exit with its status: 2 for bad input, 130 for Ctrl-C, 141 where nobody reads on.

    The last is that of a program which a closed pipe ends: `head` has seen enough, and the command has not ended its work.
    """
    open_closed_streams()
    print_in_any_encoding()
    end_with_dvc()
    try:
        status = main()
        sys.stdout.flush()
    except InputError as error:
        print(f"error: {error}", file=sys.stderr)
        status = BAD_INPUT
    except BrokenPipeError:  # whoever read the output, `head` for one, has seen enough
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        status = NOBODY_READS
    except MemoryError as error:
        said = str(error).rstrip(".") or "no more is to be had"
        print(
            f"error: this machine has too little memory ({said}); ask for smaller images, batches or networks.",
            file=sys.stderr,
        )
        status = BAD_INPUT
    except OSError as error:
        if error.errno == errno.ENOSPC and error.filename is None:
            os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
            print("error: the output cannot be written (no space left on the device); free some.", file=sys.stderr)
            sys.exit(BAD_INPUT)
        if error.filename is None:
            raise
        print(f"error: {error.filename} cannot be used ({error.strerror}); choose another, or free it.", file=sys.stderr)
        status = BAD_INPUT
    except KeyboardInterrupt:
        print("stopped; what was finished is kept, start again to go on", file=sys.stderr)
        status = INTERRUPTED
    sys.exit(status or 0)


def open_closed_streams() -> None:
    """Let what is printed go nowhere where the shell has closed the output, by `>&-`: Python then has no stream for it."""
    for name in ("stdout", "stderr"):
        if getattr(sys, name) is None:
            setattr(sys, name, open(os.devnull, "w", encoding="utf-8"))


def print_in_any_encoding() -> None:
    """Print a character that the terminal's encoding lacks as its escape: `λ` as `\\u03bb` where it is ASCII."""
    for stream in (sys.stdout, sys.stderr):
        if isinstance(stream, io.TextIOWrapper):
            stream.reconfigure(errors="backslashreplace")
