"""CPC: its loss by loops, a context that looks up alone, and means over patches as features."""

import dataclasses
import inspect
import math
import re
from pathlib import Path

import pytest
import torch

from tests.vicreg.methods.helpers import (
    assert_same_loss,
    diagnosis,
    progress,
    random_views,
    take_steps,
    tiny_method,
    value_and_gradients,
)
from tests.vicreg.methods.host_reads import refused
from vicreg.errors import InputError
from vicreg.methods import method_class
from vicreg.methods.cpc import CPC, CPCSettings, cpc_loss
from vicreg.metrics.features import encode, represent, represent_views
from vicreg.models.patches import cut_patches

ROOT = Path(__file__).parents[3]
GIVEN = CPCSettings(
    patch=4, stride=2, first_row=1, last_row=2, target_dimension=8, logit_scale=0.1, context_width=8, context_blocks=2
)


@pytest.mark.parametrize(
    ("change", "sentence"),
    [
        *(
            ({name: 0}, f"pretrain.{name} must be at least 1, but got 0.")
            for name in ("patch", "stride", "first_row", "target_dimension", "context_width", "context_blocks")
        ),
        ({"first_row": 3}, "pretrain.last_row must be at least pretrain.first_row, 3, but got 2."),
        ({"logit_scale": 0.0}, "pretrain.logit_scale must be positive and finite, but got 0.0."),
        ({"logit_scale": float("nan")}, "pretrain.logit_scale must be positive and finite, but got nan."),
    ],
)
def test_a_value_no_run_can_have_is_refused_in_one_sentence(change, sentence):
    with pytest.raises(InputError) as raised:
        dataclasses.replace(GIVEN, **change)
    assert str(raised.value) == sentence


# ---- the loss


def made(n: int, grid: int, width: int, *, first_row: int, last_row: int, seed: int = 0):
    """Predictions for each number of rows below, and targets, float64."""
    generator = torch.Generator().manual_seed(seed)
    shapes = [(n, grid - k, grid, width) for k in range(first_row, last_row + 1)] + [(n, grid, grid, width)]
    *predictions, targets = (torch.randn(shape, generator=generator, dtype=torch.float64) for shape in shapes)
    return predictions, targets


def by_loops(predictions, targets, *, first_row, scale):
    n, grid, _, _ = targets.shape
    every = [targets[i, r, c] for i in range(n) for r in range(grid) for c in range(grid)]
    means = []
    for k, prediction in enumerate(predictions, start=first_row):
        losses = []
        for i in range(n):
            for r in range(grid - k):
                for c in range(grid):
                    p = prediction[i, r, c]
                    logits = torch.stack([scale * (p @ candidate) for candidate in every])
                    right = scale * (p @ targets[i, r + k, c])
                    losses.append(logits.logsumexp(0) - right)
        means.append(sum(losses) / len(losses))
    return sum(means) / len(means)


@pytest.mark.parametrize(("n", "grid", "width", "rows"), [(4, 3, 5, (1, 2)), (3, 3, 12, (2, 2)), (2, 4, 6, (1, 3))])
def test_value_and_gradients_are_those_of_loops_over_images_rows_and_columns(n, grid, width, rows):
    predictions, targets = made(n, grid, width, first_row=rows[0], last_row=rows[1])
    assert_same_loss(
        lambda t, *p: cpc_loss(p, t, first_row=rows[0], scale=0.1).total,
        lambda t, *p: by_loops(p, t, first_row=rows[0], scale=0.1),
        targets, *predictions,
    )  # fmt: skip


def test_at_chance_the_loss_is_the_logarithm_of_the_number_of_patches():
    predictions, targets = made(4, 3, 5, first_row=1, last_row=2)
    loss = cpc_loss([torch.zeros_like(one) for one in predictions], targets, first_row=1, scale=0.1)
    assert loss.total.item() == pytest.approx(math.log(4 * 9), rel=1e-12)


def test_predictions_of_the_right_patches_have_a_loss_near_zero_and_of_their_neighbours_a_large_one():
    targets = torch.eye(36, dtype=torch.float64).view(4, 3, 3, 36)
    right = cpc_loss([targets[:, 1:], targets[:, 2:]], targets, first_row=1, scale=100.0)
    assert right.total < 1e-6 and right.accuracy == 1
    for wrong in (targets[:, :2], targets[:, 1:].roll(1, dims=0), targets[:, 1:].roll(1, dims=2)):
        loss = cpc_loss([wrong], targets, first_row=1, scale=100.0)
        assert loss.total > 10 and loss.accuracy == 0


@pytest.mark.parametrize("case", ["equal patches", "zeros", "one dead column", "rank 1"])
def test_value_and_gradients_are_finite_for_degenerate_patches(case):
    predictions, targets = made(4, 3, 5, first_row=1, last_row=1)
    if case == "equal patches":
        targets = targets[:1, :1, :1].expand(4, 3, 3, 5)
    if case == "zeros":
        predictions, targets = [torch.zeros_like(predictions[0])], torch.zeros_like(targets)
    if case == "one dead column":
        targets[..., 0] = predictions[0][..., 0] = 0
    if case == "rank 1":
        targets = targets[..., :1] * targets[0, 0, 0]
    value, gradients = value_and_gradients(
        lambda t, p: cpc_loss([p], t, first_row=1, scale=0.1).total, targets, *predictions
    )
    assert value.isfinite() and all(gradient.isfinite().all() for gradient in gradients)


@pytest.mark.parametrize("shape", [(4, 3, 3, 5), (4, 2, 3, 4), (3, 2, 3, 5)])
def test_predictions_of_another_shape_are_refused(shape):
    _, targets = made(4, 3, 5, first_row=1, last_row=1)
    with pytest.raises(InputError, match=r"predictions 1 rows below must have shape \(4, 2, 3, 5\), but got"):
        cpc_loss([torch.zeros(shape)], targets, first_row=1, scale=0.1)


# ---- the method


def test_the_registry_knows_it_by_the_name_of_its_file():
    assert method_class("cpc") is CPC and CPC.VIEWS == 1


def test_features_of_an_image_are_the_means_of_those_of_its_patches():
    method, (view,) = tiny_method(CPC, GIVEN).eval(), random_views(1, n=5)
    encoded = method.encode(view)
    patches = cut_patches(view, patch=4, stride=2)  # (45, 1, 4, 4)
    y = method.backbone(patches)
    torch.testing.assert_close(encoded.representations, y.view(5, 9, -1).mean(dim=1))
    torch.testing.assert_close(encoded.embeddings, method.expander(y).view(5, 9, -1).mean(dim=1))


def test_measurements_read_the_same_features(digits):
    method = tiny_method(CPC, GIVEN)
    encoded = encode(method, digits.test.images[:4], size=8, mean=digits.mean, std=digits.std, batch_size=3)
    assert encoded.representations.shape == (4, 32) and encoded.embeddings.shape == (4, 16)
    pixels = (digits.test.images[:4] / 255 - digits.mean[0]) / digits.std[0]
    torch.testing.assert_close(encoded.representations, method.eval().encode(pixels).representations)


def test_nothing_that_reads_features_goes_round_encode():
    """A backbone applied to whole images would give features that CPC never trained."""
    around = re.compile(r"(?<![.\w])(?<!def )(?:model|network)\(|\.(?:backbone|expander|embed|forward)\(")
    for folder in ("vicreg/evaluation", "vicreg/metrics", "study"):
        for path in (ROOT / folder).rglob("*.py"):
            asked = inspect.getsource(represent_views)  # which asks first whether the backbone makes them
            assert not around.findall(path.read_text(encoding="utf-8").replace(asked, "")), path


def test_representations_without_embeddings_are_the_same_features(digits):
    method = tiny_method(CPC, GIVEN)
    given = {"size": 8, "mean": digits.mean, "std": digits.std, "batch_size": 3}
    alone = represent(method, digits.test.images[:4], **given)
    assert torch.equal(alone, encode(method, digits.test.images[:4], **given).representations)


@pytest.mark.parametrize("stem", ["cifar", "imagenet"])
@pytest.mark.parametrize(("side", "patch", "stride"), [(8, 4, 2), (32, 16, 8), (16, 4, 4)])
def test_small_patches_suit_both_stems(stem, side, patch, stride):
    method = tiny_method(CPC, dataclasses.replace(GIVEN, patch=patch, stride=stride), stem=stem)
    loss = method.loss(random_views(1, n=2, size=side), progress=progress(0.0))
    loss.total.backward()
    assert loss.total.isfinite() and all(one.grad is not None for one in method.parameters())


def test_the_loss_is_of_predictions_from_the_rows_above_by_one_map_for_each_distance():
    method, views = tiny_method(CPC, GIVEN), random_views(1)
    loss = method.loss(views, progress=progress(0.5))
    _, z = method.encode_patches(views[0])
    context = method.context(z.permute(0, 3, 1, 2))  # (N, d, g, g)
    predictions = []
    for k, predictor in zip((1, 2), method.predictors, strict=True):
        rows = [context[:, :, r].transpose(1, 2) @ predictor.weight.T for r in range(3 - k)]  # each (N, g, t)
        predictions.append(torch.stack(rows, dim=1))
    expected = by_loops(predictions, z @ method.targets.weight.T, first_row=1, scale=0.1)
    assert loss.total.item() == pytest.approx(expected.item(), rel=1e-4)
    assert loss.terms.keys() == CPC.TERMS.keys() and not loss.terms["info_nce"].requires_grad
    torch.testing.assert_close(loss.embeddings, z.mean(dim=(1, 2)))
    assert method.coefficients() == {"info_nce": 1.0} and method.target_std is None


def test_a_prediction_knows_nothing_of_the_rows_it_predicts():
    method = tiny_method(CPC, GIVEN).eval()
    (view,) = random_views(1, n=1)
    below = view.clone()
    below[:, :, 4:] += 1  # the first row of patches ends at pixel 4
    for k, (one, other) in enumerate(zip(method.predict(view)[2], method.predict(below)[2], strict=True), start=1):
        torch.testing.assert_close(one[:, 0], other[:, 0], msg=f"row 0 predicts row {k}")
        assert k == 2 or not torch.allclose(one[:, 1], other[:, 1])


def test_too_few_rows_of_patches_are_refused():
    with pytest.raises(InputError) as raised:
        tiny_method(CPC, dataclasses.replace(GIVEN, stride=4)).loss(random_views(1), progress=progress(0.0))
    assert str(raised.value) == (
        "a view must have more rows of patches than pretrain.last_row, 2, but one of 8 pixels has 2; lower "
        "pretrain.last_row, pretrain.patch or pretrain.stride."
    )


def test_the_loss_of_a_fixed_batch_of_columns_falls():
    (row,) = random_views(1, size=8)
    view = row[:, :, :1].expand(16, 1, 8, 8).contiguous()  # each image's rows are alike, so rows below can be predicted
    method = tiny_method(CPC, dataclasses.replace(GIVEN, logit_scale=1.0))
    totals = take_steps(method, [view], steps=20, lr=0.02)
    assert totals[-1] < 0.9 * totals[0]


def test_a_step_reads_no_value_on_the_host():
    method, views = tiny_method(CPC, GIVEN), random_views(1)
    with refused():
        method.loss(views, progress=progress(0.0)).total.backward()
        method.after_step(progress=progress(0.0))


def test_collapsed_and_healthy_embeddings_are_named_rightly_at_any_scale():
    generator = torch.Generator().manual_seed(2)
    healthy, noise = torch.randn(2, 400, 32, generator=generator)
    for scale in (0.01, 100.0):
        assert diagnosis(scale * healthy, target_std=None) == "healthy"
        assert diagnosis(scale * (1 + 0.001 * noise), target_std=None) == "complete"
        assert diagnosis(scale * healthy[:, :1].repeat(1, 32) + 0.01 * scale * noise, target_std=None) == "informational"
