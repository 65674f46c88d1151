"""Every layout gives the features of the network that was trained, and other networks are refused."""

import argparse
import hashlib
import sys
from importlib.util import find_spec
from pathlib import Path

import pytest
import torch
from torch import Tensor, nn

from tests.vicreg.models.others import (
    AuthorsResNet50,
    at_random,
    children,
    head,
    refusal,
    saved,
    shapes_only,
    torchvision_resnet,
    under,
)
from vicreg.models.checkpoint_layouts import LAYOUTS
from vicreg.models.joint_embedding import JointEmbedding
from vicreg.models.pretrained import Encoder, load_encoder
from vicreg.models.resnet import ResNet
from vicreg.training.checkpoint import save_weights

ACCEPTED = "resnet18 (basic blocks 2-2-2-2), resnet34 (basic blocks 3-4-6-3), resnet50 (bottlenecks 3-4-6-3)"
PLACES = "at the top or under names such as module., backbone., encoder., model., net. or encoder_q."


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


@pytest.fixture(scope="module")
def authors() -> AuthorsResNet50:
    with torch.device("meta"):
        network = AuthorsResNet50(widen=0.25)
    return at_random(network.to_empty(device="cpu"))


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
        backbone = ResNet(architecture="resnet50", width=16)
    backbone.load_state_dict(plain, assign=True)
    hyper_parameters = {"args": argparse.Namespace(lr=0.3), "folder": Path("data"), "cfg": {"arch": "resnet50"}}
    lightning = {"epoch": 1, "pytorch-lightning_version": "2.6.6", "hyper_parameters": hyper_parameters}
    # torchvision's order, of which lightly takes all but the classifier
    names = ("conv1", "bn1", "relu", "maxpool", "layer1", "layer2", "layer3", "layer4")
    parts = nn.Sequential(*(getattr(backbone, name) for name in names))
    lightly = under("backbone.", parts.state_dict()) | head("projection_head.layers.")
    momentum = under("momentum_backbone.", shapes_only("resnet50"))
    heads = head("projector.") | under("classifier.", nn.Linear(512, 10).state_dict())
    solo = under("backbone.", plain) | heads | momentum
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
        assert encoder[:4] == ("resnet50", "imagenet", 16, 3) and (encoder.layout, encoder.border) == (layout, 0)
        assert encoder.origin == f"the file {Path(files[layout]).name}, in the layout of {layout}."
        assert encoder.file_sha256 == hashlib.sha256(Path(files[layout]).read_bytes()).hexdigest()
    assert len({encoder.digest for encoder in encoders.values()}) == 1  # so that one network stands for all
    assert_same_features(encoders["vicreg"], authors, 32, 224)
    assert encoders["vicreg"].tensors["bn1.num_batches_tracked"] == 1234


@pytest.mark.parametrize("name", ["resnet18", "resnet34"])  # a resnet50 is above
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


@pytest.mark.parametrize(("widen", "width"), [(1, 64), (2, 128)])
def test_the_authors_networks_are_ours_at_width_64_and_128(tmp_path, widen, width):
    with torch.device("meta"):
        state = AuthorsResNet50(widen=widen).state_dict()
    state = {name: torch.zeros((), dtype=tensor.dtype).expand(tensor.shape) for name, tensor in state.items()}
    assert load_encoder(saved(tmp_path / "authors.pth", state))[:4] == ("resnet50", "imagenet", width, 3)


def test_counts_of_batches_that_an_old_file_lacks_are_zero_and_halves_become_float32(tmp_path):
    network = ResNet(architecture="resnet18", width=4).state_dict()
    old = {name: tensor.half() for name, tensor in network.items() if not name.endswith("num_batches_tracked")}
    encoder = load_encoder(saved(tmp_path / "old.pth", old))
    assert list(encoder.tensors) == list(network) and encoder.tensors["bn1.num_batches_tracked"] == 0
    assert all(tensor.dtype == network[name].dtype for name, tensor in encoder.tensors.items())


def test_other_networks_are_refused_by_what_they_are(tmp_path):
    path = tmp_path / "weights.pth"
    tail = "point at weights of one of these."
    message = refusal(saved(path, shapes_only("resnet101")))
    assert message == f"{path} must hold one of {ACCEPTED}, but holds resnet101 (bottlenecks 3-4-23-3); {tail}"
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
        f"{path} must hold one ResNet, {PLACES}, but what lies under momentum_backbone. may be a copy or no encoder; export "
        "the network's own state dict."
    )
