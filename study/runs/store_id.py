"""The number of a store, by which a database that several stores share tells their studies apart."""

import os
import uuid
from contextlib import suppress
from pathlib import Path

from study.runs.stored_json import stored_object
from vicreg.errors import InputError
from vicreg.files import temporary_path, to_json, write_atomically

_FILE = "id.json"


def store_id(root: Path) -> str:
    """Return the 8 hexadecimal digits of a store, drawn when they are first asked for and kept in `id.json`.

    A copy of a store has the same; in a copy that shares a database with it the file must be deleted.

    Raises:
        InputError: if the store cannot be written.
    """
    path = root / _FILE
    if not (found := _read(path)):
        drawn = path.with_name(f"{temporary_path(path).name}.drawn")
        write_atomically(drawn, to_json({"id": uuid.uuid4().hex[:8]}))
        try:
            os.link(drawn, path)  # of two commands that draw at once, one succeeds
        except FileExistsError:
            pass
        except OSError:  # a file system without links
            os.replace(drawn, path)
        finally:
            with suppress(OSError):
                drawn.unlink(missing_ok=True)
        found = _read(path)
    if not found:
        raise InputError(f"{path} holds no number of a store; delete it, and a new one is drawn.")
    return found


def _read(path: Path) -> str:
    return str(stored_object(path, ("id",)).get("id", ""))
