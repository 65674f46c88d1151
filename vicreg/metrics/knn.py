"""Weighted k-nearest-neighbour classification of features."""

import torch
from torch import Tensor
from torch.nn import functional

from vicreg.errors import InputError


def knn_scores(features: Tensor, labels: Tensor, queries: Tensor, *, classes: int, k: int, temperature: float) -> Tensor:
    """Return class scores (Q, C) of queries (Q, d) from their k most similar features (N, d) with labels (N,).

    Similarity is the cosine. A neighbour votes with exp(similarity / temperature). With fewer than k features all vote.

    Raises:
        InputError: if k or the temperature is not positive.

    Source: arXiv 1805.01978, Section 3.4 (k = 200, temperature = 0.07).
    """
    if k < 1 or temperature <= 0:
        raise InputError(f"k-NN needs k of at least 1 and a positive temperature, but got {k} and {temperature}.")
    bank = functional.normalize(features, dim=1)
    scores = []
    for block in functional.normalize(queries, dim=1).split(1024):  # limits the size of the similarity matrix (block, N)
        similarity, neighbours = (block @ bank.T).topk(min(k, len(bank)), dim=1)  # (block, k)
        votes = (
            (similarity - 1) / temperature
        ).exp()  # shifted by -1 / temperature, which prevents overflow and keeps the order
        scores.append(torch.zeros(len(block), classes, device=votes.device).scatter_add_(1, labels[neighbours], votes))
    return torch.cat(scores)
