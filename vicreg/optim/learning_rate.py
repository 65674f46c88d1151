"""The learning rate of each step: linear warm-up, then a cosine."""

import math

from vicreg.errors import InputError


def peak_learning_rate(*, base_lr: float, batch_size: int) -> float:
    """Return the learning rate at the end of the warm-up by the linear rule: base_lr * batch_size / 256.

    Raises:
        InputError: for a batch size below 1.

    Source: arXiv 2105.04906, Section 4.2.
    """
    if batch_size < 1:
        raise InputError(f"batch_size must be at least 1, but got {batch_size}; give the number of images of a step.")
    return base_lr * batch_size / 256


def learning_rate(
    step: int,
    *,
    steps_per_epoch: int,
    epochs: int,
    warmup_epochs: float,
    peak_lr: float,
    start_lr: float,
    end_lr: float,
) -> float:
    """Return the learning rate of `step`, counted from 0 over a training of T = epochs * steps_per_epoch steps.

    With W = warmup_epochs * steps_per_epoch, rounded to a whole step:

        step < W:   start_lr + (peak_lr - start_lr) * step / W
        otherwise:  q * peak_lr + (1 - q) * end_lr,  q = (1 + cos(pi * (step - W) / (T - 1 - W))) / 2

    So step W has the peak, and the last step, T - 1, has end_lr. If only one step follows the warm-up, it has the peak.
    All rates are absolute.

    The authors' adjust_learning_rate (github.com/facebookresearch/vicreg, main_vicreg.py) has start_lr 0 and end_lr a
    thousandth of the peak. It divides by T - W, so that its end value belongs to the step after the last.

    Raises:
        InputError: for a step outside the training, an epoch without steps, a warm-up that is not shorter than the
            training, and a negative rate.
    """
    if steps_per_epoch < 1:
        raise InputError(f"steps_per_epoch must be at least 1, but got {steps_per_epoch}; lower batch_size.")
    if epochs < 0:
        raise InputError(f"epochs must be at least 0, but got {epochs}; 0 leaves the network untrained.")
    if warmup_epochs < 0 or (epochs > 0 and warmup_epochs >= epochs):
        raise InputError(
            f"warmup_epochs must be at least 0 and below epochs, {epochs}, but got {warmup_epochs}; "
            "shorten the warm-up or train for longer."
        )
    for name, rate in (("peak_lr", peak_lr), ("start_lr", start_lr), ("end_lr", end_lr)):
        if not rate >= 0:
            raise InputError(f"{name} must be at least 0, but got {rate}; a learning rate is absolute and positive.")
    total = epochs * steps_per_epoch
    if not 0 <= step < total:
        raise InputError(f"step must be at least 0 and below {total}, the training's steps, but got {step}.")

    warmup = min(round(warmup_epochs * steps_per_epoch), total - 1)
    if step < warmup:
        return start_lr + (peak_lr - start_lr) * step / warmup
    remaining = total - 1 - warmup
    progress = (step - warmup) / remaining if remaining > 0 else 0.0
    q = (1 + math.cos(math.pi * progress)) / 2
    return q * peak_lr + (1 - q) * end_lr
