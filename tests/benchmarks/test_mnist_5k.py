"""The folder of MNIST images that the design of the default study was measured on."""

import numpy as np
from PIL import Image

from benchmarks.mnist_5k import write_images
from vicreg.data.image_folder import find_images


def test_a_fifth_of_each_class_is_for_test_and_images_are_read_as_they_were(tmp_path):
    labels = np.repeat(np.arange(3), 10)
    images = (np.arange(30)[:, None, None] * np.ones((1, 28, 28))).astype(np.uint8)
    write_images(images, labels, tmp_path)
    found = find_images(tmp_path)
    assert (found.classes, found.train_size, len(found.paths)) == (("0", "1", "2"), 24, 30)
    assert np.bincount(found.labels[24:]).tolist() == [2, 2, 2]
    for path in found.paths:
        assert np.array_equal(np.asarray(Image.open(path)), images[int(path.stem)])
