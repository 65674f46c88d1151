"""What the page calls arms and the values of settings."""

from collections.abc import Mapping
from typing import Any

from study.reporting.format import plain
from study.results.schema import ArmResults
from study.spec.names import VALUE_NAMES

STEM, STOP = "pretrain.stem", "pretrain.stop_after"
_LENGTH = {"pretrain.epochs", "pretrain.warmup_epochs", STOP}  # settings of how long is trained
_USUAL = {"imagenet": ", as in torchvision's ResNet", "cifar": ", as is usual on CIFAR"}  # where a stem is usual


def setting_text(key: str, value: Any) -> str:
    """Return the value of a setting as the page has it: a stem's names its first convolution, not a data set."""
    return VALUE_NAMES.get(key, {}).get(str(value)) or plain(value)


def arm_name(arm: ArmResults) -> str:
    """Return what an arm is called, in short: the settings in which it differs."""
    stem = _stem_of(arm)
    return f"{setting_text(STEM, stem)} stem" if stem else arm.label


def arm_in_full(arm: ArmResults, settings: Mapping[str, Any] | None = None) -> str:
    """Return what an arm is called where it stands alone.

    The `settings` of its runs tell the stem where the arm leaves it as it is.
    """
    told = settings or {}
    stem = _stem_of(arm) or (str(told.get(STEM) or "") if set(arm.settings) <= _LENGTH else "")
    if not stem:
        return arm.label
    stop, epochs = arm.settings.get(STOP), told.get("pretrain.epochs")
    trained = "trained from scratch" if stop is None else f"after {stop} of {epochs} epochs"
    return f"{setting_text(STEM, stem)} stem{_USUAL.get(stem, '')}, {trained}"


def _stem_of(arm: ArmResults) -> str:
    """Return the stem of an arm that differs in nothing else; empty for any other."""
    return str(arm.settings[STEM]) if set(arm.settings) == {STEM} else ""
