"""One step of training: the recipe written out, learning rates as scheduled, and what is measured."""

import copy
import shutil

import pytest
import torch
from torch import Tensor

from tests.vicreg.operations import READS_A_VALUE, Operations
from tests.vicreg.training.steps import CPU, OPTIMIZERS, apart, pair, take, whole_run
from vicreg.methods.base import Loss
from vicreg.methods.vicreg import Coefficients, LossTerms, VICReg, vicreg_loss
from vicreg.optim.learning_rate import learning_rate, peak_learning_rate
from vicreg.training import step as module
from vicreg.training.loop import train_epoch
from vicreg.training.settings import PretrainSettings
from vicreg.training.setup import new_model, steps_per_epoch
from vicreg.training.step import step_metric_names, step_metrics

STEP_METRICS = step_metric_names(VICReg)

pytestmark = pytest.mark.usefixtures("shallow")


def coefficients_of(given: PretrainSettings) -> Coefficients:
    return given.method_settings.coefficients(given.embedding_dimension)


def named_terms(terms: LossTerms) -> dict[str, Tensor]:
    return {name: getattr(terms, name) for name in ("invariance", "variance", "covariance")}


# ---- what a step does


@pytest.mark.parametrize("optimizer", ["sgd", "adamw"])
def test_a_step_is_the_recipe_written_out(settings, start, digits, optimizer):
    # A bias before BatchNorm has a gradient of rounding alone, which AdamW makes a whole step of: no such layer here.
    given = settings(optimizer=optimizer, weight_decay=0.1, lambda_=5, mu=7, nu=3, expander=[16])
    step, model = start(given), new_model(given, digits)
    decayed = [parameter for parameter in model.parameters() if parameter.ndim > 1]
    others = [parameter for parameter in model.parameters() if parameter.ndim <= 1]
    groups = [{"params": decayed, "weight_decay": 0.1}, {"params": others, "weight_decay": 0.0}]
    kind, options = {
        "sgd": (torch.optim.SGD, {"momentum": given.momentum}),
        "adamw": (torch.optim.AdamW, {"betas": (given.momentum, 0.999)}),
    }[optimizer]
    plain = kind(groups, lr=0.0, foreach=False, fused=False, **options)
    for number, rate in enumerate((1e-3, 2e-3, 5e-4)):
        view, view_prime = pair(number)
        step(view, view_prime, learning_rate=rate)
        for group in plain.param_groups:
            group["lr"] = rate
        loss = vicreg_loss(model(view)[1], model(view_prime)[1], coefficients=coefficients_of(given)).total
        plain.zero_grad()
        loss.backward()
        plain.step()
    assert apart(step.model, model, since=new_model(given, digits)) < 1e-3  # measured 6e-6 and 9e-6


@pytest.mark.parametrize("optimizer", OPTIMIZERS)
def test_a_step_goes_as_far_as_its_learning_rate_says(settings, start, optimizer):
    moved = {}
    for rate in (0.0, 1e-3, 2e-3):
        step = start(settings(optimizer=optimizer))
        before = {name: value.detach().clone() for name, value in step.model.named_parameters()}
        step(*pair(0), learning_rate=rate)
        moved[rate] = {name: value.detach() - before[name] for name, value in step.model.named_parameters()}
    for name, change in moved[1e-3].items():
        assert not moved[0.0][name].any(), name
        assert (moved[2e-3][name] - 2 * change).norm() <= 1e-3 * change.norm() + 1e-6, name  # of weights of about 1
    assert sum(change.norm() for change in moved[1e-3].values()) > 1e-4


def test_a_gradient_is_one_steps_alone(settings, start):
    step, again = start(settings(optimizer="sgd", momentum=0)), start(settings(optimizer="sgd", momentum=0))
    step(*pair(0), learning_rate=0.0)  # moves nothing but BatchNorm's running statistics, which training does not read
    step(*pair(1), learning_rate=0.1)
    again(*pair(1), learning_rate=0.1)
    first, second = dict(step.model.named_parameters()), dict(again.model.named_parameters())
    assert all(torch.equal(first[name], second[name]) for name in first)


def test_each_step_has_the_learning_rate_of_the_schedule(settings, start, digits):
    given = settings(epochs=3, warmup_epochs=1, batch_size=48, drop_last=False, base_lr=0.4, start_lr=0.001, end_lr=0.002)
    steps = steps_per_epoch(given, 160)
    expected = [
        learning_rate(
            step, steps_per_epoch=steps, epochs=3, warmup_epochs=1, start_lr=0.001, end_lr=0.002,
            peak_lr=peak_learning_rate(base_lr=0.4, batch_size=48),
        )
        for step in range(3 * steps)
    ]  # fmt: skip
    rates, seen = [], []
    step = start(given)
    optimise = step.optimizer.step

    def watched():
        (rate,) = {float(group["lr"]) for group in step.optimizer.param_groups}
        rates.append(rate)
        return optimise()

    step.optimizer.step = watched
    for epoch in range(3):
        record, step = train_epoch(given, digits, step, digits.train.images, device=CPU, epoch=epoch, steps=steps)
        seen.append(record["learning_rate"])
    assert len(rates) == 12 and rates == pytest.approx(expected, rel=1e-6)
    assert rates[0] == pytest.approx(0.001) and rates[-1] == pytest.approx(0.002) and max(rates) == pytest.approx(0.075)
    assert seen == pytest.approx(expected[3::4])


@pytest.mark.parametrize(
    ("optimizer", "view_passes", "precision"),
    [
        ("sgd", "separate", "float32"),
        ("adamw", "together", "float32"),
        ("sgd", "joint", "bfloat16"),
        ("adamw", "separate", "bfloat16"),
    ],
)
def test_a_step_reads_no_value_and_makes_no_tensor_of_one(settings, start, optimizer, view_passes, precision):
    # Either would wait for a GPU, and be forbidden while a CUDA graph is captured. LARS reads its norms on a CPU alone;
    # tests/vicreg/optim has what it does on a GPU.
    step = start(settings(optimizer=optimizer, view_passes=view_passes, precision=precision))
    step(*pair(0), learning_rate=0.1)
    with Operations() as seen:
        step(*pair(1), learning_rate=0.1, progress=0.5)
    assert seen.count(READS_A_VALUE) == 0 and seen.count("lift_fresh") == 0 and seen.count("nonzero") == 0


# ---- what a step measures


def test_step_metrics_of_a_batch_worked_by_hand(settings):
    z = torch.tensor([[0.0, 0.0, 1.0], [2.0, 6.0, 1.0]])  # stds of sqrt(2), sqrt(18) and 0
    model = torch.nn.Linear(2, 1)
    model.weight.grad, model.bias.grad = torch.tensor([[2.0, 3.0]]), torch.tensor([6.0])
    terms = vicreg_loss(z, z, coefficients=coefficients_of(settings(expander=[3])))
    loss = Loss(total=terms.total, terms=named_terms(terms), embeddings=z)
    measured = dict(zip(STEP_METRICS, step_metrics(loss, model, target_std=1.5).tolist(), strict=True))
    assert measured["gradient_norm"] == pytest.approx(7)
    assert measured["embedding_std_mean"] == pytest.approx((2**0.5 + 18**0.5) / 3)
    assert measured["embedding_std_min"] == 0
    assert measured["embedding_share_below_gamma"] == pytest.approx(2 / 3)
    for name in ("total", "invariance", "variance", "covariance"):
        assert measured[name] == pytest.approx(getattr(terms, name).item())


def test_totals_are_the_sums_of_the_steps_metrics_and_a_record_their_means(settings, start, digits, monkeypatch):
    taken: list[Tensor] = []

    def watched(*arguments, **named):
        taken.append(step_metrics(*arguments, **named))
        return taken[-1]

    monkeypatch.setattr(module, "step_metrics", watched)
    step = start(settings(batch_size=40))
    for epoch in range(2):
        taken.clear()
        record, step = train_epoch(
            settings(batch_size=40), digits, step, digits.train.images, device=CPU, epoch=epoch, steps=4
        )
        assert len(taken) == 4 and step.totals.dtype == torch.float64
        torch.testing.assert_close(step.totals, torch.stack(taken).sum(dim=0), rtol=1e-14, atol=0)
        assert [record[name] for name in STEP_METRICS] == (step.totals / 4).tolist()


def test_a_steps_metrics_are_those_of_its_own_batch_before_its_update(settings, start, digits):
    given = settings(lambda_=5, mu=7, nu=3, gamma=0.5)
    step, model = start(given), new_model(given, digits)
    view, view_prime = pair(0)
    step(view, view_prime, learning_rate=0.1)
    z, z_prime = model(view)[1], model(view_prime)[1]
    terms = vicreg_loss(z, z_prime, coefficients=coefficients_of(given), gamma=0.5)
    gradients = torch.autograd.grad(terms.total, list(model.parameters()))
    std = z.detach().std(dim=0)
    expected = [
        *(term.item() for term in terms), torch.cat([gradient.flatten() for gradient in gradients]).norm().item(),
        std.mean().item(), std.min().item(), (std < 0.5).float().mean().item(),
    ]  # fmt: skip
    assert step.totals.tolist() == pytest.approx(expected, rel=1e-4)


def test_an_epoch_starts_in_training_mode_with_nothing_summed(settings, start):
    step = start(settings())
    step(*pair(0), learning_rate=0.1)
    step.model.eval()
    step.reset()
    assert step.model.training and not step.totals.any()


# ---- other ways to take the same step


@pytest.mark.parametrize(("optimizer", "base_lr"), [("lars", 1.0), ("sgd", 0.01)])
def test_a_run_with_both_views_together_ends_near_one_with_a_pass_a_view(settings, digits, tmp_path, optimizer, base_lr):
    runs = {
        passes: whole_run(
            settings(
                view_passes=passes, optimizer=optimizer, base_lr=base_lr, epochs=2, warmup_epochs=0, batch_size=64,
                drop_last=False,
            ),
            digits,
            tmp_path / passes,
        )
        for passes in ("separate", "together", "joint")
    }  # fmt: skip
    # After these six steps; measured 2e-6 and 4e-6, and about 1 for `joint`. Other recipes drift apart further: rounding
    # that moves a ReLU's input past 0 changes the gradients at once.
    initial = new_model(settings(), digits)
    assert apart(runs["together"].model, runs["separate"].model, since=initial) < 0.01
    assert apart(runs["joint"].model, runs["separate"].model, since=initial) > 0.5
    totals = {passes: [record["total"] for record in run.history] for passes, run in runs.items()}
    assert totals["together"] == pytest.approx(totals["separate"], rel=1e-3)


@pytest.mark.slow
@pytest.mark.skipif(shutil.which("g++") is None, reason="needs a C++ compiler")
@pytest.mark.filterwarnings("ignore:`torch.jit.script_method` is deprecated:DeprecationWarning")  # torch's own import
def test_a_compiled_step_is_the_eager_one_to_rounding(settings, start):
    changes = {"optimizer": "sgd", "expander": [16], "view_passes": "together"}
    compiled, eager = (start(settings(compile=compile, **changes)) for compile in (True, False))
    initial = copy.deepcopy(eager.model)
    for step in (compiled, eager):
        take(step, range(3), rate=1e-3)
    assert compiled.totals.tolist() == pytest.approx(eager.totals.tolist(), rel=1e-4)  # measured 4e-7
    assert apart(compiled.model, eager.model, since=initial) < 1e-3  # measured 4e-6
