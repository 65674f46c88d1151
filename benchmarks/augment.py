"""Two random views of every image: images a second, ours against torchvision's, lightly's and kornia's.

    python -m benchmarks.augment [--batch 256] [--side 32] [--threads 2] [--compiled] [--out FILE]

All make the paper's symmetric views (arXiv 2105.04906, Appendix C.1) with the same operations at the same probabilities,
of images in memory, as float32 on the device. One call of each makes both views of all images once. The loaders' workers
are started before and stay; a call begins and ends with none of them at work. Needs lightly and kornia for those two
(`benchmarks/requirements.txt`), and leaves out what is not installed.
"""

import random
import sys
import time
from collections.abc import Callable, Sequence
from typing import Any

import numpy as np
import torch
from PIL import Image, ImageFilter
from torch import Tensor, nn
from torch.utils.data import DataLoader

from benchmarks.measure import RESULTS, alternate, arguments_of, installed, machine, noise_images, table, write
from study.cli.arguments import positive
from study.cli.command import run_command
from study.config.device import choose_device
from vicreg.randomness import make_generator
from vicreg.torchvision_compat import torchvision
from vicreg.training.memory import keep_freed_memory
from vicreg.views.pipeline import two_views
from vicreg.views.settings import ViewSettings

MEAN, STD = (0.485, 0.456, 0.406), (0.229, 0.224, 0.225)  # ImageNet's, which lightly's transform normalises by
PAPER = ViewSettings()
SIGMA = PAPER.blur_sigma
KERNEL = 13  # pixels: 3 sigma each way at the largest sigma, as ours; torchvision's and kornia's kernels have one size

Views = tuple[Tensor, Tensor]
REFERENCE = "torchvision v1, PIL"
EAGER, COMPILED = "ours", "ours, compiled"


def main() -> int:
    parser = arguments_of("augment", __doc__)
    parser.add_argument("--batch", type=positive, default=256)
    parser.add_argument("--batches", type=positive, default=8, help="in one call; best a multiple of --workers")
    parser.add_argument("--side", type=positive, default=32, help="of images and views, pixels")
    parser.add_argument("--workers", type=positive, default=2, help="processes of each data loader")
    parser.add_argument("--compiled", action="store_true", help="ours compiled too: half a minute more")
    arguments = parser.parse_args()
    torch.manual_seed(0)  # of the peers' views; they draw from torch's global state
    torch.set_num_threads(arguments.threads)
    keep_freed_memory()  # as `pretrain` does
    device = choose_device(arguments.device)
    results = compare(
        batch=arguments.batch, batches=arguments.batches, side=arguments.side, workers=arguments.workers,
        rounds=arguments.rounds, compiled=arguments.compiled, device=device,
    )  # fmt: skip
    write(arguments.out or RESULTS / "augment.json", results)
    print(table(results["rows"]))
    if arguments.compiled:
        print(f"compiling took {results['compile_seconds']:.1f} s")
    return 0


def compare(
    *, batch: int, batches: int, side: int, workers: int, rounds: int, compiled: bool, device: torch.device
) -> dict[str, Any]:
    """Times every way to make views that is installed; `compile_seconds` is None where nothing was compiled."""
    images = noise_images(side, count=batch * batches).train.images
    ways = loaders(images, batch=batch, workers=workers, device=device)
    ways |= batched(images, batch=batch, device=device)
    compile_seconds = None
    if compiled:
        ways[COMPILED] = ours(images.to(device), batch=batch, compiled=True)
        started = time.perf_counter()
        ways[COMPILED]()
        compile_seconds = time.perf_counter() - started
    measured = alternate(ways, reference=REFERENCE, repeats=rounds, device=device)
    return {
        "machine": machine(device, packages=("torchvision", "lightly", "kornia", "pillow")),
        "settings": {"batch": batch, "batches": batches, "side": side, "workers": workers},
        "compile_seconds": compile_seconds,
        "images_per_second": {name: len(images) / measured.median(name) for name in ways},
        "measured": measured.to_dict(),
        "rows": measured.rows(work=len(images), unit="images"),
    }


# ---- One image at a time, in the processes of a data loader


class TransformedImages(torch.utils.data.Dataset):
    """Images, each through a transform when it is asked for; with a label, as torchvision's data sets give."""

    def __init__(self, images: Sequence[Any] | Tensor, transform: Callable[[Any], Any]) -> None:
        self.images, self.transform = images, transform

    def __len__(self) -> int:
        return len(self.images)

    def __getitem__(self, index: int) -> tuple[Any, int]:
        return self.transform(self.images[index]), 0


class Twice:
    """A transform's view of an image, and another one."""

    def __init__(self, transform: Callable[[Any], Tensor]) -> None:
        self.transform = transform

    def __call__(self, image: Any) -> list[Tensor]:
        return [self.transform(image), self.transform(image)]


class PilBlur:
    """The blur of the authors' code: PIL's."""

    def __call__(self, image: Image.Image) -> Image.Image:
        return image.filter(ImageFilter.GaussianBlur(radius=random.uniform(*SIGMA)))


def loaders(images: Tensor, *, batch: int, workers: int, device: torch.device) -> dict[str, Callable[[], Views]]:
    """Name -> a pass over all images, uint8 (N, 3, H, H), by a data loader."""
    side = images.shape[-1]
    pictures = as_pil(images)
    transforms: dict[str, tuple[Sequence[Any] | Tensor, Callable[[Any], Any]]] = {
        REFERENCE: (pictures, Twice(torchvision_v1(side))),
        "torchvision v2, tensors": (images, Twice(torchvision_v2(side))),
    }
    if installed("lightly"):
        from lightly.transforms import VICRegTransform

        transforms["lightly, PIL"] = (pictures, VICRegTransform(input_size=side))  # its defaults are the paper's
    else:
        print("lightly is not installed and left out", file=sys.stderr)
    return {
        name: loading(loader_of(source, transform, batch=batch, workers=workers), device)
        for name, (source, transform) in transforms.items()
    }


def as_pil(images: Tensor) -> list[Image.Image]:
    """uint8 (N, 3, H, W) as PIL's images."""
    return [Image.fromarray(np.ascontiguousarray(image)) for image in images.permute(0, 2, 3, 1).numpy()]


def loader_of(images: Sequence[Any] | Tensor, transform: Callable[[Any], Any], *, batch: int, workers: int) -> DataLoader:
    """A loader as lightly's documentation builds it, whose workers stay."""
    return DataLoader(
        TransformedImages(images, transform), batch_size=batch, shuffle=True, drop_last=True, num_workers=workers,
        persistent_workers=workers > 0,
    )  # fmt: skip


def loading(loader: DataLoader, device: torch.device) -> Callable[[], Views]:
    """A pass over a loader that brings every batch of views to the device; gives the last one's."""

    def run() -> Views:
        for (view, view_prime), _ in loader:
            views = view.to(device), view_prime.to(device)
        return views

    return run


def torchvision_v1(side: int) -> Callable[[Image.Image], Tensor]:
    """The paper's view of a PIL image, with the authors' blur."""
    T = torchvision.transforms
    return T.Compose([
        T.RandomResizedCrop(side, scale=PAPER.crop_scale),
        T.RandomHorizontalFlip(PAPER.flip),
        T.RandomApply([T.ColorJitter(PAPER.brightness, PAPER.contrast, PAPER.saturation, PAPER.hue)], PAPER.jitter),
        T.RandomGrayscale(PAPER.grayscale),
        T.RandomApply([PilBlur()], PAPER.blur),
        T.RandomSolarize(128, PAPER.solarize),
        T.ToTensor(),
        T.Normalize(MEAN, STD),
    ])  # fmt: skip


def torchvision_v2(side: int) -> Callable[[Tensor], Tensor]:
    """The paper's view of a uint8 tensor (3, H, W)."""
    from torchvision.transforms import v2 as T

    return T.Compose([
        T.RandomResizedCrop(side, scale=PAPER.crop_scale, antialias=True),
        T.RandomHorizontalFlip(PAPER.flip),
        T.RandomApply([T.ColorJitter(PAPER.brightness, PAPER.contrast, PAPER.saturation, PAPER.hue)], PAPER.jitter),
        T.RandomGrayscale(PAPER.grayscale),
        T.RandomApply([T.GaussianBlur(KERNEL, SIGMA)], PAPER.blur),
        T.RandomSolarize(128, PAPER.solarize),
        T.ToDtype(torch.float32, scale=True),
        T.Normalize(MEAN, STD),
    ])  # fmt: skip


# ---- A batch at a time, where the images lie


def batched(images: Tensor, *, batch: int, device: torch.device) -> dict[str, Callable[[], Views]]:
    """Name -> a pass over all images, uint8 (N, 3, H, H), in batches on the device."""
    placed = images.to(device)
    ways: dict[str, Callable[[], Views]] = {}
    if installed("kornia"):
        ways["kornia, batched"] = kornias(placed, batch=batch)
    else:
        print("kornia is not installed and left out", file=sys.stderr)
    ways[EAGER] = ours(placed, batch=batch)
    return ways


def kornias(images: Tensor, *, batch: int) -> Callable[[], Views]:
    """The paper's views by kornia, whose crop has no antialiasing and whose jitter has one order a batch.

    Of its two ways to crop this is the faster: 1.2 times at (256, 3, 32, 32) on two cores."""
    import kornia.augmentation as K

    view = nn.Sequential(
        K.RandomResizedCrop(images.shape[2:], scale=PAPER.crop_scale, cropping_mode="resample"),
        K.RandomHorizontalFlip(p=PAPER.flip),
        K.ColorJitter(PAPER.brightness, PAPER.contrast, PAPER.saturation, PAPER.hue, p=PAPER.jitter),
        K.RandomGrayscale(p=PAPER.grayscale),
        K.RandomGaussianBlur((KERNEL, KERNEL), SIGMA, p=PAPER.blur),
        K.RandomSolarize(thresholds=(0.5, 0.5), additions=(0.0, 0.0), p=PAPER.solarize),
        K.Normalize(torch.tensor(MEAN), torch.tensor(STD)),
    )

    def views_of(chosen: Tensor) -> Views:
        chosen = chosen.float() / 255
        return view(chosen), view(chosen)

    return passing(images, views_of, batch=batch)


def ours(images: Tensor, *, batch: int, compiled: bool = False) -> Callable[[], Views]:
    """Ours as training makes them: parameters drawn on the host, views on the device. Compiled in the first call."""
    generator = make_generator(0, "benchmark")
    mean, std = torch.tensor(MEAN, device=images.device), torch.tensor(STD, device=images.device)

    def views_of(chosen: Tensor) -> Views:
        return two_views(
            chosen, settings=(PAPER, PAPER), size=images.shape[-1], mean=mean, std=std, generator=generator,
            compiled=compiled,
        )  # fmt: skip

    return passing(images, views_of, batch=batch)


def passing(images: Tensor, views_of: Callable[[Tensor], Views], *, batch: int) -> Callable[[], Views]:
    """A pass over all images in random order, batch by batch; gives the last batch's views."""

    def run() -> Views:
        for indices in torch.randperm(len(images)).split(batch):
            views = views_of(images.index_select(0, indices.to(images.device)))
        return views

    return run


if __name__ == "__main__":
    run_command(main)
