"""Whole views equal torchvision's operations, one after the other, on the same parameters."""

import shutil

import pytest
import torch
from torch import Tensor
from torchvision.transforms.v2 import functional as reference

import vicreg.torchvision_compat  # noqa: F401  (before torchvision)
from tests.vicreg.operations import Operations
from tests.vicreg.views.reference import (
    BOUND,
    NOTHING,
    RAW,
    STRONG,
    assert_as_torchvision,
    generator,
    noise,
    parameters,
    photographs,
)
from vicreg.errors import InputError
from vicreg.views.crop import crop_and_resize
from vicreg.views.parameters import ViewParameters, draw_parameters
from vicreg.views.pipeline import apply_view, compiled_view, draw_two_views, on_device, plain_view, two_views
from vicreg.views.plan import plan_view
from vicreg.views.settings import ViewSettings, view_settings
from vicreg.views.transfer import send


@pytest.mark.parametrize("name", ["grayscale", "blur", "solarize"])
def test_each_later_operation_alone_equals_torchvisions(name: str) -> None:
    p = parameters(24, NOTHING)._replace(**{name: torch.ones(24, dtype=torch.bool)})
    assert_as_torchvision(photographs(), p, 32)
    assert_as_torchvision(noise(), p, 32)


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
        if func is Tensor.__getitem__ and getattr(args[1], "device", args[0].device) != args[0].device:
            raise RuntimeError(f"indices are on {args[1].device}, and what they index is on {args[0].device}")
        return super().__torch_function__(func, types, args, kwargs or {})


@pytest.mark.parametrize("channels", [1, 3])
def test_parameters_on_the_host_serve_images_on_a_device(channels: int) -> None:
    p = ViewParameters(*(tensor.as_subclass(OnHost) for tensor in parameters(24, STRONG)))
    images = noise(24, channels).to("meta")
    plan = plan_view(p, channels=channels, solarize_threshold=0.5)
    assert plan.subsets and all(tensor.is_cpu for tensor in plan.tensors())
    (sent,) = on_device([plan], images.device)
    assert [(one.shape, one.dtype) for one in sent.tensors()] == [(one.shape, one.dtype) for one in plan.tensors()]
    assert all(tensor.is_meta for tensor in sent.tensors())
    x = crop_and_resize(images, sent.parameters, 16)
    for subset in sent.subsets:
        subset.apply_to(x)
    assert x.shape == (24, 16, channels, 16) and x.is_meta


def test_whatever_a_plan_needs_goes_to_the_device_in_one_copy() -> None:
    settings = (ViewSettings(), ViewSettings(blur=0.1, solarize=0.2, solarize_threshold=0.7))
    plans = draw_two_views(24, channels=3, height=32, width=32, settings=settings, generator=generator())
    assert len(plans) == 2 and sum(len(plan.tensors()) for plan in plans) > 40
    with Operations() as seen:
        on_device(plans, torch.device("meta"))
    assert seen.count("_to_copy") == 1


def test_sent_tensors_have_their_values_types_and_shapes() -> None:
    tensors = [torch.arange(3), torch.tensor([True]), torch.rand(2, 3), torch.empty(0, 4), torch.tensor(7.0).double()]
    assert all(one is other for one, other in zip(tensors, send(tensors, torch.device("cpu")), strict=True))
    elsewhere = send(tensors, torch.device("meta"))
    assert [(one.shape, one.dtype) for one in elsewhere] == [(one.shape, one.dtype) for one in tensors]
    assert all(one.is_meta for one in elsewhere)
    on_host, original = [], Tensor.to
    with pytest.MonkeyPatch.context() as patch:  # a device whose memory is the host's: the bytes that arrive can be read
        patch.setattr(Tensor, "to", lambda self, *_, **__: on_host.append(original(self, "cpu").clone()) or on_host[-1])
        arrived = send(tensors, torch.device("meta"))
    assert len(on_host) == 1 and all(torch.equal(one, other) for one, other in zip(arrived, tensors, strict=True))


def test_channel_statistics_are_copied_to_a_device_once() -> None:
    with Operations() as seen:
        for _ in range(3):
            plain_view(noise(2), size=32, mean=(0.125, 0.5, 0.875), std=(0.25, 0.5, 0.75))
    assert seen.count("lift_fresh") <= 2


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


def test_the_same_generator_state_gives_bit_identical_views_and_the_next_state_others() -> None:
    images, random = noise(), generator(5)
    draw = {"settings": view_settings(preset="source"), "size": 32, **RAW}
    first, again, later = (two_views(images, generator=source, **draw) for source in (random, generator(5), random))
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
