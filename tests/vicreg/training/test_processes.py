"""A run of several processes: who writes, what a kill leaves, and what is refused."""

import dataclasses
import json
import os
import select
import signal
import subprocess
import sys
from pathlib import Path

import pytest
import torch

from study.runs.identity import training_code
from tests.vicreg.training.runs import Stopped, same_weights, stop_after, timeless
from vicreg.errors import InputError
from vicreg.methods import method_class, method_names
from vicreg.training.checkpoint import latest_checkpoint
from vicreg.training.processes import devices_of
from vicreg.training.settings import PretrainSettings, decisive_settings
from vicreg.training.setup import check_fit

LONG = 1_000_000  # epochs, more than any test waits for
CHILD_LEFT = 8.0  # seconds in which a child has to follow its parent


@pytest.fixture
def settings(tiny_config) -> PretrainSettings:
    return tiny_config({"pretrain.processes": 2}).pretrain


# ---- what is refused, and what it is another run of


@pytest.mark.parametrize(
    ("changes", "sentence"),
    [
        ({"pretrain.processes": 0}, "pretrain.processes must be a finite number of at least 1, but got 0"),
        ({"pretrain.processes": 3}, "pretrain.batch_size must be a multiple of pretrain.processes, and at least twice it, "
                                    "but they are 32 and 3"),
        ({"pretrain.processes": 32}, "and at least twice it, but they are 32 and 32"),
        ({"pretrain.compile": True}, "pretrain.compile must be false where pretrain.processes is above 1, but that is 2"),
        ({"pretrain.batchnorm_over": "some"}, "pretrain.batchnorm_over must be one of all, process, but got 'some'"),
        ({"pretrain.method": "cpc"}, "pretrain.processes must be 1 for method cpc, whose loss has no form over processes"),
        ({"pretrain.method": "mocov2", "pretrain.mocov2.batchnorm_splits": 4},
         "pretrain.batchnorm_splits must be 1 where pretrain.processes is above 1, but they are 4 and 2"),
        ({"pretrain.method": "vibcreg"}, "pretrain.iterative_normalisation must be false"),
    ],
)  # fmt: skip
def test_what_several_processes_cannot_train_is_refused_in_one_sentence(tiny_config, changes, sentence):
    with pytest.raises(InputError) as raised:
        _ = tiny_config({"pretrain.processes": 2}).with_settings(changes).pretrain
    assert sentence in str(raised.value) and str(raised.value).count("\n") == 0


def test_every_method_says_how_its_loss_is_gathered_or_that_it_is_not():
    said = {name: method_class(name).GATHERS for name in method_names()}
    assert {name for name, how in said.items() if how is None} == {
        "cpc", "denoising_autoencoder", "variational_autoencoder"
    }  # fmt: skip
    assert {name for name, how in said.items() if how == "statistics"} == {"vicreg"}
    assert set(said.values()) == {None, "statistics", "embeddings"}


def test_an_untrained_network_needs_one_process_whatever_the_settings_say(tiny_config):
    untrained = {"pretrain.processes": 3, "pretrain.epochs": 0, "pretrain.warmup_epochs": 0}
    assert not tiny_config(untrained).pretrain.distributed


@pytest.mark.parametrize(
    ("processes", "batch_size", "rest"),
    [(4, 24, 16), (2, 26, 4), (4, 20, 0), (3, 159, 1)],  # one image is always dropped
)
def test_a_short_last_batch_that_can_be_shared_is_taken(settings, digits, processes, batch_size, rest):
    assert len(digits.train.images) % batch_size == rest
    check_fit(dataclasses.replace(settings, processes=processes, batch_size=batch_size, drop_last=False), digits)


@pytest.mark.parametrize(("processes", "batch_size", "rest"), [(4, 52, 4), (3, 33, 28), (2, 158, 2)])
def test_a_short_last_batch_that_cannot_be_shared_is_refused_unless_it_is_dropped(
    settings, digits, processes, batch_size, rest
):
    given = dataclasses.replace(settings, processes=processes, batch_size=batch_size, drop_last=False)
    with pytest.raises(
        InputError, match=f"cannot share the last batch of an epoch, but it is false and that batch has {rest}"
    ):
        check_fit(given, digits)
    check_fit(dataclasses.replace(given, drop_last=True), digits)


def test_more_gpus_than_there_are_are_refused(monkeypatch):
    monkeypatch.setattr(torch.cuda, "device_count", lambda: 4)
    assert devices_of(torch.device("cuda", 1), 3) == [torch.device("cuda", number) for number in (1, 2, 3)]
    assert devices_of(torch.device("cuda"), 4)[-1] == torch.device("cuda", 3)
    with pytest.raises(InputError, match="must not exceed the GPUs a run may use, 3 here, but got 4; lower it"):
        devices_of(torch.device("cuda", 1), 4)


def test_the_number_of_processes_is_part_of_what_decides_a_run_where_there_are_several(settings):
    one = dataclasses.replace(settings, processes=1)
    assert decisive_settings(one, device="cpu").keys() & {"processes", "batchnorm_over"} == set()
    assert decisive_settings(one, device="cpu") == decisive_settings(
        dataclasses.replace(one, batchnorm_over="process"), device="cpu"
    )
    decided = decisive_settings(settings, device="cpu")
    assert (decided["processes"], decided["batchnorm_over"]) == (2, "all")


def test_the_code_of_a_run_of_several_processes_holds_what_they_send_and_no_other_does():
    one = training_code("vicreg").definitions
    several = training_code("vicreg", switches=frozenset({"distributed"})).definitions
    assert not any("distributed" in name or "processes" in name or "divided" in name for name in one)
    assert {
        "vicreg.distributed.collectives:sum_gradients", "vicreg.methods.divided_vicreg:divided_loss",
        "vicreg.models.shared_batchnorm:share_batchnorm", "vicreg.training.processes:started_processes",
    } <= several.keys()  # fmt: skip


# ---- whole runs


def children() -> set[int]:
    """The numbers of the processes that this one has started."""
    return {int(number) for path in Path("/proc/self/task").glob("*/children") for number in path.read_text().split()}


@pytest.fixture
def temporary(tmp_path, monkeypatch) -> Path:
    """A folder in which all temporary files lie, those of a run's processes too."""
    folder = tmp_path / "temporary"
    folder.mkdir()
    monkeypatch.setattr("tempfile.tempdir", str(folder))
    return folder


@pytest.mark.slow
@pytest.mark.timeout(900)
@pytest.mark.skipif(not Path("/proc/self/task").exists(), reason="needs Linux")
def test_a_run_of_two_processes_is_that_of_one_to_rounding_and_stopped_or_its_child_killed_it_goes_on_bit_for_bit(
    settings, train, tmp_path, temporary
):
    settings = dataclasses.replace(settings, epochs=3, optimizer="sgd", base_lr=0.02)
    whole = train(settings)
    one = train(dataclasses.replace(settings, processes=1, stop_after=1))
    ours, theirs = whole.history[0], one.history[0]  # training magnifies rounding from step to step
    assert ours["total"] == pytest.approx(theirs["total"], rel=1e-2)
    assert ours["gradient_norm"] == pytest.approx(theirs["gradient_norm"], rel=1e-2)

    folder, others = tmp_path / "resumed", children()
    with pytest.raises(Stopped):
        train(settings, folder=folder, on_epoch=stop_after(1))
    assert latest_checkpoint(folder).name == "checkpoint-00001" and children() == others
    seen = []

    def kill_the_child(record):
        seen.append(record["epoch"])
        (child,) = children() - others
        os.kill(child, signal.SIGKILL)

    with pytest.raises(InputError) as raised:
        train(settings, folder=folder, on_epoch=kill_the_child)
    assert str(raised.value) == (
        "process 2 of 2 of this run was killed by signal 9 before the run's end; call the command again, and it goes on."
    )
    assert seen == [2] and latest_checkpoint(folder).name == "checkpoint-00002"
    assert list(temporary.iterdir()) == []
    resumed = train(settings, folder=folder)
    assert same_weights(resumed, whole) and timeless(resumed.history) == timeless(whole.history)
    assert list(temporary.iterdir()) == []
    assert not torch.distributed.is_initialized() and "GLOO_SOCKET_IFNAME" not in os.environ


@pytest.mark.slow
@pytest.mark.timeout(900)
@pytest.mark.skipif(not hasattr(os, "pidfd_open"), reason="needs Linux")
def test_a_killed_parent_takes_its_child_with_it_and_leaves_its_checkpoint(settings, digits, tmp_path, temporary):
    folder = tmp_path / "run"
    command = [sys.executable, "-m", "tests.vicreg.training.shared_run", str(folder), str(LONG)]
    place = {"cwd": Path(__file__).parents[3], "env": {**os.environ, "TMPDIR": str(temporary)}}
    with subprocess.Popen(command, **place, stdout=subprocess.PIPE, text=True) as parent:
        _, child = parent.stdout.readline().split()  # after its first epoch
        watched = os.pidfd_open(int(child))
        parent.kill()
    assert select.select([watched], [], [], CHILD_LEFT)[0]
    os.close(watched)
    assert list(temporary.iterdir()) == []
    assert json.loads((latest_checkpoint(folder) / "history.json").read_bytes())[0]["epoch"] == 1
