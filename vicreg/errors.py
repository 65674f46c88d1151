"""The exception for wrong input from a person, and words for what was found."""

import json
from collections.abc import Mapping
from typing import Any


class InputError(ValueError):
    """Wrong input from a person; the message is one sentence with the rule, the value and the remedy.

    Commands print only the message and exit with status 2. Any other exception is a defect of this code.
    """


def kind_of(value: Any) -> str:
    """Return what a value read from YAML or JSON is, as a sentence says it: `a list`, `nothing`."""
    kinds: tuple[tuple[type | tuple[type, ...], str], ...] = (
        (type(None), "nothing"),
        (bool, "true or false"),
        ((int, float), "a number"),
        (str, "text"),
        ((list, tuple), "a list"),
        (Mapping, "named values"),
    )
    return next((name for kind, name in kinds if isinstance(value, kind)), "something else")


def cause_of(error: Exception) -> str:
    """Return why a file could not be read, as a sentence says it: no path, no class of ours or Python's."""
    if isinstance(error, OSError):
        return (error.strerror or "the disk does not say why").lower()
    if isinstance(error, UnicodeDecodeError):
        return "it is not text in UTF-8"
    if isinstance(error, json.JSONDecodeError):
        return f"{error.msg.lower()} at line {error.lineno}"
    if isinstance(error, (TypeError, KeyError, AttributeError)):
        return "what it should hold is not there"
    return " ".join(str(error).split()).rstrip(".") or "no reason is given"
