"""Views against torchvision's operations, one after the other, on the same parameters."""

import math
import shutil

import pytest
import torch
from torch import Tensor
from torchvision.transforms.v2 import functional as reference

import vicreg.torchvision_compat  # noqa: F401  (before torchvision)
from vicreg.errors import InputError
from vicreg.views.parameters import ViewParameters, draw_parameters
from vicreg.views.pipeline import apply_to_subset, apply_view, compiled_view, crop_and_flip, plain_view, two_views
from vicreg.views.settings import ViewSettings, view_settings

BOUND = 1e-5  # on [0, 1], a four-hundredth of one of 255 levels; measured 2e-6
RAW = {"mean": (0.0,) * 3, "std": (1.0,) * 3}
STRONG = ViewSettings(brightness=0.8, contrast=0.8, saturation=0.8, hue=0.5, grayscale=0.3, solarize=0.5)
NOTHING = ViewSettings(crop_scale=(1.0, 1.0), flip=0.0, jitter=0.0, grayscale=0.0, blur=0.0, solarize=0.0)


def generator(seed: int = 0) -> torch.Generator:
    return torch.Generator().manual_seed(seed)


def noise(n: int = 24, channels: int = 3, height: int = 32, width: int = 32) -> Tensor:
    return torch.randint(0, 256, (n, channels, height, width), dtype=torch.uint8, generator=generator(1))


def photographs(n: int = 24, side: int = 32) -> Tensor:
    """Smooth colours with grays, blacks, whites and saturated primaries among them, where hue is delicate."""
    smooth = torch.nn.functional.interpolate(torch.randn(n, 3, 4, 4, generator=generator(2)), size=side, mode="bicubic")
    images = (smooth * 90 + 128).clamp(0, 255).round().to(torch.uint8)
    images[:, :, 0] = torch.arange(side, dtype=torch.uint8) * (255 // side)
    corners = torch.tensor([[r, g, b] for r in (0, 255) for g in (0, 255) for b in (0, 255)], dtype=torch.uint8)
    images[:, :, 1, :8] = corners.T
    return images


def parameters(n: int, settings: ViewSettings, height: int = 32, width: int = 32, **changes: object) -> ViewParameters:
    drawn = draw_parameters(n, height=height, width=width, settings=settings, generator=generator())
    return drawn._replace(
        **{name: torch.full_like(getattr(drawn, name), value) for name, value in changes.items() if name != "order"},
        **{name: torch.tensor(value).expand(n, 4) for name, value in changes.items() if name == "order"},
    )


def reference_view(image: Tensor, p: ViewParameters, i: int, size: int, threshold: float = 0.5) -> Tensor:
    """torchvision's functions, one after the other, on one image (C, H, W) of [0, 1] with the i-th parameters."""
    box = [int(p.top[i]), int(p.left[i]), int(p.height[i]), int(p.width[i])]
    x = reference.resized_crop(image, *box, [size, size], antialias=True)
    x = reference.hflip(x) if p.flip[i] else x
    adjustments = (
        lambda x: reference.adjust_brightness(x, float(p.brightness[i])),
        lambda x: reference.adjust_contrast(x, float(p.contrast[i])),
        lambda x: reference.adjust_saturation(x, float(p.saturation[i])),
        lambda x: reference.adjust_hue(x, float(p.hue[i])),
    )
    for code in p.order[i].tolist() if p.jitter[i] else ():
        x = adjustments[code](x)
    x = reference.rgb_to_grayscale(x, num_output_channels=len(x)) if p.grayscale[i] else x
    if p.blur[i]:
        radius = min(math.ceil(3 * p.blur_sigma[i]), size - 1)
        x = reference.gaussian_blur(x, [2 * radius + 1] * 2, [float(p.blur_sigma[i])] * 2)
    return reference.solarize(x, threshold) if p.solarize[i] else x


def assert_as_torchvision(images: Tensor, p: ViewParameters, size: int, threshold: float = 0.5) -> None:
    channels = images.shape[1]
    view = apply_view(images, p, size=size, mean=(0,) * channels, std=(1,) * channels, solarize_threshold=threshold)
    expected = torch.stack([reference_view(x / 255, p, i, size, threshold) for i, x in enumerate(images)])
    assert view.dtype == torch.float32 and view.is_contiguous(memory_format=torch.channels_last)
    assert (view - expected).abs().max() < BOUND


@pytest.mark.parametrize(("height", "width", "size"), [(32, 32, 32), (48, 40, 24), (8, 8, 8), (12, 17, 31), (5, 7, 1)])
def test_crop_and_flip_equal_torchvisions(height: int, width: int, size: int) -> None:
    settings = ViewSettings(jitter=0, grayscale=0, blur=0, solarize=0)
    p = parameters(24, settings, height, width)
    assert len(set(p.width.tolist())) > 2 and 0 < p.flip.sum() < 24
    assert_as_torchvision(noise(24, 3, height, width), p, size)


def test_crop_is_within_one_level_of_torchvisions_integer_crop() -> None:
    images, p = noise(), parameters(24, ViewSettings(flip=0, jitter=0, grayscale=0, blur=0, solarize=0))
    levels = (apply_view(images, p, size=32, **RAW) * 255).round()
    boxes = torch.stack([p.top, p.left, p.height, p.width], dim=1).tolist()
    expected = [reference.resized_crop(x, *box, [32, 32], antialias=True) for x, box in zip(images, boxes)]
    assert (levels - torch.stack(expected)).abs().max() <= 1


@pytest.mark.parametrize("images", [noise(), photographs()], ids=["noise", "photographs"])
@pytest.mark.parametrize("name", ["brightness", "contrast", "saturation", "hue"])
def test_each_adjustment_alone_equals_torchvisions(name: str, images: Tensor) -> None:
    strength = {"brightness": 0, "contrast": 0, "saturation": 0, "hue": 0} | {name: 0.5 if name == "hue" else 1.0}
    p = parameters(24, ViewSettings(jitter=1, grayscale=0, blur=0, solarize=0, **strength))
    assert_as_torchvision(images, p, 32)


@pytest.mark.parametrize("shift", [-0.5, -0.1, 0.0, 1 / 6, 0.5])
def test_hue_is_exact_at_primaries_and_at_the_ends_of_its_range(shift: float) -> None:
    p = parameters(24, NOTHING, jitter=True, brightness=1.0, contrast=1.0, saturation=1.0, hue=shift)
    assert_as_torchvision(photographs(), p, 32)


@pytest.mark.parametrize("name", ["grayscale", "blur", "solarize"])
def test_each_later_operation_alone_equals_torchvisions(name: str) -> None:
    p = parameters(24, NOTHING)._replace(**{name: torch.ones(24, dtype=torch.bool)})
    assert_as_torchvision(photographs(), p, 32)
    assert_as_torchvision(noise(), p, 32)


@pytest.mark.parametrize("side", [1, 2, 4, 8])
def test_blur_reflects_at_the_borders_of_images_smaller_than_its_kernel(side: int) -> None:
    p = parameters(24, NOTHING, side, side, blur=True)
    assert 3 * p.blur_sigma.max() > min(side - 1, 5)
    assert_as_torchvision(noise(24, 3, side, side), p, side)


def test_solarisation_inverts_at_and_above_its_own_threshold() -> None:
    levels = torch.arange(256, dtype=torch.uint8).reshape(1, 1, 16, 16)
    p = parameters(1, NOTHING, 16, 16, solarize=True)
    for threshold in (0.0, 0.3, 1.0):
        view = apply_view(levels, p, size=16, mean=[0], std=[1], solarize_threshold=threshold)
        expected = torch.where(levels >= threshold * 255, 255 - levels.int(), levels)
        assert ((view * 255).round() == expected).all()


def test_solarisation_follows_the_blur() -> None:
    images, p = noise(), parameters(24, NOTHING, blur=True, blur_sigma=1.0, solarize=True)
    view = apply_view(images, p, size=32, **RAW)
    lightlys = [reference.gaussian_blur(reference.solarize(x / 255, 0.5), [7, 7], [1.0, 1.0]) for x in images]
    assert_as_torchvision(images, p, 32)
    assert (view - torch.stack(lightlys)).abs().max() > 0.1


@pytest.mark.parametrize("images", [noise(64), photographs(64)], ids=["noise", "photographs"])
@pytest.mark.parametrize("settings", [*view_settings(preset="official"), STRONG], ids=["first", "second", "strong"])
def test_a_whole_view_equals_the_chain_of_torchvisions_functions(settings: ViewSettings, images: Tensor) -> None:
    assert_as_torchvision(images, parameters(64, settings), 32)


@pytest.mark.parametrize("side", [8, 28])
def test_a_whole_view_of_one_channel_equals_torchvisions(side: int) -> None:
    assert_as_torchvision(noise(32, 1, side, side), parameters(32, STRONG, side, side), side)


def test_saturation_hue_and_grayscale_leave_one_channel_alone() -> None:
    images = noise(8, 1)
    p = parameters(8, NOTHING, jitter=True, brightness=1.0, contrast=1.0, saturation=0.3, hue=0.4, grayscale=True)
    assert (apply_view(images, p, size=32, mean=[0], std=[1]) - images / 255).abs().max() < 1e-6


def test_the_jitters_order_matters_and_is_each_samples_own() -> None:
    images = photographs(1).expand(2, -1, -1, -1)
    factors = {"jitter": True, "brightness": 1.7, "contrast": 0.5, "saturation": 1.8, "hue": 0.2}
    forward, backward = ([0, 1, 2, 3], [3, 2, 1, 0])
    p = parameters(2, NOTHING, **factors)._replace(order=torch.tensor([forward, backward]))
    view = apply_view(images, p, size=32, **RAW)
    assert (view[0] - view[1]).abs().max() > 0.1
    for row, order in enumerate((forward, backward)):
        alone = apply_view(images, parameters(2, NOTHING, order=order, **factors), size=32, **RAW)
        assert torch.equal(view[row], alone[row])


def test_a_samples_view_does_not_depend_on_its_neighbours() -> None:
    images, p = noise(64), parameters(64, STRONG)
    together = apply_view(images, p, size=32, **RAW)
    for i in range(0, 64, 7):
        alone = apply_view(images[i : i + 1], ViewParameters(*(t[i : i + 1] for t in p)), size=32, **RAW)
        assert (alone[0] - together[i]).abs().max() < 1e-6  # a matrix product may sum in another order


class OnHost(Tensor):
    """A tensor that, as one in a host's memory does, refuses an index that lies on a device."""

    @classmethod
    def __torch_function__(cls, func, types, args=(), kwargs=None):
        if func is Tensor.__getitem__ and args[1].device != args[0].device:
            raise RuntimeError(f"indices are on {args[1].device}, and what they index is on {args[0].device}")
        return super().__torch_function__(func, types, args, kwargs or {})


def test_parameters_on_the_host_serve_images_on_a_device() -> None:
    mask, factors = torch.tensor([True, False, True]), torch.rand(3).as_subclass(OnHost)
    images = torch.empty(3, 2, 3, 2, device="meta")
    seen: list[Tensor] = []
    apply_to_subset(mask, images, lambda x, factor: seen.append(factor) or x, factors)
    assert [(factor.shape, factor.device.type) for factor in seen] == [((2,), "meta")]


@pytest.mark.skipif(not torch.cuda.is_available(), reason="needs a GPU")
def test_a_gpu_makes_the_same_views_as_the_host_from_the_hosts_parameters() -> None:
    images, p = photographs(64), parameters(64, STRONG)
    assert (apply_view(images.cuda(), p, size=32, **RAW).cpu() - apply_view(images, p, size=32, **RAW)).abs().max() < BOUND


@pytest.mark.parametrize("side", [1, 5, 32])
@pytest.mark.parametrize(
    "settings", [*view_settings(preset="official"), STRONG, NOTHING], ids=["first", "second", "strong", "none"]
)
@pytest.mark.parametrize("images", [noise(64, 1), noise(64), photographs(64)], ids=["gray", "noise", "photographs"])
def test_static_shapes_give_the_same_views(images: Tensor, settings: ViewSettings, side: int) -> None:
    p, channels = parameters(64, settings), images.shape[1]
    subset, static = (
        apply_view(images, p, size=side, mean=[0.5] * channels, std=[0.25] * channels, static=static)
        for static in (False, True)
    )
    assert static.is_contiguous(memory_format=torch.channels_last)
    assert (subset - static).abs().max() < 4 * BOUND  # 1 / std times


@pytest.mark.slow
@pytest.mark.skipif(shutil.which("g++") is None, reason="needs a C++ compiler")
@pytest.mark.filterwarnings("ignore:`torch.jit.script_method` is deprecated:DeprecationWarning")  # torch's own import
def test_compiled_views_are_the_same_to_rounding() -> None:
    images, mean, std = photographs(64, side=8), torch.full((3,), 0.5), torch.full((3,), 0.25)
    for settings in (*view_settings(preset="official"), STRONG):  # compiled once: it depends on shapes alone
        p = parameters(64, settings, 8, 8)
        expected = apply_view(images, p, size=8, mean=mean, std=std)
        view = compiled_view()(images, p, size=8, mean=mean, std=std)
        assert view.dtype == torch.float32 and view.is_contiguous(memory_format=torch.channels_last)
        assert (view - expected).abs().max() < 4 * BOUND  # 1 / std times; measured 4e-6


def test_views_are_normalised_last_and_plain_views_resized_as_torchvision_does() -> None:
    images, mean, std = noise(), (0.1, 0.5, 0.9), (0.2, 0.3, 0.4)
    p = parameters(24, STRONG)
    expected = reference.normalize(apply_view(images, p, size=32, **RAW), mean, std)
    assert torch.allclose(apply_view(images, p, size=32, mean=mean, std=std), expected, atol=BOUND)
    for size in (32, 20, 45):
        expected = reference.normalize(reference.resize(images / 255, [size, size], antialias=True), mean, std)
        assert torch.allclose(plain_view(images, size=size, mean=mean, std=std), expected, atol=BOUND)


def test_crop_and_flip_changes_nothing_but_place_and_direction() -> None:
    images = noise()
    draw = {"crop_scale": (1.0, 1.0), "size": 32, "generator": generator(), **RAW}
    assert torch.allclose(crop_and_flip(images, flip=0.0, **draw), images / 255, atol=BOUND)
    assert torch.allclose(crop_and_flip(images, flip=1.0, **draw), images.flip(3) / 255, atol=BOUND)
    constant = torch.full((8, 3, 16, 16), 100, dtype=torch.uint8)
    cropped = crop_and_flip(constant, flip=0.5, **draw | {"crop_scale": (0.2, 0.5)})
    assert torch.allclose(cropped, torch.tensor(100 / 255), atol=BOUND)


def test_the_same_generator_state_gives_bit_identical_views_and_the_next_state_others() -> None:
    images, random = noise(), generator(5)
    draw = {"settings": view_settings(preset="source"), "size": 32, **RAW}
    first, again, later = (
        two_views(images, generator=source, **draw) for source in (random, generator(5), random)
    )
    assert torch.equal(first[0], again[0]) and torch.equal(first[1], again[1])
    assert not torch.equal(first[0], first[1]) and not torch.equal(first[0], later[0])


def test_drawing_leaves_the_global_generator_alone() -> None:
    before = torch.random.get_rng_state()
    two_views(noise(), settings=view_settings(preset="paper"), size=32, generator=generator(), **RAW)
    assert torch.equal(before, torch.random.get_rng_state())


def test_images_and_statistics_of_the_wrong_kind_are_refused() -> None:
    p = parameters(2, NOTHING)
    for images in (torch.rand(2, 3, 32, 32), noise(2, 4), noise(2)[0]):
        with pytest.raises(InputError, match="images must be uint8 of shape"):
            apply_view(images, p, size=32, **RAW)
    with pytest.raises(InputError, match="one number a channel, 1 here, but got 3 and 3"):
        apply_view(noise(2, 1), p, size=32, **RAW)


@pytest.mark.parametrize("threshold", [0.5, 0.7])
def test_both_views_are_those_that_each_is_by_itself(threshold):
    settings = (ViewSettings(), ViewSettings(blur=0.1, solarize=0.2, solarize_threshold=threshold))
    images, places = noise(), {"size": 32, **RAW}
    found = two_views(images, settings=settings, generator=generator(), **places)
    source = generator()
    for view, own in zip(found, settings, strict=True):
        drawn = draw_parameters(len(images), height=32, width=32, settings=own, generator=source)
        assert torch.equal(view, apply_view(images, drawn, solarize_threshold=own.solarize_threshold, **places))


def test_a_pair_of_generators_is_one_a_view():
    named = {"settings": (ViewSettings(),) * 2, "size": 32, **RAW}
    first, second = two_views(noise(), generator=(generator(1), generator(2)), **named)
    swapped = two_views(noise(), generator=(generator(2), generator(1)), **named)
    assert torch.equal(first, swapped[1]) and torch.equal(second, swapped[0]) and not torch.equal(first, second)
