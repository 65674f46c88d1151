"""Checkpoints of a small network after a few steps."""

from pathlib import Path

import torch
from torch import nn

from tests.vicreg.training.runs import IDENTITY
from vicreg.optim.lars import LARS
from vicreg.training.checkpoint import (
    save_checkpoint,
)

OPTIMIZERS = {
    "lars": lambda parameters: LARS(parameters, lr=0.1, weight_decay=0.01),
    "sgd": lambda parameters: torch.optim.SGD(parameters, lr=0.1, momentum=0.9, foreach=True),
    "adamw": lambda parameters: torch.optim.AdamW(parameters, lr=0.01, foreach=True),
}


def network() -> nn.Module:
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(0)
        model = nn.Sequential(nn.Conv2d(3, 4, 3), nn.BatchNorm2d(4), nn.Flatten(), nn.Linear(4, 2))
    return model.to(memory_format=torch.channels_last)


def train(model: nn.Module, optimizer: torch.optim.Optimizer, *, steps: range) -> None:
    for step in steps:
        images = torch.randn(8, 3, 3, 3, generator=torch.Generator().manual_seed(step))
        optimizer.zero_grad()
        model(images).square().mean().backward()
        optimizer.step()


def history(epochs: int) -> list[dict]:
    return [{"epoch": epoch + 1, "total": 1 / (epoch + 3), "embeddings": {"std_mean": 0.1}} for epoch in range(epochs)]


def save(folder: Path, *, epochs: int = 1, optimizer: str = "sgd"):
    """A checkpoint after `epochs` epochs of one step each, and what it was made of."""
    model = network()
    made = OPTIMIZERS[optimizer](model.parameters())
    train(model, made, steps=range(epochs))
    return save_checkpoint(folder, identity=IDENTITY, model=model, optimizer=made, history=history(epochs)), model, made


def same(first: dict, second: dict) -> bool:
    return first.keys() == second.keys() and all(torch.equal(first[key], second[key]) for key in first)
