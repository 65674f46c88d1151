"""What the loop does for any method: views, progress, and a state that is checkpointed."""

from collections.abc import Sequence
from typing import ClassVar

import pytest
import torch
from torch import Tensor

from tests.vicreg.training.runs import IDENTITY, Stopped, same_weights, stop_after, timeless
from vicreg.methods.base import Loss, Method, Term
from vicreg.methods.vicreg import VICRegSettings
from vicreg.training import setup
from vicreg.training.checkpoint import latest_checkpoint, load_checkpoint

pytestmark = pytest.mark.usefixtures("shallow")


class Teacher(Method):
    """Embeddings of each view should lie near those that a slow copy of the expander gives the first view.

    It keeps what a method may: a teacher that follows at a pace of the progress, a queue of embeddings, and a count.
    """

    Settings = VICRegSettings
    TERMS: ClassVar = {"distance": Term(title="Distance")}

    def __init__(self, **arguments) -> None:
        super().__init__(**arguments)
        self.register_buffer("teacher", torch.zeros(self.embedding_dimension, self.embedding_dimension))
        self.register_buffer("queue", torch.zeros(8, self.embedding_dimension))
        self.register_buffer("steps", torch.zeros((), dtype=torch.int64))
        self.seen: list[list[Tensor]] = []  # the views of each step
        self.progress: list[float] = []  # of each call of `after_step`

    def loss(self, views: Sequence[Tensor], *, progress: Tensor) -> Loss:
        self.seen.append([view.clone() for view in views])
        embeddings = [self(view)[1].float() for view in views]
        targets = embeddings[0].detach() @ self.teacher + self.queue.mean(dim=0)
        distance = sum((one - targets).square().mean() for one in embeddings)
        self.queue.copy_(torch.cat((embeddings[0].detach(), self.queue))[:8])
        return Loss(total=distance, terms={"distance": distance.detach()}, embeddings=embeddings[0])

    def after_step(self, *, progress: Tensor) -> None:
        self.progress.append(progress.item())
        self.steps += 1
        weight = self.expander[-1].weight.detach()
        self.teacher.lerp_(weight, 0.1 * (1 - progress))

    def reset_state(self, generator: torch.Generator) -> None:
        self.steps.zero_()
        self.queue.zero_()
        self.teacher.copy_(torch.randn(self.teacher.shape, generator=generator))


class OneView(Teacher):
    VIEWS = 1


class FourViews(Teacher):
    VIEWS = 4


@pytest.fixture
def with_method(monkeypatch, settings, train):
    """`with_method(Teacher, epochs=2, ...)`: a run of a method, with tiny settings."""

    def run(method: type[Teacher], *, folder=None, on_epoch=lambda record: None, **changes):
        monkeypatch.setattr(setup, "method_class", lambda name: method)
        given = settings(**{"expander": [16, 16], "epochs": 2, "augmentation.preset": "official", **changes})
        return train(given, folder=folder, on_epoch=on_epoch)

    return run


def test_a_method_is_fed_as_many_views_as_it_asks_for_the_first_two_being_those_of_two(with_method):
    one, two, four = (with_method(method).model.seen for method in (OneView, Teacher, FourViews))
    assert len(one) == len(two) == len(four) == 10  # two epochs of five steps
    for a, b, c in zip(one, two, four, strict=True):
        assert (len(a), len(b), len(c)) == (1, 2, 4)
        assert torch.equal(a[0], b[0])
        assert all(torch.equal(view, other) for view, other in zip(b, c[:2], strict=True))
        assert all(not torch.equal(c[i], c[j]) for i in range(4) for j in range(i))
        assert {view.shape for view in c} == {(32, 1, 8, 8)}


@pytest.mark.parametrize("changes", [{"batch_size": 40}, {"batch_size": 64, "drop_last": False}], ids=str)
def test_after_step_is_called_once_a_step_with_the_share_of_training_done(with_method, changes):
    method = with_method(Teacher, **changes).model
    steps = 2 * (3 if "drop_last" in changes else 4)
    assert len(method.seen) == method.steps.item() == steps
    assert method.progress == pytest.approx([number / (steps - 1) for number in range(steps)], abs=1e-6)


def test_progress_is_of_the_whole_schedule_where_a_run_stops_before_its_end(with_method):
    method = with_method(Teacher, epochs=4, stop_after=2).model
    assert method.progress == pytest.approx([number / 19 for number in range(10)], abs=1e-6)


def test_what_a_method_keeps_is_in_its_checkpoint(with_method, tmp_path):
    method = with_method(Teacher, folder=tmp_path / "run").model
    saved = load_checkpoint(latest_checkpoint(tmp_path / "run"), identity=IDENTITY).weights
    for name in ("teacher", "queue", "steps"):
        assert torch.equal(saved[name], method.get_buffer(name)) and saved[name].any(), name


def test_a_stopped_run_of_a_method_with_a_teacher_and_a_queue_ends_with_the_same_bits(with_method, tmp_path):
    whole, folder = with_method(Teacher), tmp_path / "stopped"
    with pytest.raises(Stopped):
        with_method(Teacher, folder=folder, on_epoch=stop_after(1))
    resumed = with_method(Teacher, folder=folder)
    assert len(resumed.model.seen) == 5  # it has trained what was left
    assert same_weights(whole, resumed) and timeless(whole.history) == timeless(resumed.history)
    assert not torch.equal(whole.model.teacher, with_method(Teacher, seed=1).model.teacher)
