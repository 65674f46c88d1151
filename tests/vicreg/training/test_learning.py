"""Training learns what its coefficients ask for, in every form of the network."""

import math
from typing import Any

import pytest
import torch

from tests.vicreg.training.runs import IDENTITY, same_weights, timeless
from vicreg.training.loop import pretrain

pytestmark = pytest.mark.usefixtures("shallow")

GENTLE = {
    "augmentation.jitter": 0, "augmentation.grayscale": 0, "augmentation.blur": 0, "augmentation.solarize": 0,
    "augmentation.flip": 0, "augmentation.crop_scale": [0.75, 1.0], "augmentation.crop_ratio": [1.0, 1.0],
}  # fmt: skip


@pytest.fixture(scope="module")
def arms(tiny_config, digits, shallow, tmp_path_factory) -> dict[tuple[int, int, int], list[dict[str, Any]]]:
    """(lambda, mu, nu) -> the log of six epochs on views that differ by a crop of a pixel."""
    torch.set_num_threads(1)
    logs = {}
    for lambda_, mu, nu in ((1, 0, 0), (25, 25, 1), (0, 25, 1), (0, 25, 25)):
        given = tiny_config(
            {f"pretrain.{name}": value for name, value in GENTLE.items()}
            | {"pretrain.lambda": lambda_, "pretrain.mu": mu, "pretrain.nu": nu, "pretrain.seed": 2}
            | {"pretrain.epochs": 6, "pretrain.base_lr": 0.1}
        ).pretrain
        folder = tmp_path_factory.mktemp("arm")
        run = pretrain(given, digits, device=torch.device("cpu"), folder=folder, identity=IDENTITY)
        logs[lambda_, mu, nu] = run.history
    return logs


@pytest.mark.slow
def test_invariance_alone_shrinks_the_embeddings(arms):
    first, last = arms[1, 0, 0][0], arms[1, 0, 0][-1]
    assert last["embedding_std_mean"] < 0.4 * first["embedding_std_mean"]
    assert last["invariance"] < 0.2 * first["invariance"]


def test_all_three_terms_spread_the_embeddings(arms):
    first, last = arms[25, 25, 1][0], arms[25, 25, 1][-1]
    assert last["embedding_std_mean"] > 1.2 * first["embedding_std_mean"]
    assert last["variance"] < 0.9 * first["variance"]
    assert last["embedding_std_mean"] > 5 * arms[1, 0, 0][-1]["embedding_std_mean"]


def test_without_lambda_the_views_drift_apart(arms):
    assert arms[0, 25, 1][-1]["invariance"] > 3 * arms[25, 25, 1][-1]["invariance"]


def test_a_larger_nu_decorrelates(arms):
    assert arms[0, 25, 25][-1]["covariance"] < 0.2 * arms[0, 25, 1][-1]["covariance"]


def test_equal_coefficients_by_another_convention_are_the_same_run(settings, train):
    official = train(settings(convention="official", lambda_=16, mu=20, nu=1, epochs=1, warmup_epochs=0))
    algorithm = train(settings(convention="algorithm", lambda_=16, mu=10, nu=1, epochs=1, warmup_epochs=0))
    equation = train(settings(convention="equation", lambda_=1, mu=10, nu=1, epochs=1, warmup_epochs=0))  # d is 16
    assert same_weights(official, algorithm) and same_weights(official, equation)
    assert timeless(official.history) == timeless(algorithm.history) == timeless(equation.history)


@pytest.mark.parametrize("expander", [[], [16]])
def test_a_run_without_expander_or_with_a_linear_one_trains(settings, train, expander):
    run = train(settings(expander=expander, epochs=2))
    assert all(math.isfinite(record["total"]) for record in run.history)


def test_bfloat16_trains_near_to_float32_with_the_log_in_full_precision(settings, train):
    half, full = (train(settings(precision=name, epochs=2)).history[0] for name in ("bfloat16", "float32"))
    assert half["total"] != full["total"] and half["total"] == pytest.approx(full["total"], rel=0.02)
