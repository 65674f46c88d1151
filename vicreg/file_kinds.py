"""Say what a file is that is no file of weights."""

import tarfile
import zipfile
from pathlib import Path

_STARTS = {
    b"version https://git-lfs": "it is a Git LFS pointer, which `git lfs pull` replaces by the file",
    b"\x93NUMPY": "it is an array of NumPy",
    b"\x89HDF": "it is an HDF5 file, as Keras writes them",
    b"\x1f\x8b": "it is compressed by gzip; unpack it",
    b"BZh": "it is compressed by bzip2; unpack it",
    b"\xfd7zXZ": "it is compressed by xz; unpack it",
    b"7z\xbc\xaf": "it is a 7z archive; unpack it",
    b"\x28\xb5\x2f\xfd": "it is compressed by zstd; unpack it",
}
_TORCHS_PICKLE = (0x1950A86A20F9469CFC6C).to_bytes(10, "little")  # torch.save's magic number before torch 1.6
_LONGEST = 512  # bytes that are looked at


def is_safetensors(path: Path) -> bool:
    """Return whether a file is written as safetensors are: the length of a JSON header, the header, numbers.

    A file called .safetensors counts as one unless it is a zip archive, as torch writes them.
    """
    with open(path, "rb") as file:
        start = file.read(9)
    whole = path.stat().st_size
    header = start[8:] == b"{" and 8 + int.from_bytes(start[:8], "little") <= whole
    return header or (path.suffix.lower() == ".safetensors" and not start.startswith(b"PK"))


def describe_file(path: Path) -> str | None:
    """Return what a file is where its first bytes or its archive's entries show that it holds no weights, or None."""
    with open(path, "rb") as file:
        start = file.read(_LONGEST)
    if not start:
        return "it is empty"
    for known, what in _STARTS.items():
        if start.startswith(known):
            return what
    if start.startswith(b"\x80") and _TORCHS_PICKLE not in start:
        return "it is a pickle that torch.save did not write"
    if start.lstrip().startswith(b"<"):
        return "it is a web page or other XML"
    if start.lstrip().startswith((b"{", b"[")):
        return "it is JSON"
    try:
        return _describe_archive(path)
    except (zipfile.BadZipFile, tarfile.TarError, ValueError, NotImplementedError):  # of a damaged one, by the way it ends
        return None


def _describe_archive(path: Path) -> str | None:
    """Return what a zip or tar archive holds where it is not torch's, or None, also for any other file."""
    if zipfile.is_zipfile(path):
        with zipfile.ZipFile(path) as archive:
            names = archive.namelist()
        if names and all(name.endswith(".npy") for name in names):
            return "it holds arrays of NumPy (.npz)"
        if not any(name.endswith("data.pkl") for name in names):
            return "it is a zip archive of other files; unpack it"
    elif tarfile.is_tarfile(path):
        return "it is a tar archive, or written by torch before 0.1.10, which cannot be read without running code"
    return None
