"""Minimal filtering equals torch's convolution to rounding, and is used where it is faster."""

import pytest
import torch
from torch import Tensor, nn
from torch.nn import functional

from vicreg.models import winograd
from vicreg.models.live_taps import LiveTapConv2d, shared_live_taps
from vicreg.models.winograd import along_axis, convolve, filtering, is_faster, sums_of_taps

SIZES = [(2, 2), (4, 4), (8, 8), (16, 16), (12, 12), (2, 4), (8, 4), (4, 16)]


def noise(*shape: int, seed: int = 0, dtype: torch.dtype = torch.float64) -> Tensor:
    return torch.randn(shape, generator=torch.Generator().manual_seed(seed), dtype=torch.float64).to(dtype)


def by_filtering(images: Tensor, weight: Tensor) -> Tensor:
    return convolve(images, sums_of_taps(weight, tuple(images.shape[2:])))


def directly(images: Tensor, weight: Tensor) -> Tensor:
    return functional.conv2d(images, weight, padding=1)


def all_of(convolution, images: Tensor, weight: Tensor) -> tuple[Tensor, Tensor, Tensor]:
    """Outputs and both gradients, for one and the same gradient of the outputs."""
    images, weight = (one.clone().requires_grad_() for one in (images, weight))
    outputs = convolution(images, weight)
    outputs.backward(noise(*outputs.shape, seed=9, dtype=outputs.dtype))
    return outputs.detach(), images.grad, weight.grad


def relative(found: Tensor, expected: Tensor) -> float:
    return float((found.double() - expected).norm() / expected.norm())


@pytest.fixture
def filtered(monkeypatch) -> list[tuple[int, ...]]:
    """The shapes of the images convolved by minimal filtering since."""
    seen: list[tuple[int, ...]] = []
    original = winograd.convolve

    def watched(images, kernels):
        seen.append(tuple(images.shape))
        return original(images, kernels)

    monkeypatch.setattr(winograd, "convolve", watched)
    return seen


# ---- One axis


@pytest.mark.parametrize("side", [2, 4, 8, 12, 16])
def test_an_axis_is_convolved_exactly(side):
    taps, pixels = noise(3), noise(side, seed=1)
    axis = along_axis(side)
    tiles = len(axis.of_pixels) // len(axis.of_taps)
    found = axis.to_outputs @ ((axis.of_taps @ taps).repeat(tiles) * (axis.of_pixels @ pixels))
    padded = functional.pad(pixels, (1, 1))
    expected = torch.stack([taps @ padded[i : i + 3] for i in range(side)])
    torch.testing.assert_close(found, expected, rtol=0, atol=1e-14)


@pytest.mark.parametrize(("side", "products"), [(2, 3), (4, 6), (8, 12), (16, 24)])
def test_an_axis_takes_three_products_for_two_outputs_and_six_for_four(side, products):
    axis = along_axis(side)
    assert axis.of_pixels.shape == (products, side) and axis.to_outputs.shape == (side, products)
    live = sum(1 for i in range(side) for k in (-1, 0, 1) if 0 <= i + k < side)
    assert products < live


def test_two_pixels_worked_by_hand():
    axis = along_axis(2)
    a, b, c = torch.eye(3, dtype=torch.float64)
    assert torch.equal(axis.of_taps, torch.stack([b, c - b, a - b]))
    assert torch.equal(axis.of_pixels, torch.tensor([[1, 1], [0, 1], [1, 0]], dtype=torch.float64))


@pytest.mark.parametrize(("size", "tiles", "sums"), [((2, 2), (1, 1), 9), ((4, 4), (1, 1), 36), ((8, 4), (2, 1), 36)])
def test_all_tiles_share_the_sums_of_taps_of_one(size, tiles, sums):
    use, weight = filtering(*size, torch.float64), noise(5, 3, 3, 3)
    assert use.tiles == tiles and winograd.sums_of_taps(weight, size).shape == (sums, 5, 3)
    one = (2, 2) if sums == 9 else (4, 4)
    assert torch.equal(winograd.sums_of_taps(weight, size), winograd.sums_of_taps(weight, one))


# ---- Both axes


@pytest.mark.parametrize("chunk", [1, 2000, 10**9])
@pytest.mark.parametrize("size", SIZES)
def test_outputs_and_gradients_are_torchs_to_rounding(monkeypatch, size, chunk):
    monkeypatch.setattr(winograd, "CHUNK", chunk)
    images, weight = noise(5, 3, *size), noise(6, 3, 3, 3, seed=1)
    for ours, theirs in zip(all_of(by_filtering, images, weight), all_of(directly, images, weight), strict=True):
        assert ours.shape == theirs.shape and theirs.abs().max() > 0.1
        torch.testing.assert_close(ours, theirs, rtol=1e-12, atol=1e-12)  # measured 4e-13 on numbers of up to 60


@pytest.mark.parametrize("images", [1, 2, 7])
@pytest.mark.parametrize("memory_format", [torch.contiguous_format, torch.channels_last])
def test_any_number_of_images_in_any_layout_gives_channels_last(images, memory_format):
    x, weight = noise(images, 4, 8, 8).to(memory_format=memory_format), noise(6, 4, 3, 3, seed=1)
    found = by_filtering(x, weight)
    assert found.is_contiguous(memory_format=torch.channels_last)
    torch.testing.assert_close(found, directly(x, weight))


@pytest.mark.parametrize("dtype", [torch.float32, torch.float64])
@pytest.mark.parametrize(("inputs", "outputs"), [(1, 33), (7, 16), (17, 8), (40, 31)])
def test_channels_that_fill_no_vector_are_convolved_too(inputs, outputs, dtype):
    images, weight = noise(3, inputs, 8, 4), noise(outputs, inputs, 3, 3, seed=1)
    found = all_of(by_filtering, images.to(dtype), weight.to(dtype))
    for ours, theirs in zip(found, all_of(directly, images, weight), strict=True):
        assert relative(ours, theirs) < (1e-14 if dtype == torch.float64 else 5e-6)


def test_batches_are_cut_into_equal_chunks_no_smaller_than_the_kernels_sums(monkeypatch):
    maps = torch.empty(10, 4, 4, 8)  # 512 bytes a map, 1,152 of sums
    kernels = torch.empty(36, 8, 1)

    def lengths(chunk: int) -> list[int]:
        monkeypatch.setattr(winograd, "CHUNK", chunk)
        return [len(range(10)[part]) for part in winograd.chunks(maps, kernels)]

    assert kernels.nbytes == 1152
    assert lengths(4 * 1152) == [5, 5]
    assert lengths(3 * 1152) == [4, 4, 2]
    assert lengths(1) == [1] * 10  # as the kernels' sums fill
    assert lengths(10**9) == [10]


def test_derivatives_are_those_of_finite_differences():
    images, weight = noise(2, 2, 4, 4).requires_grad_(), noise(2, 2, 3, 3, seed=1).requires_grad_()
    assert torch.autograd.gradcheck(by_filtering, (images, weight))


@pytest.mark.parametrize(("side", "bound"), [(2, 1e-6), (4, 4e-6), (8, 3e-6), (16, 3e-6)])
def test_float32_rounds_a_few_times_as_much_as_a_direct_convolution_and_no_more(side, bound):
    images, weight = noise(16, 64, side, side).relu(), noise(64, 64, 3, 3, seed=1) / 24
    expected = all_of(directly, images, weight)
    found = all_of(by_filtering, images.float(), weight.float())
    for name, ours, exact in zip(("outputs", "of images", "of weights"), found, expected, strict=True):
        assert 1e-9 < relative(ours, exact) < bound, name  # measured 1.6e-6 at most


def test_the_points_err_less_than_lavin_and_grays(monkeypatch):
    images, weight = noise(16, 64, 4, 4).relu(), noise(64, 64, 3, 3, seed=1)
    errors = []
    for points in (winograd.POINTS, (0.0, 1.0, -1.0, 2.0, -2.0)):
        monkeypatch.setattr(winograd, "POINTS", points)
        filtering.cache_clear()
        errors.append(relative(by_filtering(images.float(), weight.float()), directly(images, weight)))
    filtering.cache_clear()
    assert errors[0] < 0.8 * errors[1]


# ---- Where it is used


@pytest.mark.parametrize(
    ("side", "channels", "expected"),
    [
        (2, 128, True), (4, 64, True), (8, 64, True), (16, 64, True), (24, 64, True), (32, 64, True),
        (2, 127, False), (4, 63, False), (8, 63, False), (16, 63, False), (24, 63, False), (32, 63, False),
        (1, 512, False), (6, 512, False), (36, 512, False),
    ],
)  # fmt: skip
def test_it_is_faster_for_the_sides_and_channels_that_were_measured(side, channels, expected):
    wide = nn.Conv2d(512, 512, 3, padding=1, bias=False)
    images = torch.empty(1, 512, side, side)
    for inputs, outputs in ((channels, 512), (512, channels)):
        wide.in_channels, wide.out_channels = inputs, outputs
        assert is_faster(wide, images) is expected


def test_it_is_not_used_for_other_kernels_strides_devices_and_precisions():
    layer = nn.Conv2d(64, 64, 3, padding=1, bias=False)
    images = torch.empty(1, 64, 8, 8)
    assert is_faster(layer, images) and is_faster(layer.double(), images.double())
    assert not is_faster(layer, images.to(torch.bfloat16))
    assert not is_faster(layer, torch.empty(1, 64, 8, 4)) and not is_faster(layer, images.to("meta"))
    with torch.autocast("cpu", dtype=torch.bfloat16):
        assert not is_faster(layer, images)
    for kernel, stride, padding in ((3, 2, 1), (3, 1, 0), (1, 1, 0), (5, 1, 1), (3, 1, 2)):
        assert not is_faster(nn.Conv2d(64, 64, kernel, stride=stride, padding=padding), images)


def test_a_layer_uses_it_where_it_is_faster(filtered):
    layer = LiveTapConv2d(64, 64, 3, padding=1, bias=False).double()
    for side in (1, 2, 4, 6, 8):
        images = noise(2, 64, side, side)
        torch.testing.assert_close(layer(images), directly(images, layer.weight))
    assert filtered == [(2, 64, 4, 4), (2, 64, 8, 8)]


@pytest.mark.parametrize(
    "named", [{"groups": 2}, {"bias": True}, {"dilation": 2, "padding": 2}, {"padding_mode": "circular"}]
)
def test_a_layer_with_groups_dilation_a_bias_or_other_padding_does_not(filtered, named):
    named = {"padding": 1, "bias": False, **named}
    layer, plain = (kind(64, 64, 3, **named).double() for kind in (LiveTapConv2d, nn.Conv2d))
    plain.load_state_dict(layer.state_dict())
    assert torch.equal(layer(noise(2, 64, 8, 8)), plain(noise(2, 64, 8, 8)))
    assert filtered == []


def test_no_image_is_no_output(filtered):
    assert LiveTapConv2d(64, 64, 3, padding=1, bias=False)(torch.empty(0, 64, 8, 8)).shape == (0, 64, 8, 8)
    assert filtered == []


def test_passes_that_share_take_the_sums_of_taps_once_and_have_the_same_gradients(monkeypatch):
    taken = []
    original = winograd.sums_of_taps
    monkeypatch.setattr(winograd, "sums_of_taps", lambda *arguments: taken.append(1) or original(*arguments))
    layer = LiveTapConv2d(64, 64, 3, padding=1, bias=False).double()
    views = noise(2, 64, 4, 4), noise(2, 64, 4, 4, seed=1)

    def gradient() -> Tensor:
        layer.weight.grad = None
        sum(layer(view).square().sum() for view in views).backward()
        return layer.weight.grad

    apart = gradient()
    assert len(taken) == 2
    with shared_live_taps(layer):
        together = gradient()
    assert len(taken) == 3
    torch.testing.assert_close(together, apart, rtol=1e-12, atol=1e-12)


def test_the_same_batch_gives_the_same_bits_whatever_memory_held_before():
    images, weight = noise(40, 64, 8, 8, dtype=torch.float32), noise(64, 64, 3, 3, seed=1, dtype=torch.float32)
    first = all_of(by_filtering, images, weight)
    torch.use_deterministic_algorithms(True)  # fills new memory with NaN
    try:
        assert torch.empty(3).isnan().all()
        for _ in range(2):
            for before, now in zip(first, all_of(by_filtering, images, weight), strict=True):
                assert torch.equal(before, now)
    finally:
        torch.use_deterministic_algorithms(False)


@pytest.mark.parametrize("beforehand", [torch.inference_mode, lambda: torch.device("meta")])
def test_whoever_asks_first_for_a_size_others_can_train_with_it(beforehand):
    filtering.cache_clear()
    with beforehand():
        filtering(4, 4, torch.float64)
    images, weight = noise(2, 3, 4, 4), noise(6, 3, 3, 3, seed=1)
    for ours, theirs in zip(all_of(by_filtering, images, weight), all_of(directly, images, weight), strict=True):
        torch.testing.assert_close(ours, theirs, rtol=1e-12, atol=1e-12)
