"""A step captured as a CUDA graph, and the state that a capture puts back."""

import copy

import pytest
import torch
from torch import Tensor

from tests.vicreg.training.steps import OPTIMIZERS, apart, differing, on_gpu, pair, state, take, whole_run
from vicreg.training import loop
from vicreg.training.cuda_graph import GraphedStep, restore, snapshot
from vicreg.training.loop import train_epoch
from vicreg.training.step import TrainStep

pytestmark = pytest.mark.usefixtures("shallow")

# ---- a state that is put back


@pytest.mark.parametrize(
    ("optimizer", "changes"),
    [("lars", {}), ("sgd", {}), ("adamw", {}), ("sgd", {"momentum": 0}), ("lars", {"precision": "bfloat16"})],
    ids=str,
)
def test_a_restored_step_repeats_itself_to_the_bit(settings, start, optimizer, changes):
    step, rate = start(settings(optimizer=optimizer, **changes)), OPTIMIZERS[optimizer]
    take(step, range(2), rate=rate)
    at_snapshot, before = state(step), snapshot(step)
    take(step, range(2, 4), rate=rate)
    first = state(step)
    assert "totals" in differing(at_snapshot, first) and len(differing(at_snapshot, first)) > len(first) // 2
    restore(step, before)
    assert differing(state(step), at_snapshot) == []
    take(step, range(2, 4), rate=rate)
    assert differing(state(step), first) == []


@pytest.mark.parametrize("optimizer", OPTIMIZERS)
def test_restored_to_before_its_first_step_it_is_a_fresh_run_to_the_bit(settings, start, optimizer):
    # What a capture does: warm-up steps make the optimiser's buffers, and the run starts with them at 0.
    step, fresh = (start(settings(optimizer=optimizer)) for _ in range(2))
    initial, before = state(step), snapshot(step)
    take(step, range(100, 102), rate=OPTIMIZERS[optimizer])
    restore(step, before)
    now = state(step)
    assert differing({name: now[name] for name in initial}, initial) == []
    made = now.keys() - initial.keys()
    assert made and not any(now[name].any() for name in made)
    for one in (step, fresh):
        take(one, range(2), rate=OPTIMIZERS[optimizer])
    assert differing(state(step), state(fresh)) == []


@pytest.mark.parametrize("optimizer", OPTIMIZERS)
def test_restoring_writes_in_place_where_a_graph_looks(settings, start, optimizer):
    def places(step: TrainStep) -> list[int]:
        buffers = [value for named in step.optimizer.state.values() for value in named.values()]
        tensors = [*step.model.state_dict().values(), *buffers, step.totals]
        return [tensor.data_ptr() for tensor in tensors if isinstance(tensor, Tensor)]

    step = start(settings(optimizer=optimizer))
    before = snapshot(step)
    take(step, range(2), rate=OPTIMIZERS[optimizer])
    where = places(step)
    restore(step, before)
    assert places(step) == where


def test_a_snapshot_is_not_changed_by_the_steps_after_it(settings, start):
    step = start(settings(optimizer="adamw"))
    take(step, range(2), rate=0.01)
    before, now = snapshot(step), state(step)
    take(step, range(2, 4), rate=0.01)
    assert all(torch.equal(before["model"][name], now[name]) for name in before["model"])
    assert torch.equal(before["totals"], now["totals"])
    names = {parameter: name for name, parameter in step.model.named_parameters()}
    assert len(before["optimizer"]) == len(names)
    for parameter, named in before["optimizer"].items():
        assert all(torch.equal(value, now[f"{names[parameter]}/{name}"]) for name, value in named.items())


# ---- captured as a graph


def test_a_cpu_takes_every_step_eagerly(settings, digits, tmp_path, monkeypatch):
    def never(*_):
        raise AssertionError("a graph on a CPU")

    monkeypatch.setattr(loop, "GraphedStep", never)
    assert settings().graph
    with_graph, without = (
        whole_run(settings(graph=graph, epochs=1, warmup_epochs=0), digits, tmp_path / str(graph)) for graph in (True, False)
    )
    first, second = with_graph.model.state_dict(), without.model.state_dict()
    assert all(torch.equal(first[name], second[name]) for name in first)


@on_gpu
@pytest.mark.parametrize("view_passes", ["separate", "together"])
@pytest.mark.parametrize("optimizer", OPTIMIZERS)
def test_a_graphed_step_is_the_eager_one(settings, start, optimizer, view_passes):
    gpu, rate = torch.device("cuda"), OPTIMIZERS[optimizer]
    eager, captured = (start(settings(optimizer=optimizer, view_passes=view_passes), device=gpu) for _ in range(2))
    initial, untouched = state(captured), copy.deepcopy(eager.model)
    graphed = GraphedStep(captured, *pair(100, device=gpu))
    now = state(captured)
    assert differing({name: now[name] for name in initial}, initial) == []  # capturing trains nothing
    for step in (eager, graphed):
        take(step, range(4), rate=rate, device=gpu)
    assert apart(captured.model, eager.model, since=untouched) < 0.01
    assert captured.totals.tolist() == pytest.approx(eager.totals.tolist(), rel=1e-3)
    tracked = captured.model.state_dict()["backbone.bn1.num_batches_tracked"]
    assert tracked == 8 and torch.equal(tracked, eager.model.state_dict()["backbone.bn1.num_batches_tracked"])


@on_gpu
def test_a_short_batch_between_replays_is_taken_eagerly(settings, start):
    gpu = torch.device("cuda")
    eager, captured = (start(settings(optimizer="sgd"), device=gpu) for _ in range(2))
    untouched = copy.deepcopy(eager.model)
    graphed = GraphedStep(captured, *pair(100, device=gpu))
    for step in (eager, graphed):
        take(step, range(2), rate=0.02, device=gpu)
        step(*pair(7, n=5, device=gpu), learning_rate=0.01)
        take(step, range(2, 4), rate=0.02, device=gpu)
    assert apart(captured.model, eager.model, since=untouched) < 0.01
    assert captured.totals.tolist() == pytest.approx(eager.totals.tolist(), rel=1e-3)


@on_gpu
@pytest.mark.parametrize("drop_last", [True, False])
@pytest.mark.parametrize("optimizer", OPTIMIZERS)
def test_a_stopped_run_under_graphs_ends_with_the_bits_of_one_that_was_not(settings, digits, tmp_path, optimizer, drop_last):
    class Stopped(Exception):
        pass

    def stop(record):
        if record["epoch"] == 2:
            raise Stopped

    gpu = torch.device("cuda")
    given = settings(optimizer=optimizer, base_lr=0.1, batch_size=64, drop_last=drop_last)
    whole = whole_run(given, digits, tmp_path / "whole", device=gpu)
    with pytest.raises(Stopped):
        whole_run(given, digits, tmp_path / "stopped", device=gpu, on_epoch=stop)
    resumed = whole_run(given, digits, tmp_path / "stopped", device=gpu)
    first, second = whole.model.state_dict(), resumed.model.state_dict()
    assert all(torch.equal(first[name], second[name]) for name in first)
    assert [record["total"] for record in whole.history] == [record["total"] for record in resumed.history]


@on_gpu
def test_on_a_gpu_the_first_full_batch_is_captured_unless_the_settings_say_otherwise(settings, start, digits):
    gpu = torch.device("cuda")
    for graph, kind in ((True, GraphedStep), (False, TrainStep)):
        given = settings(graph=graph)
        images = digits.train.images.to(gpu)
        _, step = train_epoch(given, digits, start(given, device=gpu), images, device=gpu, epoch=0, steps=5)
        assert type(step) is kind
