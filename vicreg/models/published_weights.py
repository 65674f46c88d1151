"""Pretrained encoders that anyone can download: names, addresses, checksums, download."""

import http.client
import re
import socket
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import NamedTuple

import torch

from vicreg.errors import InputError
from vicreg.models.weight_files import one_line, read_state_dict
from vicreg.torchvision_compat import torchvision

_NETWORK_TIMEOUT = 30.0  # seconds without a byte; torch.hub sets none, and would wait for a silent network for ever


class PublishedWeights(NamedTuple):
    """An encoder that anyone can download; `file` is the name to keep it under.

    All were trained on images normalised by ImageNet's statistics (`pretrain.normalisation: imagenet`).
    """

    url: str
    file: str
    source: str

    @property
    def sha256_prefix(self) -> str:
        """The start of the file's SHA-256 where its address names one (`resnet50-0676ba61.pth`), else an empty string."""
        match = re.search(r"-([0-9a-f]{8,})\.", self.url.rpartition("/")[2])
        return match[1] if match else ""


_TORCHVISION = {
    "torchvision-resnet18": torchvision.models.ResNet18_Weights.IMAGENET1K_V1,
    "torchvision-resnet34": torchvision.models.ResNet34_Weights.IMAGENET1K_V1,
    "torchvision-resnet50": torchvision.models.ResNet50_Weights.IMAGENET1K_V1,
    "torchvision-resnet50-v2": torchvision.models.ResNet50_Weights.IMAGENET1K_V2,
}
PUBLISHED_WEIGHTS = {
    # torch.hub's facebookresearch/vicreg:main resnet50. Its file is called resnet50.pth, as Barlow Twins' is.
    "vicreg-resnet50": PublishedWeights(
        url="https://dl.fbaipublicfiles.com/vicreg/resnet50.pth",
        file="vicreg-resnet50.pth",
        source="the VICReg authors' ResNet-50 (arXiv 2105.04906)",
    )
} | {
    name: PublishedWeights(url=weights.url, file=weights.url.rpartition("/")[2], source=f"torchvision's {weights}")
    for name, weights in _TORCHVISION.items()
}


def download_weights(name: str, path: Path) -> None:
    """Download the encoder `name` of `PUBLISHED_WEIGHTS` to `path`, which has either a whole file or none.

    The file is read before it is moved there, because http.client takes a connection that closes early for the end.

    Raises:
        InputError: where the network, the disk or the file that came is at fault.
    """
    published = PUBLISHED_WEIGHTS[name]
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        with tempfile.TemporaryDirectory(prefix=".partial-", dir=path.parent) as scratch, _network_timeout():
            partial = Path(scratch) / published.file
            torch.hub.download_url_to_file(published.url, str(partial), published.sha256_prefix or None, progress=False)
            read_state_dict(partial)
            partial.replace(path)
    except (OSError, RuntimeError, http.client.HTTPException, InputError) as error:  # URLError is an OSError
        cause = "what came is no whole file" if isinstance(error, InputError) else one_line(error)
        raise InputError(
            f"{name} must be at {path}, but is missing there and downloading it from {published.url} failed ({cause}); "
            f"connect to the network and run again, or fetch {published.url} elsewhere, put it at {path} and run again."
        ) from error


@contextmanager
def _network_timeout() -> Iterator[None]:
    before = socket.getdefaulttimeout()
    socket.setdefaulttimeout(_NETWORK_TIMEOUT)
    try:
        yield
    finally:
        socket.setdefaulttimeout(before)
