"""Identities of tiny runs."""

import torch

from study.runs.identity import Identity, run_identity

DATA = "sha256:" + "a" * 64
CPU = torch.device("cpu")


def identify(config, *, data=DATA, device=CPU) -> Identity:
    return run_identity(config, data=data, device=device)


def untrained(config):
    return config.with_settings({"pretrain.epochs": 0, "pretrain.warmup_epochs": 0})
