"""What the sections of the GPU script share: device, settings, places, random images."""

import math
import time
from dataclasses import dataclass
from functools import cached_property
from typing import Any

import torch
from torch import Tensor

from benchmarks.gpu.call import Call
from benchmarks.measure import noise_images, on_device
from study.config.config import Config
from study.config.device import choose_device
from study.config.load import load_config
from study.config.values import parse_setting
from vicreg.data.dataset import Dataset
from vicreg.training.batches import epoch_of_views
from vicreg.training.memory import place
from vicreg.training.setup import make_optimizer, new_model
from vicreg.training.step import TrainStep


@dataclass(frozen=True, kw_only=True)
class Bench:
    """One call of the script, opened: what is measured, on what and from what images."""

    call: Call
    ends: float = math.inf  # when the section is stopped, by `time.monotonic`

    @cached_property
    def device(self) -> torch.device:
        return choose_device(self.call.device)

    def seconds_left(self) -> float:
        """Return how long it is until the section is stopped."""
        return self.ends - time.monotonic()

    @property
    def overrides(self) -> dict[str, Any]:
        """The settings over the profile by their dotted names."""
        return dict(map(parse_setting, self.call.given))

    @cached_property
    def config(self) -> Config:
        return load_config(profile=self.call.profile, settings=self.overrides)

    @cached_property
    def dataset(self) -> Dataset:
        """Eight batches of random images."""
        return noise_images(self.call.side, count=8 * self.config.pretrain.batch_size)

    def settings(self, **changes: Any) -> Config:
        """Return the config with other settings of pretraining."""
        return self.config.with_settings({f"pretrain.{name}": value for name, value in changes.items()})

    def step(self, config: Config, device: torch.device | None = None, *, double: bool = False) -> TrainStep:
        """Return a training step of a new network, with weights in float32 or float64."""
        device = device or self.device
        model = on_device(new_model(config.pretrain, self.dataset), device)
        model = model.double() if double else model
        return TrainStep(config.pretrain, model, make_optimizer(config.pretrain, model), device=device)

    def views(self, config: Config, device: torch.device | None = None) -> tuple[Tensor, Tensor]:
        """Return the two views of the first batch, each (N, C, side, side)."""
        device = device or self.device
        images = place(self.dataset.train.images, device)
        view, view_prime = next(
            epoch_of_views(config.pretrain, self.dataset, images, device=device, size=self.call.side, epoch=0, steps=8)
        )
        return view, view_prime
