"""Each timing once, at sizes that take a second: what is compared does the same thing, and its figures add up."""

import random
import sys
from importlib.util import find_spec
from multiprocessing import get_context

import numpy as np
import pytest
import torch
from torch.nn import functional

from benchmarks import augment, loss, measure, peers, step
from benchmarks.measure import noise_images
from vicreg.errors import InputError
from vicreg.models import normalise, shared_batchnorm, unfolded, winograd

CPU = torch.device("cpu")
needs_lightly = pytest.mark.skipif(find_spec("lightly") is None, reason="lightly is not installed")


def consistent(results, *, work):
    """Whether rates, ratios and times of a timing agree with one another."""
    seconds = results["measured"]["median_seconds"]
    return all(rate == pytest.approx(work / seconds[name]) for name, rate in results["images_per_second"].items())


# ---- Views


@pytest.fixture(scope="module")
def views():
    """Name -> two views of one image of coloured squares, 512 times over, (1024, 3, 24, 24), on the scale [0, 1]."""
    random.seed(0)  # the peers draw from three global states
    np.random.seed(0)
    torch.manual_seed(0)
    squares = torch.rand((1, 3, 6, 6), generator=torch.Generator().manual_seed(0))
    image = functional.interpolate(255 * squares, (24, 24)).to(torch.uint8)
    images = image.expand(512, 3, 24, 24).contiguous()
    ways = augment.loaders(images, batch=512, workers=0, device=CPU) | augment.batched(images, batch=512, device=CPU)
    mean, std = (torch.tensor(values).view(3, 1, 1) for values in (augment.MEAN, augment.STD))
    return {name: torch.stack(way()) * std + mean for name, way in ways.items()}  # (2, 512, 3, 24, 24)


def test_every_way_makes_two_different_views_of_one_shape(views):
    for name, pair in views.items():
        assert (pair.shape, pair.dtype) == ((2, 512, 3, 24, 24), torch.float32), name
        assert -1e-6 <= pair.min() < 0.05 and 0.95 < pair.max() <= 1 + 1e-6, name
        assert ((pair[0] - pair[1]).abs().amax(dim=(1, 2, 3)) > 0.01).all(), name


# What shows a missing operation, or one with another probability, and how far two samples of 1024 views are apart at most.
# Without jitter the spread of brightness is 0.04 lower, without solarisation brightness is 0.02 higher and its spread 0.02
# lower; without blur edges are 0.10 sharper, and blurred always they are 0.12 softer.
STATISTICS = {
    "brightness": (lambda pixels: pixels.mean(), 0.018),
    "spread of brightness": (lambda pixels: pixels.mean(dim=(1, 2, 3)).std(), 0.013),
    "sharpest edge": (lambda pixels: pixels.diff(dim=3).abs().amax(dim=(1, 2, 3)).mean(), 0.04),
    "colour": (lambda pixels: (pixels.amax(dim=1) - pixels.amin(dim=1)).mean(), 0.03),
    "share of gray": (lambda pixels: (pixels.amax(1) - pixels.amin(1)).amax(dim=(1, 2)).lt(0.01).float().mean(), 0.06),
}


@pytest.mark.parametrize("statistic", STATISTICS)
def test_every_way_draws_from_the_same_distribution(views, statistic):
    measured, tolerance = STATISTICS[statistic]
    found = {name: measured(pair.flatten(0, 1)).item() for name, pair in views.items()}
    assert found == {name: pytest.approx(found[augment.EAGER], abs=tolerance) for name in found}


def test_views_are_timed_with_workers_and_without_the_peers_that_are_missing(monkeypatch, capsys):
    monkeypatch.setattr(augment, "installed", lambda module: False)
    results = augment.compare(batch=4, batches=2, side=8, workers=2, rounds=1, compiled=False, device=CPU)
    assert list(results["images_per_second"]) == [augment.REFERENCE, "torchvision v2, tensors", augment.EAGER]
    assert consistent(results, work=8)
    assert results["measured"]["times_reference"][augment.REFERENCE] == 1
    said = capsys.readouterr().err
    assert "lightly is not installed" in said and "kornia is not installed" in said


# ---- The loss


def test_every_loss_is_the_same_in_value_and_gradient():
    results = loss.compare(n=16, d=48, rounds=1, device=CPU)
    assert loss.OURS in results["relative_error_of_value"]
    for errors in (results["relative_error_of_value"], results["relative_error_of_gradient"]):
        assert all(error < 1e-5 for error in errors.values()), errors


@needs_lightly
def test_times_lightly_are_medians_of_the_rounds_ratios_to_lightly(monkeypatch):
    seconds = {loss.REFERENCE: [2.0, 4.0, 9.0], loss.LIGHTLY: [6.0, 8.0, 9.0], loss.OURS: [1.0, 4.0, 1.0]}
    measured = measure.Measured(reference=loss.REFERENCE, seconds=seconds, foreign_load=0.0)
    monkeypatch.setattr(loss, "alternate", lambda *arguments, **named: measured)
    results = loss.compare(n=16, d=8, rounds=3, device=CPU)
    assert results["times_lightly"] == {loss.REFERENCE: 2.0, loss.LIGHTLY: 1.0, loss.OURS: 6.0}  # of 6, 2 and 9
    shown = {row[""]: (row["times authors' formula"], row["times lightly"]) for row in results["rows"]}
    assert shown[loss.OURS] == ("2.00", "6.00") and shown[loss.LIGHTLY] == ("0.50", "1.00")


def test_without_lightly_there_is_no_column_of_times_lightly(monkeypatch):
    monkeypatch.setattr(loss, "installed", lambda module: False)
    results = loss.compare(n=16, d=8, rounds=1, device=CPU)
    assert results["times_lightly"] == {} and "times lightly" not in results["rows"][0]


def test_errors_of_another_loss_are_seen():
    z, z_prime = loss.embeddings(16, 48, CPU)
    exact = loss.value_and_gradient(loss.authors_loss, z.double(), z_prime.double())
    other = loss.value_and_gradient(lambda a, b: 1.1 * loss.authors_loss(a, b), z, z_prime)
    assert loss.relative_errors(other, exact) == pytest.approx((0.1, 0.1), rel=1e-4)


def test_embeddings_that_are_timed_have_all_three_terms():
    z, z_prime = (x.double() for x in loss.embeddings(64, 32, CPU))
    assert (z - z_prime).square().mean() > 0.01
    assert (z.std(dim=0) < 1).all()
    assert loss.off_diagonal(torch.cov(z.T)).abs().mean() > 0.05


def test_off_diagonal_is_all_but_the_diagonal():
    matrix = torch.arange(9.0).view(3, 3)
    assert loss.off_diagonal(matrix).tolist() == [1, 2, 3, 5, 6, 7]


def test_a_pass_leaves_the_gradient_of_one_pass():
    z, z_prime = loss.embeddings(8, 4, CPU)
    seen = []
    run = loss.one_pass(lambda a, b: seen.append(a) or loss.authors_loss(a, b), z, z_prime)
    run()
    once = seen[0].grad.clone()
    run()
    assert torch.equal(seen[1].grad, once)


# ---- Training


class Copies:
    """Processes that are copies of this one and have its imports behind them, each without this one's end of its pipe."""

    def __init__(self):
        self._context, self._end = get_context("fork"), None

    def Pipe(self):
        self._end, other = self._context.Pipe()
        return self._end, other

    def Process(self, *, target, args):
        def run(end=self._end):
            end.close()
            target(*args)

        return self._context.Process(target=run)


@pytest.mark.slow
@needs_lightly
def test_both_loops_are_timed_and_their_figures_add_up(monkeypatch):
    monkeypatch.setattr(peers.multiprocessing, "get_context", lambda method: Copies())
    monkeypatch.setattr(peers, "EXPANDER", (64, 64, 64))
    results = peers.compare(
        stem="imagenet", backbone="resnet18", batch=4, steps=2, rounds=1, threads=1, workers=1, device=CPU
    )
    assert consistent(results, work=8)
    assert results["measured"]["times_reference"] == {
        peers.LIGHTLY: 1,
        peers.OURS: pytest.approx(results["images_per_second"]["ours"] / results["images_per_second"]["lightly"]),
    }
    assert 0 < results["times_lightly_without_its_first_wait"] < results["measured"]["times_reference"][peers.OURS]
    assert results["settings"]["pretrain"]["precision"] == "float32"


@needs_lightly
@pytest.mark.parametrize("stem", ["imagenet", "cifar"])
def test_both_networks_are_the_same_but_for_the_biases_of_the_expander(stem):
    settings = peers.settings_of(stem=stem, backbone="resnet18", batch=4, epochs=1, threads=1)
    ours = peers.new_model(settings, noise_images(8, count=4))
    theirs = peers.LightlyModel("resnet18", stem)

    def weights(model):
        return [tuple(parameter.shape) for parameter in model.parameters() if parameter.ndim > 1]

    def buffers(model):
        return sorted(tuple(buffer.shape) for buffer in model.buffers())

    assert weights(ours) == weights(theirs)
    assert buffers(ours) == buffers(theirs)
    images = torch.randn(4, 3, 32, 32)
    shapes = [[], []]
    for network, seen in zip((ours.backbone, theirs.backbone), shapes):
        for layer in network.modules():
            if isinstance(layer, torch.nn.Conv2d):
                layer.register_forward_hook(lambda _, __, output, seen=seen: seen.append(tuple(output.shape)))
        network(images)
    assert shapes[0] == shapes[1]
    # Before BatchNorm a bias changes nothing: ours has two there as the authors' code does, and lightly one at the end.
    assert peers.parameters_of(ours) - peers.parameters_of(theirs) == 2 * 2048 - 2048


@needs_lightly
def test_lightlys_loop_leaves_out_of_decay_what_ours_does():
    settings = peers.settings_of(stem="imagenet", backbone="resnet18", batch=4, epochs=1, threads=1)
    loop = peers.LightlyLoop(settings, noise_images(8, count=4), workers=0, device=CPU)
    decayed, others = loop.optimizer.param_groups
    assert all(parameter.ndim > 1 for parameter in decayed["params"])
    assert all(parameter.ndim == 1 for parameter in others["params"])
    assert (decayed["weight_decay"], others["weight_decay"]) == (settings.weight_decay, 0.0)


def test_without_lightly_training_is_not_timed(monkeypatch):
    monkeypatch.setattr(peers, "installed", lambda module: False)
    with pytest.raises(InputError, match="benchmarks/requirements.txt"):
        peers.compare(stem="cifar", backbone="resnet18", batch=4, steps=1, rounds=1, threads=1, workers=0, device=CPU)


def test_lightly_is_spared_its_wait_in_the_same_round():
    measured = measure.Measured(
        reference=peers.LIGHTLY, seconds={peers.OURS: [1, 2, 4], peers.LIGHTLY: [3, 6, 20]}, foreign_load=0.0
    )
    assert peers.ratio_without([1, 2, 8], measured) == 2  # of 2, 2 and 3


# ---- A step


@pytest.mark.parametrize(
    ("operation", "kind"),
    [
        ("aten::mkldnn_convolution", "convolutions"),
        ("autograd::engine::evaluate_function: ConvolutionBackward0", "convolutions"),
        (winograd._Convolution.__name__, "convolutions"),
        (unfolded._Convolution.__name__ + "Backward", "convolutions"),
        (winograd._SumsOfTaps.__name__, "convolutions"),
        (winograd._SumsOfTaps.__name__ + "Backward", "convolutions"),
        ("aten::baddbmm_", "matrix products"),
        ("AddmmBackward0", "matrix products"),
        ("aten::native_batch_norm", "BatchNorm"),
        ("NativeBatchNormBackward0", "BatchNorm"),
        (normalise._Normalise.__name__, "BatchNorm"),
        (shared_batchnorm._Normalise.__name__ + "Backward", "BatchNorm"),
        ("aten::threshold_backward", "ReLU, pooling, sums, copies"),
        ("aten::copy_", "ReLU, pooling, sums, copies"),
    ],
)
def test_operations_are_of_their_kind_those_of_our_own_too(operation, kind):
    assert step.kind_of(operation) == kind


def test_a_step_is_profiled_on_a_cpu_alone(monkeypatch):
    monkeypatch.setattr(step, "choose_device", lambda name: torch.device("cuda"))
    monkeypatch.setattr(sys, "argv", ["step", "--device", "cuda"])
    with pytest.raises(InputError, match="--device must be cpu, .* but got cuda; .*--only parts"):
        step.main()


# ---- Commands


def test_command_prints_a_table_and_writes_what_it_measured(monkeypatch, tmp_path, capsys):
    out = tmp_path / "loss.json"
    monkeypatch.setattr(sys, "argv", ["loss", "--out", str(out), "--rounds", "1", "--threads", "1", "--device", "cpu"])
    monkeypatch.setattr(loss, "SIZES", ((8, 16), (8, 32)))
    assert loss.main() == 0
    assert '"commit"' in out.read_text() and '"8x16"' in out.read_text()
    assert "8x32" not in out.read_text()
    assert "| ours" in capsys.readouterr().out
