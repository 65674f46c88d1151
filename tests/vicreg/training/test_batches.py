"""An epoch's batches: every image once, and views that only the seed, the epoch and the image's turn decide."""

import dataclasses
import itertools
import threading

import pytest
import torch
from torch import Tensor

from vicreg.data.dataset import Dataset, Split
from vicreg.errors import InputError
from vicreg.randomness import make_generator
from vicreg.training import batches as feed
from vicreg.training.batches import BYTES_AT_ONCE, drawn_ahead, epoch_of_views, images_at_once
from vicreg.training.memory import images_of, place
from vicreg.training.settings import PretrainSettings
from vicreg.views.parameters import draw_parameters
from vicreg.views.pipeline import apply_view, make_two_views

CPU = torch.device("cpu")
UNCHANGED = {
    f"augmentation.{name}": value
    for name, value in {
        "crop_scale": [1.0, 1.0], "crop_ratio": [1.0, 1.0], "flip": 0, "jitter": 0, "grayscale": 0, "blur": 0, "solarize": 0,
    }.items()
}  # fmt: skip
DIFFERENT = {"augmentation.preset": "official"}  # its two views differ in blur and solarisation


@pytest.fixture(params=[1, 3], ids=["gray", "coloured"])
def dataset(request, digits) -> Dataset:
    """Eighty training images of one channel or of three, all different."""
    if request.param == 1:
        images = digits.train.images[:80]
        return dataclasses.replace(digits, train=Split(images=images, labels=digits.train.labels[:80]))
    random = torch.Generator().manual_seed(0)
    images = torch.randint(0, 256, (80, 3, 8, 8), dtype=torch.uint8, generator=random)
    split = Split(images=images, labels=torch.zeros(80, dtype=torch.int64))
    return dataclasses.replace(digits, train=split, mean=(0.4, 0.5, 0.6), std=(0.2, 0.3, 0.4))


@pytest.fixture
def made(monkeypatch) -> list[int]:
    """Of how many images both views have been made since, one entry a call."""
    counts: list[int] = []

    def watched(images, *arguments, **named):
        counts.append(len(images))
        return make_two_views(images, *arguments, **named)

    monkeypatch.setattr(feed, "make_two_views", watched)
    return counts


def batches(
    given: PretrainSettings, dataset: Dataset, *, epoch: int = 0, size: int = 8, images: Tensor | None = None
) -> list[tuple[Tensor, Tensor]]:
    """All batches of an epoch, the short last one too where the settings do not drop it."""
    images = dataset.train.images if images is None else images
    steps = len(images) // given.batch_size if given.drop_last else -(-len(images) // given.batch_size)
    return list(epoch_of_views(given, dataset, images, device=CPU, size=size, epoch=epoch, steps=steps))


def joined(pairs: list[tuple[Tensor, Tensor]]) -> tuple[Tensor, Tensor]:
    first, second = zip(*pairs, strict=True)
    return torch.cat(first), torch.cat(second)


def order(given: PretrainSettings, epoch: int) -> Tensor:
    return torch.randperm(80, generator=make_generator(given.seed, "order", epoch))


def as_images(dataset: Dataset, views: Tensor) -> list[bytes]:
    mean, std = (torch.tensor(values).reshape(-1, 1, 1) for values in (dataset.mean, dataset.std))
    return [image.numpy().tobytes() for image in ((views * std + mean) * 255).round().to(torch.uint8).contiguous()]


# ---- which images


@pytest.mark.parametrize(("batch_size", "sizes"), [(32, [32, 32, 16]), (40, [40, 40]), (80, [80]), (79, [79, 1])])
@pytest.mark.parametrize("drop_last", [False, True])
def test_every_image_comes_once_and_both_views_are_of_it(settings, dataset, batch_size, sizes, drop_last):
    given = settings(batch_size=batch_size, drop_last=drop_last, **UNCHANGED)
    pairs = batches(given, dataset)
    sizes = [size for size in sizes if size == batch_size or not drop_last]
    assert [len(view) for view, _ in pairs] == [len(view) for _, view in pairs] == sizes
    first, second = (as_images(dataset, views) for views in joined(pairs))
    assert first == second
    known = [image.numpy().tobytes() for image in dataset.train.images]
    assert len(set(first)) == len(first) == sum(sizes) and set(first) <= set(known)
    assert first == [known[i] for i in order(given, 0)[: sum(sizes)]] and first != known[: sum(sizes)]


def test_another_epoch_and_another_seed_have_another_order(settings, dataset):
    plain, other = settings(**UNCHANGED), settings(seed=1, **UNCHANGED)
    orders = [
        as_images(dataset, joined(batches(given, dataset, epoch=epoch))[0])
        for given, epoch in ((plain, 0), (plain, 1), (other, 0), (plain, 0))
    ]
    assert orders[0] == orders[3] and orders[0] != orders[1] != orders[2] != orders[0]


# ---- which views


@pytest.mark.parametrize("epoch", [0, 3])
def test_the_views_of_a_step_are_what_its_part_of_each_stream_draws(settings, dataset, epoch):
    given = settings(batch_size=32, drop_last=False, **DIFFERENT)
    assert given.views[0] != given.views[1]
    pairs = batches(given, dataset, epoch=epoch)
    for step, pair in enumerate(pairs):
        images = dataset.train.images[order(given, epoch)[32 * step : 32 * (step + 1)]]
        for number, (view, drawn) in enumerate(zip(given.views, pair, strict=True), start=1):
            stream = make_generator(given.seed, f"view-{number}", epoch)
            torch.rand((32 * step, 36), generator=stream)  # those of the steps before: 36 numbers an image
            parameters = draw_parameters(len(images), height=8, width=8, settings=view, generator=stream)
            expected = apply_view(
                images, parameters, size=8, mean=dataset.mean, std=dataset.std, solarize_threshold=view.solarize_threshold
            )
            assert torch.equal(drawn, expected), (step, number)


def test_the_two_views_are_drawn_apart_even_from_the_same_settings(settings, dataset):
    given = settings()
    assert given.views[0] == given.views[1]
    first, second = joined(batches(given, dataset))
    assert (first != second).flatten(1).any(dim=1).float().mean() > 0.9


@pytest.mark.parametrize("batch_size", [8, 24, 32])
def test_views_do_not_depend_on_how_many_batches_are_made_at_once(settings, dataset, made, monkeypatch, batch_size):
    given = settings(batch_size=batch_size, drop_last=False, **DIFFERENT)
    found, calls = [], []
    bytes_of_batch = 4 * batch_size * dataset.train.images.shape[1] * 8 * 8
    for at_once in (1, 2 * bytes_of_batch, 2**30):
        monkeypatch.setitem(feed.BYTES_AT_ONCE, "cpu", at_once)
        made.clear()
        found.append(batches(given, dataset))
        calls.append(list(made))
    one_by_one = [len(view) for view, _ in found[0]]
    assert calls[0] == one_by_one and calls[2] == [80] and calls[1][0] == 2 * batch_size
    for pairs in found[1:]:
        assert [len(view) for view, _ in pairs] == one_by_one
        assert all(torch.equal(one, other) for one, other in zip(joined(found[0]), joined(pairs), strict=True))


@pytest.mark.parametrize("size", [7, 11, 28])
def test_at_any_size_views_made_at_once_are_the_same_to_rounding(settings, dataset, monkeypatch, size):
    # A vectorised loop's remainder may round otherwise than its body: bits differ where a view's side is odd.
    found = []
    for at_once in (1, 2**30):
        monkeypatch.setitem(feed.BYTES_AT_ONCE, "cpu", at_once)
        found.append(joined(batches(settings(batch_size=8, **DIFFERENT), dataset, size=size)))
    assert found[0][0].shape[2:] == (size, size)
    torch.testing.assert_close(found[0], found[1], rtol=0, atol=1e-5)  # measured 1e-6


def test_another_epoch_and_another_seed_have_other_views_of_the_same_images(settings, dataset):
    def view_of_each_image(seed: int, epoch: int) -> list[Tensor]:
        given = settings(seed=seed, drop_last=False)
        turn = order(given, epoch).argsort()
        return [views[turn] for views in joined(batches(given, dataset, epoch=epoch))]

    views = {
        (seed, epoch, number): view
        for seed, epoch in ((0, 0), (0, 1), (1, 0))
        for number, view in enumerate(view_of_each_image(seed, epoch))
    }
    for a in views:
        for b in views:
            if a < b:
                assert (views[a] != views[b]).flatten(1).any(dim=1).float().mean() > 0.9, (a, b)


def test_the_global_generator_is_left_alone(settings, dataset):
    before = torch.get_rng_state()
    batches(settings(), dataset)
    assert torch.equal(torch.get_rng_state(), before)


# ---- drawn ahead, for a GPU


def test_items_drawn_ahead_come_in_order_each_while_the_one_before_it_is_in_use():
    drawn, second = [], threading.Event()

    def draw():
        for number in range(3):
            drawn.append((number, threading.current_thread()))
            if number == 1:
                second.set()
            yield number

    items = drawn_ahead(draw())
    assert next(items) == 0 and second.wait(timeout=10)
    assert list(items) == [1, 2] and [number for number, _ in drawn] == [0, 1, 2]
    assert all(thread is not threading.current_thread() and not thread.is_alive() for _, thread in drawn)


def test_an_error_while_drawing_ahead_reaches_the_loop():
    def draw():
        yield 1
        raise InputError("no space is left")

    items = drawn_ahead(draw())
    assert next(items) == 1
    with pytest.raises(InputError, match="no space is left"):
        next(items)


def test_a_loop_that_ends_early_leaves_no_thread_behind():
    before, items = set(threading.enumerate()), drawn_ahead(iter(range(1000)))
    next(items)
    items.close()
    assert set(threading.enumerate()) == before


@pytest.mark.parametrize("threaded", [False, True])
def test_views_drawn_ahead_in_growing_parts_are_those_of_the_whole_epoch_at_once(settings, dataset, monkeypatch, threaded):
    given = settings(batch_size=8, drop_last=False, **DIFFERENT)
    expected = batches(given, dataset)
    monkeypatch.setattr(feed, "images_at_once", lambda *_: [8, 16, 32, 24])
    if threaded:  # as on a GPU
        monkeypatch.setattr(feed, "map", lambda function, items: drawn_ahead(map(function, items)), raising=False)
    found = batches(given, dataset)
    assert [len(view) for view, _ in found] == [len(view) for view, _ in expected]
    assert all(torch.equal(one, other) for one, other in zip(joined(found), joined(expected), strict=True))


@pytest.mark.parametrize("batch_size", [8, 128])
def test_on_a_gpu_an_epochs_first_views_are_few_and_later_ones_many(settings, batch_size):
    images, gpu = torch.empty(50_000, 3, 32, 32, dtype=torch.uint8, device="meta"), torch.device("cuda")
    counts = images_at_once(settings(batch_size=batch_size), images, gpu, 32, 49_920)
    bytes_of_image = 4 * 3 * 32 * 32
    assert sum(counts) == 49_920 and all(count % batch_size == 0 for count in counts[:-1])
    assert counts[0] * bytes_of_image <= 2**22 and max(counts) > 8192
    assert max(counts) * bytes_of_image <= BYTES_AT_ONCE["cuda"]
    assert all(later <= 5 * count for count, later in itertools.pairwise(counts))
    assert set(images_at_once(settings(batch_size=128), images, CPU, 32, 50_000)[:-1]) == {128}


# ---- how they lie


@pytest.mark.parametrize("size", [8, 5])
def test_views_are_float32_with_channels_last_in_every_batch(settings, dataset, size):
    channels = dataset.train.images.shape[1]
    for pair in batches(settings(batch_size=32, drop_last=False), dataset, size=size):
        for view in pair:
            assert view.dtype == torch.float32 and view.shape[1:] == (channels, size, size)
            assert view.is_contiguous(memory_format=torch.channels_last)


def test_how_the_images_lie_in_memory_changes_no_bit(settings, dataset):
    images = dataset.train.images
    elsewhere = torch.empty(160, *images.shape[1:], dtype=torch.uint8)[::2].copy_(images)
    for other in (images.to(memory_format=torch.channels_last), elsewhere):
        expected, found = joined(batches(settings(), dataset)), joined(batches(settings(), dataset, images=other))
        assert all(torch.equal(one, another) for one, another in zip(expected, found, strict=True))


def test_a_step_is_fed_before_the_next_ones_views_are_made(settings, dataset, made, monkeypatch):
    monkeypatch.setitem(feed.BYTES_AT_ONCE, "cpu", 1)
    pairs = epoch_of_views(settings(batch_size=40), dataset, dataset.train.images, device=CPU, size=8, epoch=0, steps=2)
    next(pairs)
    assert made == [40]


def test_on_a_cpu_images_stay_where_they_are(dataset):
    images = dataset.train.images
    assert place(images, CPU) is images


def test_images_that_stay_on_the_host_are_gathered_there_before_they_are_sent(dataset):
    images, indices = dataset.train.images, torch.tensor([7, 0, 79])
    assert torch.equal(images_of(images, indices, indices), images[indices])  # both here
    sent = images_of(images, indices, indices.to("meta"))  # indices of the host serve images of the host
    assert sent.is_meta and sent.shape == (3, *images.shape[1:]) and sent.dtype == torch.uint8
    there = images_of(images.to("meta"), indices, indices.to("meta"))
    assert there.is_meta and there.shape == sent.shape


@pytest.mark.skipif(not torch.cuda.is_available(), reason="needs a GPU")
def test_a_gpu_gets_the_same_views_wherever_the_images_lie(settings, dataset, monkeypatch):
    gpu, given = torch.device("cuda"), settings(drop_last=False, **DIFFERENT)
    on_device = place(dataset.train.images, gpu)
    monkeypatch.setattr(torch.cuda, "mem_get_info", lambda device: (1, 2**30))  # as if there were no room
    on_host = place(dataset.train.images, gpu)
    assert on_device.is_cuda and on_host.is_pinned() and not on_host.is_cuda
    found = [
        joined(list(epoch_of_views(given, dataset, images, device=gpu, size=8, epoch=0, steps=3)))
        for images in (on_device, on_host)
    ]
    assert all(torch.equal(one, other) for one, other in zip(*found, strict=True))
    expected = joined(batches(given, dataset))
    assert all((one.cpu() - other).abs().max() < 1e-4 for one, other in zip(found[0], expected, strict=True))
