"""How a predictor on top of the embeddings takes two views, and how wide it is."""

import torch
from torch import Tensor, nn

from vicreg.errors import InputError


def require_predictor_ratio(ratio: float) -> None:
    """Raise InputError unless a predictor's inner width, over that of the embeddings, is above 0 and finite."""
    if not 0 < ratio < float("inf"):
        raise InputError(f"pretrain.predictor_ratio must be a finite number above 0, but got {ratio}; 1 keeps the width.")


def predictor_width(dimension: int, ratio: float) -> int:
    """Return a predictor's inner width for embeddings of width `dimension`, at least 1."""
    return max(1, round(ratio * dimension))


def predict_views(predictor: nn.Module, z: Tensor, z_prime: Tensor, *, passes: str) -> tuple[Tensor, Tensor]:
    """Return a predictor's outputs (n, d) for two views' embeddings (n, d); `passes` is of `VIEW_PASSES`.

    With `joint` its BatchNorm normalises both views together, as that of the network below it does.
    """
    if passes == "joint":
        p, p_prime = predictor(torch.cat((z, z_prime))).chunk(2)
        return p, p_prime
    return predictor(z), predictor(z_prime)
