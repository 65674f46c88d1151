"""CIFAR and Fashion-MNIST are read, completed where files are missing, or refused."""

import gzip
import hashlib
import pickle
import socket
import sys
import tarfile
import urllib.error
import urllib.request
from pathlib import Path

import numpy as np
import pytest

from tests.vicreg.data.loading import class_counts, load, splits
from vicreg.data.fingerprint import source_fingerprint
from vicreg.errors import InputError
from vicreg.torchvision_compat import torchvision


def md5(content: bytes) -> str:
    return hashlib.md5(content, usedforsecurity=False).hexdigest()


def idx(array: np.ndarray) -> bytes:
    return bytes([0, 0, 8, array.ndim]) + b"".join(n.to_bytes(4, "big") for n in array.shape) + array.tobytes()


@pytest.fixture
def cifar(tmp_path, monkeypatch):
    """A copy of 2 training files and 1 test file, 10 images each, in torchvision's layout, with its archive."""
    random = np.random.Generator(np.random.PCG64(0))
    root, folder = tmp_path / "raw", tmp_path / "raw" / "cifar-10-batches-py"
    folder.mkdir(parents=True)
    contents = {"batches.meta": {"label_names": ["zero", "one"]}}
    for name in ("data_batch_1", "data_batch_2", "test_batch"):
        data = random.integers(0, 256, (10, 3072), dtype=np.uint8)
        contents[name] = {"data": data, "labels": [n % 2 for n in range(10)]}
    sums = {}
    for name, content in contents.items():
        (folder / name).write_bytes(pickle.dumps(content))
        sums[name] = md5((folder / name).read_bytes())
    with tarfile.open(root / "cifar-10-python.tar.gz", "w:gz") as archive:
        archive.add(folder, arcname=folder.name)
    source = torchvision.datasets.CIFAR10
    monkeypatch.setattr(source, "train_list", [[name, sums[name]] for name in ("data_batch_1", "data_batch_2")])
    monkeypatch.setattr(source, "test_list", [["test_batch", sums["test_batch"]]])
    monkeypatch.setattr(source, "meta", source.meta | {"md5": sums["batches.meta"]})
    monkeypatch.setattr(source, "tgz_md5", md5((root / "cifar-10-python.tar.gz").read_bytes()))
    return root, contents


@pytest.fixture
def fashion(tmp_path, monkeypatch):
    random = np.random.Generator(np.random.PCG64(0))
    folder = tmp_path / "raw" / "FashionMNIST" / "raw"
    folder.mkdir(parents=True)
    arrays = {}
    for part, n in (("train", 30), ("t10k", 20)):
        arrays[f"{part}-images-idx3-ubyte"] = random.integers(0, 256, (n, 28, 28), dtype=np.uint8)
        arrays[f"{part}-labels-idx1-ubyte"] = (np.arange(n) % 10).astype(np.uint8)
    resources = []
    for name, array in arrays.items():
        (folder / name).write_bytes(idx(array))
        (folder / f"{name}.gz").write_bytes(gzip.compress(idx(array)))
        resources.append((f"{name}.gz", md5((folder / f"{name}.gz").read_bytes())))
    monkeypatch.setattr(torchvision.datasets.FashionMNIST, "resources", resources)
    return folder.parents[1], arrays


@pytest.fixture(autouse=True)
def no_network(monkeypatch):
    def unreachable(*_, **__):
        raise urllib.error.URLError("no route to host")

    monkeypatch.setattr(urllib.request, "urlopen", unreachable)


@pytest.mark.parametrize("name", ["cifar10", "cifar100", "fashion-mnist"])
def test_without_a_copy_and_a_network_one_sentence_says_what_to_do(tmp_path, name, capfd):
    with pytest.raises(InputError) as raised:
        load(name, tmp_path / "raw")
    message = str(raised.value)
    for part in (name, str(tmp_path / "raw"), "no route to host", "connect to the network", "prepare.dataset"):
        assert part in message
    assert message.count("\n") == 0 and message.endswith(".")
    assert capfd.readouterr() == ("", "") and list((tmp_path / "raw").iterdir()) == []
    assert socket.getdefaulttimeout() is None  # the limit set for the download is gone


def test_an_existing_cifar_copy_is_read_without_a_network(cifar):
    root, contents = cifar
    (root / "cifar-10-python.tar.gz").unlink()
    dataset = load("cifar10", root, validation=0.2)
    assert dataset.classes == ("zero", "one")
    assert np.array_equal(dataset.test.images.numpy().reshape(10, -1), contents["test_batch"]["data"])
    assert dataset.test.labels.tolist() == contents["test_batch"]["labels"]
    rows = np.concatenate([dataset.train.images.numpy(), dataset.validation.images.numpy()]).reshape(20, -1)
    expected = np.concatenate([contents["data_batch_1"]["data"], contents["data_batch_2"]["data"]])
    assert {row.tobytes() for row in rows} == {row.tobytes() for row in expected}
    assert [class_counts(split, 2) for split in splits(dataset)] == [[8, 8], [2, 2], [5, 5]]


@pytest.mark.parametrize("name", ["data_batch_2", "test_batch", "batches.meta"])
@pytest.mark.parametrize("damage", ["truncated", "changed"])
def test_a_damaged_cifar_copy_is_reported_and_left_alone(cifar, name, damage):
    root, _ = cifar
    path = root / "cifar-10-batches-py" / name
    content = path.read_bytes()
    content = content[:-5] if damage == "truncated" else content[:-5] + b"\xff" + content[-4:]
    path.write_bytes(content)
    with pytest.raises(InputError, match=rf"{name} is damaged or truncated: its MD5 must be .*; delete .* run again"):
        load("cifar10", root)
    assert path.read_bytes() == content


def test_an_incomplete_cifar_copy_without_a_network_is_reported(cifar):
    root, _ = cifar
    (root / "cifar-10-python.tar.gz").unlink()
    (root / "cifar-10-batches-py" / "test_batch").unlink()
    with pytest.raises(InputError, match="/test_batch is missing there and downloading it from .* failed"):
        load("cifar10", root)
    assert source_fingerprint(dataset="cifar10", root=root) is None


def test_an_archive_alone_is_unpacked_without_a_network(cifar):
    root, _ = cifar
    expected, fingerprint = load("cifar10", root).digest, source_fingerprint(dataset="cifar10", root=root)
    for path in (root / "cifar-10-batches-py").iterdir():
        path.unlink()
    assert load("cifar10", root).digest == expected
    assert source_fingerprint(dataset="cifar10", root=root) == fingerprint
    assert sorted(p.name for p in root.iterdir()) == ["cifar-10-batches-py", "cifar-10-python.tar.gz"]


def test_what_is_missing_is_completed_and_what_is_there_is_left_alone(cifar):
    root, _ = cifar
    expected = load("cifar10", root).digest
    (root / "cifar-10-batches-py" / "test_batch").unlink()
    assert load("cifar10", root).digest == expected
    (root / "cifar-10-batches-py" / "test_batch").unlink()
    (root / "cifar-10-batches-py" / "data_batch_1").write_bytes(b"mine")
    with pytest.raises(InputError, match="data_batch_1 is damaged"):
        load("cifar10", root)
    assert (root / "cifar-10-batches-py" / "data_batch_1").read_bytes() == b"mine"


def test_a_root_that_cannot_be_written_is_reported(cifar, monkeypatch):
    root, _ = cifar
    (root / "cifar-10-batches-py" / "test_batch").unlink()

    def no_space(*_, **__):
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(tarfile.TarFile, "extractall", no_space)
    with pytest.raises(InputError, match=r"unpacking its archive failed \(.*No space left on device\); .*make room"):
        load("cifar10", root)
    assert sorted(p.name for p in root.iterdir()) == ["cifar-10-batches-py", "cifar-10-python.tar.gz"]


def test_a_truncated_archive_is_reported(cifar):
    root, _ = cifar
    for path in (root / "cifar-10-batches-py").iterdir():
        path.unlink()
    archive = root / "cifar-10-python.tar.gz"
    archive.write_bytes(archive.read_bytes()[:-100])
    with pytest.raises(InputError, match="cifar-10-python.tar.gz is damaged or truncated"):
        load("cifar10", root)


def test_a_download_fills_the_root_and_is_silent(cifar, tmp_path, monkeypatch, capfd):
    root, _ = cifar

    def fetch(url, filename, chunk_size=0):
        print("downloading", file=sys.stderr)
        Path(filename).write_bytes((root / "cifar-10-python.tar.gz").read_bytes())

    monkeypatch.setattr(torchvision.datasets.utils, "_get_redirect_url", lambda url, max_hops: url)
    monkeypatch.setattr(torchvision.datasets.utils, "_urlretrieve", fetch)
    assert load("cifar10", tmp_path / "new").digest == load("cifar10", root).digest
    assert sorted(p.name for p in (tmp_path / "new").iterdir()) == ["cifar-10-batches-py", "cifar-10-python.tar.gz"]
    assert capfd.readouterr() == ("", "")


def test_a_download_with_a_wrong_checksum_is_not_kept(cifar, tmp_path, monkeypatch):
    monkeypatch.setattr(torchvision.datasets.utils, "_get_redirect_url", lambda url, max_hops: url)
    monkeypatch.setattr(
        torchvision.datasets.utils, "_urlretrieve", lambda url, filename, chunk_size=0: Path(filename).write_bytes(b"x")
    )
    with pytest.raises(InputError, match="downloading it from https://.* failed .*corrupted"):
        load("cifar10", tmp_path / "new")
    assert list((tmp_path / "new").iterdir()) == []


def test_an_existing_fashion_mnist_copy_is_read_without_a_network(fashion):
    root, arrays = fashion
    expected = load("fashion-mnist", root)
    assert np.array_equal(expected.test.images.numpy()[:, 0], arrays["t10k-images-idx3-ubyte"])
    assert class_counts(expected.train) == [2] * 10 and class_counts(expected.validation) == [1] * 10
    assert expected.classes[9] == "Ankle boot"
    for path in (root / "FashionMNIST" / "raw").glob("*ubyte"):
        path.unlink()
    assert load("fashion-mnist", root).digest == expected.digest  # from the archives alone
    for path in (root / "FashionMNIST" / "raw").glob("*.gz"):
        path.unlink()
    assert load("fashion-mnist", root).digest == expected.digest  # from the files alone


def test_a_truncated_fashion_mnist_file_is_reported(fashion):
    root, _ = fashion
    for path in (root / "FashionMNIST" / "raw").glob("*.gz"):
        path.unlink()
    path = root / "FashionMNIST" / "raw" / "t10k-images-idx3-ubyte"
    for size in (0, 3, 10, path.stat().st_size - 1):
        path.write_bytes(path.read_bytes()[:size])
        with pytest.raises(InputError, match=r"FashionMNIST is damaged or truncated \(.+\); delete .*FashionMNIST and"):
            load("fashion-mnist", root)
        path.write_bytes(idx(np.zeros((20, 28, 28), dtype=np.uint8)))
