"""Weighted k-nearest-neighbour classification of features."""

import torch
from torch import Tensor
from torch.nn import functional

from vicreg.errors import InputError

_ONE_HOT_NUMBERS = 2**24  # of one-hot labels held at a time: 64 MB


def knn_scores(features: Tensor, labels: Tensor, queries: Tensor, *, classes: int, k: int, temperature: float) -> Tensor:
    """Return class scores (Q, C) of queries (Q, d) from their k most similar features (N, d) with labels (N,).

    Similarity is the cosine. The neighbours' votes are the softmax of similarity / temperature, so a query's scores add up
    to 1. With fewer than k features all vote. Scores are sums by matrix product: repeated on a GPU they are the same, which
    a sum by atomic additions is not.

    Raises:
        InputError: if k or the temperature is not positive, or the temperature is infinite.

    Source: arXiv 1805.01978, Section 3.4 (k = 200, temperature = 0.07).
    """
    if k < 1 or not 0 < temperature < float("inf"):
        raise InputError(f"k-NN needs k of at least 1 and a positive temperature, but got {k} and {temperature}.")
    bank = functional.normalize(features, dim=1)
    one_hot = torch.eye(classes, dtype=bank.dtype, device=bank.device)
    rows = max(1, _ONE_HOT_NUMBERS // (min(k, len(bank)) * classes))
    scores: list[Tensor] = []
    for block in functional.normalize(queries, dim=1).split(1024):  # limits the size of the similarity matrix (block, N)
        similarity, neighbours = (block @ bank.T).topk(min(k, len(bank)), dim=1)  # (block, k)
        # In float64, and less the largest: the nearest has exp(0) at any temperature, and none overflows.
        votes = ((similarity - similarity[:, :1]).double() / temperature).softmax(dim=1).to(similarity.dtype)
        of_class = zip(votes.split(rows), labels[neighbours].split(rows), strict=True)
        scores += [(some[:, None] @ one_hot[voters])[:, 0] for some, voters in of_class]  # (rows, 1, k) @ (rows, k, C)
    return torch.cat(scores)
