"""Prepared data are read back as they were stored, and damaged files are refused."""

import dataclasses
import json
import os
from pathlib import Path

import pytest
import torch

from vicreg.data.cache import read_dataset, save_dataset
from vicreg.data.dataset import PARTS, Dataset, load_dataset
from vicreg.errors import InputError


def digits(per_class: int = 5) -> Dataset:
    settings = {"validation": 0.2, "split_seed": 0, "test": 0.2, "per_class": per_class, "image_size": None}
    return load_dataset(dataset="digits", root=Path("nowhere"), **settings)


def test_a_stored_dataset_reads_back_as_it_was(tmp_path):
    original = dataclasses.replace(digits(), files="JPEG")
    save_dataset(original, tmp_path / "new" / "folder")
    copy = read_dataset(tmp_path / "new" / "folder")
    assert copy.digest == original.digest
    for field in ("name", "classes", "mean", "std", "note", "files"):
        assert getattr(copy, field) == getattr(original, field)
    for part in PARTS:
        one, other = getattr(copy, part), getattr(original, part)
        assert torch.equal(one.images, other.images) and torch.equal(one.labels, other.labels)


def test_equal_datasets_are_stored_as_equal_bytes_and_nothing_else(tmp_path):
    for name in ("first", "second"):
        save_dataset(digits(), tmp_path / name)
    save_dataset(digits(), tmp_path / "second")  # over itself
    first, second = ({p.name: p.read_bytes() for p in (tmp_path / n).iterdir()} for n in ("first", "second"))
    assert first == second and sorted(first) == ["dataset.json", "dataset.safetensors"]
    assert str(tmp_path).encode() not in b"".join(first.values())
    assert json.loads(first["dataset.json"])["images"] == {"train": 40, "validation": 10, "test": 10}


def test_a_failed_write_leaves_the_stored_dataset_as_it_was(tmp_path, monkeypatch):
    save_dataset(digits(), tmp_path)

    def no_space(descriptor):
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(os, "fsync", no_space)
    with pytest.raises(InputError, match="no space is left to write .*dataset.safetensors .*; free some space"):
        save_dataset(digits(per_class=10), tmp_path)
    assert read_dataset(tmp_path).digest == digits().digest
    assert sorted(p.name for p in tmp_path.iterdir()) == ["dataset.json", "dataset.safetensors"]


def test_a_folder_that_cannot_be_written_is_reported(tmp_path):
    (tmp_path / "file").write_text("no folder")
    with pytest.raises(InputError, match="file/dataset.safetensors cannot be written"):
        save_dataset(digits(), tmp_path / "file")


@pytest.mark.parametrize("name", ["dataset.json", "dataset.safetensors"])
@pytest.mark.parametrize("kept", [0.0, 0.5, 0.97])
def test_a_truncated_stored_dataset_is_reported(tmp_path, name, kept):
    save_dataset(digits(), tmp_path)
    content = (tmp_path / name).read_bytes()
    (tmp_path / name).write_bytes(content[: int(kept * len(content))])
    with pytest.raises(InputError, match=r"damaged or truncated .*; prepare it again"):
        read_dataset(tmp_path)


def test_a_changed_bit_in_a_stored_dataset_is_reported(tmp_path):
    save_dataset(digits(), tmp_path)
    file = tmp_path / "dataset.safetensors"
    content = bytearray(file.read_bytes())
    content[-1] ^= 1
    file.write_bytes(content)
    with pytest.raises(InputError, match="is damaged: its digest must be sha256:"):
        read_dataset(tmp_path)


@pytest.mark.parametrize("change", [{"classes": ["a", "x"] * 5}, {"std": [1.0]}, {"digest": None}, {"classes": 3}])
def test_a_changed_description_of_a_stored_dataset_is_reported(tmp_path, change):
    save_dataset(digits(), tmp_path)
    description = json.loads((tmp_path / "dataset.json").read_text())
    (tmp_path / "dataset.json").write_text(json.dumps(description | change))
    with pytest.raises(InputError, match="is damaged"):
        read_dataset(tmp_path)


@pytest.mark.parametrize("name", ["dataset.json", "dataset.safetensors"])
def test_a_missing_stored_dataset_is_reported(tmp_path, name):
    save_dataset(digits(), tmp_path)
    (tmp_path / name).unlink()
    with pytest.raises(InputError, match=f"has no {name}; prepare it again"):
        read_dataset(tmp_path)
