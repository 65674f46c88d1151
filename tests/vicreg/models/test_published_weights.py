"""Published encoders: addresses, checksums, and downloads that leave a whole file or none."""

import hashlib
import io
import socket
import urllib.error

import pytest
import torch

from tests.vicreg.models.others import bytes_of, refusal
from vicreg.models.pretrained import load_encoder
from vicreg.models.published_weights import PUBLISHED_WEIGHTS
from vicreg.models.resnet import ResNet


class Answer(io.BytesIO):
    """A server's answer, which ends as `end` says after its bytes."""

    def __init__(self, content: bytes, end: BaseException | None = None):
        super().__init__(content)
        self.end = end

    def info(self):
        class Headers:
            get_all = staticmethod(lambda _: None)

        return Headers

    def read(self, *size):
        if not (read := super().read(*size)) and self.end is not None:
            raise self.end
        return read


@pytest.fixture(autouse=True)
def no_network(monkeypatch):
    def unreachable(*_, **__):
        raise urllib.error.URLError("no route to host")

    monkeypatch.setattr(torch.hub, "urlopen", unreachable)


def test_published_files_have_names_of_their_own():
    assert {name: (entry.url, entry.file) for name, entry in PUBLISHED_WEIGHTS.items()} == {
        "vicreg-resnet50": ("https://dl.fbaipublicfiles.com/vicreg/resnet50.pth", "vicreg-resnet50.pth"),
        **{
            f"torchvision-{name}": (f"https://download.pytorch.org/models/{file}", file)
            for name, file in {
                "resnet18": "resnet18-f37072fd.pth",
                "resnet34": "resnet34-b627a593.pth",
                "resnet50": "resnet50-0676ba61.pth",
                "resnet50-v2": "resnet50-11ad3fa6.pth",
            }.items()
        },
    }


def test_a_missing_file_that_cannot_be_had_is_named_with_its_address_and_its_place(tmp_path, capfd):
    path, url = tmp_path / "hub" / "vicreg-resnet50.pth", "https://dl.fbaipublicfiles.com/vicreg/resnet50.pth"
    assert refusal("vicreg-resnet50", folder=path.parent) == (
        f"vicreg-resnet50 must be at {path}, but is missing there and downloading it from {url} failed (<urlopen error no "
        f"route to host>); connect to the network and run again, or fetch {url} elsewhere, put it at {path} and run again."
    )
    assert list(path.parent.iterdir()) == [] and capfd.readouterr() == ("", "")
    assert socket.getdefaulttimeout() is None  # the limit set for the download is gone


@pytest.mark.parametrize("end", [None, TimeoutError("timed out"), KeyboardInterrupt()])
def test_half_a_download_leaves_nothing(tmp_path, monkeypatch, end):
    content = bytes_of(ResNet(architecture="resnet18", width=4).state_dict())
    seen = []

    def answer(*_, **__):
        seen.append(((tmp_path / "vicreg-resnet50.pth").exists(), socket.getdefaulttimeout()))
        return Answer(content[:-1000], end)

    monkeypatch.setattr(torch.hub, "urlopen", answer)
    if isinstance(end, KeyboardInterrupt):
        with pytest.raises(KeyboardInterrupt):
            load_encoder("vicreg-resnet50", folder=tmp_path)
    else:
        cause = "what came is no whole file" if end is None else "timed out"
        assert f"failed ({cause}); connect to the network" in refusal("vicreg-resnet50", folder=tmp_path)
    assert list(tmp_path.iterdir()) == [] and seen == [(False, 30.0)]


def test_a_download_is_kept_under_its_name_and_not_repeated(tmp_path, monkeypatch, capfd):
    network = ResNet(architecture="resnet18", width=4).state_dict()
    answers = [Answer(bytes_of(network))]
    monkeypatch.setattr(torch.hub, "urlopen", lambda *_, **__: answers.pop())
    first = load_encoder("vicreg-resnet50", folder=tmp_path)
    second = load_encoder("vicreg-resnet50", folder=tmp_path)
    assert first.digest == second.digest and [path.name for path in tmp_path.iterdir()] == ["vicreg-resnet50.pth"]
    assert capfd.readouterr() == ("", "")


def test_torchvisions_files_are_checked_by_the_hash_in_their_names(tmp_path, monkeypatch):
    content = bytes_of(ResNet(architecture="resnet18").state_dict())
    found = hashlib.sha256(content).hexdigest()
    monkeypatch.setattr(torch.hub, "urlopen", lambda *_, **__: Answer(content))
    message = refusal("torchvision-resnet18", folder=tmp_path)
    assert f'failed (invalid hash value (expected "f37072fd", got "{found}"))' in message and list(tmp_path.iterdir()) == []
    path = tmp_path / "resnet18-f37072fd.pth"
    path.write_bytes(content)
    assert refusal("torchvision-resnet18", folder=tmp_path) == (
        f"{path} is damaged or truncated: its SHA-256 must start with f37072fd, but is {found}; delete it and run again to "
        "have it replaced."
    )
    right = PUBLISHED_WEIGHTS["torchvision-resnet18"]._replace(url=f"https://example.org/resnet18-{found[:8]}.pth")
    monkeypatch.setitem(PUBLISHED_WEIGHTS, "torchvision-resnet18", right)
    assert load_encoder("torchvision-resnet18", folder=tmp_path).file_sha256 == found
