"""Digest the raw files of a data set to detect changes."""

import hashlib
import os
from pathlib import Path

from vicreg.data.cifar_and_fashion_mnist import published_files
from vicreg.data.image_folder import class_images
from vicreg.data.sources import read_digits, require_known_dataset
from vicreg.errors import InputError
from vicreg.files import user_path


def source_fingerprint(*, dataset: str, root: Path) -> str | None:
    """Return `sha256:...` of the raw files that `load_dataset` reads: their sorted relative paths and contents.

    For `digits` it is of scikit-learn's arrays. None if `root` holds no complete copy.

    Raises:
        InputError: for an unknown data set, and for a file or folder that cannot be read.
    """
    require_known_dataset(dataset)
    root = user_path(root, of="data.root")
    if dataset == "digits":
        images, labels = read_digits()
        return f"sha256:{hashlib.sha256(images.tobytes() + labels.astype('<i8').tobytes()).hexdigest()}"
    if dataset == "imagefolder":
        files = [file for part in ("train", "test") for found in class_images(root / part).values() for file in found]
    else:
        files = [root / name for name in published_files(dataset)]
    if not files or not all(map(os.path.isfile, files)):
        return None
    listing = hashlib.sha256()
    for name, path in sorted((os.fsencode(path.relative_to(root).as_posix()), path) for path in files):
        try:
            with path.open("rb") as file:
                listing.update(name + b"\0" + hashlib.file_digest(file, "sha256").hexdigest().encode() + b"\n")
        except OSError as error:
            raise InputError(f"{path} cannot be read ({error.strerror}); make it readable or remove it.") from error
    return f"sha256:{listing.hexdigest()}"
