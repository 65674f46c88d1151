"""Images that are in train and in test are counted, and a test set made of them is refused."""

import os
import shutil

import pytest

from tests.vicreg.data.image_files import write_folder
from tests.vicreg.data.loading import load
from vicreg.data.sources import FOLDER_NOTE
from vicreg.errors import InputError


@pytest.fixture
def root(tmp_path):
    return write_folder(tmp_path)


def copy(root, source, *targets):
    for target in targets:
        shutil.copyfile(root / source, root / target)


def test_other_images_in_each_split_say_nothing(root, caplog):
    assert load("imagefolder", root).note == FOLDER_NOTE and caplog.messages == []


def test_images_of_train_in_test_are_counted_and_noted_and_change_no_digest(root, caplog):
    copy(root, "train/cat/000.png", "test/cat/000.png", "test/cat/copy.png")
    counted = "2 of 5 test images are also training images, pixel for pixel"
    dataset = load("imagefolder", root)
    assert dataset.note == f"{FOLDER_NOTE}; {counted}"
    assert caplog.messages == [f"{counted}, so that accuracy on test is too high; remove them from train or test"]


@pytest.mark.parametrize("suffix", ["bmp", "tif", "webp"])
def test_the_same_pixels_in_another_format_are_the_same_image(root, suffix, caplog):
    from PIL import Image

    Image.open(root / "train/dog/001.png").save(root / f"test/dog/other.{suffix}", lossless=True)
    load("imagefolder", root)
    assert len(caplog.messages) == 1 and caplog.messages[0].startswith("1 of 5 test images are also training images")


def test_a_test_set_that_is_all_in_train_is_refused(root):
    shutil.rmtree(root / "test")
    shutil.copytree(root / "train", root / "test")
    (root / "test" / "dog" / "000.png").unlink()
    with pytest.raises(InputError) as raised:
        load("imagefolder", root)
    assert str(raised.value) == (
        f"test images must not be training images, but all 9 of {root}/test are also in {root}/train, pixel for pixel; put "
        "other images in one of them."
    )


@pytest.mark.parametrize("link", ["folder", "classes", "hard links"])
def test_a_test_folder_that_is_the_training_folder_is_refused_though_few_are_kept(root, link):
    shutil.rmtree(root / "test")
    if link == "folder":
        (root / "test").symlink_to("train")
    elif link == "classes":
        (root / "test").mkdir()
        for name in ("cat", "dog"):
            (root / "test" / name).symlink_to(root / "train" / name)
    else:
        shutil.copytree(root / "train", root / "test", copy_function=os.link)
    with pytest.raises(InputError, match=f"but every file of {root}/test is a file of {root}/train; put other images"):
        load("imagefolder", root, per_class=2)


def test_a_picture_in_two_classes_and_one_twice_in_train_are_counted(root, caplog):
    copy(root, "train/cat/000.png", "train/dog/x.png", "train/dog/y.png")
    load("imagefolder", root)
    assert caplog.messages == ["pictures in more than one class, pixel for pixel: 1; remove each from all classes but one"]
    caplog.clear()
    for number in range(1, 5):
        copy(root, "train/cat/000.png", f"train/cat/00{number}.png")
    load("imagefolder", root)
    assert "1 of 2 validation images are also in train, pixel for pixel; remove them from train" in caplog.messages
