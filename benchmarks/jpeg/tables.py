"""Tables of what was measured, and the sentence's numbers."""

from collections.abc import Mapping, Sequence
from typing import Any

_PROBE, _CONTRAST, _TEST_ALONE = "linear_cached", "train and test", "test alone"
_OF_ENCODER = "test alone, of a network from coded images"


def statement(parts: Mapping[str, Any]) -> dict[str, Any]:
    """Return the numbers of a sentence on each part, as shares: how far coding of train and test moved linear accuracy.

    `test_alone` is the same of coding the test images alone, for a network and a probe from plain images.
    """
    entries = {name: _entry(part) for name, part in parts.items() if "trained" in part}
    encoders = [part for part in parts.values() if part.get("encoder") and part.get("held_out")]
    return entries | ({"networks": _networks(encoders)} if encoders else {})


def _networks(encoders: Sequence[Mapping[str, Any]]) -> dict[str, Any]:
    """Return how far coding moved the accuracy of networks trained elsewhere on the copy, one by one.

    `differences` are of lossless training images, `again` of test images that are coded once more.
    """
    differences = [part["held_out"]["differences"][_PROBE][_OF_ENCODER]["mean"] for part in encoders]
    again = [part["again"]["differences"][_PROBE][_TEST_ALONE]["mean"] for part in encoders]
    psnr = [part["coding"]["psnr"]["mean"] for part in encoders]
    return {"probe": _PROBE, "differences": differences, "again": again, "psnr": sum(psnr) / len(psnr)}


def _entry(part: Mapping[str, Any]) -> dict[str, Any]:
    trained = part["trained"]
    of_probe = trained["differences"][_PROBE]
    interval, alone = ({key: of_probe[one][key] for key in ("mean", "low", "high")} for one in (_CONTRAST, _TEST_ALONE))
    return {
        "what": part["what"], "probe": _PROBE, "coded": _CONTRAST, "n": trained["n"], "images": trained["test_images"],
        "psnr": part["coding"]["psnr"]["mean"], "baseline": trained["accuracy"][_PROBE]["plain/plain"], **interval,
        "test_alone": alone,
    }  # fmt: skip


def rows_of(parts: Mapping[str, Any]) -> list[dict[str, str]]:
    """Return a row a part, kind of network, probe and contrast for `benchmarks.measure.table`; accuracies in points."""
    return [
        {"": name, "coded": contrast, "probe": probe, **_figures(one)}
        for name, found in _found(parts).items()
        for probe, contrasts in found["differences"].items()
        for contrast, one in contrasts.items()
    ]


def movement_rows(parts: Mapping[str, Any]) -> list[dict[str, str]]:
    """Return a row a part and kind of network: how far features of coded test images lie from those of plain ones."""
    return [
        {"": name, "trained on": trained_on, **{key: f"{value:.3f}" for key, value in one.items()}}
        for name, found in _found(parts).items()
        for trained_on, one in found["movement"].items()
    ]


def _found(parts: Mapping[str, Any]) -> dict[str, Any]:
    """Return the summaries of all parts, by part and kind of network."""
    kinds = ("trained", "untrained", "held_out", "again")
    return {f"{name}, {kind}": part[kind] for name, part in parts.items() for kind in kinds if part.get(kind)}


def _figures(one: Mapping[str, Any]) -> dict[str, str]:
    """Return a difference, its interval and the answers that changed, in points and percent."""
    low, high = one["low"], one["high"]
    if low is None:
        interval = "none" if one["images"] is None else f"-+ {100 * one['images']:.1f}, of images alone"
    else:
        interval = f"{100 * low:+.1f} to {100 * high:+.1f}"
    changed = f"{one['answers_changed']:.1%}"
    return {"points": f"{100 * one['mean']:+.2f}", "interval": interval, "answers changed": changed}
