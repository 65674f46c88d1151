"""Files are written whole or not at all, and JSON and CSV have one form."""

import csv
import errno
import io
import json
import os
import re
from concurrent.futures import ThreadPoolExecutor

import pandas
import pytest

from vicreg import files
from vicreg.errors import InputError
from vicreg.files import to_csv, to_json, user_path, write_atomically


def test_a_tilde_is_the_home_folder_and_what_can_be_no_path_is_refused(monkeypatch, tmp_path):
    monkeypatch.setenv("HOME", str(tmp_path))
    assert user_path("~/images", of="data.root") == tmp_path / "images" and str(user_path("a/~b", of="data.root")) == "a/~b"
    for text, rule in (
        ("~nobody-of-this-name/x", "data.root must begin with a folder"),
        ("a\0b", "data.root must be a path"),
    ):
        with pytest.raises(InputError, match=f"^{rule}.*, but got .*; write it .*\\.$"):
            user_path(text, of="data.root")


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


def test_no_two_hosts_processes_or_threads_write_under_one_name(tmp_path, monkeypatch):
    names = {files.temporary_path(tmp_path / "status.json").name}
    with ThreadPoolExecutor(1) as other:
        names.add(other.submit(files.temporary_path, tmp_path / "status.json").result().name)
    with monkeypatch.context() as patch:
        patch.setattr(files.os, "getpid", lambda: os.getppid())
        names.add(files.temporary_path(tmp_path / "status.json").name)
    for host in ("node 7/rack:3", "é", ""):
        monkeypatch.setattr(files.platform, "node", lambda host=host: host)
        names.add(files.temporary_path(tmp_path / "status.json").name)
    assert len(names) == 6 and all(re.fullmatch(r"\.status\.json\.[A-Za-z0-9.-]+\.tmp", name) for name in names)


def test_json_of_equal_values_is_equal_and_keeps_every_bit():
    value = {"b": 0.1 + 0.2, "a": [1e-320, 5e300, "μ"]}
    assert to_json(value) == to_json(dict(reversed(value.items())))
    assert json.loads(to_json(value)) == value and to_json(value).endswith(b"}\n")


NAMES = (
    "cat", "tench, Tinca tinca", 'the "great" white', "two\nlines", "a\rreturn", "pipe | and ; and\ttab", " spaces ", "=1+1",
    "NA", "007", "$x_1$", "<script>&amp;", "猫", "é", "🐈", "'", '"', "",
)  # fmt: skip


def test_a_table_gives_back_every_name_exactly_to_pandas_and_to_the_csv_module():
    text = to_csv(("name", "number"), [(name, number) for number, name in enumerate(NAMES)]).decode()
    frame = pandas.read_csv(io.StringIO(text, newline=""), dtype=str, keep_default_na=False)
    assert tuple(frame["name"]) == NAMES and list(frame["number"]) == [str(number) for number in range(len(NAMES))]
    assert [row["name"] for row in csv.DictReader(io.StringIO(text, newline=""))] == list(NAMES)


def test_a_table_of_plain_names_has_no_quotes_and_ends_each_line_in_one_character():
    assert to_csv(("actual", "x"), [("cat", 0.5), ("big dog", None)]) == b"actual,x\ncat,0.5\nbig dog,\n"
