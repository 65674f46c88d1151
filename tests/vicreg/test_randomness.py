"""Streams of random numbers depend on seed, name and epoch alone."""

import itertools

import torch

from vicreg.randomness import make_generator


def draw(*key) -> torch.Tensor:
    return torch.rand(8, generator=make_generator(*key))


def test_same_name_gives_the_same_numbers():
    assert torch.equal(draw(3, "views", 7), draw(3, "views", 7))


def test_a_stream_starts_at_epoch_0():
    assert torch.equal(draw(3, "weights"), draw(3, "weights", 0))


def test_seed_stream_and_epoch_each_change_the_numbers():
    keys = list(itertools.product((0, 1, 11, 111), ("views", "order"), (0, 1, 11, 110)))
    assert len({make_generator(*key).initial_seed() for key in keys}) == len(keys)
    assert not torch.equal(draw(0, "views", 0), draw(1, "views", 0))
    assert not torch.equal(draw(0, "views", 0), draw(0, "order", 0))
    assert not torch.equal(draw(0, "views", 0), draw(0, "views", 1))


def test_digits_of_seed_and_epoch_do_not_run_together():
    assert make_generator(1, "a", 11).initial_seed() != make_generator(11, "a", 1).initial_seed()


def test_neighbouring_seeds_give_unrelated_numbers():
    draws = torch.stack([torch.randn(4096, generator=make_generator(seed, "views", 0)) for seed in range(8)])
    correlations = torch.corrcoef(draws)[~torch.eye(8, dtype=torch.bool)]
    assert correlations.abs().max() < 5 / 4096**0.5  # five standard errors


def test_the_seed_of_a_stream_is_the_same_on_every_machine_and_in_every_version():
    # The first 8 bytes of the SHA-256 of b"0/weights/0", without the last bit.
    assert make_generator(0, "weights").initial_seed() == 664910812957149500


def test_the_global_generator_is_left_alone():
    before = torch.get_rng_state()
    draw(0, "views", 0)
    assert torch.equal(torch.get_rng_state(), before)
