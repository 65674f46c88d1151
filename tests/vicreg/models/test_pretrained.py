"""Encoders are loaded from a published name or a file, and known by a digest of their tensors."""

import urllib.error

import pytest
import safetensors.torch
import torch

from tests.vicreg.models.others import refusal, saved, shapes_only
from vicreg.models.pretrained import load_encoder
from vicreg.models.resnet import ResNet


@pytest.fixture(autouse=True)
def no_network(monkeypatch):
    def unreachable(*_, **__):
        raise urllib.error.URLError("no route to host")

    monkeypatch.setattr(torch.hub, "urlopen", unreachable)


def test_the_digest_is_of_names_and_numbers_alone(tmp_path):
    network = ResNet(architecture="resnet18", width=4).state_dict()
    backwards = {name: network[name].to(memory_format=torch.channels_last) if network[name].ndim == 4 else network[name]
                 for name in reversed(network)}  # fmt: skip
    changed = network | {"bn1.bias": network["bn1.bias"] + 1}
    files = [saved(tmp_path / f"{n}.pt", content) for n, content in enumerate((network, backwards, changed))]
    torch.save(network, tmp_path / "old.pth.tar", _use_new_zipfile_serialization=False)
    safetensors.torch.save_file(network, tmp_path / "new.safetensors")
    same = [load_encoder(str(file)).digest for file in (*files[:2], tmp_path / "old.pth.tar", tmp_path / "new.safetensors")]
    assert len(set(same)) == 1 and same[0].startswith("sha256:") and len(same[0]) == 71
    assert load_encoder(files[2]).digest != same[0]


def test_a_source_that_is_neither_published_nor_a_file_is_refused(tmp_path):
    assert refusal(str(tmp_path)) == (
        "an encoder must be one of vicreg-resnet50, torchvision-resnet18, torchvision-resnet34, torchvision-resnet50, "
        f"torchvision-resnet50-v2 or the path of a file, but {str(tmp_path)!r} is a folder; name the file in it."
    )
    assert "or the path of a file, but '/dev/null' is no file; correct pretrain.weights." in refusal("/dev/null")
    assert refusal("nowhere.pth").endswith("but 'nowhere.pth' does not exist; correct pretrain.weights.")
    assert "or the path of a file, but" in refusal("x" * 5000)
    assert refusal("~nobody-of-this-name/x.pth") == (
        "an encoder's path must begin with a folder of this machine, but got '~nobody-of-this-name/x.pth'; write it in full."
    )


def test_a_published_file_that_is_there_is_read_without_a_network(tmp_path, monkeypatch):
    monkeypatch.setattr(torch.hub, "get_dir", lambda: str(tmp_path))
    (tmp_path / "checkpoints").mkdir()
    saved(tmp_path / "checkpoints" / "vicreg-resnet50.pth", shapes_only("resnet50"))
    encoder = load_encoder("vicreg-resnet50")
    assert encoder.origin == (
        "the VICReg authors' ResNet-50 (arXiv 2105.04906), from https://dl.fbaipublicfiles.com/vicreg/resnet50.pth."
    )
    assert (encoder.backbone, encoder.layout) == ("resnet50", "torchvision")
