"""What JPEG coding moves: read from the file that `python -m benchmarks.jpeg` writes."""

from dataclasses import dataclass
from pathlib import Path

from study.config.places import KEPT_RESULTS
from study.results.json_values import from_values, parse_json, readable

FILE = KEPT_RESULTS / "jpeg.json"
COMMAND = "python -m benchmarks.jpeg"


@dataclass(frozen=True, kw_only=True)
class CodingCost:
    """Accuracy of runs on coded images less that of runs on the same images uncoded, paired by seed; shares.

    `low` and `high` bound the mean at 95 %; None where there are too few seeds. `psnr` is in dB, of coded against uncoded.
    `coded` says what was coded: `train and test`, say.
    """

    probe: str
    coded: str
    n: int
    mean: float
    psnr: float
    low: float | None = None
    high: float | None = None


@dataclass(frozen=True, kw_only=True)
class NetworksCost:
    """Accuracy on coded images less that on lossless ones, of each network that was trained on the copy; shares.

    The images of `differences` are training images, for no others are lossless. `again` is the accuracy on test images of
    the copy that were coded once more, less that on the copy's own.
    """

    probe: str
    differences: tuple[float, ...]
    psnr: float
    again: tuple[float, ...] = ()


@dataclass(frozen=True, kw_only=True)
class CopyCost:
    """What coding cost: on lossless images of CIFAR-10, on handwritten digits, and on the JPEG copy coded once more.

    `networks` are those of the paper's recipe, trained on the copy.
    """

    networks: NetworksCost | None = None
    cifar10: CodingCost | None = None
    digits: CodingCost | None = None
    copy: CodingCost | None = None


@dataclass(frozen=True, kw_only=True)
class _File:
    """The part of the file that a page reads."""

    statement: CopyCost


def read_copy_cost(path: Path = FILE) -> CopyCost:
    """Return what JPEG coding was measured to cost; without a measurement where there is no such file.

    Raises:
        InputError: for a file that is damaged.
    """
    if not path.is_file():
        return CopyCost()
    remedy = f"run {COMMAND} again"
    content = parse_json(readable(path, remedy=remedy), where=str(path), remedy=remedy)
    return from_values(_File, content, where=str(path), remedy=remedy).statement
