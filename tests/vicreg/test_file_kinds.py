"""A file that holds no weights is called what it is."""

import gzip
import io
import pickle
import tarfile
import zipfile

import numpy as np
import pytest
import torch

from tests.vicreg.models.others import refusal, saved


def zipped(names):
    content = io.BytesIO()
    with zipfile.ZipFile(content, "w") as archive:
        for name in names:
            archive.writestr(name, b"some bytes")
    return content.getvalue()


def tarred():
    content = io.BytesIO()
    with tarfile.open(fileobj=content, mode="w") as archive:
        for name in ("sys_info", "pickle", "tensors", "storages"):
            archive.addfile(tarfile.TarInfo(name))
    return content.getvalue()


def arrays(save, **named):
    content = io.BytesIO()
    save(content, **named)
    return content.getvalue()


KINDS = {
    "it is empty": b"",
    "it is a Git LFS pointer, which `git lfs pull` replaces by the file": (
        b"version https://git-lfs.github.com/spec/v1\noid sha256:4d7a\nsize 12345\n"
    ),
    "it is a web page or other XML": b"\n <!DOCTYPE html><title>404</title>",
    "it is JSON": b'{"metadata": {"total_size": 3}, "weight_map": {}}',
    "it holds arrays of NumPy (.npz)": arrays(np.savez, a=np.ones(3)),
    "it is an array of NumPy": arrays(lambda file: np.save(file, np.ones(3))),
    "it is a zip archive of other files; unpack it": zipped(["model.pth", "README"]),
    "it is a tar archive, or written by torch before 0.1.10, which cannot be read without running code": tarred(),
    "it is compressed by gzip; unpack it": gzip.compress(b"weights"),
    "it is a pickle that torch.save did not write": pickle.dumps({"conv1.weight": [1.0]}),
    "it is an HDF5 file, as Keras writes them": b"\x89HDF\r\n\x1a\n" + bytes(80),
}


@pytest.mark.parametrize("what", KINDS)
@pytest.mark.parametrize("suffix", ["pth", "safetensors"])
def test_the_refusal_says_what_the_file_is(tmp_path, what, suffix):
    path = tmp_path / f"weights.{suffix}"
    path.write_bytes(KINDS[what])
    assert refusal(str(path)) == f"{path} is damaged, truncated or not a file of tensors ({what}); fetch or export it again."


def test_a_torchscript_archive_and_a_later_pickle_protocol_are_called_so(tmp_path):
    path = tmp_path / "weights.pth"
    tail = "which cannot be read without running code from the file; export the network with"
    torch.save({"a": torch.zeros(3)}, path, pickle_protocol=4)
    assert f"but holds what was pickled by a later protocol than 2, {tail}" in refusal(str(path))
    with zipfile.ZipFile(path, "w") as archive:  # what torch.jit.save writes has these entries
        for name, content in (("m/data.pkl", b"\x80\x02}."), ("m/constants.pkl", b"\x80\x02)."), ("m/version", b"3\n")):
            archive.writestr(name, content)
        archive.writestr("m/code/__torch__.py", b"class Net: ...")
    assert f"but holds a TorchScript archive, {tail}" in refusal(str(path))


def test_objects_that_cannot_be_passed_over_are_named(tmp_path):
    from collections import deque

    message = refusal(saved(tmp_path / "weights.pth", {"log": deque([1, 2]), "net": {"conv1.weight": torch.zeros(1)}}))
    assert "but holds objects of collections.deque, which cannot be read without running code" in message
