"""What is said of a copy of the images, and of what it may cost."""

from study.analysis.wording import listed, signed, spelled
from study.paper.copy_cost import COMMAND, CodingCost, CopyCost, NetworksCost
from study.paper.page.values import bounds_text, value_text
from study.reporting.names import measure_name
from study.results.comparisons import Interval

JPEG = "JPEG copy"  # the one that `copy_cost` is about


def cost_text(copy: str, cost: CopyCost) -> str:
    """Return what a copy of this name may cost, a sentence a measurement; `not measured` without one."""
    return " ".join(_sentences(copy, cost))


def brief_cost_text(copy: str, cost: CopyCost) -> str:
    """Return the first of these sentences, and where the others stand."""
    first, *others = _sentences(copy, cost)
    return f"{first} In full under “How far to trust this”." if others else first


def _sentences(copy: str, cost: CopyCost) -> list[str]:
    """Return a sentence a measurement, that on images like the paper's first; `not measured` without one."""
    if copy != JPEG:
        return ["not measured."]
    known = (
        (cost.cifar10, "lossless images of CIFAR-10"),
        (cost.digits, "digits"),
        (cost.copy, "the copy, coded once more"),
    )
    said = [_sentence(one, on) for one, on in known if one is not None]
    own = [_of_networks(cost.networks)] if cost.networks else []
    return [*own, *said] or [f"not measured ({COMMAND})."]


def _of_networks(cost: NetworksCost) -> str:
    moved, again = (listed([signed(one) for one in each]) for each in (cost.differences, cost.again))
    count = spelled(len(cost.differences), "network")
    said = (f"Of {count} trained on it, coded images give {moved} points over the same ones lossless, by "
            f"“{measure_name(cost.probe)}”, at {cost.psnr:.1f} dB.")  # fmt: skip
    if not cost.again:
        return said
    return f"{said} These are training images; test images coded once more give {again} points."


def _sentence(cost: CodingCost, on: str) -> str:
    moved = Interval(n=cost.n, mean=cost.mean, low=cost.low, high=cost.high, p=None)
    return (f"On {on}: {value_text(moved, 'points')} {bounds_text(moved, 'points')}, by “{measure_name(cost.probe)}”, "
            f"with {cost.coded} coded at {cost.psnr:.1f} dB.")  # fmt: skip
