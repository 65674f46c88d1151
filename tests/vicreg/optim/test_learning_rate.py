"""The learning rate warms up linearly and follows the authors' cosine."""

import math

import pytest

from vicreg.errors import InputError
from vicreg.optim.learning_rate import learning_rate, peak_learning_rate

SOURCE = {"steps_per_epoch": 7, "epochs": 20, "warmup_epochs": 4, "peak_lr": 0.1, "start_lr": 0.0, "end_lr": 0.002}
STEPS, WARMUP = 140, 28


def rates(**changes):
    settings = {**SOURCE, **changes}
    steps = settings["steps_per_epoch"] * settings["epochs"]
    return [learning_rate(step, **settings) for step in range(steps)]


def authors_rate(step, *, base_lr, end_lr, max_steps, warmup_steps):
    """adjust_learning_rate of the authors' main_vicreg.py, with its end value as an argument."""
    if step < warmup_steps:
        return base_lr * step / warmup_steps
    step -= warmup_steps
    max_steps -= warmup_steps
    q = 0.5 * (1 + math.cos(math.pi * step / max_steps))
    return base_lr * q + end_lr * (1 - q)


def test_the_peak_is_the_base_rate_at_256_images_and_linear_in_the_batch():
    assert peak_learning_rate(base_lr=0.2, batch_size=256) == 0.2
    assert peak_learning_rate(base_lr=0.2, batch_size=128) == pytest.approx(0.1)


def test_the_rate_starts_at_the_start_peaks_after_the_warm_up_and_ends_at_the_end():
    series = rates(start_lr=0.01)
    assert series[0] == 0.01
    assert series[WARMUP] == 0.1 == max(series)
    assert series[-1] == 0.002 == min(series)
    assert len(series) == STEPS


def test_the_warm_up_is_linear_and_the_decay_falls_strictly():
    series = rates(start_lr=0.03)
    increments = [b - a for a, b in zip(series[:WARMUP], series[1 : WARMUP + 1], strict=True)]
    assert increments == pytest.approx([(0.1 - 0.03) / WARMUP] * WARMUP)
    assert all(a > b for a, b in zip(series[WARMUP:], series[WARMUP + 1 :], strict=False))


def test_half_way_down_the_rate_is_the_mean_of_peak_and_end():
    series = rates(steps_per_epoch=1, epochs=13, warmup_epochs=2)  # the cosine runs from step 2 to step 12
    assert series[7] == pytest.approx((0.1 + 0.002) / 2)


def test_the_schedule_is_the_authors_with_the_end_value_on_the_last_step():
    expected = [
        authors_rate(step, base_lr=0.1, end_lr=0.002, max_steps=STEPS - 1, warmup_steps=WARMUP) for step in range(STEPS)
    ]
    assert rates() == pytest.approx(expected, rel=1e-12)
    verbatim = [authors_rate(step, base_lr=0.1, end_lr=0.002, max_steps=STEPS, warmup_steps=WARMUP) for step in range(STEPS)]
    assert rates() == pytest.approx(verbatim, abs=0.1 * math.pi / 2 / (STEPS - WARMUP))
    assert verbatim[-1] > 0.002


def test_without_a_warm_up_the_first_step_has_the_peak():
    assert rates(warmup_epochs=0)[0] == 0.1


def test_a_part_of_an_epoch_may_be_warm_up():
    series = rates(steps_per_epoch=10, epochs=2, warmup_epochs=0.5)
    assert series.index(max(series)) == 5


def test_a_single_step_of_decay_has_the_peak():
    assert rates(steps_per_epoch=1, epochs=1, warmup_epochs=0) == [0.1]
    assert rates(steps_per_epoch=1, epochs=2, warmup_epochs=1) == [0.0, 0.1]


def test_the_end_may_lie_above_the_peak_or_equal_it():
    assert rates(peak_lr=0.1, start_lr=0.1, end_lr=0.1) == pytest.approx([0.1] * STEPS)
    assert rates(end_lr=0.5)[-1] == 0.5


@pytest.mark.parametrize(
    ("step", "changes", "message"),
    [
        (STEPS, {}, r"step must be at least 0 and below 140, the training's steps, but got 140"),
        (-1, {}, r"but got -1"),
        (0, {"epochs": 0}, r"below 0"),
        (0, {"epochs": -1}, r"epochs must be at least 0, but got -1"),
        (0, {"warmup_epochs": 20}, r"warmup_epochs must be at least 0 and below epochs, 20, but got 20"),
        (0, {"warmup_epochs": -1}, r"warmup_epochs must be .* but got -1"),
        (0, {"steps_per_epoch": 0}, r"steps_per_epoch must be at least 1, but got 0"),
        (0, {"peak_lr": -0.1}, r"peak_lr must be at least 0, but got -0\.1"),
        (0, {"start_lr": math.nan}, r"start_lr must be at least 0, but got nan"),
        (0, {"end_lr": -1.0}, r"end_lr must be at least 0, but got -1\.0"),
    ],
)
def test_bad_schedules_are_refused_with_rule_and_value(step, changes, message):
    with pytest.raises(InputError, match=message):
        learning_rate(step, **{**SOURCE, **changes})


def test_a_batch_size_below_one_is_refused():
    with pytest.raises(InputError, match=r"batch_size must be at least 1, but got 0"):
        peak_learning_rate(base_lr=0.2, batch_size=0)
