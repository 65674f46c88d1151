"""Makes an archive of images of noise, as the GPU script takes it."""

import tarfile
from pathlib import Path

import numpy as np
from PIL import Image


def write_archive(folder: Path) -> Path:
    """Write 96 images of noise of two classes, one in four of them for the test, and return their archive."""
    pixels = np.random.default_rng(0).integers(0, 256, (96, 8, 8, 3), dtype=np.uint8)
    for index, image in enumerate(pixels):
        place = folder / "raw" / ("test" if index % 4 == 0 else "train") / "ab"[index // 4 % 2]
        place.mkdir(parents=True, exist_ok=True)
        Image.fromarray(image).save(place / f"{index}.jpg")
    with tarfile.open(folder / "images.tar.xz", "w:xz") as packed:
        packed.add(folder / "raw", arcname="cifar")
    return folder / "images.tar.xz"
