"""The training loop: it repeats itself to the bit, it can be stopped, and it says when it diverges."""

import dataclasses
import math
from collections.abc import Callable
from pathlib import Path
from typing import Any, NamedTuple

import pytest
import torch

from tests.vicreg.operations import READS_A_VALUE, Operations
from tests.vicreg.training.runs import IDENTITY, Stopped, same_weights, stop_after, timeless
from vicreg.data.dataset import Split
from vicreg.errors import InputError
from vicreg.methods.base import Method
from vicreg.training import batches as feed
from vicreg.training import loop
from vicreg.training.checkpoint import latest_checkpoint, load_checkpoint
from vicreg.training.loop import Diverged, Pretrained, all_finite, pretrain, rank_is_due, watch
from vicreg.training.setup import new_model

OPTIMIZERS = {"lars": 1.0, "sgd": 0.1, "adamw": 0.05}  # name -> a base learning rate it trains well with
TWO_STEPS = {"batch_size": 80}  # an epoch of the 160 training images

pytestmark = pytest.mark.usefixtures("shallow")


@pytest.fixture
def settings(settings):
    """`settings(...)`, of two steps an epoch unless a batch size is given."""
    return lambda **changes: settings(**TWO_STEPS | changes)


class Whole(NamedTuple):
    """A run that was not stopped: its model and log as they are returned, its folder, and the records that it reported."""

    model: Method
    history: list[dict[str, Any]]
    folder: Path
    reported: list[dict[str, Any]]


@pytest.fixture(scope="module")
def whole(tiny_config, digits, shallow, tmp_path_factory) -> Callable[..., Whole]:
    """`whole(epochs=2, ...)`: a run that the tests have in common, and leave as it is."""
    made: dict[tuple, Whole] = {}

    def run(**changes) -> Whole:
        key = tuple(sorted(changes.items()))
        if key not in made:
            given = tiny_config({f"pretrain.{name}": value for name, value in (TWO_STEPS | changes).items()}).pretrain
            folder, reported = tmp_path_factory.mktemp("whole"), []
            done = pretrain(
                given, digits, device=torch.device("cpu"), folder=folder, identity=IDENTITY, on_epoch=reported.append
            )
            made[key] = Whole(*done, folder, reported)
        return made[key]

    return run


# ---- repeating and resuming


def test_the_same_settings_give_the_same_bits_and_the_global_generator_is_neither_drawn_from_nor_asked(
    settings, train, whole
):
    first = whole(epochs=2)
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(98765)
        before = torch.get_rng_state()
        second = train(settings(epochs=2))
        assert torch.equal(torch.get_rng_state(), before)
    assert same_weights(first, second) and timeless(first.history) == timeless(second.history)


def test_another_seed_gives_other_weights(settings, train, whole):
    assert not same_weights(whole(epochs=2), train(settings(epochs=2, seed=1)))


@pytest.mark.parametrize("optimizer", OPTIMIZERS)
def test_a_run_that_was_stopped_after_every_epoch_ends_with_the_bits_of_one_that_was_not(
    settings, train, whole, tmp_path, optimizer
):
    given = {"optimizer": optimizer, "base_lr": OPTIMIZERS[optimizer], "epochs": 3}
    for epoch in (1, 2, 3):
        with pytest.raises(Stopped):
            train(settings(**given), folder=tmp_path / "run", on_epoch=stop_after(epoch))
    resumed = train(settings(**given), folder=tmp_path / "run")
    assert same_weights(whole(**given), resumed) and timeless(whole(**given).history) == timeless(resumed.history)


@pytest.mark.parametrize("view_passes", ["together", "joint"])
def test_a_stopped_run_with_one_pass_for_both_views_and_a_short_last_batch_ends_with_the_same_bits(
    settings, train, tmp_path, view_passes
):
    given = settings(view_passes=view_passes, batch_size=64, drop_last=False, epochs=2)
    with pytest.raises(Stopped):
        train(given, folder=tmp_path / "run", on_epoch=stop_after(1))
    assert same_weights(train(given), train(given, folder=tmp_path / "run"))


def test_a_run_that_stops_after_some_epochs_is_the_beginning_of_the_whole_schedule(settings, train, whole, tmp_path):
    with pytest.raises(Stopped):
        train(settings(epochs=4), folder=tmp_path / "interrupted", on_epoch=stop_after(2))
    interrupted = load_checkpoint(latest_checkpoint(tmp_path / "interrupted"), identity=IDENTITY)
    begun = train(settings(epochs=4, stop_after=2))
    weights = begun.model.state_dict()
    assert all(torch.equal(weights[key], value) for key, value in interrupted.weights.items())
    assert timeless(begun.history) == timeless(interrupted.history) and len(begun.history) == 2
    shorter = whole(epochs=2)
    assert shorter.history[1]["learning_rate"] < begun.history[1]["learning_rate"]  # a schedule of its own has ended there


def test_epochs_since_the_last_checkpoint_are_trained_again(settings, train, whole, tmp_path):
    given, folder = settings(epochs=4, checkpoint_every=2), tmp_path / "run"
    for stopped, left in ((1, None), (3, 2)):
        with pytest.raises(Stopped):
            train(given, folder=folder, on_epoch=stop_after(stopped))
        checkpoint = latest_checkpoint(folder)
        assert (checkpoint and load_checkpoint(checkpoint, identity=IDENTITY).epoch) == left
    assert same_weights(whole(epochs=4), train(given, folder=folder))


def test_a_run_with_few_checkpoints_ends_with_the_bits_of_one_with_many(settings, train, whole, tmp_path):
    few = settings(epochs=4, checkpoint_share=1e-6)
    with pytest.raises(Stopped):
        train(few, folder=tmp_path / "run", on_epoch=stop_after(3))
    kept = load_checkpoint(latest_checkpoint(tmp_path / "run"), identity=IDENTITY)
    assert kept.epoch == 1  # later ones would have come too soon
    resumed = train(few, folder=tmp_path / "run")
    assert same_weights(whole(epochs=4), resumed) and len(resumed.history) == 4
    assert load_checkpoint(latest_checkpoint(tmp_path / "run"), identity=IDENTITY).epoch == 4


def test_a_finished_run_is_read_and_not_trained_again(settings, train, whole):
    first, seen = whole(epochs=2), []
    again = train(settings(epochs=2), folder=first.folder, on_epoch=seen.append)
    assert len(first.reported) == 2 and seen == []
    assert same_weights(first, again) and first.history == again.history


def test_a_checkpoint_of_another_run_is_refused(settings, digits, whole):
    folder = whole(epochs=2).folder
    with pytest.raises(InputError, match="belongs to run 0123456789ab, not to ffffffffffff"):
        pretrain(settings(epochs=2), digits, device=torch.device("cpu"), folder=folder, identity="f" * 64)


def test_an_epochs_checkpoint_is_on_disk_when_the_epoch_is_reported(settings, train, tmp_path):
    reported = []

    def on_epoch(record):
        checkpoint = load_checkpoint(latest_checkpoint(tmp_path / "run"), identity=IDENTITY)
        reported.append((record["epoch"], checkpoint.epoch, checkpoint.history[-1] == record))

    train(settings(epochs=2), folder=tmp_path / "run", on_epoch=on_epoch)
    assert reported == [(epoch, epoch, True) for epoch in (1, 2)]


def test_the_last_checkpoint_holds_the_model_that_is_returned(whole):
    run = whole(epochs=2)
    weights = load_checkpoint(latest_checkpoint(run.folder), identity=IDENTITY).weights
    assert all(torch.equal(weights[name], tensor) for name, tensor in run.model.state_dict().items())


def test_labels_validation_and_test_do_not_touch_the_weights(settings, train, whole, digits):
    permuted = Split(images=digits.train.images, labels=digits.train.labels.flip(0))
    other = dataclasses.replace(digits, train=permuted, validation=digits.test, test=digits.validation)
    assert same_weights(whole(epochs=2), train(settings(epochs=2), dataset=other))


# ---- no training, an epoch's images, divergence


def test_no_epochs_return_the_initial_model_and_an_empty_log(settings, train, digits, tmp_path):
    given = settings(epochs=0)
    run = train(given, folder=tmp_path / "run")
    assert run.history == [] and not (tmp_path / "run").exists()
    assert same_weights(run, Pretrained(new_model(given, digits), []))


def test_no_epochs_need_no_full_batch(settings, train):
    assert train(settings(epochs=0, batch_size=4096)).history == []


@pytest.mark.parametrize(("drop_last", "sizes"), [(True, [64, 64]), (False, [64, 64, 32])])
def test_an_epoch_sees_each_image_once_in_an_order_and_with_views_of_its_own(
    settings, train, digits, monkeypatch, drop_last, sizes
):
    batches, streams, made, drawn = [], [], feed.make_two_views, feed.draw_two_views

    def watched(images, *arguments, **named):
        batches.append(images)
        return made(images, *arguments, **named)

    def overheard(n, *, generator, **named):
        streams.extend(one.initial_seed() for one in generator)
        return drawn(n, generator=generator, **named)

    monkeypatch.setattr(feed, "make_two_views", watched)
    monkeypatch.setattr(feed, "draw_two_views", overheard)
    monkeypatch.setitem(feed.BYTES_AT_ONCE, "cpu", 1)  # a batch at a time
    train(settings(epochs=2, batch_size=64, drop_last=drop_last))
    assert [len(batch) for batch in batches] == sizes * 2
    half = len(sizes)
    epochs = [[image.numpy().tobytes() for image in torch.cat(part)] for part in (batches[:half], batches[half:])]
    known = {image.numpy().tobytes() for image in digits.train.images}
    for epoch in epochs:
        assert len(set(epoch)) == len(epoch) == sum(sizes) and set(epoch) <= known
    assert epochs[0] != epochs[1]
    # a stream a view and an epoch
    assert len(set(streams)) == 4 and streams == streams[:2] * half + streams[-2:] * half


def test_whether_a_network_is_finite_is_asked_once():
    tensors = [torch.full((3,), 3e38), torch.rand(2, 2), torch.tensor(7), torch.empty(0), torch.rand(2).double()]
    with Operations() as seen:
        assert all_finite(tensors)  # a sum of squares would overflow
    assert seen.count(READS_A_VALUE) == 1
    assert all_finite([torch.tensor(7)])
    for bad in (math.nan, math.inf, -math.inf):
        for place in range(3):
            broken = torch.rand(3)
            broken[place] = bad
            assert not all_finite([*tensors, broken, torch.rand(5)])


def test_a_cpu_logs_ranks_after_every_epoch_and_a_gpu_about_ten_times_in_a_run():
    gpu, cpu = torch.device("cuda"), torch.device("cpu")

    def due(epochs, device):
        return [epoch + 1 for epoch in range(epochs) if rank_is_due(epoch, epochs=epochs, device=device)]

    for epochs in (1, 20, 100, 1000):
        assert due(epochs, cpu) == list(range(1, epochs + 1))
        assert len(due(epochs, gpu)) == min(epochs, 10) and due(epochs, gpu)[-1] == epochs
    assert due(100, gpu) == list(range(10, 101, 10)) and due(7, gpu) == list(range(1, 8)) and due(25, gpu)[-2:] == [24, 25]


def test_an_epoch_without_a_rank_logs_all_other_metrics(settings, digits, monkeypatch):
    model, given = new_model(settings(), digits), settings()
    whole = watch(given, digits, model, digits.validation.images, epoch=0)
    monkeypatch.setattr(loop, "rank_is_due", lambda *_, **__: False)
    without = watch(given, digits, model, digits.validation.images, epoch=0)
    for space, metrics in whole.items():
        assert "rankme" in metrics and without[space] == {key: value for key, value in metrics.items() if key != "rankme"}


def test_an_epoch_of_any_network_waits_for_the_device_a_fixed_number_of_times(settings, digits):
    # On a CPU the optimiser reads its norms, and views their scales, as plain numbers; neither does on a GPU.
    found = []
    for changes in ({}, {"backbone": "resnet34"}, {"expander": [8, 8, 8, 8, 8]}):
        given = settings(**changes)
        model = new_model(given, digits)
        with Operations() as seen:
            watch(given, digits, model, digits.validation.images, epoch=0)
        found.append(seen.count(READS_A_VALUE))
    assert len(set(found)) == 1 and found[0] < 50


@pytest.mark.parametrize("batch_size", [32, 160])  # five steps an epoch, or one, after which no loss is seen
@pytest.mark.parametrize("optimizer", OPTIMIZERS)
def test_a_run_that_diverges_says_so_and_leaves_no_checkpoint_that_is_not_finite(
    settings, train, tmp_path, optimizer, batch_size
):
    given = settings(optimizer=optimizer, base_lr=1e20, batch_size=batch_size, warmup_epochs=0)
    with pytest.raises(Diverged, match=r"stopped being finite in epoch 1 of 4"):
        train(given, folder=tmp_path / "run")
    assert latest_checkpoint(tmp_path / "run") is None


def test_a_run_that_diverges_later_keeps_its_last_finite_checkpoint(settings, train, tmp_path, monkeypatch):
    monkeypatch.setattr(loop, "learning_rates", lambda given, steps, epoch: [1e-3 if epoch < 2 else 1e20] * steps)
    with pytest.raises(Diverged, match="in epoch 3 of 4"):
        train(settings(optimizer="sgd"), folder=tmp_path / "run")
    kept = load_checkpoint(latest_checkpoint(tmp_path / "run"), identity=IDENTITY)
    assert kept.epoch == 2
    assert all(tensor.isfinite().all() for tensor in (*kept.weights.values(), *kept.optimizer.values()))
