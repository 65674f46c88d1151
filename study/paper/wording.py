"""What the page calls arms and the values of settings."""

from typing import Any

from study.reporting.format import plain
from study.results.schema import ArmResults

STEM = "pretrain.stem"
STEMS = {  # the setting's values name data sets, on which nothing was trained: the page names the first convolution
    "imagenet": ("7x7 stem", "7x7 stem, as in torchvision's ResNet, trained from scratch"),
    "cifar": ("3x3 stem", "3x3 stem, as is usual on CIFAR, trained from scratch"),
    "cifar-padded": ("3x3 stem with padding 2", "3x3 stem with padding 2, trained from scratch"),
}


def setting_text(key: str, value: Any) -> str:
    """Return the value of a setting as the page has it."""
    return STEMS[value][0].replace(" stem", "", 1) if key == STEM and value in STEMS else plain(value)


def arm_name(arm: ArmResults) -> str:
    """Return what an arm is called, in short: the settings in which it differs."""
    return _stem_of(arm, full=False) or arm.label


def arm_in_full(arm: ArmResults) -> str:
    """Return what an arm is called where it stands alone."""
    return _stem_of(arm, full=True) or arm.label


def _stem_of(arm: ArmResults, *, full: bool) -> str:
    """Return the stem of an arm that differs in nothing else; empty for any other."""
    known = set(arm.settings) == {STEM} and arm.settings[STEM] in STEMS
    return STEMS[arm.settings[STEM]][full] if known else ""
