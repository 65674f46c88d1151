"""Checkpoints: written whole or not at all, checked when read, never executed."""

import os
import pickle
from pathlib import Path

import pytest
import torch

from tests.vicreg.training.runs import IDENTITY
from tests.vicreg.training.saved import OPTIMIZERS, history, network, same, save, train
from vicreg.errors import InputError
from vicreg.training.checkpoint import (
    CheckpointInterval,
    latest_checkpoint,
    load_checkpoint,
    load_weights,
    restore_optimizer,
    save_weights,
)

# ---- when one is saved


class Clock:
    """Seconds that pass when they are told to."""

    def __init__(self) -> None:
        self.now = 1000.0

    def __call__(self) -> float:
        return self.now


def saved(*, every: int, share: float, last: int, epoch: float, save: float) -> tuple[list[int], float]:
    """The epochs that get a checkpoint, and the share of the run's time that these take."""
    clock, epochs = Clock(), []
    interval = CheckpointInterval(every=every, share=share, last=last, clock=clock)
    for number in range(1, last + 1):
        clock.now += epoch
        if interval.due(number):
            with interval.saving():
                clock.now += save
            epochs.append(number)
    return epochs, len(epochs) * save / (clock.now - 1000)


def test_after_a_save_of_one_second_the_next_waits_for_49_seconds_of_training():
    assert saved(every=1, share=0.02, last=100, epoch=1, save=1)[0] == [1, 50, 99, 100]
    assert saved(every=1, share=0.1, last=30, epoch=1, save=1)[0] == [1, 10, 19, 28, 30]


@pytest.mark.parametrize(("epoch", "save"), [(0.9, 1.0), (0.05, 0.02), (60.0, 1.0), (600.0, 30.0)])
def test_a_long_runs_checkpoints_take_no_more_than_their_share_of_its_time(epoch, save):
    epochs, share = saved(every=1, share=0.02, last=10_000, epoch=epoch, save=save)
    assert share < 0.021 and (epochs[0], epochs[-1]) == (1, 10_000)
    assert len(epochs) > 50


def test_a_save_that_costs_less_than_its_share_follows_every_epoch_and_a_share_of_1_sets_no_limit():
    assert saved(every=1, share=0.02, last=5, epoch=50, save=1)[0] == [1, 2, 3, 4, 5]
    assert saved(every=1, share=1, last=5, epoch=0.001, save=100)[0] == [1, 2, 3, 4, 5]


def test_epochs_between_checkpoints_are_at_least_those_that_are_asked_for():
    assert saved(every=3, share=1, last=10, epoch=1, save=1)[0] == [3, 6, 9, 10]
    assert saved(every=3, share=0.1, last=20, epoch=1, save=1)[0] == [3, 12, 20]  # 9 seconds later is epoch 12


# ---- what comes back


@pytest.mark.parametrize("optimizer", OPTIMIZERS)
def test_what_is_read_is_what_was_written(tmp_path, optimizer):
    path, model, made = save(tmp_path, epochs=3, optimizer=optimizer)
    read = load_checkpoint(path, identity=IDENTITY)
    assert (read.epoch, read.history) == (3, history(3))
    assert same(read.weights, model.state_dict())
    restored = OPTIMIZERS[optimizer](network().parameters())
    restore_optimizer(restored, read.optimizer)
    before, after = made.state_dict()["state"], restored.state_dict()["state"]
    assert before.keys() == after.keys() and len(before) == len(list(model.parameters()))
    assert all(same(before[index], after[index]) for index in before)


@pytest.mark.parametrize("optimizer", OPTIMIZERS)
def test_training_goes_on_as_if_it_had_not_stopped(tmp_path, optimizer):
    path, model, made = save(tmp_path, epochs=2, optimizer=optimizer)
    train(model, made, steps=range(2, 6))
    resumed = network()
    again = OPTIMIZERS[optimizer](resumed.parameters())
    read = load_checkpoint(path, identity=IDENTITY)
    resumed.load_state_dict(read.weights)
    restore_optimizer(again, read.optimizer)
    train(resumed, again, steps=range(2, 6))
    assert same(model.state_dict(), resumed.state_dict())


@pytest.mark.parametrize("optimizer", OPTIMIZERS)
def test_restored_buffers_have_the_memory_layout_they_had(tmp_path, optimizer):
    path, _, made = save(tmp_path, optimizer=optimizer)
    restored = OPTIMIZERS[optimizer](network().parameters())
    restore_optimizer(restored, load_checkpoint(path, identity=IDENTITY).optimizer)
    for index, buffers in made.state_dict()["state"].items():
        for name, buffer in buffers.items():
            assert restored.state_dict()["state"][index][name].stride() == buffer.stride(), (index, name)


def test_hyper_parameters_are_the_new_optimisers_own(tmp_path):
    path, _, _ = save(tmp_path)
    optimizer = torch.optim.SGD(network().parameters(), lr=0.7, momentum=0.5)
    restore_optimizer(optimizer, load_checkpoint(path, identity=IDENTITY).optimizer)
    assert (optimizer.param_groups[0]["lr"], optimizer.param_groups[0]["momentum"]) == (0.7, 0.5)


def test_saving_the_same_state_twice_gives_the_same_bytes(tmp_path):
    first, second = (save(tmp_path / name)[0] for name in ("a", "b"))
    assert sorted(path.name for path in first.iterdir()) == sorted(path.name for path in second.iterdir())
    assert all((second / path.name).read_bytes() == path.read_bytes() for path in first.iterdir())


def test_a_new_checkpoint_replaces_the_earlier_ones(tmp_path):
    for epochs in (1, 2, 11):
        path, _, _ = save(tmp_path, epochs=epochs)
    assert [entry.name for entry in tmp_path.iterdir()] == ["checkpoint-00011"]
    assert latest_checkpoint(tmp_path) == path


def test_a_folder_without_checkpoints_has_no_latest(tmp_path):
    assert latest_checkpoint(tmp_path) is None
    assert latest_checkpoint(tmp_path / "absent") is None


def test_an_epoch_that_is_saved_again_is_overwritten(tmp_path):
    save(tmp_path)
    path, model, _ = save(tmp_path, optimizer="lars")
    assert same(load_checkpoint(path, identity=IDENTITY).weights, model.state_dict())


# ---- what is refused


def assert_refused(path: Path, *, naming: Path, identity: str = IDENTITY) -> str:
    with pytest.raises(InputError) as raised:
        load_checkpoint(path, identity=identity)
    message = str(raised.value)
    assert str(naming) in message and message.endswith(f"delete {path} and start again.") and "\n" not in message
    return message


@pytest.mark.parametrize("name", ["model.safetensors", "state.safetensors", "history.json"])
@pytest.mark.parametrize("position", [0, 0.5, -1])
def test_one_changed_byte_is_found(tmp_path, name, position):
    path, _, _ = save(tmp_path)
    content = bytearray((path / name).read_bytes())
    content[int(len(content) * position) if position > 0 else position] ^= 1
    (path / name).write_bytes(content)
    assert "is corrupt: its SHA-256 is" in assert_refused(path, naming=path / name)


@pytest.mark.parametrize("name", ["model.safetensors", "state.safetensors", "history.json", "manifest.json"])
def test_a_missing_file_is_named(tmp_path, name):
    path, _, _ = save(tmp_path)
    (path / name).unlink()
    assert "cannot be read" in assert_refused(path, naming=path / name)


@pytest.mark.parametrize("name", ["model.safetensors", "state.safetensors", "history.json"])
def test_a_truncated_file_is_named(tmp_path, name):
    path, _, _ = save(tmp_path)
    os.truncate(path / name, (path / name).stat().st_size // 2)
    assert_refused(path, naming=path / name)


def test_a_manifest_torn_anywhere_is_refused(tmp_path):
    path, _, _ = save(tmp_path)
    whole = (path / "manifest.json").read_bytes()
    for length in range(len(whole) - 2):  # without its last newline it is still whole
        (path / "manifest.json").write_bytes(whole[:length])
        assert_refused(path, naming=path)


def test_a_manifest_altered_anywhere_is_refused_or_means_the_same(tmp_path):
    path, model, _ = save(tmp_path)
    whole = (path / "manifest.json").read_bytes()
    for position in range(len(whole)):
        (path / "manifest.json").write_bytes(whole[:position] + bytes([whole[position] ^ 1]) + whole[position + 1 :])
        try:
            read = load_checkpoint(path, identity=IDENTITY)
        except InputError as error:
            assert str(path) in str(error)
        else:  # white space between values
            assert read.epoch == 1 and same(read.weights, model.state_dict())


@pytest.mark.parametrize("manifest", ["[]", "null", "{}", '{"sha256": 5, "epoch": 1, "identity": "x"}'])
def test_a_manifest_of_another_shape_is_refused(tmp_path, manifest):
    path, _, _ = save(tmp_path)
    (path / "manifest.json").write_text(manifest)
    assert_refused(path, naming=path)


def test_a_checkpoint_of_another_run_is_refused(tmp_path):
    path, _, _ = save(tmp_path)
    message = assert_refused(path, naming=path, identity="f" * 64)
    assert "belongs to run 0123456789ab, not to ffffffffffff" in message


# ---- nothing is executed


class Exploit:
    def __init__(self, witness: Path) -> None:
        self.witness = witness

    def __reduce__(self):
        return Path.touch, (self.witness,)


def test_a_pickle_in_place_of_weights_is_refused_and_not_run(tmp_path):
    payload, witness = pickle.dumps(Exploit(tmp_path / "witness")), tmp_path / "witness"
    pickle.loads(payload)
    assert witness.exists()  # the payload works where it is unpickled
    witness.unlink()
    (tmp_path / "model.safetensors").write_bytes(payload)
    with pytest.raises(InputError, match="is not a readable safetensors file"):
        load_weights(tmp_path / "model.safetensors")
    assert not witness.exists()


def test_reading_a_checkpoint_never_unpickles(tmp_path, monkeypatch):
    path, _, _ = save(tmp_path, optimizer="adamw")

    def refuse(*args, **kwargs):
        raise AssertionError("something was unpickled")

    for name in ("load", "loads", "Unpickler"):
        monkeypatch.setattr(pickle, name, refuse)
    monkeypatch.setattr(torch, "load", refuse)
    restore_optimizer(OPTIMIZERS["adamw"](network().parameters()), load_checkpoint(path, identity=IDENTITY).optimizer)


# ---- single files


def test_weights_come_back_from_their_file(tmp_path):
    model = network()
    save_weights(tmp_path / "deep" / "model.safetensors", model)
    assert same(load_weights(tmp_path / "deep" / "model.safetensors"), model.state_dict())


def test_a_missing_weights_file_is_named(tmp_path):
    with pytest.raises(InputError) as raised:
        load_weights(tmp_path / "model.safetensors")
    assert str(raised.value) == (
        f"{tmp_path / 'model.safetensors'} does not exist; train it first, or point at another file."
    )


@pytest.mark.parametrize("content", [b"", b"garbage", None])
def test_a_damaged_weights_file_is_named(tmp_path, content):
    path = tmp_path / "model.safetensors"
    save_weights(path, network())
    path.write_bytes(path.read_bytes()[:-1] if content is None else content)
    with pytest.raises(InputError, match="is not a readable safetensors file") as raised:
        load_weights(path)
    assert str(path) in str(raised.value)
