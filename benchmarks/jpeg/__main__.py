"""How far features and accuracies move when images are JPEG-coded at the 30.5 dB of a copy of CIFAR-10.

    python -m benchmarks.jpeg [--copy FOLDER] [--lossless FOLDER] [--seeds 8] [--out FILE]
    python -m benchmarks.jpeg --encoder FILE [--encoder FILE] --copy FOLDER [--lossless FOLDER]

Of three parts, each with networks pretrained by the harness's own loop and probed on cached features:

- `digits`: scikit-learn's digits, coded at the quality that gives 30.5 dB. Needs no option.
- `cifar10`: lossless images of CIFAR-10 beside the copy's files of the same images. This is the very coding that is asked
  about. Every seed trains on three quarters of them and is tested on the fourth. Needs `--lossless` and `--copy`.
- `copy`: 6,000 training and all test images of the copy, coded once more at 30.5 dB from the copy. Its blocks lie 4 pixels
  further: at the same places a second coding changes less than the first. Its networks from plain images of the copy
  are tested on the lossless images too (`held_out`). Needs `--copy`.

With `--encoder`, weights of networks that were trained on the copy elsewhere are measured in place of these parts: test
images alone are coded.

In each part, networks are trained on plain and on coded images, paired by seed, and tested on plain and on coded ones.
`--copy` is a folder of `train|test/<class>/*`. `--lossless` is a folder of PNG files of 1,024 pixels width, an image a row.
The first 4,000 training images of CIFAR-10 are such files in github.com/karpathy/convnetjs (39afa8c, demo/cifar10).
"""

import argparse
import sys
import time
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import torch

from benchmarks.jpeg.parts import (
    FOLDS,
    LATER,
    LATER_OF_ENCODERS,
    TARGET,
    measure_again,
    measure_digits,
    measure_encoder,
    measure_lossless,
    read_images_of,
)
from benchmarks.jpeg.tables import movement_rows, rows_of, statement
from benchmarks.measure import RESULTS, foreign_share, machine, processor_time, table, write
from study.cli.arguments import Parser, path, positive
from study.cli.command import run_command
from vicreg.errors import InputError


def main(argv: Sequence[str] | None = None) -> int:
    """Measure the parts that the options allow, print their table and write what was measured."""
    parser = Parser("benchmarks.jpeg", __doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--copy", type=path, help="the JPEG copy, a folder of train|test/<class>/*")
    parser.add_argument("--lossless", type=path, help="a folder of PNG files, an image a row")
    parser.add_argument("--encoder", action="append", metavar="FILE", help="weights of a network trained on the copy")
    parser.add_argument("--seeds", type=positive, help=f"a multiple of {FOLDS}; default: {2 * FOLDS}")
    parser.add_argument("--out", type=Path, help="JSON file; by default benchmarks/results/jpeg.json")
    arguments = parser.parse_args(argv)
    check(arguments)
    torch.set_num_threads(1)
    before, started = processor_time(), time.perf_counter()
    if arguments.encoder:
        parts = measure_encoders(arguments.encoder, copy=arguments.copy, lossless=arguments.lossless)
    else:
        parts = measure(copy=arguments.copy, lossless=arguments.lossless, seeds=arguments.seeds or 2 * FOLDS)
    results = {
        "psnr": TARGET,
        "machine": machine(torch.device("cpu"), packages=("pillow", "numpy")),
        "foreign_load": foreign_share(before, processor_time()),
        "seconds": time.perf_counter() - started,
        "statement": statement(parts),
        "parts": parts,
    }
    write(arguments.out or RESULTS / "jpeg.json", results)
    print(table(rows_of(parts)), table(movement_rows(parts)), sep="\n\n")
    print(f"other processes used {results['foreign_load']:.0%} of the cores meanwhile")
    return 0


def check(arguments: argparse.Namespace) -> None:
    """Raise `InputError` for options that need another one, or would have no effect."""
    if (arguments.seeds or FOLDS) % FOLDS:
        raise InputError(f"--seeds must be a multiple of {FOLDS}, the parts of the images, but got {arguments.seeds}.")
    for option in ("lossless", "encoder"):
        if getattr(arguments, option) and not arguments.copy:
            raise InputError(f"--{option} needs --copy, the folder with the JPEG files; give both.")
    if arguments.encoder and arguments.seeds:
        raise InputError("--seeds has no effect with --encoder, whose network is trained already; leave it out.")


def measure_encoders(files: Sequence[str], *, copy: Path, lossless: Path | None) -> dict[str, Any]:
    """Return what coding changes for networks trained elsewhere, by `encoder N` in the order of their files of weights."""
    copied, pair = read_images_of(copy, lossless, later=LATER_OF_ENCODERS)
    return {f"encoder {n}": measure_encoder(file, copied, pair) for n, file in enumerate(files, start=1)}


def measure(*, copy: Path | None, lossless: Path | None, seeds: int) -> dict[str, Any]:
    """Return what was measured by part; a part whose images are not given is missing."""
    parts = {"digits": measure_digits(seeds=seeds)}
    print("digits are measured", file=sys.stderr)
    if copy is not None:
        copied, pair = read_images_of(copy, lossless, later=LATER)
        if pair is not None:
            parts["cifar10"] = measure_lossless(pair, classes=copied.classes, seeds=seeds)
            print("lossless images are measured", file=sys.stderr)
        parts["copy"] = measure_again(copied, pair, seeds=seeds // 2)
    return parts


if __name__ == "__main__":
    run_command(main)
