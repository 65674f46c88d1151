"""The training loop: it learns what its coefficients ask for, it repeats itself to the bit, and it can be stopped."""

import dataclasses
import json
import math
from pathlib import Path
from typing import Any

import pytest
import torch

from vicreg.data.dataset import Dataset, Split
from vicreg.errors import InputError
from vicreg.methods.vicreg import VICReg
from vicreg.metrics.accuracy import accuracy
from vicreg.metrics.features import encode
from vicreg.metrics.knn import knn_scores
from vicreg.optim.lars import LARS
from vicreg.torchvision_compat import torchvision
from vicreg.training import batches as feed
from vicreg.training import loop as loop
from vicreg.training.checkpoint import latest_checkpoint, load_checkpoint
from vicreg.training.loop import Diverged, Pretrained, pretrain
from vicreg.training.settings import PretrainSettings
from vicreg.training.setup import make_optimizer, new_model, normalised, steps_per_epoch, view_size
from vicreg.training.step import step_metric_names

IDENTITY = "0123456789abcdef" * 4
OPTIMIZERS = {"lars": 1.0, "sgd": 0.1, "adamw": 0.05}  # name -> a base learning rate it trains well with


@pytest.fixture
def train(tmp_path, digits):
    """`train(settings)`: one run in a folder of its own, or in the one that is given."""
    count = iter(range(100))

    def run(given: PretrainSettings, *, folder: Path | None = None, dataset: Dataset = digits, **named) -> Pretrained:
        folder = folder or tmp_path / f"run-{next(count)}"
        return pretrain(given, dataset, device=torch.device("cpu"), folder=folder, identity=IDENTITY, **named)

    return run


def timeless(history: list[dict[str, Any]]) -> list[dict[str, Any]]:
    return [{key: value for key, value in record.items() if key != "images_per_second"} for record in history]


def same_weights(first: Pretrained, second: Pretrained) -> bool:
    a, b = first.model.state_dict(), second.model.state_dict()
    return a.keys() == b.keys() and all(torch.equal(a[key], b[key]) for key in a)


class Stopped(Exception):
    pass


def stop_after(epoch: int):
    def on_epoch(record):
        if record["epoch"] == epoch:
            raise Stopped

    return on_epoch


# ---- repeating and resuming


def test_the_same_settings_give_the_same_bits(settings, train):
    first, second = train(settings(epochs=2)), train(settings(epochs=2))
    assert same_weights(first, second) and timeless(first.history) == timeless(second.history)


def test_another_seed_gives_other_weights(settings, train):
    assert not same_weights(train(settings(epochs=2)), train(settings(epochs=2, seed=1)))


@pytest.mark.parametrize("optimizer", OPTIMIZERS)
def test_a_run_that_was_stopped_ends_with_the_bits_of_one_that_was_not(settings, train, tmp_path, optimizer):
    given = settings(optimizer=optimizer, base_lr=OPTIMIZERS[optimizer], epochs=4)
    whole = train(given)
    for epoch in (1, 3):
        folder = tmp_path / f"stopped-{epoch}"
        with pytest.raises(Stopped):
            train(given, folder=folder, on_epoch=stop_after(epoch))
        resumed = train(given, folder=folder)
        assert same_weights(whole, resumed)
        assert timeless(whole.history) == timeless(resumed.history)


@pytest.mark.parametrize("view_passes", ["together", "joint"])
def test_a_stopped_run_with_one_pass_for_both_views_and_a_short_last_batch_ends_with_the_same_bits(
    settings, train, tmp_path, view_passes
):
    given = settings(view_passes=view_passes, batch_size=64, drop_last=False, epochs=3)
    with pytest.raises(Stopped):
        train(given, folder=tmp_path / "run", on_epoch=stop_after(1))
    assert same_weights(train(given), train(given, folder=tmp_path / "run"))


def test_a_run_stopped_after_every_epoch_ends_as_if_never_stopped(settings, train, tmp_path):
    given = settings(epochs=3)
    for epoch in (1, 2, 3):
        with pytest.raises(Stopped):
            train(given, folder=tmp_path / "run", on_epoch=stop_after(epoch))
    assert same_weights(train(given), train(given, folder=tmp_path / "run"))


# ---- a part of a schedule, what is logged of it, and where it starts from


def test_a_run_that_stops_after_some_epochs_is_the_beginning_of_the_whole_schedule(settings, train, tmp_path):
    whole = settings(epochs=4)
    with pytest.raises(Stopped):
        train(whole, folder=tmp_path / "interrupted", on_epoch=stop_after(2))
    interrupted = load_checkpoint(latest_checkpoint(tmp_path / "interrupted"), identity=IDENTITY)
    begun = train(settings(epochs=4, stop_after=2))
    weights = begun.model.state_dict()
    assert all(torch.equal(weights[key], value) for key, value in interrupted.weights.items())
    assert timeless(begun.history) == timeless(interrupted.history) and len(begun.history) == 2
    shorter = train(settings(epochs=2))
    assert shorter.history[1]["learning_rate"] < begun.history[1]["learning_rate"]  # a schedule of its own has ended there


def test_a_logged_accuracy_changes_nothing_but_the_log(settings, train, digits):
    plain, probed = train(settings(epochs=3)), train(settings(epochs=3, probe_every=2))
    assert same_weights(plain, probed)
    assert [record.pop("knn") is not None for record in probed.history] == [False, True, True]  # and the last epoch's
    assert timeless(plain.history) == timeless(probed.history)


def test_the_logged_accuracy_is_that_of_a_knn_of_the_training_images_on_validation(settings, train, digits):
    given = settings(epochs=1, warmup_epochs=0, probe_every=1)
    trained = train(given)
    features = {
        part: encode(
            trained.model, getattr(digits, part).images, size=view_size(given, digits.train.images),
            mean=digits.mean, std=digits.std, batch_size=64,
        ).representations
        for part in ("train", "validation")
    }  # fmt: skip
    scores = knn_scores(
        features["train"], digits.train.labels, features["validation"], classes=10, k=20, temperature=0.07
    )
    assert trained.history[-1]["knn"] == accuracy(scores, digits.validation.labels).top1


def test_a_run_may_start_from_the_backbone_of_another(settings, train, digits):
    other = new_model(settings(seed=5), digits)
    started = train(settings(epochs=0, warmup_epochs=0, weights="other"), start=other.backbone.state_dict())
    own = new_model(settings(), digits)
    for key, value in started.model.state_dict().items():
        source = other if key.startswith("backbone.") else own
        assert torch.equal(value, source.state_dict()[key]), key
    trained = train(settings(epochs=1, warmup_epochs=0, weights="other"), start=other.backbone.state_dict())
    assert not same_weights(trained, train(settings(epochs=1, warmup_epochs=0)))


def test_imagenets_statistics_take_the_place_of_the_datas_own_for_images_of_three_channels(settings, digits):
    coloured = {
        part: Split(images=getattr(digits, part).images.expand(-1, 3, -1, -1), labels=getattr(digits, part).labels)
        for part in ("train", "validation", "test")
    }
    dataset = dataclasses.replace(digits, mean=digits.mean * 3, std=digits.std * 3, **coloured)
    assert normalised(settings(), dataset) is dataset
    changed = normalised(settings(normalisation="imagenet"), dataset)
    theirs = torchvision.models.ResNet50_Weights.IMAGENET1K_V1.transforms()
    assert (changed.mean, changed.std) == (tuple(theirs.mean), tuple(theirs.std))
    assert changed.train is dataset.train
    with pytest.raises(InputError) as raised:
        normalised(settings(normalisation="imagenet"), digits)
    assert str(raised.value) == (
        "pretrain.normalisation imagenet is for images of 3 channels, but digits has 1; set it to data."
    )


def test_epochs_since_the_last_checkpoint_are_trained_again(settings, train, tmp_path):
    given = settings(epochs=4, checkpoint_every=3)
    whole = train(given)
    for stopped, left in ((2, None), (3, 3)):
        folder = tmp_path / f"stopped-{stopped}"
        with pytest.raises(Stopped):
            train(given, folder=folder, on_epoch=stop_after(stopped))
        checkpoint = latest_checkpoint(folder)
        assert (checkpoint and load_checkpoint(checkpoint, identity=IDENTITY).epoch) == left
        assert same_weights(whole, train(given, folder=folder))


def test_a_finished_run_is_read_and_not_trained_again(settings, train, tmp_path):
    seen: list[dict] = []
    first = train(settings(epochs=2), folder=tmp_path / "run", on_epoch=seen.append)
    again = train(settings(epochs=2), folder=tmp_path / "run", on_epoch=seen.append)
    assert len(seen) == 2 and same_weights(first, again) and first.history == again.history


def test_a_checkpoint_of_another_run_is_refused(settings, digits, train, tmp_path):
    train(settings(epochs=2), folder=tmp_path)
    with pytest.raises(InputError, match="belongs to run 0123456789ab, not to ffffffffffff"):
        pretrain(settings(epochs=2), digits, device=torch.device("cpu"), folder=tmp_path, identity="f" * 64)


def test_an_epochs_checkpoint_is_on_disk_when_the_epoch_is_reported(settings, train, tmp_path):
    reported = []

    def on_epoch(record):
        checkpoint = load_checkpoint(latest_checkpoint(tmp_path / "run"), identity=IDENTITY)
        reported.append((record["epoch"], checkpoint.epoch, checkpoint.history[-1] == record))

    train(settings(epochs=3), folder=tmp_path / "run", on_epoch=on_epoch)
    assert reported == [(epoch, epoch, True) for epoch in (1, 2, 3)]


def test_the_last_checkpoint_holds_the_model_that_is_returned(settings, train, tmp_path):
    run = train(settings(epochs=2), folder=tmp_path / "run")
    weights = load_checkpoint(latest_checkpoint(tmp_path / "run"), identity=IDENTITY).weights
    assert all(torch.equal(weights[name], tensor) for name, tensor in run.model.state_dict().items())


def test_the_global_generator_is_neither_drawn_from_nor_asked(settings, train):
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(1)
        before = torch.get_rng_state()
        first = train(settings(epochs=2))
        assert torch.equal(torch.get_rng_state(), before)
        torch.manual_seed(2)
        assert same_weights(first, train(settings(epochs=2)))


def test_labels_validation_and_test_do_not_touch_the_weights(settings, train, digits):
    permuted = Split(images=digits.train.images, labels=digits.train.labels.flip(0))
    other = dataclasses.replace(digits, train=permuted, validation=digits.test, test=digits.validation)
    assert same_weights(train(settings(epochs=2)), train(settings(epochs=2), dataset=other))


# ---- no training, too few images, divergence


def test_no_epochs_return_the_initial_model_and_an_empty_log(settings, train, digits, tmp_path):
    given = settings(epochs=0)
    run = train(given, folder=tmp_path / "run")
    assert run.history == [] and not (tmp_path / "run").exists()
    assert same_weights(run, Pretrained(new_model(given, digits), []))


def test_no_epochs_need_no_full_batch(settings, train):
    assert train(settings(epochs=0, batch_size=4096)).history == []


def test_the_initial_weights_depend_on_network_and_seed_alone(settings, digits):
    first = new_model(settings(), digits)
    second = new_model(settings(optimizer="sgd", nu=3, epochs=9, batch_size=8, base_lr=7), digits)
    third = new_model(settings(seed=1), digits)
    assert same_weights(Pretrained(first, []), Pretrained(second, []))
    assert not same_weights(Pretrained(first, []), Pretrained(third, []))


def test_a_batch_of_more_images_than_there_are_is_refused(settings, train):
    with pytest.raises(InputError) as raised:
        train(settings(batch_size=161))
    assert str(raised.value) == (
        "pretrain.batch_size must not exceed the number of training images, but got 161 and 160; lower it or set "
        "pretrain.drop_last to false."
    )


@pytest.mark.parametrize(
    ("images", "drop_last", "steps"),
    [(64, True, 2), (64, False, 2), (95, True, 2), (95, False, 3), (65, False, 2), (66, False, 3), (20, False, 1)],
)
def test_a_short_last_batch_counts_unless_dropped_and_one_image_never_does(settings, images, drop_last, steps):
    assert steps_per_epoch(settings(batch_size=32, drop_last=drop_last), images) == steps


@pytest.mark.parametrize(("drop_last", "sizes"), [(True, [64, 64]), (False, [64, 64, 32])])
def test_an_epoch_sees_each_image_once_in_an_order_and_with_views_of_its_own(
    settings, train, digits, monkeypatch, drop_last, sizes
):
    batches, streams, original = [], [], feed.two_views

    def watched(images, *, generator, **named):
        batches.append(images)
        streams.extend(one.initial_seed() for one in generator)
        return original(images, generator=generator, **named)

    monkeypatch.setattr(feed, "two_views", watched)
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
    monkeypatch.setattr(loop, "_schedule", lambda given, steps, epoch: [1e-3 if epoch < 2 else 1e20] * steps)
    with pytest.raises(Diverged, match="in epoch 3 of 4"):
        train(settings(optimizer="sgd"), folder=tmp_path / "run")
    kept = load_checkpoint(latest_checkpoint(tmp_path / "run"), identity=IDENTITY)
    assert kept.epoch == 2
    assert all(tensor.isfinite().all() for tensor in (*kept.weights.values(), *kept.optimizer.values()))


# ---- the log


def test_the_log_holds_every_term_weighted_and_unweighted_and_both_spaces_geometry(settings, train):
    history = train(settings(lambda_=20, mu=10, nu=3, epochs=3)).history
    assert [record["epoch"] for record in history] == [1, 2, 3]
    for record in history:
        assert {*step_metric_names(VICReg), "learning_rate", "images_per_second", "representations", "embeddings"} < record.keys()
        weights = {"invariance": 20, "variance": 10, "covariance": 3}
        for term, weight in weights.items():
            assert record[f"weighted_{term}"] == weight * record[term]
        assert record["total"] == pytest.approx(sum(record[f"weighted_{term}"] for term in weights), rel=1e-5)
        assert record["gradient_norm"] > 0 and record["images_per_second"] > 0
        assert 0 <= record["embedding_std_min"] <= record["embedding_std_mean"]
        assert 0 <= record["embedding_share_below_gamma"] <= 1
        assert record["representations"].keys() == record["embeddings"].keys() > {"std_mean", "rankme"}
    assert json.loads(json.dumps(history)) == history


def test_speed_counts_the_images_that_were_seen(settings, train, monkeypatch):
    clock = iter(range(100))
    monkeypatch.setattr(loop.time, "perf_counter", lambda: float(next(clock)))
    for drop_last, seen in ((True, 128), (False, 160)):
        history = train(settings(epochs=2, batch_size=64, drop_last=drop_last)).history
        assert [record["images_per_second"] for record in history] == [seen, seen]


@pytest.mark.parametrize(("lr_batch_size", "peak"), [(None, 0.4 * 32 / 256), (256, 0.4)])
def test_the_learning_rate_follows_the_batch_size_unless_told_otherwise(settings, train, lr_batch_size, peak):
    given = settings(epochs=2, base_lr=0.4, lr_batch_size=lr_batch_size, warmup_epochs=1, end_lr=0.002)
    history = train(given).history
    # Five steps an epoch: the last step of the warm-up is 4 / 5 of the way up, the last step of all has end_lr.
    assert history[0]["learning_rate"] == pytest.approx(0.8 * peak)
    assert history[1]["learning_rate"] == pytest.approx(0.002)


# ---- what the settings do


GENTLE = {
    "augmentation.jitter": 0, "augmentation.grayscale": 0, "augmentation.blur": 0, "augmentation.solarize": 0,
    "augmentation.flip": 0, "augmentation.crop_scale": [0.75, 1.0], "augmentation.crop_ratio": [1.0, 1.0],
}  # fmt: skip


@pytest.fixture(scope="module")
def arms(tiny_config, digits, tmp_path_factory) -> dict[tuple[int, int, int], list[dict[str, Any]]]:
    """(lambda, mu, nu) -> the log of six epochs on views that differ by a crop of a pixel."""
    torch.set_num_threads(1)
    logs = {}
    for lambda_, mu, nu in ((1, 0, 0), (25, 25, 1), (0, 25, 1), (0, 25, 25)):
        given = tiny_config(
            {f"pretrain.{name}": value for name, value in GENTLE.items()}
            | {"pretrain.lambda": lambda_, "pretrain.mu": mu, "pretrain.nu": nu, "pretrain.seed": 2}
            | {"pretrain.epochs": 6, "pretrain.base_lr": 0.1}
        ).pretrain
        folder = tmp_path_factory.mktemp("arm")
        run = pretrain(given, digits, device=torch.device("cpu"), folder=folder, identity=IDENTITY)
        logs[lambda_, mu, nu] = run.history
    return logs


def test_invariance_alone_shrinks_the_embeddings(arms):
    first, last = arms[1, 0, 0][0], arms[1, 0, 0][-1]
    assert last["embedding_std_mean"] < 0.4 * first["embedding_std_mean"]
    assert last["invariance"] < 0.2 * first["invariance"]


def test_all_three_terms_spread_the_embeddings(arms):
    first, last = arms[25, 25, 1][0], arms[25, 25, 1][-1]
    assert last["embedding_std_mean"] > 1.2 * first["embedding_std_mean"]
    assert last["variance"] < 0.9 * first["variance"]
    assert last["embedding_std_mean"] > 5 * arms[1, 0, 0][-1]["embedding_std_mean"]


def test_without_lambda_the_views_drift_apart(arms):
    assert arms[0, 25, 1][-1]["invariance"] > 3 * arms[25, 25, 1][-1]["invariance"]


def test_a_larger_nu_decorrelates(arms):
    assert arms[0, 25, 25][-1]["covariance"] < 0.2 * arms[0, 25, 1][-1]["covariance"]


def test_equal_coefficients_by_another_convention_are_the_same_run(settings, train):
    official = train(settings(convention="official", lambda_=16, mu=20, nu=1, epochs=1, warmup_epochs=0))
    algorithm = train(settings(convention="algorithm", lambda_=16, mu=10, nu=1, epochs=1, warmup_epochs=0))
    equation = train(settings(convention="equation", lambda_=1, mu=10, nu=1, epochs=1, warmup_epochs=0))  # d is 16
    assert same_weights(official, algorithm) and same_weights(official, equation)
    assert timeless(official.history) == timeless(algorithm.history) == timeless(equation.history)


@pytest.mark.parametrize("expander", [[], [16]])
def test_a_run_without_expander_or_with_a_linear_one_trains(settings, train, expander):
    run = train(settings(expander=expander, epochs=2))
    assert all(math.isfinite(record["total"]) for record in run.history)


def test_bfloat16_trains_near_to_float32_with_the_log_in_full_precision(settings, train):
    half, full = (train(settings(precision=name, epochs=2)).history[0] for name in ("bfloat16", "float32"))
    assert half["total"] != full["total"] and half["total"] == pytest.approx(full["total"], rel=0.02)


@pytest.mark.parametrize("optimizer", ["sgd", "adamw"])
@pytest.mark.parametrize("everything", [False, True])
def test_biases_and_batchnorm_are_left_out_of_decay_unless_asked_for(settings, digits, optimizer, everything):
    given = settings(optimizer=optimizer, weight_decay=0.3, decay_bias_and_norm=everything)
    model = new_model(given, digits)
    groups = make_optimizer(given, model).param_groups
    decay = {id(parameter): group["weight_decay"] for group in groups for parameter in group["params"]}
    assert len(decay) == len(list(model.parameters()))
    for parameter in model.parameters():
        assert decay[id(parameter)] == (0.3 if parameter.ndim > 1 or everything else 0.0)


def test_lars_gets_its_settings(settings, digits):
    given = settings(
        optimizer="lars", weight_decay=0.3, momentum=0.8, lars_eta=0.02, decay_bias_and_norm=True,
        adapt_bias_and_norm=True,
    )  # fmt: skip
    optimizer = make_optimizer(given, new_model(given, digits))
    assert isinstance(optimizer, LARS)
    (group,) = optimizer.param_groups
    assert {name: group[name] for name in ("weight_decay", "momentum", "eta")} == {
        "weight_decay": 0.3, "momentum": 0.8, "eta": 0.02,
    }  # fmt: skip
    assert group["decay_bias_and_norm"] and group["adapt_bias_and_norm"]


@pytest.mark.parametrize(("optimizer", "key"), [("sgd", "momentum"), ("adamw", "betas")])
def test_momentum_reaches_the_optimiser(settings, digits, optimizer, key):
    given = settings(optimizer=optimizer, momentum=0.7)
    value = make_optimizer(given, new_model(given, digits)).param_groups[0][key]
    assert value == (0.7 if optimizer == "sgd" else (0.7, 0.999))


def test_views_have_the_size_the_settings_ask_for_or_the_images_own(settings, digits):
    images = digits.train.images
    assert loop.view_size(settings(image_size=12), images) == 12
    assert loop.view_size(settings(image_size=None), images) == images.shape[-1]
