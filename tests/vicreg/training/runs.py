"""Whole runs: their identity, how one is stopped, and how two are compared."""

from typing import Any

import torch

from vicreg.training.loop import Pretrained

IDENTITY = "0123456789abcdef" * 4


def timeless(history: list[dict[str, Any]]) -> list[dict[str, Any]]:
    return [{key: value for key, value in record.items() if key != "images_per_second"} for record in history]


def same_weights(first: Pretrained, second: Pretrained) -> bool:
    a, b = first.model.state_dict(), second.model.state_dict()
    return a.keys() == b.keys() and all(torch.equal(a[key], b[key]) for key in a)


class Stopped(Exception):
    pass


def stop_after(epoch: int):
    def on_epoch(record):
        if record["epoch"] == epoch:
            raise Stopped

    return on_epoch
