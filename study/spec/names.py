"""Names of settings and their values, in labels and in the names of arms."""

from collections.abc import Mapping
from typing import Any

from study.config.methods import symbols

# Values that name data sets, though nothing was trained on these: a label names the first convolution.
VALUE_NAMES = {
    "pretrain.stem": {"imagenet": "7x7", "cifar": "3x3", "cifar-padded": "3x3, padding 2"},
    "pretrain.train_on": {"train": "all but those held out", "all": "all images"},  # which are named `train` themselves
}


def grid_name(one: Mapping[str, Any]) -> str:
    """Return settings as a word: `λ25-μ1`, `baselr0.2`."""
    return "-".join(f"{short_name(key)}{_shown(value)}".replace(" ", "") for key, value in one.items())


def short_name(key: str) -> str:
    """Return the name of a setting without its sections, or the papers' symbol where it has one."""
    name = key.removeprefix("pretrain.").removeprefix("augmentation.").rpartition(".")[2]
    return symbols().get(name, name.replace("_", " "))


def value_name(key: str, value: Any) -> str:
    """Return the value of a setting as labels have it."""
    return VALUE_NAMES.get(key, {}).get(str(value)) or _shown(value)


def _shown(value: Any) -> str:
    if isinstance(value, (list, tuple)):
        return " x ".join(_shown(one) for one in value) or "none"
    if isinstance(value, bool):
        return "on" if value else "off"
    return "rule" if value is None else f"{value:g}" if isinstance(value, float) else str(value)
