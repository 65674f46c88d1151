"""The arguments of commands: names in full, each once, and their types."""

import argparse
import re
import shlex
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from vicreg.errors import InputError

_MOST = 1_000_000  # of anything that is counted; more is a slip of the finger, and would fill the memory first


class Parser(argparse.ArgumentParser):
    """A command's parser: an option is spelled in full and given once, unless it is repeatable."""

    def __init__(self, command: str, description: str, **named: Any) -> None:
        super().__init__(prog=f"python -m {command}", description=description, allow_abbrev=False, **named)
        self.register("action", None, _Once)

    def parse_args(self, args: Any = None, namespace: Any = None) -> Any:
        """Return the arguments, as argparse does, and quote those that it does not know: one may be blank."""
        found, unknown = self.parse_known_args(args, namespace)
        if unknown:
            self.error(f"unrecognized arguments: {shlex.join(unknown)}")
        return found


class _Once(argparse.Action):
    """Stores a value, and refuses a second one, which would replace the first without a word."""

    given = False

    def __call__(
        self, parser: argparse.ArgumentParser, namespace: argparse.Namespace, values: Any, option_string: str | None = None
    ) -> None:
        if self.given and option_string:
            raise argparse.ArgumentError(self, "is given twice, and one of the two would have no effect; give it once")
        self.given = True
        setattr(namespace, self.dest, values)


def parse_no_arguments(stage: str, description: str, argv: Sequence[str]) -> None:
    """Answer `--help` and refuse everything else: a stage of the pipeline does what params.yaml says."""
    how = "its settings are those of params.yaml: edit the file, or `dvc exp run -S profile=images -S pretrain.nu=2`"
    parser = Parser(f"study.{stage}", description, epilog=f"It takes no arguments; {how}.")
    _, given = parser.parse_known_args(argv)
    if given:
        parser.error(f"it takes no arguments, but got {shlex.join(given)}; {how}.")


def positive(text: str) -> int:
    """Return the whole number of at least 1 that an argument gives; it is a `type` of argparse.

    Raises:
        argparse.ArgumentTypeError: for any other; argparse makes a sentence of it.
    """
    return _counted(text, least=1)


def whole(text: str) -> int:
    """Return the whole number of at least 0 that an argument gives; it is a `type` of argparse.

    Raises:
        argparse.ArgumentTypeError: for any other; argparse makes a sentence of it.
    """
    return _counted(text, least=0)


def share(text: str) -> float:
    """Return the number from 0 to 1 that an argument gives; it is a `type` of argparse.

    Raises:
        argparse.ArgumentTypeError: for any other; argparse makes a sentence of it.
    """
    try:
        value = float(text) if text.isascii() else -1.0
    except ValueError:
        value = -1.0
    if not 0 <= value <= 1:
        raise argparse.ArgumentTypeError(f"must be a number from 0 to 1, but got {text!r}")
    return value


def scheduler_address(text: str) -> str:
    """Return the queue or the address of a scheduler that an argument gives; it is a `type` of argparse.

    Raises:
        argparse.ArgumentTypeError: for any other text; argparse makes a sentence of it.
    """
    if not re.fullmatch(r"slurm|submitit-local|(tcp|tls)://[^\s/]+:[1-9][0-9]{0,4}", text):
        known = "slurm, submitit-local, tcp://HOST:PORT or tls://HOST:PORT"
        raise argparse.ArgumentTypeError(f"must be {known}, but got {text!r}")
    return text


def name(text: str) -> str:
    """Return the name that an argument gives; it is a `type` of argparse.

    Raises:
        argparse.ArgumentTypeError: for a blank one, which would be part of every name.
    """
    if not text.strip():
        raise argparse.ArgumentTypeError("must be a name, or part of one, but is blank")
    return text


def path(text: str) -> Path:
    """Return the path that an argument gives, `~` expanded; it is a `type` of argparse.

    Raises:
        argparse.ArgumentTypeError: for an empty one, which would be the current folder.
    """
    if not text.strip():
        raise argparse.ArgumentTypeError("must name a file or a folder, but is empty")
    try:
        return Path(text).expanduser()
    except RuntimeError:  # `~nobody`
        return Path(text)


def require_folder(option: str, folder: Path, *, of: str, unless: Path | None = None) -> None:
    """Refuse a folder that an option names and that is not there; a default, `unless`, may be still to be made.

    Raises:
        InputError: for a folder that is none.
    """
    if folder != unless and not folder.is_dir():
        raise InputError(f"{option} must be a folder of {of}, but {folder} is none; check its name.")


def _counted(text: str, *, least: int) -> int:
    if not re.fullmatch("0|[1-9][0-9]{0,6}", text) or not least <= int(text) <= _MOST:
        raise argparse.ArgumentTypeError(f"must be a whole number from {least} to {_MOST}, but got {text!r}")
    return int(text)
