"""The supervised control: its loss, its labels, and that it says everywhere what it is."""

import pytest
import torch

from tests.vicreg.methods.helpers import (
    DEGENERATE,
    SHAPES,
    assert_finite,
    assert_same_loss,
    diagnosis,
    inputs,
    progress,
    random_views,
    take_steps,
    tiny_method,
)
from tests.vicreg.methods.host_reads import refused
from tests.vicreg.training.runs import IDENTITY
from vicreg.errors import InputError
from vicreg.methods import method_class
from vicreg.methods.base import MethodSettings
from vicreg.methods.supervised import Supervised, supervised_loss
from vicreg.training.loop import pretrain

GIVEN = MethodSettings()


def labelled(n: int = 16, *, classes: int = 4) -> list[torch.Tensor]:
    """Two views whose class is the quarter of the image that is bright, and the labels."""
    labels = torch.arange(n) % classes
    views = [0.3 * view for view in random_views(2, n=n)]
    for view in views:
        for image, label in zip(view, labels.tolist(), strict=True):
            image[:, 4 * (label // 2) : 4 * (label // 2) + 4, 4 * (label % 2) : 4 * (label % 2) + 4] += 1
    return [*views, labels]


@pytest.mark.parametrize(("n", "classes"), SHAPES)
def test_value_and_gradients_are_those_of_a_loop_over_views_and_images(n, classes):
    labels = torch.randint(classes, (n,), generator=torch.Generator().manual_seed(0))

    def by_loops(*scores):
        losses = [one[i].logsumexp(0) - one[i, labels[i]] for one in scores for i in range(n)]
        return sum(losses) / len(losses)

    assert_same_loss(lambda *scores: supervised_loss(scores, labels).total, by_loops, *inputs(n, classes))


def test_without_a_preference_the_loss_is_the_logarithm_of_the_number_of_classes():
    loss = supervised_loss([torch.zeros(6, 10)] * 2, torch.arange(6))
    assert loss.total.item() == pytest.approx(torch.log(torch.tensor(10.0)).item())


def test_the_accuracy_is_of_both_views():
    labels = torch.tensor([0, 1, 2, 3])
    right, wrong = torch.eye(4), torch.eye(4).roll(1, dims=1)
    assert [supervised_loss(pair, labels).accuracy.item() for pair in ((right, right), (right, wrong), (wrong, wrong))] == [
        1,
        0.5,
        0,
    ]


@pytest.mark.parametrize("case", DEGENERATE)
def test_value_and_gradients_are_finite_for_degenerate_scores(case):
    assert_finite(lambda *scores: supervised_loss(scores, torch.arange(64) % 32).total, case)


def test_scores_of_other_images_than_the_labelled_are_refused():
    with pytest.raises(InputError, match=r"each view must have scores of 6 images, one for each label, but got \[6, 5\];"):
        supervised_loss([torch.zeros(6, 3), torch.zeros(5, 3)], torch.zeros(6, dtype=torch.int64))


# ---- the method


def test_it_is_named_as_supervised_and_as_a_control():
    assert method_class("supervised") is Supervised
    assert (Supervised.TITLE, Supervised.FAMILY) == ("Supervised", "control") and "with labels" in Supervised.PROBED
    assert Supervised.WANTS_LABELS and Supervised.VIEWS == 2


def test_the_loss_is_of_a_linear_layer_on_the_representations_of_both_views():
    method, views = tiny_method(Supervised, GIVEN), labelled()
    loss = method.loss(views, progress=progress(0.5))
    weight, bias = method.classifier.weight, method.classifier.bias
    scores = [method.backbone(view) @ weight.T + bias for view in views[:2]]
    expected = supervised_loss(scores, views[2])
    assert weight.shape == (10, 32)
    assert loss.total.item() == pytest.approx(expected.total.item(), rel=1e-5)
    assert loss.terms["accuracy"].item() == expected.accuracy.item()
    assert loss.terms.keys() == Supervised.TERMS.keys() and not loss.terms["cross_entropy"].requires_grad
    assert method.coefficients() == {"cross_entropy": 1.0} and method.target_std is None


def test_it_has_no_expander_and_its_embeddings_are_its_representations():
    method, views = tiny_method(Supervised, GIVEN, expander=(64, 64)), labelled()
    encoded = method.encode(views[0])
    assert torch.equal(encoded.embeddings, encoded.representations) and encoded.embeddings.shape == (16, 32)
    assert method.embedding_dimension == 32
    torch.testing.assert_close(method.loss(views, progress=progress(0.0)).embeddings, encoded.embeddings)
    method.loss(views, progress=progress(0.0)).total.backward()
    assert all(weight.grad is not None for weight in method.parameters())


def test_the_classifier_is_drawn_from_the_generator_and_torchs_own_state_is_left_alone():
    before = torch.get_rng_state()
    one, other = (tiny_method(Supervised, GIVEN).classifier for _ in range(2))
    assert torch.equal(one.weight, other.weight) and one.weight.std() > 0
    assert one.weight.abs().max() <= 32**-0.5 and torch.equal(torch.get_rng_state(), before)


def test_it_learns_separable_classes_which_without_their_labels_it_cannot():
    views = labelled(64)
    method = tiny_method(Supervised, GIVEN)
    totals = take_steps(method, views, steps=25)
    assert totals[-1] < 0.2 < 1.0 < totals[0]
    *fresh, labels = labelled(64)
    assert method.loss([*fresh, labels], progress=progress(1.0)).terms["accuracy"] > 0.95
    shuffled = labels[torch.randperm(64, generator=torch.Generator().manual_seed(0))]
    assert method.loss([*fresh, shuffled], progress=progress(1.0)).terms["accuracy"] < 0.6


def test_a_step_reads_no_value_on_the_host():
    method, views = tiny_method(Supervised, GIVEN), labelled()
    with refused():
        method.loss(views, progress=progress(0.0)).total.backward()
        method.after_step(progress=progress(0.0))


def test_a_run_learns_the_labels_of_its_images(settings, digits, tmp_path):
    """Labels that lag behind their images by one would be learnt no better than by guessing."""
    plain = {"crop_scale": [0.9, 1.0], "flip": 0.0, "jitter": 0.0, "grayscale": 0.0, "blur": 0.0, "solarize": 0.0}
    views = {f"augmentation.{name}": value for name, value in plain.items()}
    given = settings(method="supervised", epochs=5, base_lr=0.1, **views)
    history = pretrain(given, digits, device=torch.device("cpu"), folder=tmp_path, identity=IDENTITY).history
    assert history[-1]["accuracy"] > 0.5 and history[-1]["cross_entropy"] < 0.6 * history[0]["cross_entropy"]


def test_collapsed_and_healthy_representations_are_named_rightly_at_any_scale():
    generator = torch.Generator().manual_seed(2)
    healthy, noise = torch.randn(2, 400, 32, generator=generator)
    for scale in (0.01, 100.0):
        assert diagnosis(scale * healthy, target_std=None) == "healthy"
        assert diagnosis(scale * (1 + 0.001 * noise), target_std=None) == "complete"
        assert diagnosis(scale * healthy[:, :1].repeat(1, 32) + 0.01 * scale * noise, target_std=None) == "informational"
