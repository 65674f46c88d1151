"""Files are written whole or not at all, and JSON has one form."""

import errno
import json
import os

import pytest

from vicreg import files
from vicreg.errors import InputError
from vicreg.files import to_json, write_atomically


@pytest.mark.parametrize("operation", ["open", "fsync", "replace"])
def test_a_file_is_the_old_one_where_writing_the_new_one_fails(tmp_path, monkeypatch, operation):
    write_atomically(tmp_path / "status.json", b"old")

    def fail(*_, **__):
        raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))

    monkeypatch.setattr(files if operation == "open" else os, operation, fail, raising=False)
    with pytest.raises(InputError, match="no space is left"):
        write_atomically(tmp_path / "status.json", b"new")
    monkeypatch.undo()
    assert [entry.name for entry in tmp_path.iterdir()] == ["status.json"]
    assert (tmp_path / "status.json").read_bytes() == b"old"


def test_json_of_equal_values_is_equal_and_keeps_every_bit():
    value = {"b": 0.1 + 0.2, "a": [1e-320, 5e300, "μ"]}
    assert to_json(value) == to_json(dict(reversed(value.items())))
    assert json.loads(to_json(value)) == value and to_json(value).endswith(b"}\n")
