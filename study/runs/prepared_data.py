"""Prepared data: tensors in a folder, with what they are made from."""

import dataclasses
import hashlib
import json
import sys
from contextlib import suppress
from pathlib import Path
from typing import Any

from study.config.config import Config
from study.config.places import PREPARED
from study.runs.identity import reading_code
from vicreg.data.cache import read_dataset, save_dataset
from vicreg.data.dataset import Dataset, load_dataset
from vicreg.data.fingerprint import source_fingerprint
from vicreg.errors import InputError
from vicreg.files import to_json, write_atomically

_SOURCE = "source.json"


def prepare(config: Config, folder: Path) -> Dataset:
    """Read the raw data that the config names and write the prepared set to `folder`.

    Raises:
        InputError: if the raw data cannot be had or read.
    """
    dataset = load_dataset(root=config.data_root, **dataclasses.asdict(config.prepare))
    with suppress(OSError):  # so that it never stands beside data it does not speak of
        (folder / _SOURCE).unlink()
    save_dataset(dataset, folder)
    write_atomically(folder / _SOURCE, to_json(_source(config)))
    return dataset


def obtain_dataset(config: Config, *, store: Path) -> tuple[Dataset, Path]:
    """Return the data set of a config and the folder it lies in.

    The prepared set of the DVC stage serves where settings, code and raw bytes are the same. Where the raw data are gone,
    their place takes the part of their bytes. Otherwise the set is prepared under the store. A set that is damaged is
    prepared again where it lies: from the same bytes come the same files, which DVC takes for those it made.

    Raises:
        InputError: if the raw data cannot be had or read.
    """
    wanted = _source(config)
    key = hashlib.sha256(json.dumps(wanted, sort_keys=True).encode()).hexdigest()[:16]
    for folder in (PREPARED, store / "datasets" / key):
        try:
            recorded = json.loads((folder / _SOURCE).read_bytes())
            raw = recorded["raw"] if wanted["raw"] is not None else None
        except (OSError, ValueError, KeyError, TypeError):
            continue
        if {**recorded, "raw": raw} == wanted:
            return _read_or_repair(config, folder), folder
    return prepare(config, folder), folder


def _read_or_repair(config: Config, folder: Path) -> Dataset:
    """Return the data set that lies in `folder`, prepared again where it is damaged."""
    try:
        return read_dataset(folder)
    except InputError as damage:
        print(f"{str(damage).partition(';')[0]}; it is prepared again", file=sys.stderr)
    try:
        return prepare(config, folder)
    except InputError as error:
        raise InputError(f"the data set in {folder} is damaged, and cannot be prepared again: {error}") from None


def _source(config: Config) -> dict[str, Any]:
    """Return what a prepared set is made from: settings, place, raw bytes, and the code that reads them."""
    return {
        "settings": dataclasses.asdict(config.prepare),
        "root": str(config.data_root),
        "raw": source_fingerprint(dataset=config.prepare.dataset, root=config.data_root),
        "code": reading_code().root,
    }
