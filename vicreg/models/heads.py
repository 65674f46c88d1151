"""The expander (projector), which maps representations to embeddings, and a predictor on top of it."""

from collections.abc import Sequence

from torch import nn

from vicreg.errors import InputError
from vicreg.models.view_batchnorm import ViewBatchNorm1d


def build_expander(dimension: int, sizes: Sequence[int], *, batchnorm: bool = True) -> nn.Sequential:
    """Return an expander, (N, dimension) -> (N, sizes[-1]).

    It is Linear, BatchNorm and ReLU for every size but the last, then Linear without bias, as the authors' `Projector`
    (github.com/facebookresearch/vicreg).

    Args:
        dimension: d_y, the width of the representations it takes.
        sizes: output sizes of its linear layers: three times 8192 in the original paper, three times 2048 in the source
            paper; `[]` gives no expander, `[n]` a linear one.
        batchnorm: whether BatchNorm stands between the layers.

    Raises:
        InputError: if a size is not at least 1.
    """
    if any(size < 1 for size in sizes):
        raise InputError(f"expander sizes must be at least 1, but got {list(sizes)}.")
    layers: list[nn.Module] = []
    for size in sizes[:-1]:
        layers.append(nn.Linear(dimension, size))
        if batchnorm:
            layers.append(ViewBatchNorm1d(size))
        layers.append(nn.ReLU(inplace=True))
        dimension = size
    if sizes:
        layers.append(nn.Linear(dimension, sizes[-1], bias=False))
    return nn.Sequential(*layers)


def narrowed(expander: nn.Sequential, dimension: int, *, to: int | None) -> int:
    """Append a linear layer without bias to an expander, and return the width of its output.

    It serves losses that estimate a covariance from a batch, for which the common expander is too wide.

    Args:
        expander: is changed.
        dimension: d_z, the width of its output.
        to: the new width; nothing is appended where it is None.
    """
    if to is None:
        return dimension
    expander.append(nn.Linear(dimension, to, bias=False))
    return to


def build_predictor(dimension: int, hidden: int, *, out: int | None = None, batchnorm: bool = True) -> nn.Sequential:
    """Return a predictor of embeddings, (N, dimension) -> (N, out): Linear, BatchNorm, ReLU, Linear.

    The first layer has no bias where BatchNorm follows it; the last has one (arXiv 2011.10566, Section 4.4 and the authors'
    code; arXiv 2006.07733, Section 3.3).

    Args:
        dimension: d_z, the width of the embeddings it takes.
        hidden: its inner width: d_z / 4 in SimSiam, 4096 in BYOL.
        out: its output width; `dimension` where it is None.
        batchnorm: whether BatchNorm stands between the layers.

    Raises:
        InputError: if a width is not at least 1.
    """
    out = dimension if out is None else out
    if min(hidden, out) < 1:
        raise InputError(f"a predictor's widths must be at least 1, but got {hidden} and {out}.")
    layers: list[nn.Module] = [nn.Linear(dimension, hidden, bias=not batchnorm)]
    if batchnorm:
        layers.append(ViewBatchNorm1d(hidden))
    return nn.Sequential(*layers, nn.ReLU(inplace=True), nn.Linear(hidden, out))
