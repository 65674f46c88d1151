"""Weights of others: every layout gives the features of the network that was trained, and what cannot is refused."""

import argparse
import hashlib
import io
import os
import pickle
import socket
import sys
import urllib.error
from collections import defaultdict
from importlib.util import find_spec
from pathlib import Path

import numpy as np
import pytest
import safetensors.torch
import torch
from torch import Tensor, nn

from vicreg.errors import InputError
from vicreg.models.checkpoint_layouts import LAYOUTS
from vicreg.models.joint_embedding import JointEmbedding
from vicreg.models.pretrained import Encoder, load_encoder
from vicreg.models.published_weights import PUBLISHED_WEIGHTS
from vicreg.models.resnet import ResNet
from vicreg.torchvision_compat import torchvision
from vicreg.training.checkpoint import save_weights

ACCEPTED = "resnet18 (basic blocks 2-2-2-2), resnet34 (basic blocks 3-4-6-3), resnet50 (bottlenecks 3-4-6-3)"
PLACES = "at the top or under module., backbone., encoder. or model."


# ---- the authors' network, from its description alone


class AuthorsBlock(nn.Module):
    def __init__(self, channels: int, inner: int, stride: int) -> None:
        super().__init__()
        self.conv1, self.bn1 = nn.Conv2d(channels, inner, 1, bias=False), nn.BatchNorm2d(inner)
        self.conv2, self.bn2 = nn.Conv2d(inner, inner, 3, stride, padding=1, bias=False), nn.BatchNorm2d(inner)
        self.conv3, self.bn3 = nn.Conv2d(inner, 4 * inner, 1, bias=False), nn.BatchNorm2d(4 * inner)
        self.downsample = None
        if channels != 4 * inner:
            self.downsample = nn.Sequential(nn.Conv2d(channels, 4 * inner, 1, stride, bias=False), nn.BatchNorm2d(4 * inner))

    def forward(self, x: Tensor) -> Tensor:
        y = self.bn1(self.conv1(x)).relu()
        y = self.bn2(self.conv2(y)).relu()
        return (self.bn3(self.conv3(y)) + (x if self.downsample is None else self.downsample(x))).relu()


class AuthorsResNet50(nn.Module):
    """Zeros of 1 are laid around the image, and the 7x7 convolution pads by 2 more."""

    def __init__(self, widen: int = 1) -> None:
        super().__init__()
        channels = 64 * widen
        self.padding = nn.ConstantPad2d(1, 0.0)
        self.conv1, self.bn1 = nn.Conv2d(3, channels, 7, 2, padding=2, bias=False), nn.BatchNorm2d(channels)
        self.maxpool = nn.MaxPool2d(3, 2, 1)
        for stage, depth in enumerate((3, 4, 6, 3)):
            inner = 64 * widen * 2**stage
            blocks = [AuthorsBlock(channels, inner, 1 if stage == 0 else 2)]
            blocks += [AuthorsBlock(4 * inner, inner, 1) for _ in range(depth - 1)]
            setattr(self, f"layer{stage + 1}", nn.Sequential(*blocks))
            channels = 4 * inner

    def forward(self, images: Tensor) -> Tensor:
        x = self.maxpool(self.bn1(self.conv1(self.padding(images))).relu())
        return self.layer4(self.layer3(self.layer2(self.layer1(x)))).mean((2, 3))


# ---- stand-ins for what others trained


def at_random(network: nn.Module, seed: int = 0) -> nn.Module:
    """Weights that keep the signal's scale, and statistics that are not those of a fresh network."""
    generator = torch.Generator().manual_seed(seed)
    with torch.no_grad():
        for layer in network.modules():
            if isinstance(layer, nn.Conv2d):
                nn.init.kaiming_normal_(layer.weight, generator=generator)
            elif isinstance(layer, nn.BatchNorm2d):
                layer.weight.uniform_(0.3, 0.9, generator=generator)
                layer.bias.normal_(0, 0.2, generator=generator)
                layer.running_mean.normal_(0, 0.3, generator=generator)
                layer.running_var.uniform_(0.5, 1.5, generator=generator)
                layer.num_batches_tracked.fill_(1234)
    return network.eval()


def torchvision_resnet(name: str, **settings) -> nn.Module:
    with torch.device("meta"):
        network = getattr(torchvision.models, name)(weights=None, **settings)
    return at_random(network.to_empty(device="cpu"))


def under(prefix: str, tensors: dict[str, Tensor]) -> dict[str, Tensor]:
    return {prefix + name: tensor for name, tensor in tensors.items()}


def head(prefix: str) -> dict[str, Tensor]:
    return under(prefix, nn.Sequential(nn.Linear(4, 3), nn.BatchNorm1d(3), nn.ReLU(), nn.Linear(3, 2)).state_dict())


def children(network: nn.Module) -> dict[str, Tensor]:
    return nn.Sequential(*list(network.children())[:-1]).state_dict()


def shapes_only(network: str, **settings) -> dict[str, Tensor]:
    """A state dict of torchvision's names and shapes whose file is small: every tensor is one zero, expanded."""
    with torch.device("meta"):
        state = getattr(torchvision.models, network)(weights=None, **settings).state_dict()
    return {name: torch.zeros((), dtype=tensor.dtype).expand(tensor.shape) for name, tensor in state.items()}


def saved(path: Path, content) -> str:
    torch.save(content, path)
    return str(path)


def ours(encoder: Encoder) -> ResNet:
    with torch.device("meta"):
        network = ResNet(
            architecture=encoder.backbone, stem=encoder.stem, width=encoder.width, in_channels=encoder.in_channels
        )
    network.load_state_dict(encoder.tensors, strict=True, assign=True)
    return network.eval()


def images(n: int, side: int) -> Tensor:
    return torch.randn(n, 3, side, side, generator=torch.Generator().manual_seed(side))


@torch.no_grad()
def assert_same_features(encoder: Encoder, theirs: nn.Module, *sides: int) -> None:
    network = ours(encoder)
    for side in sides:
        batch = images(2, side)
        expected, found = theirs(batch), network(nn.functional.pad(batch, [encoder.border] * 4))
        scale = expected.abs().max()
        assert scale > 0.1 and expected.std(0).max() > 1e-3 * scale  # not a network that has forgotten its image
        assert (found - expected).abs().max() <= 1e-5 * scale


def refusal(source: str, **folder) -> str:
    with pytest.raises(InputError) as raised:
        load_encoder(source, **folder)
    assert "\n" not in str(raised.value) and str(raised.value).endswith(".")
    return str(raised.value)


@pytest.fixture(scope="module")
def authors() -> AuthorsResNet50:
    with torch.device("meta"):
        network = AuthorsResNet50()
    return at_random(network.to_empty(device="cpu"))


@pytest.fixture(autouse=True)
def no_network(monkeypatch):
    def unreachable(*_, **__):
        raise urllib.error.URLError("no route to host")

    monkeypatch.setattr(torch.hub, "urlopen", unreachable)


# ---- layouts


def exclude_bias_and_norm(parameter):
    return parameter.ndim == 1


def full_checkpoint(path: Path, authors: nn.Module, monkeypatch) -> str:
    """As main_vicreg.py saves it: its optimiser's state names a function of the script that was running."""
    with monkeypatch.context() as script:
        script.setattr(sys.modules["__main__"], "exclude_bias_and_norm", exclude_bias_and_norm, raising=False)
        script.setattr(exclude_bias_and_norm, "__module__", "__main__")
        group = {"lr": 0.2, "weight_decay_filter": exclude_bias_and_norm, "params": [0]}
        state = {0: {"mu": torch.ones(3)}}
        model = under("module.backbone.", authors.state_dict()) | head("module.projector.")
        return saved(path, {"epoch": 3, "model": model, "optimizer": {"state": state, "param_groups": [group]}})


@pytest.mark.slow
def test_the_authors_network_gives_the_same_features_from_every_layout(tmp_path, authors, monkeypatch):
    plain = authors.state_dict()
    with torch.device("meta"):
        twin = torchvision.models.resnet50(weights=None)
    twin.load_state_dict(plain, strict=False, assign=True)
    hyper_parameters = {"args": argparse.Namespace(lr=0.3), "folder": Path("data"), "cfg": {"arch": "resnet50"}}
    lightning = {"epoch": 1, "pytorch-lightning_version": "2.6.6", "hyper_parameters": hyper_parameters}
    lightly = under("backbone.", children(twin)) | head("projection_head.layers.")
    momentum = under("momentum_backbone.", shapes_only("resnet50"))
    heads = head("projector.") | under("classifier.", nn.Linear(2048, 10).state_dict())
    solo = under("backbone.", plain) | heads | momentum
    with torch.device("meta"):
        backbone = ResNet(architecture="resnet50")
    backbone.load_state_dict(plain, assign=True)
    save_weights(tmp_path / "ours.safetensors", JointEmbedding(backbone=backbone, expander=[8, 8]))
    files = {
        "torchvision": saved(tmp_path / "resnet50.pth", plain),
        "vicreg": full_checkpoint(tmp_path / "model.pth", authors, monkeypatch),
        "lightly": saved(tmp_path / "lightly.ckpt", lightning | {"state_dict": lightly}),
        "solo-learn": saved(tmp_path / "solo.ckpt", lightning | {"state_dict": solo}),
        "vicreg-study": str(tmp_path / "ours.safetensors"),
    }
    assert tuple(files) == LAYOUTS
    encoders = {layout: load_encoder(file) for layout, file in files.items()}
    for layout, encoder in encoders.items():
        assert encoder[:4] == ("resnet50", "imagenet", 64, 3) and (encoder.layout, encoder.border) == (layout, 0)
        assert encoder.origin == f"the file {Path(files[layout]).name}, in the layout of {layout}."
        assert encoder.file_sha256 == hashlib.sha256(Path(files[layout]).read_bytes()).hexdigest()
        assert_same_features(encoder, authors, 32)
    assert_same_features(encoders["vicreg"], authors, 64, 224)
    assert len({encoder.digest for encoder in encoders.values()}) == 1
    assert encoders["vicreg"].tensors["bn1.num_batches_tracked"] == 1234


@pytest.mark.parametrize("name", ["resnet18", "resnet34", "resnet50"])
def test_torchvisions_networks_load_with_their_classifier_left_out(tmp_path, name):
    network = torchvision_resnet(name, num_classes=7)
    encoder = load_encoder(saved(tmp_path / "weights.pth", network.state_dict()))
    network.fc = nn.Identity()
    assert (encoder.backbone, encoder.layout) == (name, "torchvision")
    assert_same_features(encoder, network, 64)


def test_solo_learns_cifar_stem_needs_a_border_for_its_padding_of_two(tmp_path):
    network = torchvision_resnet("resnet18")
    network.conv1, network.maxpool, network.fc = nn.Conv2d(3, 64, 3, 1, padding=2, bias=False), nn.Identity(), nn.Identity()
    at_random(network)
    heads = head("projector.") | under("classifier.", nn.Linear(512, 10).state_dict())
    content = {"state_dict": under("backbone.", network.state_dict()) | heads}
    encoder = load_encoder(saved(tmp_path / "solo.ckpt", content))
    assert encoder[:4] == ("resnet18", "cifar", 64, 3) and (encoder.layout, encoder.border) == ("solo-learn", 1)
    assert_same_features(encoder, network, 32)
    with torch.no_grad():
        assert (ours(encoder)(images(2, 32)) - network(images(2, 32))).abs().max() > 0.01  # without the border


@pytest.mark.skipif(find_spec("lightly") is None, reason="lightly is not installed")
def test_a_module_of_lightlys_parts_loads(tmp_path):
    from lightly.models.modules.heads import VICRegProjectionHead

    network = torchvision_resnet("resnet18")
    module = nn.Module()
    module.backbone = nn.Sequential(*list(network.children())[:-1])
    module.projection_head = VICRegProjectionHead(512, 16, 16)
    network.fc = nn.Identity()
    encoder = load_encoder(saved(tmp_path / "last.ckpt", {"state_dict": module.state_dict()}))
    assert (encoder.backbone, encoder.layout) == ("resnet18", "lightly")
    assert_same_features(encoder, network, 64)


@pytest.mark.skipif(find_spec("lightly") is None, reason="lightly is not installed")
def test_lightlys_own_resnet_is_refused_for_its_stem_has_no_relu_when_taken_apart(tmp_path):
    from lightly.models import ResNetGenerator

    path = tmp_path / "own.pth"
    message = refusal(saved(path, under("backbone.", children(ResNetGenerator("resnet-18", width=0.125)))))
    assert message == (
        f"{path} must hold one of {ACCEPTED}, but holds basic blocks 2-2-0-0; point at weights of one of these."
    )


@pytest.mark.parametrize("prefix", ["module.", "encoder.", "model.", "module.backbone.", "model.encoder.", "_orig_mod."])
def test_a_prefix_does_not_matter_nor_does_a_momentum_copy(tmp_path, prefix):
    network = ResNet(architecture="resnet18", stem="cifar", width=8, in_channels=1).state_dict()
    plain = load_encoder(saved(tmp_path / "plain.pth", network))
    copies = [under(f"{name}.", network) for name in ("momentum_backbone", "backbone_momentum", "encoder_k", "teacher")]
    other = {name: tensor + 1 for copy in copies for name, tensor in copy.items()}
    encoder = load_encoder(saved(tmp_path / "wrapped.pth", under(prefix, network) | other))
    assert encoder[:4] == plain[:4] == ("resnet18", "cifar", 8, 1)
    assert encoder.digest == plain.digest and encoder.file_sha256 != plain.file_sha256


def test_the_authors_network_of_double_width_is_ours_at_width_128(tmp_path):
    with torch.device("meta"):
        state = AuthorsResNet50(widen=2).state_dict()
    state = {name: torch.zeros((), dtype=tensor.dtype).expand(tensor.shape) for name, tensor in state.items()}
    assert load_encoder(saved(tmp_path / "resnet50x2.pth", state))[:4] == ("resnet50", "imagenet", 128, 3)


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


def test_counts_of_batches_that_an_old_file_lacks_are_zero_and_halves_become_float32(tmp_path):
    network = ResNet(architecture="resnet18", width=4).state_dict()
    old = {name: tensor.half() for name, tensor in network.items() if not name.endswith("num_batches_tracked")}
    encoder = load_encoder(saved(tmp_path / "old.pth", old))
    assert list(encoder.tensors) == list(network) and encoder.tensors["bn1.num_batches_tracked"] == 0
    assert all(tensor.dtype == network[name].dtype for name, tensor in encoder.tensors.items())


# ---- what is refused


def test_other_networks_are_refused_by_what_they_are(tmp_path):
    path = tmp_path / "weights.pth"
    tail = "point at weights of one of these."
    message = refusal(saved(path, shapes_only("resnet101")))
    assert message == f"{path} must hold one of {ACCEPTED}, but holds bottlenecks 3-4-23-3; {tail}"
    message = refusal(saved(path, {name: t for name, t in shapes_only("resnet50").items() if "layer3.5" not in name}))
    assert message == f"{path} must hold one of {ACCEPTED}, but holds bottlenecks 3-4-5-3; {tail}"
    message = refusal(saved(path, shapes_only("wide_resnet50_2")))
    assert message == (
        f"{path} must hold a resnet50 as torchvision shapes it at width 64, so layer1.0.conv1.weight must be (64, 64, 1, "
        "1), but is (128, 64, 1, 1); point at weights of such a network."
    )
    message = refusal(saved(path, shapes_only("vit_b_16")))
    assert message == (
        f"{path} must hold one ResNet, {PLACES}, but its tensors are those of class_token, conv_proj, encoder, heads; "
        "export the network's own state dict."
    )
    message = refusal(saved(path, shapes_only("resnet18") | {"conv1.weight": torch.zeros(64, 3, 5, 5)}))
    assert message == f"{path} must begin with a 7 x 7 or a 3 x 3 convolution, but has 5 x 5; point at other weights."


def test_a_network_that_is_not_whole_or_not_alone_is_refused(tmp_path):
    path, network = tmp_path / "weights.pth", shapes_only("resnet18")
    whole = f"{path} must hold a whole resnet18 and nothing else where the network lies, but"
    message = refusal(saved(path, {name: tensor for name, tensor in network.items() if "running_mean" not in name}))
    assert message == (
        f"{whole} bn1.running_mean, layer1.0.bn1.running_mean, layer1.0.bn2.running_mean, layer1.1.bn1.running_mean and 16 "
        "more is missing; export the network's own state dict."
    )
    message = refusal(saved(path, network | {"layer1.0.se.weight": torch.zeros(3)}))
    assert message == f"{whole} layer1.0.se.weight is left over; export the network's own state dict."
    message = refusal(saved(path, under("encoder.", network) | under("module.backbone.", network)))
    assert message == (
        f"{path} must hold one ResNet, {PLACES}, but one lies at each of encoder., module.backbone.; export the "
        "network's own state dict."
    )
    message = refusal(saved(path, under("momentum_backbone.", network)))
    assert message == (
        f"{path} must hold one ResNet, {PLACES}, but its tensors are those of momentum_backbone; export the network's own "
        "state dict."
    )


class Attack:
    def __init__(self, call, *arguments):
        self.call, self.arguments = call, arguments

    def __reduce__(self):
        return self.call, self.arguments


def test_code_in_a_file_is_not_run(tmp_path):
    path, trace = tmp_path / "weights.pth", tmp_path / "trace"
    refused = (
        f"{path} must hold tensors by name, but holds none that can be read without running code from the file; export "
        "the network with torch.save(network.state_dict(), path) and point at that file."
    )
    network = ResNet(architecture="resnet18", width=4)
    code, allowed = f"open({str(trace)!r}, 'w')", set(torch.serialization.get_safe_globals())
    assert refusal(saved(path, {"x": Attack(os.mkdir, str(trace))} | network.state_dict())) == refused
    assert refusal(saved(path, network)) == refused  # the whole network, as an object
    assert refusal(saved(path, [network.state_dict()])) == refused
    assert load_encoder(saved(path, {"x": Attack(eval, code)} | network.state_dict())).backbone == "resnet18"
    torch.save({"x": Attack(eval, code)} | network.state_dict(), path, _use_new_zipfile_serialization=False)
    assert refusal(str(path)) == refused
    assert not trace.exists()
    assert set(torch.serialization.get_safe_globals()) == allowed  # what stood for `eval` is forgotten


def test_what_else_a_checkpoint_holds_is_left_aside(tmp_path):
    network = ResNet(architecture="resnet18", width=4).state_dict()
    plain = load_encoder(saved(tmp_path / "plain.pth", network))
    others = [np.float64(0.5), np.ones(3), argparse.Namespace(lr=0.1), Path("data"), defaultdict(list, a=[1]), nn.ReLU()]
    for other in others:
        content = {"state_dict": network, "other": other, "epoch": 3}
        assert load_encoder(saved(tmp_path / "more.ckpt", content)).digest == plain.digest


def test_damaged_files_are_refused(tmp_path):
    network = ResNet(architecture="resnet18", width=4).state_dict()
    whole, old = io.BytesIO(), io.BytesIO()
    torch.save(network, whole)
    torch.save(network, old, _use_new_zipfile_serialization=False)
    tensors = safetensors.torch.save(network)
    contents = {
        "cut.pth": whole.getvalue()[:-100], "old.tar": old.getvalue()[:-100], "empty.ckpt": b"",
        "page.pth": b"<!DOCTYPE html><title>404</title>", "pickle.pth": pickle.dumps({"a": [1]}),
        "cut.safetensors": tensors[:-100], "header.safetensors": tensors[:100], "empty.safetensors": b"",
    }  # fmt: skip
    for name, content in contents.items():
        (tmp_path / name).write_bytes(content)
        message = refusal(str(tmp_path / name))
        assert message.startswith(f"{tmp_path / name} is damaged, truncated or not a file of tensors (")
        assert message.endswith("); fetch or export it again.")


def test_a_source_that_is_neither_published_nor_a_file_is_refused(tmp_path):
    assert refusal(str(tmp_path)) == (
        "an encoder must be one of vicreg-resnet50, torchvision-resnet18, torchvision-resnet34, torchvision-resnet50, "
        f"torchvision-resnet50-v2 or the path of a file, but got {str(tmp_path)!r}."
    )


# ---- published files


def bytes_of(network: dict[str, Tensor]) -> bytes:
    content = io.BytesIO()
    torch.save(network, content)
    return content.getvalue()


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


def test_a_published_file_that_is_there_is_read_without_a_network(tmp_path, authors, monkeypatch):
    monkeypatch.setattr(torch.hub, "get_dir", lambda: str(tmp_path))
    (tmp_path / "checkpoints").mkdir()
    saved(tmp_path / "checkpoints" / "vicreg-resnet50.pth", authors.state_dict())
    encoder = load_encoder("vicreg-resnet50")
    assert encoder.origin == (
        "the VICReg authors' ResNet-50 (arXiv 2105.04906), from https://dl.fbaipublicfiles.com/vicreg/resnet50.pth."
    )
    assert (encoder.backbone, encoder.layout) == ("resnet50", "torchvision")


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
