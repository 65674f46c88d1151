"""Write a folder of small images, for the tests of reading and of fingerprints."""

from pathlib import Path

import numpy as np
from PIL import Image


def write_folder(root: Path, *, train: int = 5, test: int = 2, side: int = 4, mode: str = "RGB") -> Path:
    """Every image a different one: pixels say part, class and number."""
    for part_index, (part, count) in enumerate((("train", train), ("test", test))):
        for label, name in enumerate(("cat", "dog")):
            (root / part / name).mkdir(parents=True)
            for number in range(count):
                pixels = np.full((side, side, 3), (100 * part_index + number, 50 * label, 7), dtype=np.uint8)
                pixels[0, 0] = 255
                Image.fromarray(pixels).convert(mode).save(root / part / name / f"{number:03}.png")
    return root
