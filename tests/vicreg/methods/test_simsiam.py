"""SimSiam: its loss against lightly, where gradients stop, the predictor's rate, and collapse without its parts."""

import copy
import dataclasses

import pytest
import torch
from lightly.loss import NegativeCosineSimilarity
from lightly.models.modules.heads import SimSiamPredictionHead
from torch import nn

import vicreg.torchvision_compat  # noqa: F401  (lightly imports torchvision)
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
    value_and_gradients,
)
from tests.vicreg.methods.made_embeddings import copies, healthy, near_constant, on_sphere
from vicreg.errors import InputError
from vicreg.methods.simsiam import SimSiam, SimSiamSettings, simsiam_loss, unit_row_std
from vicreg.metrics.collapse import normalised_std
from vicreg.models.joint_embedding import build_model
from vicreg.training.setup import learning_rates, make_optimizer, new_model
from vicreg.training.step import TrainStep

GIVEN = SimSiamSettings(
    predictor=True, predictor_ratio=0.25, stop_gradient=True, output_batchnorm=True, constant_predictor_rate=True
)


def four(n, d):
    """Two batches of predictions and two of embeddings."""
    a, b = inputs(n, d)
    return a, b, (a - 2 * b).roll(1, dims=0), (b + a / 3).roll(2, dims=0)


def ours(p, p_prime, z, z_prime, *, stop_gradient=True):
    return simsiam_loss((p, p_prime), (z, z_prime), stop_gradient=stop_gradient)


def naive(p, p_prime, z, z_prime, *, stop_gradient=True):
    """The formula row by row, each direction by itself."""
    total = p.new_zeros(())
    for predictions, targets in ((p, z_prime), (p_prime, z)):
        targets = targets.detach() if stop_gradient else targets
        for row, target in zip(predictions, targets, strict=True):
            lengths = row.square().sum().sqrt() * target.square().sum().sqrt()
            total = total - (row * target).sum() / lengths / len(p) / 2
    return total


# ---- the loss


@pytest.mark.parametrize(("n", "d"), SHAPES)
def test_value_and_gradient_equal_the_mean_of_lightlys_in_both_directions(n, d):
    one = NegativeCosineSimilarity()
    assert_same_loss(
        ours, lambda p, p_prime, z, z_prime: (one(p, z_prime.detach()) + one(p_prime, z.detach())) / 2, *four(n, d)
    )


@pytest.mark.parametrize(("n", "d"), SHAPES)
@pytest.mark.parametrize("stop_gradient", [True, False])
def test_value_and_gradient_equal_the_formula_row_by_row(n, d, stop_gradient):
    assert_same_loss(
        lambda *batches: ours(*batches, stop_gradient=stop_gradient),
        lambda *batches: naive(*batches, stop_gradient=stop_gradient),
        *four(n, d),
    )


def test_no_gradient_passes_through_the_targets_unless_the_settings_let_it():
    _, gradients = value_and_gradients(ours, *four(64, 32))
    assert gradients[2] is None and gradients[3] is None and gradients[0].any() and gradients[1].any()
    _, gradients = value_and_gradients(lambda *batches: ours(*batches, stop_gradient=False), *four(64, 32))
    assert all(gradient.any() for gradient in gradients)


def test_the_loss_is_minus_1_for_predictions_along_their_targets_and_1_against_them():
    a, b = inputs(64, 32)
    assert ours(3 * b, 2 * a, a, b).item() == pytest.approx(-1.0, abs=1e-12)
    assert ours(-b, -a, a, b).item() == pytest.approx(1.0, abs=1e-12)


@pytest.mark.parametrize("stop_gradient", [True, False])
@pytest.mark.parametrize("case", DEGENERATE)
def test_degenerate_batches_have_a_finite_value_and_gradient(case, stop_gradient):
    assert_finite(lambda a, b: ours(a, b, b, a, stop_gradient=stop_gradient), case)


def test_autocast_leaves_the_loss_in_full_precision():
    batches = [one.float() for one in four(16, 48)]
    with torch.autocast("cpu", dtype=torch.bfloat16):
        inside = ours(*batches)
    assert inside.dtype == torch.float32 and torch.equal(inside, ours(*batches))


def test_embeddings_that_no_loss_can_have_are_refused():
    p, p_prime, z, z_prime = four(16, 48)
    with pytest.raises(InputError, match="embeddings of one shape"):
        ours(p[:, :-1], p_prime, z, z_prime)
    with pytest.raises(InputError, match="must be finite"):
        ours(p, p_prime / 0, z, z_prime)


def test_the_std_of_unit_rows_is_the_normalised_std_that_collapse_is_judged_by():
    for embeddings in (healthy(scale=3.0), near_constant(), copies()):
        assert unit_row_std(embeddings).item() == pytest.approx(normalised_std(embeddings), rel=1e-5)


def test_the_std_of_unit_rows_is_1_for_isotropic_rows_of_any_scale_and_0_for_constant_ones():
    assert unit_row_std(healthy(scale=50.0)).item() == pytest.approx(1.0, abs=0.05)
    assert unit_row_std(near_constant()).item() < 0.02


# ---- the network


def test_the_predictor_has_a_bottleneck_of_a_quarter_and_the_expander_a_batchnorm_without_parameters():
    method = tiny_method(SimSiam, GIVEN)
    first, norm, _, last = method.predictor
    assert (first.in_features, first.out_features, last.out_features) == (16, 4, 16)
    assert first.bias is None and last.bias is not None and norm.num_features == 4
    assert method.expander[-1].weight is None and method.expander[-1].bias is None
    z = method.embed(*random_views())[0]
    torch.testing.assert_close(z.std(dim=0, correction=0), torch.ones(16), rtol=1e-2, atol=0)


def test_a_width_no_run_can_have_is_refused_in_one_sentence():
    with pytest.raises(InputError) as raised:
        dataclasses.replace(GIVEN, predictor_ratio=0.0)
    assert str(raised.value) == "pretrain.predictor_ratio must be a finite number above 0, but got 0.0; 1 keeps the width."


def test_each_part_can_be_left_out():
    bare = tiny_method(SimSiam, dataclasses.replace(GIVEN, predictor=False, output_batchnorm=False))
    assert bare.predictor is None and isinstance(bare.expander[-1], nn.Linear) and bare.parameter_groups() == []
    z, z_prime = bare.embed(*random_views())
    assert torch.equal(bare.predict(z, z_prime)[0], z)
    assert tiny_method(SimSiam, dataclasses.replace(GIVEN, constant_predictor_rate=False)).parameter_groups() == []


def test_the_backbone_starts_with_the_same_weights_whatever_the_parts():
    whole, bare = (
        tiny_method(SimSiam, one).backbone.state_dict()
        for one in (GIVEN, dataclasses.replace(GIVEN, predictor=False, output_batchnorm=False))
    )
    assert all(torch.equal(whole[name], bare[name]) for name in whole)


def test_views_in_one_pass_are_predicted_each_with_statistics_of_its_own_unless_they_are_joint():
    predictions = {}
    for passes in ("separate", "together", "joint"):
        method = tiny_method(SimSiam, GIVEN)
        z, z_prime = method.embed(*random_views())  # always of separate passes
        method.view_passes = passes
        predictions[passes] = method.predict(z, 3 * z_prime + 1)
    for one, other in zip(predictions["separate"], predictions["together"], strict=True):
        torch.testing.assert_close(one, other)
    assert not torch.allclose(predictions["separate"][0], predictions["joint"][0], atol=1e-2)


@pytest.mark.parametrize("batchnorm", [True, False])
def test_the_predictor_has_batchnorm_where_the_expander_has_it(batchnorm):
    method = build_model(
        architecture="resnet18", stem="cifar", width=4, in_channels=1, expander=(16, 16), batchnorm=batchnorm,
        generator=torch.Generator().manual_seed(0), make=SimSiam, settings=GIVEN,
    )  # fmt: skip
    assert any(isinstance(layer, nn.BatchNorm1d) for layer in method.predictor) == batchnorm


def test_the_losss_terms_are_the_cosine_and_the_std_of_unit_rows():
    method = tiny_method(SimSiam, GIVEN)
    loss = method.loss(random_views(), progress=progress(0.0))
    assert loss.terms.keys() == SimSiam.TERMS.keys() and method.coefficients() == {"cosine": 1.0}
    assert loss.terms["cosine"].item() == loss.total.item()
    assert loss.terms["unit_row_std"].item() == unit_row_std(loss.embeddings).item()
    assert not any(term.requires_grad for term in loss.terms.values())


def test_three_steps_equal_those_of_a_loop_with_lightlys_predictor_and_loss():
    method = tiny_method(SimSiam, GIVEN, expander=(16, 16)).double()
    views = [view.double() for view in random_views(6)]
    encoder = nn.Sequential(copy.deepcopy(method.backbone), copy.deepcopy(method.expander)).train()
    predictor = SimSiamPredictionHead(16, 4, 16).double().train()
    predictor.layers.load_state_dict(method.predictor.state_dict())
    cosine = NegativeCosineSimilarity()
    ours = torch.optim.SGD(method.parameters(), lr=0.1, momentum=0.9)
    theirs = torch.optim.SGD([*encoder.parameters(), *predictor.parameters()], lr=0.1, momentum=0.9)
    for step in range(3):
        pair = views[2 * step : 2 * step + 2]
        ours.zero_grad()
        method.loss(pair, progress=progress(step / 2)).total.backward()
        ours.step()
        z, z_prime = encoder(pair[0]), encoder(pair[1])
        theirs.zero_grad()
        (0.5 * (cosine(predictor(z), z_prime.detach()) + cosine(predictor(z_prime), z.detach()))).backward()
        theirs.step()
    expected = {
        **{f"backbone.{name}": value for name, value in encoder[0].state_dict().items()},
        **{f"expander.{name}": value for name, value in encoder[1].state_dict().items()},
        **{f"predictor.{name}": value for name, value in predictor.layers.state_dict().items()},
    }
    found = method.state_dict()
    assert found.keys() == expected.keys()
    for name, value in found.items():
        torch.testing.assert_close(value, expected[name], rtol=1e-8, atol=1e-10, msg=name)


# ---- training


def test_the_loss_falls_on_a_fixed_batch():
    totals = take_steps(tiny_method(SimSiam, GIVEN), random_views(), steps=15)
    assert totals[-1] < totals[0] - 0.1


@pytest.mark.parametrize("name", ["lars", "sgd", "adamw"])
@pytest.mark.parametrize("constant", [True, False])
def test_the_predictors_rate_is_the_peak_from_the_first_step_to_the_last_where_it_is_constant(
    settings, digits, name, constant
):
    given = settings(method="simsiam", constant_predictor_rate=constant, optimizer=name, epochs=4)
    model = new_model(given, digits)
    optimizer = make_optimizer(given, model)
    step = TrainStep(given, model, optimizer, device=torch.device("cpu"))
    courses = {True: set(), False: set()}
    predictor = set(model.predictor.parameters())
    for epoch in range(4):
        for rate in learning_rates(given, 5, epoch):
            step.set_course(learning_rate=rate, progress=0.0)
            for group in optimizer.param_groups:
                for parameter in group["params"]:
                    courses[parameter in predictor].add(group["lr"].item())
    assert len(courses[False]) > 10 and min(courses[False]) == 0.0
    if constant:
        assert len(courses[True]) == 1 and courses[True].pop() == pytest.approx(given.base_lr * 32 / 256)
    else:
        assert courses[True] == courses[False]


# ---- collapse


@pytest.mark.parametrize("scale", [0.001, 1.0])
def test_collapses_get_their_names_on_the_unit_sphere_and_at_any_scale(scale):
    target = tiny_method(SimSiam, GIVEN).target_std
    assert target is None
    for place in (on_sphere, lambda rows: rows):
        assert diagnosis(place(healthy(scale=scale)), target_std=target) == "healthy"
        assert diagnosis(place(near_constant(scale=scale)), target_std=target) == "complete"
    assert diagnosis(copies(scale=scale), target_std=target) == "informational"


@pytest.mark.slow
@pytest.mark.parametrize("stop_gradient", [True, False])
def test_embeddings_collapse_without_the_stopped_gradient_and_do_not_with_it(stop_gradient):
    method = tiny_method(SimSiam, dataclasses.replace(GIVEN, stop_gradient=stop_gradient, output_batchnorm=False))
    optimizer = torch.optim.SGD(method.parameters(), lr=0.4, momentum=0.9)
    for step in range(40):
        (image,) = random_views(1, n=32, seed=1000 + step)
        loss = method.loss([image + 0.3 * noise for noise in random_views(n=32, seed=step)], progress=progress(step / 39))
        optimizer.zero_grad()
        loss.total.backward()
        optimizer.step()
    cosine, std = loss.total.item(), loss.terms["unit_row_std"].item()
    assert (cosine > -0.9 and std > 0.5) if stop_gradient else (cosine < -0.98 and std < 0.1)
