"""A network that follows another: its start, its pace, its own statistics, and that it has no gradient."""

import math

import pytest
import torch
from lightly.models.utils import update_momentum
from lightly.utils.scheduler import cosine_schedule

import vicreg.torchvision_compat  # noqa: F401  (lightly imports torchvision)
from vicreg.errors import InputError
from vicreg.models.joint_embedding import JointEmbedding, build_model
from vicreg.models.momentum_target import EMASchedule, MomentumTarget, embed_each
from vicreg.models.predictor import predict_views, predictor_width, require_predictor_ratio
from vicreg.models.view_batchnorm import ViewBatchNorm1d


def online(seed: int = 0) -> JointEmbedding:
    return build_model(
        architecture="resnet18", stem="cifar", width=4, in_channels=1, expander=(8, 6), batchnorm=True,
        generator=torch.Generator().manual_seed(seed),
    ).double()  # fmt: skip


def views(seed: int = 0, *, n: int = 8) -> tuple[torch.Tensor, torch.Tensor]:
    a, b = torch.randn(2, n, 1, 4, 4, generator=torch.Generator().manual_seed(seed), dtype=torch.float64)
    return a, b


def at(share: float) -> torch.Tensor:
    return torch.tensor(share)


# ---- the pace


@pytest.mark.parametrize("start", [0.0, 0.97, 0.996])
def test_the_cosine_schedule_is_byols_at_its_start_its_middle_and_its_end(start):
    schedule = EMASchedule(start=start, kind="cosine")
    for share, expected in ((0, start), (0.5, (1 + start) / 2), (1, 1)):
        assert schedule.momentum(at(share)).item() == pytest.approx(expected, abs=1e-12)


def test_the_cosine_schedule_is_lightlys_of_the_same_step():
    schedule = EMASchedule(start=0.99, end=0.999, kind="cosine")
    for step in range(11):
        momentum = schedule.momentum(torch.tensor(step / 10, dtype=torch.float64)).item()
        assert momentum == pytest.approx(cosine_schedule(step, 11, 0.99, 0.999), abs=1e-15)


def test_a_constant_schedule_is_its_start_throughout_whatever_its_end():
    schedule = EMASchedule(start=0.9995, end=0.999, kind="constant")
    assert [schedule.momentum(at(share)).item() for share in (0, 0.3, 1)] == [0.9995] * 3


def test_the_last_steps_of_a_long_run_still_move_the_target():
    momentum = EMASchedule(start=0.996, kind="cosine").momentum(at(1 - 1e-4))
    expected = 0.004 * math.sin(math.pi * (1 - float(at(1 - 1e-4))) / 2) ** 2
    assert (1 - momentum).item() == pytest.approx(expected, rel=1e-4) and momentum < 1


@pytest.mark.parametrize(
    ("given", "sentence"),
    [
        (
            {"start": 0.99, "kind": "linear"},
            "pretrain.ema_schedule must be one of constant, cosine, but got 'linear'; choose one.",
        ),
        (
            {"start": -0.1, "kind": "cosine"},
            "pretrain.ema_start must lie in [0, 1], but got -0.1; published values lie between 0.97 and 0.9995.",
        ),
        (
            {"start": float("nan"), "kind": "constant"},
            "pretrain.ema_start must lie in [0, 1], but got nan; published values lie between 0.97 and 0.9995.",
        ),
        (
            {"start": 0.99, "end": 0.9, "kind": "cosine"},
            "pretrain.ema_end must lie between pretrain.ema_start, 0.99, and 1, but got 0.9; raise it, or lower the start.",
        ),
    ],
)
def test_a_schedule_that_no_run_can_have_is_refused_in_one_sentence(given, sentence):
    with pytest.raises(InputError) as raised:
        EMASchedule(**given)
    assert str(raised.value) == sentence


# ---- following


def test_three_moves_are_those_of_lightlys_update_momentum():
    model = online()
    target, reference = MomentumTarget(model), online()
    target.copy_from(model)
    reference.requires_grad_(False)
    for step, momentum in enumerate((0.9, 0.99, 1.0)):
        with torch.no_grad():
            for parameter in model.parameters():
                parameter.add_(step + 1)
        target.follow(model, momentum=torch.tensor(momentum, dtype=torch.float64))
        update_momentum(model, reference, momentum)
    for ours, theirs in zip(target.parameters(), reference.parameters(), strict=True):
        torch.testing.assert_close(ours, theirs, rtol=1e-12, atol=1e-15)


def test_momentum_0_is_the_online_network_and_momentum_1_stays():
    model, target = online(), MomentumTarget(online(seed=1))
    before = [parameter.clone() for parameter in target.parameters()]
    target.follow(model, momentum=torch.tensor(1.0, dtype=torch.float64))
    assert all(torch.equal(a, b) for a, b in zip(before, target.parameters(), strict=True))
    target.follow(model, momentum=torch.tensor(0.0, dtype=torch.float64))
    assert all(torch.equal(a, b) for a, b in zip(model.parameters(), target.parameters(), strict=True))


def test_it_follows_parameters_and_leaves_its_own_statistics_alone():
    model, target = online(), MomentumTarget(online())
    model.train()(views()[0])
    before = {name: value.clone() for name, value in target.named_buffers()}
    target.follow(model, momentum=torch.tensor(0.5, dtype=torch.float64))
    assert all(torch.equal(value, before[name]) for name, value in target.named_buffers())


def test_its_statistics_are_of_its_own_passes_in_training():
    model = online().train()
    target = MomentumTarget(model).train()
    target.copy_from(model)
    a, b = views()
    model(a)
    assert not any(counter for name, counter in target.named_buffers() if "num_batches" in name)
    target.embed(a, b, passes="separate")
    same = online().train()
    same.embed_views(a, b, passes="separate")
    for ours, theirs in zip(target.buffers(), same.buffers(), strict=True):
        torch.testing.assert_close(ours, theirs, rtol=1e-12, atol=1e-15)
    assert not torch.equal(target.expander[1].running_mean, model.expander[1].running_mean)


def test_a_copy_has_the_online_weights_and_statistics_and_shares_no_memory():
    model, target = online(), MomentumTarget(online(seed=1))
    model.train()(views()[0])
    target.copy_from(model)
    theirs = model.state_dict()
    assert target.state_dict().keys() == theirs.keys()
    for name, value in target.state_dict().items():
        assert torch.equal(value, theirs[name]) and value.data_ptr() != theirs[name].data_ptr(), name


@pytest.mark.parametrize("passes", ["separate", "together", "joint"])
def test_it_embeds_as_the_online_network_does_and_without_a_gradient(passes):
    model = online().train()
    target = MomentumTarget(model).train()
    ours, theirs = target.embed(*views(), passes=passes), model.embed_views(*views(), passes=passes)
    assert not any(parameter.requires_grad for parameter in target.parameters())
    for one, other in zip(ours, theirs, strict=True):
        torch.testing.assert_close(one, other.detach(), rtol=1e-12, atol=1e-14)
        assert not one.requires_grad and other.requires_grad


# ---- passes of one view, and of parts of it


def test_each_part_of_a_view_is_normalised_as_if_it_were_the_whole_batch():
    model, (a, b) = online().train(), views(n=10)
    split = embed_each(model, (a, b), splits=3)  # parts of 4, 4 and 2
    for view, embeddings in zip((a, b), split, strict=True):
        parts = torch.cat([online().train()(part)[1] for part in view.split(4)])
        torch.testing.assert_close(embeddings, parts, rtol=1e-10, atol=1e-12)
    assert all(layer.views == 1 for layer in model.modules() if isinstance(layer, ViewBatchNorm1d))


# ---- a predictor's two views


def test_a_predictor_normalises_views_separately_unless_the_network_takes_them_jointly():
    predictor = torch.nn.Sequential(torch.nn.BatchNorm1d(4)).double()
    a, b = torch.randn(2, 16, 4, generator=torch.Generator().manual_seed(0), dtype=torch.float64)
    for passes in ("separate", "together"):
        assert all(one.mean(dim=0).abs().max() < 1e-12 for one in predict_views(predictor, a, b + 1, passes=passes))
    joint = predict_views(predictor, a, b + 1, passes="joint")
    assert torch.cat(joint).mean(dim=0).abs().max() < 1e-12 and joint[0].mean() < -0.1


@pytest.mark.parametrize(("ratio", "width"), [(1, 6), (0.25, 2), (0.01, 1), (16, 96)])
def test_a_predictors_width_is_a_multiple_of_the_embeddings_and_at_least_1(ratio, width):
    assert predictor_width(6, ratio) == width


@pytest.mark.parametrize("ratio", [0.0, -1.0, float("nan"), float("inf")])
def test_a_ratio_without_a_width_is_refused(ratio):
    with pytest.raises(InputError, match=r"pretrain\.predictor_ratio must be a finite number above 0, but got"):
        require_predictor_ratio(ratio)
