"""The fingerprint of raw files sees every change of a name or of content, and nothing else."""

import os
from pathlib import Path

import pytest

from tests.vicreg.data.image_files import write_folder
from tests.vicreg.data.loading import load
from vicreg.data.fingerprint import source_fingerprint
from vicreg.errors import InputError


def test_fingerprint_of_digits_needs_no_files_and_that_of_a_missing_copy_is_none(tmp_path):
    assert source_fingerprint(dataset="digits", root=tmp_path / "missing").startswith("sha256:")
    for name in ("cifar10", "cifar100", "fashion-mnist"):
        assert source_fingerprint(dataset=name, root=tmp_path) is None


@pytest.mark.parametrize("dataset", ["imagefolder", "cifar10", "fashion-mnist"])
def test_a_root_whose_name_is_too_long_or_that_is_a_file_has_no_copy(tmp_path, dataset):
    (tmp_path / "file").touch()
    for root in (Path("x" * 5000), tmp_path / "file"):
        assert source_fingerprint(dataset=dataset, root=root) is None
        with pytest.raises(InputError) as raised:
            load(dataset, root)
        assert "\n" not in str(raised.value) and str(raised.value).endswith(".")


def test_fingerprint_sees_a_changed_a_renamed_and_a_removed_file(tmp_path):
    def fingerprint():
        return source_fingerprint(dataset="imagefolder", root=tmp_path)

    assert fingerprint() is None
    write_folder(tmp_path)
    path = tmp_path / "train" / "cat" / "000.png"
    seen = [fingerprint()]
    os.utime(path, (0, 0))
    assert fingerprint() == seen[0]
    path.write_bytes(path.read_bytes() + b"\0")
    seen.append(fingerprint())
    path.rename(path.with_name("x.png"))
    seen.append(fingerprint())
    path.with_name("x.png").unlink()
    seen.append(fingerprint())
    assert len(set(seen)) == 4 and all(value.startswith("sha256:") for value in seen)


def test_fingerprint_of_a_folder_does_not_depend_on_where_it_lies(tmp_path):
    found = {source_fingerprint(dataset="imagefolder", root=write_folder(tmp_path / name)) for name in ("a", "b")}
    assert len(found) == 1
