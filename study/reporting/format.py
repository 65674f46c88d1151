"""Format numbers and settings as text; nothing else formats them."""

import json
import math
import re
from collections.abc import Iterable, Mapping, Sequence
from typing import Any, TypedDict, TypeGuard

from study.analysis.by_decision import decision_of
from study.analysis.moments import LEAST_SEEDS
from study.analysis.multiple_testing import ALPHA
from study.reporting.names import is_accuracy, key_name
from study.results.comparisons import ColumnSummary, Difference, Outcomes
from study.runs.outcomes import MISSING, PARTIAL
from vicreg.evaluation.collapse_diagnosis import UNDETERMINED


class Number(str):
    """A number as text, with the number itself as `value`: None where there is none that is finite."""

    value: float | None

    def __new__(cls, text: str, value: float | None) -> "Number":
        """Return `text` that knows its number."""
        made = super().__new__(cls, text)
        made.value = value
        return made


class Paired(TypedDict):
    """A difference as a cell shows it: the mean, its interval, and whether Holm's p is below 0.05."""

    text: str
    interval: str
    is_significant: bool


def is_finite(value: object) -> TypeGuard[float]:
    """Return whether a value is a finite number; True and False are none."""
    if not isinstance(value, (int, float)) or isinstance(value, bool):
        return False
    try:
        return math.isfinite(value)
    except OverflowError:  # a whole number beyond every float
        return False


def finite(values: Iterable[object]) -> list[float]:
    """Return the values that are finite numbers."""
    return [value for value in values if is_finite(value)]


def signed(value: float, spec: str = ".1f") -> Number:
    """Return `value` with its sign, and a true minus."""
    return Number(f"{value:+{spec}}".replace("-", "−"), value)


def figure_of(value: object, spec: str = ".3g", scale: float = 1) -> Number:
    """Return `value` times `scale` as text, a dash where it is missing or not finite. 1024 is no 1e+03."""
    if not is_finite(value):
        return Number("–", None)
    scaled = value * scale
    plain_spec = ".0f" if spec.endswith(".3g") and 999.5 <= abs(scaled) < 99_999.5 else spec
    return Number(f"{scaled:{plain_spec}}".rstrip(".").replace("-", "−"), scaled)


def percent(share: float | None, sd: float | None = None) -> Number:
    """Return a share in percent, with its standard deviation over seeds where there is one: `96.10 ± 0.40`."""
    mean = figure_of(share, ".2f", 100)
    return Number(f"{mean} ± {figure_of(sd, '.2f', 100)}", mean.value) if sd is not None else mean


def points(share: float | None) -> Number:
    """Return a difference of shares in percentage points, with its sign: `+0.28`, and `0.00` for none."""
    return figure_of(share, "+.2f" if share is not None and abs(share) >= 5e-5 else ".2f", 100)


def many(words: Sequence[str], *, most: int = 3) -> str:
    """Return `a, b, c and 4 more`."""
    rest = len(words) - most
    return ", ".join(words[:most]) + (f" and {rest} more" if rest > 0 else "")


def mean_and_sd(entry: ColumnSummary | None, name: str) -> Number:
    """Return `96.1 ± 0.4`, in percent for an accuracy; without ± where there are fewer than two seeds."""
    if entry is None or not is_finite(entry.mean):
        return Number("–", None)
    spec, scale = _unit_of(name)
    mean = figure_of(entry.mean, spec, scale)
    if entry.n < 2 or not is_finite(entry.sd):
        return mean
    return Number(f"{mean} ± {figure_of(entry.sd, spec, scale)}", mean.value)


def _unit_of(name: str) -> tuple[str, float]:
    """Return the format and the factor of a measure: percent for an accuracy."""
    return (".1f", 100) if is_accuracy(name) else (".3g", 1)


def paired(entry: Difference | None, name: str) -> Paired:
    """Return a difference as a cell. A star says that its p-value, adjusted by Holm, is below 0.05; nothing else has one."""
    if entry is None or not is_finite(entry.mean):
        return no_difference("–")
    spec, scale = _unit_of(name)
    mean = signed(entry.mean * scale, spec)
    bounds = finite_pair(entry.low, entry.high)
    if entry.n < LEAST_SEEDS or bounds is None:
        why = "the same at each seed, " if entry.n >= LEAST_SEEDS else ""
        return {"text": mean, "interval": f"{why}no interval, n = {entry.n}", "is_significant": False}
    low, high = (signed(bound * scale, spec) for bound in bounds)
    told = entry.p_holm is not None and entry.p_holm < ALPHA
    text = Number(f"{mean} *", mean.value) if told else mean
    return {"text": text, "interval": f"[{low}, {high}]", "is_significant": told}


def no_difference(text: str) -> Paired:
    """Return the cell of a difference that is not there, with `text` in its place."""
    return {"text": Number(text, None), "interval": "", "is_significant": False}


def decision_text(entry: Difference | None) -> str:
    """Return what a difference decides, one of `DECISIONS`; empty where there are too few seeds to decide by."""
    if entry is None or not is_finite(entry.mean) or entry.n < LEAST_SEEDS:
        return ""
    return decision_of(entry)


def p_value(p: float | None) -> Number:
    """Return a p-value as text of three digits, `< 0.001` where it is smaller; of more where it would be rounded to 0.05."""
    if not is_finite(p):
        return Number("–", None)
    if p < 0.001:
        return Number("< 0.001", p)
    digits = next((digits for digits in (3, 4, 5) if p >= ALPHA or float(f"{p:.{digits}f}") < ALPHA), 6)
    return Number(f"{p:.{digits}f}", p)


def outcome_lines(outcomes: Outcomes | None) -> str:
    """Return how many of an arm's runs collapsed, with the interval of the share; a dash where it is told of none."""
    if outcomes is None or not outcomes.asked:
        return ""
    if outcomes.counts and set(outcomes.counts) <= {MISSING, PARTIAL, UNDETERMINED}:
        return "–"
    bounds = f"[{100 * outcomes.low:.0f}, {100 * outcomes.high:.0f}] %"
    return f"{outcomes.collapsed} of {outcomes.asked} collapsed {bounds}"


def objective_text(name: str, value: object) -> Number:
    """Return the value of a search's objective as text."""
    if name == "cost":
        return figure_of(value, ".3g")
    return figure_of(value, ".1f", 1 if name.startswith("rankme") else 100)


def quantity(value: float) -> str:
    """Return a large count in words that a reader can hold: 718 thousand, 1.2 million, 20.0 trillion."""
    if round(value) < 10_000:
        return f"{value:,.0f}"
    if round(value / 1000) < 1000:
        return f"{value / 1000:,.0f} thousand"
    for size, name in ((1e9, "million"), (1e12, "billion"), (1e15, "trillion")):
        if round(1000 * value / size, 1) < 1000:
            return f"{1000 * value / size:,.1f} {name}"
    return f"{value / 1e15:,.1f} quadrillion"


def memory(size: float) -> Number:
    """Return bytes in the unit that a person would use: `none`, `320 bytes`, `16.8 MB`."""
    if size == 0:
        return Number("none", 0)
    for unit, name in ((1e9, "GB"), (1e6, "MB"), (1e3, "kB")):
        if size >= 0.9995 * unit:  # what would be rounded to 1000 of the next smaller unit
            return Number(f"{size / unit:.3g} {name}", size)
    return Number(f"{size:.0f} bytes", size)


def duration(seconds: float) -> str:
    """Return seconds in the unit that a person would use."""
    if seconds < 100:
        return f"{seconds:.0f} s"
    return f"{seconds / 60:.0f} min" if seconds < 6000 else f"{seconds / 3600:.1f} h"


def finite_pair(low: object, high: object) -> tuple[float, float] | None:
    """Return (low, high), or None unless both are finite numbers."""
    return (low, high) if is_finite(low) and is_finite(high) else None


def settings_lines(settings: Mapping[str, Any]) -> list[str]:
    """Return {'pretrain.nu': 1} as ['nu = 1']."""
    return [f"{key_name(key)} = {plain(value)}" for key, value in settings.items()]


def plain(value: Any) -> str:
    """Return a setting as it stands in params.yaml."""
    return value if isinstance(value, str) else json.dumps(value, ensure_ascii=False)


def without_paths(text: object) -> str:
    """Return `text` with absolute paths cut to their last name: two clones must write one report."""
    return re.sub(r"(?<![\w.:/])/(?:[^\s/'\":,()]+/)+", "…/", str(text))


def short(digest: str | None) -> str:
    """Return the first 12 characters of a digest or commit, with its `-dirty` kept."""
    text = (digest or "").removeprefix("sha256:")
    return (text[:12] + ("-dirty" if text.endswith("-dirty") else "")) or "–"
