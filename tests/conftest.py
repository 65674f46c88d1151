"""What several test files start from: one thread, a few real images, and a configuration that trains in a second."""

import dataclasses
import os
import shutil
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import sklearn.cluster  # noqa: F401  # imported on first use else, by every worker that is a copy of this process
import torch
import torch._dynamo  # noqa: F401  # likewise

from study.config.config import Config
from study.config.load import load_config
from vicreg.data.dataset import Dataset, load_dataset
from vicreg.views.settings import ViewSettings

PARAMS = Path(__file__).parents[1] / "params.yaml"

# All that decides how long a tiny run takes and how it comes out, so that tuning a profile changes no test.
TINY = {
    "pretrain.backbone": "resnet18",
    "pretrain.width": 4,
    "pretrain.stem": "cifar",
    "pretrain.expander": [16, 16, 16],
    "pretrain.expander_batchnorm": True,
    "pretrain.image_size": 8,
    "pretrain.convention": "official",
    "pretrain.lambda": 25,
    "pretrain.mu": 25,
    "pretrain.nu": 1,
    "pretrain.gamma": 1,
    "pretrain.epsilon": 1e-4,
    "pretrain.wmse.dimension": 8,
    "pretrain.wmse.w_size": 16,
    "pretrain.weights": None,
    "pretrain.normalisation": "data",
    "pretrain.stop_after": None,
    "pretrain.probe_every": None,
    "pretrain.epochs": 4,
    "pretrain.warmup_epochs": 1,
    "pretrain.batch_size": 32,
    "pretrain.lr_batch_size": None,
    "pretrain.drop_last": True,
    "pretrain.optimizer": "adamw",
    "pretrain.base_lr": 0.05,
    "pretrain.start_lr": 0.0,
    "pretrain.end_lr": 0.0,
    "pretrain.momentum": 0.9,
    "pretrain.weight_decay": 0.001,
    "pretrain.precision": "float32",
    "pretrain.view_passes": "separate",
    "pretrain.compile": False,
    "pretrain.threads": 1,
    "pretrain.checkpoint_every": 1,
    "pretrain.checkpoint_share": 1,
    "pretrain.augmentation.preset": "source",
    **{f"pretrain.augmentation.{field.name}": None for field in dataclasses.fields(ViewSettings)},
    "evaluate.batch_size": 64,
    "evaluate.knn": [5, 20],
    "evaluate.linear.epochs": 1,
}


# Tests write thousands of small files and wait for the disk with each. In memory a file of tests of stores takes a quarter
# less time. A container's shared memory is often 64 MB; tests stay on the disk there.
IN_MEMORY = Path("/dev/shm")
NEEDED = 4 << 30  # bytes


def pytest_configure() -> None:
    """Have `tmp_path` in memory where there is room, unless the caller has said where it is to be."""
    if os.access(IN_MEMORY, os.W_OK) and shutil.disk_usage(IN_MEMORY).free > NEEDED:
        os.environ.setdefault("PYTEST_DEBUG_TEMPROOT", str(IN_MEMORY))


@pytest.fixture(autouse=True)
def one_thread() -> None:
    """Sums depend on the number of threads, and the cores are shared; a run under test may have set another number."""
    torch.set_num_threads(1)


@pytest.fixture(scope="session")
def digits() -> Dataset:
    """Twenty training digits a class, of which four are validation, and as many of test: 160, 40 and 40 images."""
    return load_dataset(
        dataset="digits", root=Path("nowhere"), validation=0.2, split_seed=0, test=0.2, per_class=20, image_size=None
    )


@pytest.fixture(scope="session")
def tiny_config() -> Callable[..., Config]:
    """`tiny_config({"pretrain.nu": 2})`: the digits profile, made tiny, with settings over it."""
    base = load_config(path=PARAMS, profile="digits", settings=TINY)

    def build(settings: dict[str, Any] | None = None) -> Config:
        return base.with_settings(settings or {})

    return build


@pytest.hookimpl(tryfirst=True)
def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Mark what is skipped without a GPU as `gpu`, so that a machine with one can be asked for these tests alone."""
    for item in items:
        if any("needs a GPU" in str(mark.kwargs.get("reason")) for mark in item.iter_markers("skipif")):
            item.add_marker(pytest.mark.gpu)
