"""Whatever lies in a folder of images, it is read or refused in one sentence."""

import io
import logging
import os
import random
import shutil

import numpy as np
import pytest
from PIL import Image

from tests.vicreg.data.loading import load
from vicreg.data.fingerprint import source_fingerprint
from vicreg.errors import InputError

FORMATS = ["png", "jpeg", "gif", "tiff", "bmp", "webp", "ppm", "tga", "ico", "pcx", "jp2", "dds", "sgi", "mpo"]


def write_noise(root, rng):
    """Two classes of three images in train and in test."""
    for part in ("train", "test"):
        for name in ("a", "b"):
            (root / part / name).mkdir(parents=True)
            for number in range(3):
                Image.frombytes("RGB", (8, 8), rng.randbytes(192)).save(root / part / name / f"{number}.png")


def mutated_picture(rng):
    """The bytes of an image of any mode, format and orientation, whole or damaged, and its suffix."""
    width, height = rng.choice([1, 8, 30]), rng.choice([1, 8, 30])
    picture = Image.frombytes("RGB", (width, height), rng.randbytes(3 * width * height))
    exif = Image.Exif()
    exif[0x0112] = rng.choice([0, 1, 3, 6, 9])
    more = {"exif": rng.choice([exif.tobytes(), rng.randbytes(40)])} if rng.random() < 0.5 else {}
    name, file = rng.choice(FORMATS), io.BytesIO()
    try:
        picture.convert(rng.choice(["RGB", "L", "P", "RGBA", "CMYK", "1", "LA", "I"])).save(
            file, name.replace("jp2", "jpeg2000"), **more
        )
    except Exception:  # a mode that the format cannot hold, or metadata that Pillow reads and does not write
        name, file = "png", io.BytesIO()
        picture.save(file, name)
    content = bytearray(file.getvalue())
    start, how = rng.randrange(len(content)), rng.randrange(5)
    if how == 0:
        del content[start:]
    elif how == 1:
        del content[start : start + rng.randrange(1, 50)]
    elif how < 4:
        for _ in range(rng.choice([1, 3, 30])):
            content[rng.randrange(len(content) if how == 2 else min(len(content), 60))] = rng.randrange(256)
    return bytes(content), name


def mutate_folder(root, rng):
    """Remove, rename, link, copy or nest an entry at random."""
    path = rng.choice(sorted(root.rglob("*")))
    folder = path if path.is_dir() else path.parent
    how = rng.randrange(8)
    if how == 0:
        shutil.rmtree(path) if path.is_dir() and not path.is_symlink() else path.unlink()
    elif how == 1:
        path.rename(
            path.with_name(rng.choice(["x", "ü", os.fsdecode(b"\xff"), "a\nb", "A", ".hidden", "val"]) + path.suffix)
        )
    elif how == 2:
        (folder / "link.png").symlink_to(rng.choice(["..", ".", "nowhere", "link.png", "/dev/null"]))
    elif how == 3:
        os.mkfifo(folder / "pipe.png")
    elif how == 4:
        shutil.rmtree(root / "test", ignore_errors=True)
        shutil.copytree(root / "train", root / "test", symlinks=True)
    elif how == 5:
        shutil.rmtree(root / "train", ignore_errors=True)
        (root / "train").write_text("no folder")
    elif how == 6:
        (folder / "new").mkdir()
    else:
        folder.joinpath("empty.png").touch()


@pytest.mark.slow
@pytest.mark.parametrize("seed", [0, *(pytest.param(seed, marks=pytest.mark.exhaustive) for seed in (1, 2, 3))])
@pytest.mark.filterwarnings("ignore:Image size:PIL.Image.DecompressionBombWarning")
def test_fifty_mutated_folders_are_read_or_refused(tmp_path, seed, caplog):
    caplog.set_level(logging.CRITICAL)
    rng, ended = random.Random(seed), {"read": 0, "refused": 0}
    for number in range(50):
        root = tmp_path / str(number)
        write_noise(root, rng)
        for _ in range(rng.choice([1, 1, 3])):
            if rng.random() < 0.6:
                content, suffix = mutated_picture(rng)
                (root / "train" / "a" / f"{rng.randrange(9)}.{suffix}").write_bytes(content)
            else:
                mutate_folder(root, rng)
                break
        try:
            source_fingerprint(dataset="imagefolder", root=root)
            dataset = load("imagefolder", root, per_class=rng.choice([None, 2]), image_size=rng.choice([None, 4, 8, 8]))
        except InputError as error:
            message = str(error)
            assert message.endswith(".") and "\n" not in message and len(message) < 700
            ended["refused"] += 1
        else:
            assert dataset.train.images.dtype is not None and np.isfinite(dataset.mean).all()
            ended["read"] += 1
    assert min(ended.values()) > 0
