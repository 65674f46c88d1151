"""What the sections of the GPU script share: device, settings, random images, deadline."""

import time
from dataclasses import dataclass, field
from functools import cached_property
from pathlib import Path
from typing import Any

import torch
from torch import Tensor

from benchmarks.measure import noise_images, on_device
from study.config.config import Config
from study.config.load import load_config
from study.config.values import parse_setting
from vicreg.data.dataset import Dataset
from vicreg.training.batches import epoch_of_views
from vicreg.training.memory import place
from vicreg.training.setup import make_optimizer, new_model
from vicreg.training.step import TrainStep


@dataclass(frozen=True, kw_only=True)
class Bench:
    """One call of the script: what is measured, on what, from what images, and until when."""

    device: torch.device
    profile: str
    given: tuple[str, ...]  # settings over the profile, as `key=value`
    side: int  # of the random images, pixels
    out: Path
    store: Path
    data: Path | None = None  # images for the studies
    study: str | None = None  # instead of the queue
    minutes: float = 9.0
    started: float = field(default_factory=time.monotonic)

    @property
    def deadline(self) -> float:
        """The moment by `time.monotonic` at which the minutes are over."""
        return self.started + 60 * self.minutes

    @property
    def overrides(self) -> dict[str, Any]:
        """The settings over the profile by their dotted names."""
        return dict(map(parse_setting, self.given))

    @cached_property
    def config(self) -> Config:
        return load_config(profile=self.profile, settings=self.overrides)

    @cached_property
    def dataset(self) -> Dataset:
        """Eight batches of random images."""
        return noise_images(self.side, count=8 * self.config.pretrain.batch_size)

    def settings(self, **changes: Any) -> Config:
        """Return the config with other settings of pretraining."""
        return self.config.with_settings({f"pretrain.{name}": value for name, value in changes.items()})

    def step(self, config: Config, device: torch.device | None = None) -> TrainStep:
        """Return a training step of a new network."""
        device = device or self.device
        model = on_device(new_model(config.pretrain, self.dataset), device)
        return TrainStep(config.pretrain, model, make_optimizer(config.pretrain, model), device=device)

    def views(self, config: Config, device: torch.device | None = None) -> tuple[Tensor, Tensor]:
        """Return the two views of the first batch, each (N, C, side, side)."""
        device = device or self.device
        images = place(self.dataset.train.images, device)
        view, view_prime = next(
            epoch_of_views(config.pretrain, self.dataset, images, device=device, size=self.side, epoch=0, steps=8)
        )
        return view, view_prime
