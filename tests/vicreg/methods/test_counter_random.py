"""Random numbers of a counter: distribution, independence of neighbours, and the same numbers each time."""

import pytest
import torch
from scipy import stats

from vicreg.methods.counter_random import first_counter, normal, permutation, splitmix64, uniform


def counter(value: int) -> torch.Tensor:
    return torch.tensor(value, dtype=torch.int64)


def splitmix(x: int) -> int:
    """SplitMix64's finaliser with Python's integers."""
    x = (x ^ (x >> 30)) * 0xBF58476D1CE4E5B9 % 2**64
    x = (x ^ (x >> 27)) * 0x94D049BB133111EB % 2**64
    return x ^ (x >> 31)


def test_the_hash_is_splitmix64_with_wrapping_integers():
    values = [0, 1, 7, 2**31, 2**63 - 1, -1, -(2**63)]
    ours = splitmix64(torch.tensor(values, dtype=torch.int64)).tolist()
    assert [one % 2**64 for one in ours] == [splitmix(value % 2**64) for value in values]


@pytest.mark.parametrize("step", [0, 1, 10**6])
def test_uniform_numbers_are_uniform_and_normal_ones_normal(step):
    assert stats.kstest(uniform(counter(step), (20_000,)).numpy(), "uniform").pvalue > 0.001
    assert stats.kstest(normal(counter(step), (20_001,)).double().numpy(), "norm").pvalue > 0.001


def test_numbers_never_reach_the_ends_of_the_interval():
    drawn = uniform(counter(3), (500_000,))
    assert 0 < drawn.min().item() and drawn.max().item() <= 1


def test_the_first_counter_is_uniform_below_2_to_the_62_and_the_seeds():
    generator = torch.Generator().manual_seed(0)
    drawn = [first_counter(generator) for _ in range(1000)]
    assert len(set(drawn)) == 1000 and 0 <= min(drawn) and max(drawn) < 2**62
    assert stats.kstest([one / 2**62 for one in drawn], "uniform").pvalue > 0.001
    assert first_counter(torch.Generator().manual_seed(0)) == drawn[0]


def test_neighbouring_steps_and_streams_are_uncorrelated():
    first = normal(counter(5), (10_000,))
    for other in (normal(counter(6), (10_000,)), normal(counter(5), (10_000,), stream=1), first.roll(1)):
        assert abs(torch.corrcoef(torch.stack((first, other)))[0, 1].item()) < 0.04


def test_the_same_counter_gives_the_same_numbers_whatever_was_drawn_before():
    first = normal(counter(2), (3, 4))
    torch.rand(7)
    assert torch.equal(first, normal(counter(2), (3, 4)))
    assert first.shape == (3, 4)


def test_a_permutation_holds_each_number_once_and_differs_between_steps():
    first, second = (permutation(counter(step), 128) for step in (0, 1))
    assert torch.equal(first.sort().values, torch.arange(128))
    assert (first == second).sum() < 10
    places = torch.stack([permutation(counter(step), 8) for step in range(4000)])  # (steps, 8)
    means = places.double().mean(dim=0)
    assert (means - 3.5).abs().max() < 0.2  # four standard errors: 4 * 2.29 / sqrt(4000)
