"""Accuracy of class scores: top-1, top-5, per class, and confusion."""

from dataclasses import dataclass

import numpy as np
import torch
from torch import Tensor


@dataclass(frozen=True, kw_only=True)
class Accuracy:
    """The accuracy of a classifier on N images of C classes, as shares in [0, 1].

    `per_class` (C,) is the recall of each class, and 0 for a class without images. `confusion` (C, C) counts the images of
    true class i (row) classified as j (column). `correct` says for each image whether top-1 is right: N bits in
    hexadecimal, the first image's bit the highest, filled with zeros to whole bytes.
    """

    top1: float
    top5: float
    per_class: tuple[float, ...]
    confusion: tuple[tuple[int, ...], ...]
    correct: str


def top1_accuracy(scores: Tensor, labels: Tensor) -> float:
    """Return the top-1 of `accuracy` alone, with one wait for the device."""
    predictions = scores.argsort(dim=1, descending=True, stable=True)[:, 0]
    return (predictions == labels).double().mean().item()


def accuracy(scores: Tensor, labels: Tensor) -> Accuracy:
    """Return the accuracy of scores (N, C) against labels (N,).

    Ties go to the class of the lower number, so that constant scores always answer class 0. With C below 5, top-5 is top-C.
    """
    classes = scores.shape[1]
    ranked = scores.argsort(dim=1, descending=True, stable=True)  # (N, C)
    hits = ranked == labels[:, None]
    predictions = ranked[:, 0]
    confusion = torch.bincount(labels * classes + predictions, minlength=classes**2).reshape(classes, classes)
    recall = confusion.diagonal().double() / confusion.sum(dim=1).clamp(min=1)
    return Accuracy(
        top1=hits[:, 0].double().mean().item(),
        top5=hits[:, :5].any(dim=1).double().mean().item(),
        per_class=tuple(recall.tolist()),
        confusion=tuple(tuple(row) for row in confusion.tolist()),
        correct=np.packbits(hits[:, 0].cpu().numpy()).tobytes().hex(),
    )
