"""Data sets read by name: the digits, and arrays resized as images in files are."""

import numpy as np
import torch
from PIL import Image
from sklearn.datasets import load_digits

from tests.vicreg.data.loading import load, splits
from vicreg.data.image_files import read_images


def test_digits_are_scikit_learns_images_stretched_to_eight_bits():
    dataset = load("digits")
    source = load_digits()
    stretched = np.rint(source.images * 255 / 16).astype(np.uint8)
    expected = {(image.tobytes(), int(label)) for image, label in zip(stretched, source.target, strict=True)}
    found = [
        (image.numpy().tobytes(), int(label))
        for split in splits(dataset)
        for image, label in zip(split.images, split.labels, strict=True)
    ]
    assert len(found) == 1797 and set(found) == expected
    assert dataset.train.images.shape[1:] == (1, 8, 8) and dataset.train.images.max() == 255
    assert dataset.classes == tuple("0123456789") and dataset.note is None


def test_arrays_are_resized_as_the_same_images_in_files_are(tmp_path):
    resized = load("digits", image_size=5, validation=0.5)
    for number, image in enumerate(load("digits", validation=0.5).train.images[:20, 0]):
        Image.fromarray(image.numpy()).save(tmp_path / f"{number:02}.png")
    from_files = read_images(sorted(tmp_path.iterdir()), image_size=5)
    assert torch.equal(resized.train.images[:20], torch.from_numpy(from_files))
