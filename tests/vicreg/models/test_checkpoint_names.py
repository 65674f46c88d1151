"""A network is found under the names that others give it, and of several the documented one is taken, aloud."""

import logging

import pytest
import torch

from tests.vicreg.models.others import children, refusal, saved, torchvision_resnet, under
from vicreg.models.checkpoint_names import KNOWN_NAMES, Role, role_of
from vicreg.models.pretrained import load_encoder
from vicreg.models.resnet import ResNet


@pytest.fixture(scope="module")
def network():
    return ResNet(architecture="resnet18", stem="cifar", width=4).state_dict()


@pytest.fixture(scope="module")
def digest(network, tmp_path_factory):
    return load_encoder(saved(tmp_path_factory.mktemp("plain") / "plain.pth", network)).digest


def other(network, by):
    """The same network with other weights."""
    return {name: tensor + by if tensor.is_floating_point() else tensor for name, tensor in network.items()}


def test_every_known_name_has_its_role_as_a_prefix():
    for name, known in KNOWN_NAMES.items():
        assert role_of(f"{name}.") == role_of(f"module.{name}.") == known.role, name


@pytest.mark.parametrize("name", ["module", "encoder_q", "_feature_blocks", "teacher", "student_backbone", "model_ema"])
def test_a_network_alone_is_found_as_a_key_and_as_a_prefix(tmp_path, network, digest, name):
    for content in (
        {name: network, "epoch": 3},
        under(f"{name}.", network),
        {"state_dict": under(f"module.{name}.", network)},
    ):
        encoder = load_encoder(saved(tmp_path / "weights.pth", content))
        assert encoder.digest == digest and encoder.notes == ()


@pytest.mark.parametrize(
    "prefix", ["0.", "1.", "backbone.0.", "model.visual.", "module._orig_mod.net.", "online_encoder.net."]
)
def test_numbers_and_several_prefixes_are_passed_over(tmp_path, network, digest, prefix):
    assert load_encoder(saved(tmp_path / "weights.pth", under(prefix, network))).digest == digest


def test_a_network_taken_apart_is_found_below_a_number(tmp_path):
    apart = children(torchvision_resnet("resnet18"))
    files = [saved(tmp_path / "a.pth", apart), saved(tmp_path / "b.pth", under("backbone.0.", apart))]
    assert len({load_encoder(file).digest for file in files}) == 1


@pytest.mark.parametrize(
    ("taken", "left"),
    [
        ("teacher", "student"),  # as DINO evaluates
        ("encoder_q", "encoder_k"),
        ("online_encoder", "target_encoder"),
        ("model", "model_ema"),
        ("state_dict", "teacher"),
    ],
)
@pytest.mark.parametrize("nested", [True, False])
def test_of_two_networks_the_documented_one_is_taken_and_said(tmp_path, network, digest, caplog, taken, left, nested):
    two = {left: other(network, 1), taken: network}
    path = saved(tmp_path / "two.pth", two if nested else under(f"{left}.", two[left]) | under(f"{taken}.", network))
    with caplog.at_level(logging.WARNING):
        encoder = load_encoder(path)
    said = (
        f"{path} holds several networks: {taken}., {left}.; the one at {taken}. is taken, and another must be exported as a "
        "state dict of its own"
    )
    assert encoder.digest == digest and encoder.notes == (said,) and caplog.messages == [said]


def test_two_alike_are_asked_for_by_their_names(tmp_path, network):
    message = refusal(saved(tmp_path / "two.pth", {"encoder1": network, "encoder2": other(network, 1)}))
    assert "but one lies at each of encoder1., encoder2.; export the network's own state dict." in message


@pytest.mark.parametrize("name", ["encoder_k", "tower.encoder", "encoder_qq"])
def test_a_copy_and_an_unknown_name_are_named_and_not_measured(tmp_path, network, name):
    message = refusal(saved(tmp_path / "weights.pth", under(f"{name}.", network)))
    assert f"but what lies under {name}. may be a copy or no encoder; export the network's own state dict." in message


def test_each_part_of_a_prefix_must_be_known_as_a_whole():
    assert role_of("") == role_of("module.encoder_q.0.") == Role.NETWORK
    assert role_of("student.module.backbone.") == Role.STUDENT and role_of("module.encoder_k.") == Role.COPY
    assert role_of("encoder_qk.") is None and role_of("module.mine.encoder.") is None
    assert all(known.source for known in KNOWN_NAMES.values())


def test_shortcuts_and_a_linear_head_of_a_cifar_network_are_torchvisions(tmp_path, network, digest):
    theirs = {name.replace("downsample", "shortcut"): tensor for name, tensor in network.items()}
    theirs |= {"linear.weight": torch.zeros(10, 32), "linear.bias": torch.zeros(10)}
    content = {"net": under("module.", theirs), "acc": 95.1, "epoch": 199}
    assert load_encoder(saved(tmp_path / "ckpt.pth", content)).digest == digest


def test_a_projector_and_prototypes_inside_the_network_are_left_out(tmp_path, network, digest):
    swav = network | {"projection_head.0.weight": torch.zeros(8, 32), "prototypes.weight": torch.zeros(3, 8)}
    moco = network | {"fc.0.weight": torch.zeros(8, 32), "fc.2.weight": torch.zeros(4, 8)}
    for prefix, content in (("module.", swav), ("module.encoder_q.", moco)):
        assert load_encoder(saved(tmp_path / "heads.pth", under(prefix, content))).digest == digest


def test_optimiser_state_alone_and_a_network_without_names_are_described(tmp_path, network):
    optimiser = torch.optim.Adam([torch.nn.Parameter(torch.ones(2))])
    optimiser.param_groups[0]["params"][0].grad = torch.ones(2)
    optimiser.step()
    for content in (optimiser.state_dict(), {"optimizer": optimiser.state_dict(), "epoch": 1}):
        assert "but it holds the state of an optimiser alone; export" in refusal(saved(tmp_path / "optim.pth", content))
    for content, what in (
        ({"epoch": 3, "lr": 0.1}, "holds none, only epoch, lr; export"), ({}, "holds none, and nothing else; export"),
        (torch.zeros(3), "holds one tensor without a name; export"), ({"net": {}}, "holds none, only net; export"),
        ({"net": {"a.b": torch.zeros(1)}, "net.a": {"b": torch.zeros(1)}}, "holds two called net.a.b; export"),
    ):  # fmt: skip
        assert what in refusal(saved(tmp_path / "none.pth", content))


def test_a_checkpoint_that_holds_itself_is_read(tmp_path, network, digest):
    content = {"net": network}
    content["itself"] = content
    assert load_encoder(saved(tmp_path / "loop.pth", content)).digest == digest
