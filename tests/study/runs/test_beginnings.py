"""A run that is the beginning of another takes its training from it, and comes out as if it had been trained by itself."""

import dataclasses
import json

import pytest
import torch

from study.runs import execute as executing
from study.runs.beginnings import beginning_of, epochs_done, is_trained, shared_trainings
from study.runs.execute import execute
from study.runs.run import make_run
from study.runs.store import Store
from study.runs.workspace import furthest_checkpoint
from tests.vicreg.training.runs import Stopped, stop_after, timeless
from vicreg.models import resnet as backbones

CPU = torch.device("cpu")


@pytest.fixture(autouse=True)
def small(monkeypatch):
    """A ResNet-18 with one block a stage, and LiDAR of fewer views of an image, for speed."""
    monkeypatch.setitem(backbones.ARCHITECTURES, "resnet18", (backbones.BasicBlock, (1, 1, 1, 1)))
    monkeypatch.setattr("vicreg.evaluation.held_out_views.LIDAR_VIEWS", 2)


@pytest.fixture
def run_of(tiny_config, digits):
    """`run_of(stop_after=2)`: a run of four epochs of two steps each, of k-NN, with settings over it."""

    def build(**settings):
        given = {"epochs": 4, "batch_size": 80, "probe_every": 3, **settings}
        config = tiny_config({f"pretrain.{name}": value for name, value in given.items()} | {"ablate.probes": ["knn"]})
        return make_run(config, data=digits.digest, device=CPU, probes=("knn",))

    return build


@pytest.fixture
def trained(monkeypatch):
    """Digest -> numbers of the epochs that were trained since, and not read from a checkpoint."""
    log, train = {}, executing.pretrain

    def watched(*args, identity, on_epoch, **named):
        def seen(record):
            log.setdefault(identity, []).append(record["epoch"])
            on_epoch(record)

        return train(*args, identity=identity, on_epoch=seen, **named)

    monkeypatch.setattr(executing, "pretrain", watched)
    return log


@pytest.fixture
def store(tmp_path):
    return Store(tmp_path / "store")


def run(one, store, digits, **named):
    return execute(one, store=store, dataset=digits, device=CPU, **named)


def left_by(one, store):
    """The bytes of weights and measurements, and the log but for its times."""
    log = timeless(json.loads(store.log_path(one.digest).read_bytes()))
    return store.weights_path(one.digest).read_bytes(), store.evaluation_path(one).read_bytes(), log


@pytest.fixture
def alone(tmp_path, digits):
    """`alone(run)`: what a run leaves that was trained by itself, in a store of its own."""

    def train(one):
        apart = Store(tmp_path / f"apart-{one.digest}")
        assert run(one, apart, digits) == "finished"
        return left_by(one, apart)

    return train


VARIANTS = {
    "lars": {"optimizer": "lars", "base_lr": 1.0},
    "sgd": {"optimizer": "sgd", "nesterov": True},
    "a short last batch": {"batch_size": 64, "drop_last": False},
    "a queue and a teacher": {"method": "mocov2", "mocov2.queue_length": 80, "warmup_epochs": 0},
    "all images": {"train_on": "all"},
    "bfloat16": {"precision": "bfloat16", "optimizer": "lars", "base_lr": 1.0},
}


@pytest.mark.slow
@pytest.mark.parametrize("changes", VARIANTS.values(), ids=VARIANTS)
def test_a_run_is_left_to_the_bit_what_its_own_training_leaves_it(run_of, store, digits, trained, alone, changes):
    longer, shorter = run_of(**changes), run_of(**changes, stop_after=2)
    assert run(longer, store, digits, keep=(2,)) == "finished"
    assert store.status(shorter) == ("partial", "trained, but not yet measured")
    assert run(shorter, store, digits) == "finished"
    assert trained == {longer.digest: [1, 2, 3, 4]}
    assert left_by(shorter, store) == alone(shorter)
    assert left_by(longer, store) == alone(longer)
    assert furthest_checkpoint(store.folder(shorter.digest)) is None


def test_the_last_epoch_of_the_shorter_run_has_a_knn_accuracy_and_of_the_longer_one_has_none(run_of, store, digits):
    longer, shorter = run_of(), run_of(stop_after=2)
    for one in (longer, shorter):
        run(one, store, digits, keep=(2,))

    def logged(one):
        return [record["knn"] is not None for record in store.result(one)["history"]]

    assert logged(longer) == [False, False, True, True] and logged(shorter) == [False, True]


@pytest.mark.slow
@pytest.mark.parametrize("stopped", [1, 2, 3])
def test_a_longer_run_that_was_interrupted_trains_the_shorter_one_all_the_same(
    run_of, store, digits, trained, alone, stopped
):
    longer, shorter = run_of(), run_of(stop_after=2)
    with pytest.raises(Stopped):
        run(longer, store, digits, keep=(2,), on_epoch=stop_after(stopped))
    assert run(longer, store, digits, keep=(2,)) == "finished"
    assert run(shorter, store, digits) == "finished"
    assert shorter.digest not in trained and left_by(shorter, store) == alone(shorter)


def test_a_run_that_began_by_itself_goes_on_where_the_longer_one_brings_it(run_of, store, digits, trained, alone):
    longer, shorter = run_of(), run_of(stop_after=2)
    with pytest.raises(Stopped):
        run(shorter, store, digits, on_epoch=stop_after(1))
    run(longer, store, digits, keep=(2,))
    run(shorter, store, digits)
    assert trained[shorter.digest] == [1] and left_by(shorter, store) == alone(shorter)


def test_several_runs_that_stop_at_different_epochs_are_trained_by_one(run_of, store, digits, trained):
    longer, shorter = run_of(), [run_of(stop_after=epochs) for epochs in (1, 3)]
    run(longer, store, digits, keep=(1, 3))
    assert [epochs_done(one, store) for one in shorter] == [1, 3]
    assert [run(one, store, digits) for one in shorter] == ["finished"] * 2
    assert trained.keys() == {longer.digest}


def test_a_run_that_has_finished_and_one_that_another_command_is_at_are_left_alone(run_of, store, digits, trained):
    longer, finished, busy = run_of(), run_of(stop_after=1), run_of(stop_after=2)
    run(finished, store, digits)
    before = left_by(finished, store)
    with store.lock(busy.digest):
        run(longer, store, digits, keep=(1, 2))
    assert left_by(finished, store) == before and epochs_done(busy, store) == epochs_done(finished, store) == 0
    run(busy, store, digits)
    assert trained[busy.digest] == [1, 2]


def test_where_the_store_cannot_take_the_checkpoint_it_is_said_and_the_longer_run_goes_on(
    run_of, store, digits, trained, capsys
):
    longer, shorter = run_of(), run_of(stop_after=2)
    store.folder(shorter.digest).parent.mkdir(parents=True)
    store.folder(shorter.digest).write_text("not a folder")
    assert run(longer, store, digits, keep=(2,)) == "finished"
    said = capsys.readouterr().err
    assert said.startswith(f"note: run {shorter.digest} could not be given the first 2 epochs of a longer one: the store")


# ---- which runs share their training


def test_runs_that_differ_in_where_they_stop_alone_share_the_longests_training(run_of, store):
    runs = [run_of(stop_after=1), run_of(), run_of(stop_after=3), run_of(stop_after=3, seed=1), run_of(epochs=3)]
    shared = shared_trainings(runs, store)
    assert shared == {runs[0].digest: runs[1], runs[2].digest: runs[1]}
    assert beginning_of(runs[1], stop_after=3, device=CPU).digest == runs[2].digest


def test_a_longer_run_that_has_passed_the_epoch_or_finished_trains_nothing_else(run_of, store, digits):
    longer, early, late = run_of(), run_of(stop_after=1), run_of(stop_after=3)
    with pytest.raises(Stopped):
        run(longer, store, digits, on_epoch=stop_after(2))
    assert shared_trainings([longer, early, late], store) == {late.digest: longer}
    run(longer, store, digits)
    assert shared_trainings([longer, early, late], store) == {}


def test_a_run_whose_training_is_there_waits_for_none(run_of, store, digits):
    longer, shorter = run_of(), run_of(stop_after=2)
    with pytest.raises(Stopped):
        run(longer, store, digits, keep=(2,), on_epoch=stop_after(2))
    assert is_trained(shorter, store)
    assert shared_trainings([dataclasses.replace(longer), shorter], store) == {}


def test_untrained_networks_share_nothing(run_of, store):
    assert shared_trainings([run_of(epochs=0, warmup_epochs=0), run_of(epochs=0, warmup_epochs=0, seed=1)], store) == {}
