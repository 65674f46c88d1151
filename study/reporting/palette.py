"""Colours and markers; colour always means the type of collapse.

They are those of Okabe and Ito (2008), which stay apart under the common colour blindnesses. Markers say the same again.
"""

from collections.abc import Mapping
from typing import TypedDict

from study.reporting.format import without_paths
from study.results.schema import ArmCollapseType
from vicreg.evaluation.collapse_criteria import CHANCE_LEVEL, VIEW_DEPENDENT

INK, MUTED, GRID, PAPER = "#1c1c1e", "#66666b", "#dedee2", "#ffffff"  # a page may put its own colours in their place
BLUE, ORANGE = "#0072b2", "#e69f00"  # for what has no type of collapse
COLLAPSE_TYPES = {  # name -> colour, marker, the same marker as a character
    "healthy": ("#009e73", "o", "●"),
    VIEW_DEPENDENT: (ORANGE, "D", "◆"),
    CHANCE_LEVEL: ("#56b4e9", "v", "▼"),
    "informational": (BLUE, "^", "▲"),
    "dimensional": ("#cc79a7", "s", "■"),
    "complete": ("#d55e00", "X", "✖"),
}
COLOUR_NAMES = {"healthy": "green", VIEW_DEPENDENT: "orange", CHANCE_LEVEL: "sky blue", "informational": "blue",
                "dimensional": "pink", "complete": "vermillion"}  # fmt: skip
NO_TYPE = ("#8a8a8f", "o", "○")
NO_NAME = "no type"  # what legends call it


class TypeView(TypedDict):
    """A type of collapse as a page shows it; `counts` only where the seeds disagree."""

    name: str
    known: str
    sign: str
    reason: str
    counts: str


class Badge(TypedDict):
    """A run's type of collapse, or its status, as the pages beside the reports show it."""

    name: str
    sign: str
    style: str


def collapse_style(name: str | None) -> tuple[str, str, str]:
    """Return (colour, matplotlib marker, character) of a type of collapse; grey for a name not known or None."""
    return COLLAPSE_TYPES.get(name or "", NO_TYPE)


def type_label(name: str | None) -> str:
    """Return a type of collapse as legends name it: `no type` for a name that is none."""
    return name if name is not None and name in (*COLLAPSE_TYPES, "untrained") else NO_NAME


def type_view(collapse_type: ArmCollapseType) -> TypeView:
    """Return what a page shows of an arm's type of collapse, or of how its runs ended."""
    return named_type_view(collapse_type.name, reason=collapse_type.reason, counts=collapse_type.counts)


def named_type_view(name: str, *, reason: str = "", counts: Mapping[str, int] | None = None) -> TypeView:
    """Return what a page shows of the type of collapse `name`, or of a status, with its reason and its counts over seeds."""
    counts = counts or {}
    split = ", ".join(f"{count} {one}" for one, count in counts.items()) if len(counts) > 1 else ""
    known = name if name in COLLAPSE_TYPES else "other"
    return {"name": name, "known": known, "sign": collapse_style(name)[2], "reason": without_paths(reason), "counts": split}


def badge(collapse_type: str | None, status: str) -> Badge:
    """Return a run's type of collapse, or its status where it has none: name, sign and class of style."""
    shown = named_type_view(collapse_type or status)
    return {"name": shown["name"], "sign": shown["sign"], "style": shown["known"]}
