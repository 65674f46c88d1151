"""Live taps alone are trained, and state dicts hold whole kernels all the same."""

import copy

import pytest
import torch
from torch import nn

from tests.vicreg.models.small_networks import gradients, noise, resnet
from vicreg.models.compact_taps import CompactConv2d, compact, compact_layers, dead_norms, expand, go_on, maps_seen
from vicreg.models.live_taps import LiveTapConv2d, live_taps, parameters_without_gradient


def seen(network, *sizes):
    network = copy.deepcopy(network)
    with maps_seen(network) as maps, torch.no_grad():
        for side in sizes:
            network(noise(2, 3, side, side))
    return {name: frozenset(found) for name, found in maps.items()}


def compacted(network, *sizes):
    twin = copy.deepcopy(network)
    compact(twin, seen(network, *sizes))
    return twin


def equal_states(first, second):
    a, b = first.state_dict(), second.state_dict()
    return list(a) == list(b) and all(torch.equal(a[name], b[name]) for name in a)


@pytest.mark.parametrize(
    ("name", "stem", "side"),
    [("resnet18", "imagenet", 32), ("resnet18", "imagenet", 16), ("resnet50", "imagenet", 32), ("resnet18", "cifar", 8)],
)
def test_what_is_left_to_train_is_what_ever_has_a_gradient(name, stem, side):
    network = resnet(name, stem=stem, width=4)
    dead, every = parameters_without_gradient(network, noise(2, 3, side, side))
    twin = compacted(network, side)
    trained = sum(parameter.numel() for parameter in twin.parameters()) - len(compact_layers(twin))
    assert 0 < dead == every - trained


@pytest.mark.parametrize("training", [True, False])
def test_outputs_and_gradients_are_those_of_the_whole_kernels(training):
    network = resnet(stem="cifar", width=4).train(training)
    twin, images = compacted(network, 8), noise(8, 3, 8, 8)
    expected, found = gradients(network, images), gradients(twin, images)
    torch.testing.assert_close(found[:2], expected[:2], rtol=1e-10, atol=1e-12)
    whole = dict(network.named_parameters())
    for name, parameter in twin.named_parameters():
        if name.endswith("dead_norm"):
            assert parameter.grad is None
            continue
        gradient = whole[name].grad
        layer = twin.get_submodule(name.rpartition(".")[0])
        if isinstance(layer, CompactConv2d):
            assert gradient.norm() > 0
            torch.testing.assert_close(parameter.grad.norm(), gradient.norm())  # the rest is exactly 0
            at = (layer.kernel_size[0] - parameter.shape[2]) // 2 or layer.kernel_size[0] - parameter.shape[2]
            gradient = gradient[:, :, at : at + parameter.shape[2], at : at + parameter.shape[3]]
        torch.testing.assert_close(parameter.grad, gradient, rtol=1e-9, atol=1e-11)


@pytest.mark.parametrize("side", [(1, 2), (2, 1), (1, 1)])
@pytest.mark.parametrize("stride", [1, 2])
def test_oblong_maps_keep_the_taps_that_any_output_reads(side, stride):
    layer = LiveTapConv2d(3, 4, 3, stride=stride, padding=1, bias=False).double()
    plain, images = copy.deepcopy(layer), noise(5, 3, *side)
    compact(layer, {"": frozenset([side])})
    alive = 1
    for length in side:
        axis = live_taps(side=length, kernel=3, stride=stride, padding=1)
        alive *= len({tap for one in axis for tap in range(one.taps.start, one.taps.stop)})
    assert isinstance(layer, CompactConv2d) and layer.weight.shape[2:].numel() == alive
    torch.testing.assert_close(layer(images), plain(images))


def test_live_taps_are_the_matrix_of_the_product_without_a_copy():
    layer = LiveTapConv2d(3, 4, 3, stride=2, padding=1, bias=False)
    compact(layer, {"": frozenset([(2, 2)])})
    matrix = layer.weight.permute(0, 2, 3, 1).flatten(1)
    assert matrix.shape == (4, 12) and matrix.data_ptr() == layer.weight.data_ptr()


def test_a_state_dict_makes_the_round_trip_bit_for_bit():
    network = resnet(stem="cifar", width=4).float()
    twin = copy.deepcopy(network)
    compact(twin, seen(resnet(stem="cifar", width=4), 8))
    assert len(compact_layers(twin)) == 4 and equal_states(network, twin)
    other = resnet(stem="cifar", width=4).float()
    with torch.no_grad():
        for parameter in other.parameters():
            parameter.mul_(1.7)
    twin.load_state_dict(other.state_dict())
    assert equal_states(other, twin)
    other.load_state_dict(twin.state_dict())
    assert equal_states(other, twin)


def test_names_that_are_missing_or_left_over_and_shapes_are_refused_as_torch_does():
    twin = compacted(resnet(stem="cifar", width=4), 8)
    state = twin.state_dict()
    name = "layer4.1.conv1.weight"
    with pytest.raises(RuntimeError, match=f'Missing key.*"{name}"'):
        twin.load_state_dict({key: value for key, value in state.items() if key != name})
    with pytest.raises(RuntimeError, match='Unexpected key.*"layer4.1.conv1.bias"'):
        twin.load_state_dict({**state, "layer4.1.conv1.bias": torch.zeros(32)})
    with pytest.raises(RuntimeError, match=rf"{name} must be \(32, 32, 3, 3\), but is \(32, 32, 1, 1\)"):
        twin.load_state_dict({**state, name: torch.zeros(32, 32, 1, 1)})


def test_maps_of_another_size_are_convolved_with_whole_kernels_but_not_trained_on():
    network = resnet(stem="cifar", width=4).eval()
    twin, images = compacted(network, 8), noise(4, 3, 24, 24)
    torch.testing.assert_close(twin(images), network(images), rtol=1e-10, atol=1e-12)
    with pytest.raises(ValueError, match=r"trains on maps of \(2, 2\) alone, but got \(6, 6\)"):
        twin.train()(images)


@pytest.mark.parametrize("sizes", [(8, 16), (64,)])
def test_layers_of_several_sizes_and_of_large_maps_are_left_as_they_are(sizes):
    twin = compacted(resnet(stem="cifar", width=4), *sizes)
    assert compact_layers(twin) == {}


def test_kernels_that_do_not_learn_and_began_otherwise_leave_all_as_it_is():
    pair = nn.Sequential(*(LiveTapConv2d(3, 3, 3, padding=1, bias=False).double() for _ in range(2)))
    maps = {"0": frozenset([(1, 1)]), "1": frozenset([(1, 1)])}
    pair[1].requires_grad_(False)
    compact(pair, maps)
    assert compact_layers(pair) == {}
    pair[1].load_state_dict(pair[0].state_dict())
    compact(pair, maps)
    assert list(compact_layers(pair)) == ["0", "1"] and not pair[1].dead_norm.requires_grad


def test_an_expanded_network_is_an_ordinary_one_with_the_same_weights():
    network = resnet(stem="cifar", width=4)
    twin = compacted(network, 8)
    expand(twin)
    assert equal_states(network, twin)
    assert [name for name, _ in twin.named_parameters()] == [name for name, _ in network.named_parameters()]
    assert {type(layer) for layer in twin.modules() if isinstance(layer, nn.Conv2d)} == {LiveTapConv2d}
    assert not any(hasattr(layer, name) for layer in twin.modules() for name in ("_maps", "dead_norm", "_start"))


def test_going_on_keeps_the_taps_it_began_with_and_loading_does_not():
    network = resnet(stem="cifar", width=4).float()
    maps = seen(resnet(stem="cifar", width=4), 8)
    first, resumed, loaded = (copy.deepcopy(network) for _ in range(3))
    for twin in (first, resumed, loaded):
        compact(twin, maps)
    with torch.no_grad():
        for norm in (layer.dead_norm for layer in compact_layers(first).values()):
            norm.mul_(1 / 3)
    state, norms = first.state_dict(), {name: norm.clone() for name, norm in dead_norms(first).items()}
    go_on(resumed, state, norms)
    loaded.load_state_dict(state)
    for twin in (first, resumed, loaded):
        for layer in compact_layers(twin).values():
            layer.dead_norm.data.mul_(1 / 7)
    assert equal_states(first, resumed)
    assert not equal_states(first, loaded)


def test_taps_that_are_all_zero_stay_so():
    layer = LiveTapConv2d(3, 4, 3, padding=1, bias=False)
    nn.init.zeros_(layer.weight)
    compact(layer, {"": frozenset([(1, 1)])})
    assert not layer.state_dict()["weight"].any()
