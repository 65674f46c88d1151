"""Reads JSON files that may be missing or damaged: then they hold nothing."""

import functools
import json
from pathlib import Path
from typing import Any


def stored_list(path: Path) -> list[dict[str, Any]]:
    """Return the list of objects in a JSON file; an empty one where none can be read."""
    return json.loads(path.read_bytes()) if holds(path, list, ()) else []


def stored_object(path: Path, keys: tuple[str, ...] = ()) -> dict[str, Any]:
    """Return the object in a JSON file; an empty one where none with these keys can be read."""
    found: dict[str, Any] = json.loads(path.read_bytes()) if holds(path, dict, keys) else {}
    return found


def holds(path: Path, kind: type, keys: tuple[str, ...], *, filled: bool = False) -> bool:
    """Return whether a file is JSON of this kind, with these keys; a list is one of objects.

    With `filled`, each key holds an object that is not empty.
    """
    try:
        about = path.stat()
    except OSError:
        return False
    return _parses(path, about.st_mtime_ns, about.st_size, kind, keys, filled)


@functools.lru_cache(maxsize=100_000)
def _parses(path: Path, changed: int, size: int, kind: type, keys: tuple[str, ...], filled: bool) -> bool:
    """Do what `holds` does, once for each state of a file: a study asks of each of its runs many times."""
    try:
        value = json.loads(path.read_bytes())
    except (OSError, ValueError, RecursionError):
        return False
    if isinstance(value, list):
        return kind is list and all(isinstance(one, dict) for one in value)
    if kind is not dict or not isinstance(value, dict) or not all(key in value for key in keys):
        return False
    return not filled or all(isinstance(value[key], dict) and value[key] for key in keys)
