"""Folders of images: which files are read, in what form, and what is refused."""

import os
from pathlib import Path

import numpy as np
import pytest
import torch
from PIL import Image

from tests.vicreg.data.image_files import write_folder
from tests.vicreg.data.loading import class_counts, load, splits
from vicreg.data.fingerprint import source_fingerprint
from vicreg.data.image_files import read_images
from vicreg.data.sources import FOLDER_NOTE
from vicreg.errors import InputError


def refusal(root: Path) -> str:
    with pytest.raises(InputError) as raised:
        load("imagefolder", root)
    assert "\n" not in str(raised.value)
    return str(raised.value)


def test_a_folder_is_read_in_sorted_order_with_its_class_names(tmp_path):
    dataset = load("imagefolder", write_folder(tmp_path, train=10, test=3), validation=0.2)
    assert dataset.classes == ("cat", "dog") and dataset.note == FOLDER_NOTE
    assert [class_counts(split, 2) for split in splits(dataset)] == [[8, 8], [2, 2], [3, 3]]
    assert dataset.test.images[:, 0, 1, 1].tolist() == [100, 101, 102, 100, 101, 102]
    for split in splits(dataset):
        assert split.images.shape[1:] == (3, 4, 4)
        assert split.images[:, 1, 1, 1].tolist() == (50 * split.labels).tolist()
    numbers = torch.cat([dataset.train.images, dataset.validation.images])[:, :2, 1, 1].tolist()
    assert sorted(map(tuple, numbers)) == [(n, c) for n in range(10) for c in (0, 50)]
    assert load("imagefolder", tmp_path, validation=0.2).digest == dataset.digest


def test_the_format_of_the_files_is_that_of_their_suffixes(tmp_path):
    assert load("imagefolder", write_folder(tmp_path)).files == "PNG"
    path = tmp_path / "train" / "cat" / "000.png"
    with Image.open(path) as image:
        image.save(path.with_suffix(".JPG"), format="JPEG")
    path.unlink()
    assert load("imagefolder", tmp_path).files == "JPEG and PNG"
    assert load("digits", tmp_path).files is None


def test_files_that_are_no_images_and_hidden_folders_are_skipped(tmp_path):
    before = load("imagefolder", write_folder(tmp_path)).digest
    fingerprint = source_fingerprint(dataset="imagefolder", root=tmp_path)
    for name in (".DS_Store", ".gitkeep", "._000.png", "Thumbs.db", "notes.txt"):
        (tmp_path / "train" / "cat" / name).write_text("no image")
    (tmp_path / "train" / ".cache").mkdir()
    (tmp_path / "train" / "cat" / "folder.png").mkdir()
    (tmp_path / "README").write_text("about")
    (tmp_path / "train" / "NOTE.txt").write_text("about")
    assert load("imagefolder", tmp_path).digest == before
    assert source_fingerprint(dataset="imagefolder", root=tmp_path) == fingerprint


def test_images_of_one_channel_keep_it_only_if_all_have_one(tmp_path):
    write_folder(tmp_path, mode="L")
    gray = load("imagefolder", tmp_path)
    assert gray.train.images.shape[1] == 1
    path = tmp_path / "test" / "dog" / "000.png"
    Image.open(path).convert("RGB").save(path)
    colour = load("imagefolder", tmp_path)
    assert torch.equal(colour.train.images, gray.train.images.expand(-1, 3, -1, -1))
    assert torch.equal(colour.test.images, gray.test.images.expand(-1, 3, -1, -1))


@pytest.mark.parametrize("suffix", ["bmp", "gif", "jpg", "JPEG", "png", "ppm", "tif", "webp"])
@pytest.mark.parametrize("mode", ["RGB", "P"])
def test_any_format_that_pillow_reads_is_read(tmp_path, suffix, mode):
    write_folder(tmp_path)
    path = tmp_path / "test" / "cat" / f"999.{suffix}"
    picture = Image.new("RGB", (4, 4), (200, 100, 0))
    (picture.convert("P") if mode == "P" and suffix in ("bmp", "gif", "png", "tif") else picture).save(path)
    pixels = load("imagefolder", tmp_path).test.images[2].double()
    np.testing.assert_allclose(pixels.mean((1, 2)), [200, 100, 0], atol=6)


def test_a_palette_with_transparency_is_read_without_a_warning(tmp_path):
    path = write_folder(tmp_path) / "test" / "cat" / "999.png"
    Image.new("RGB", (4, 4), (200, 100, 0)).convert("P").save(path, transparency=bytes(256))
    pixels = load("imagefolder", tmp_path).test.images[2].double()
    np.testing.assert_allclose(pixels.mean((1, 2)), [200, 100, 0], atol=6)


def test_images_with_more_than_eight_bits_are_refused(tmp_path):
    path = write_folder(tmp_path) / "train" / "cat" / "000.png"
    Image.fromarray(np.full((4, 4), 40_000, dtype=np.uint16)).save(path)
    with pytest.raises(InputError, match="8 bits a channel, but .*train/cat/000.png has mode I;16"):
        load("imagefolder", tmp_path)


@pytest.mark.parametrize("kept", [0.0, 0.3, 0.8])
@pytest.mark.parametrize("suffix", ["png", "jpg", "bmp"])
def test_a_truncated_image_is_named(tmp_path, suffix, kept):
    path = write_folder(tmp_path, side=32) / "train" / "dog" / f"zzz.{suffix}"
    noise = np.random.Generator(np.random.PCG64(0)).integers(0, 256, (32, 32, 3), dtype=np.uint8)
    Image.fromarray(noise).save(path)
    load("imagefolder", tmp_path)
    path.write_bytes(path.read_bytes()[: int(kept * path.stat().st_size)])
    with pytest.raises(InputError, match=rf"train/dog/zzz.{suffix} cannot be read as an image .*; replace it"):
        load("imagefolder", tmp_path)


def test_mixed_sizes_need_an_image_size(tmp_path):
    path = write_folder(tmp_path, side=8) / "test" / "dog" / "000.png"
    Image.open(path).resize((12, 6)).save(path)
    with pytest.raises(InputError, match=r"is 8 x 8 and .*test/dog/000.png is 12 x 6 pixels; set prepare.image_size"):
        load("imagefolder", tmp_path)
    assert load("imagefolder", tmp_path, image_size=5).test.images.shape == (4, 3, 5, 5)


def test_resizing_brings_the_shorter_side_to_size_and_crops_the_centre(tmp_path):
    stripes = np.zeros((8, 16, 3), dtype=np.uint8)
    stripes[:, 4:12] = 200  # just the centre square
    path = write_folder(tmp_path, side=8) / "test" / "dog" / "000.png"
    for picture in (stripes, np.ascontiguousarray(stripes.transpose(1, 0, 2))):
        Image.fromarray(picture).save(path)
        assert (load("imagefolder", tmp_path, image_size=8).test.images[2] == 200).all()


def test_shrinking_is_antialiased(tmp_path):
    board = (np.indices((32, 32)).sum(0) % 2 * 255).astype(np.uint8)
    Image.fromarray(board).save(tmp_path / "board.png")
    shrunk = read_images([tmp_path / "board.png"], image_size=8)[0, 0]
    assert (abs(shrunk[1:-1, 1:-1].astype(int) - 127) <= 2).all()  # sampling without a filter would keep 0 and 255


def test_only_images_that_are_kept_are_decoded(tmp_path, monkeypatch):
    write_folder(tmp_path, train=30, test=10)
    read = []
    original = Image.open
    monkeypatch.setattr(Image, "open", lambda path: read.append(path) or original(path))
    load("imagefolder", tmp_path, per_class=5)
    assert len(read) == len(set(read)) == 2 * (5 + 1)


def test_classes_must_agree_between_train_and_test(tmp_path):
    write_folder(tmp_path)
    (tmp_path / "test" / "emu").mkdir()
    with pytest.raises(InputError, match=r"'emu' is in .*test and not in .*train; add it there or remove it"):
        load("imagefolder", tmp_path)


def test_a_class_without_images_is_named(tmp_path):
    for path in write_folder(tmp_path).glob("test/dog/*"):
        path.unlink()
    with pytest.raises(InputError, match="test/dog has none"):
        load("imagefolder", tmp_path)


def test_a_class_name_that_is_no_text_is_refused(tmp_path):
    write_folder(tmp_path)
    for part in ("train", "test"):
        (tmp_path / part / "cat").rename(tmp_path / part / os.fsdecode(b"caf\xe9"))
    with pytest.raises(InputError, match=r"must be UTF-8, but one is 'caf\\udce9'; rename it"):
        load("imagefolder", tmp_path)


def test_a_class_with_one_training_image_cannot_be_split(tmp_path):
    with pytest.raises(InputError, match="at least 2 images .* but class 'cat' has 1; add images"):
        load("imagefolder", write_folder(tmp_path, train=1))


@pytest.mark.parametrize("validation", [0.01, 0.99])
def test_two_images_a_class_are_enough(tmp_path, validation):
    dataset = load("imagefolder", write_folder(tmp_path, train=2), validation=validation)
    assert class_counts(dataset.train, 2) == class_counts(dataset.validation, 2) == [1, 1]


def test_a_folder_without_train_or_test_is_reported(tmp_path):
    here = "point data.root at the folder that holds train and test."
    missing = tmp_path / "missing"
    assert refusal(missing) == f"an imagefolder must hold train/<class>/<image>, but {missing} does not exist; {here}"
    missing.mkdir()
    assert refusal(missing) == f"an imagefolder must hold train/<class>/<image>, but {missing}/train does not exist; {here}"
    (missing / "train").mkdir()
    assert "missing/train has no class folder; put the images of each class in a folder named after it." in refusal(missing)
    Image.new("RGB", (4, 4)).save(missing / "train" / "000.png")
    assert "missing/train has no class folder but 1 images; put the images of each class in a folder" in refusal(missing)


@pytest.mark.parametrize("name", ["val", "valid", "Test", "validation"])
def test_another_name_for_the_test_folder_is_recognised(tmp_path, name):
    (write_folder(tmp_path) / "test").rename(tmp_path / name)
    assert f"but {tmp_path}/test does not exist; rename {tmp_path / name} to test, or link it." in refusal(tmp_path)
    (tmp_path / "test").symlink_to(tmp_path / name)
    assert len(load("imagefolder", tmp_path).test.labels) == 4


def test_the_top_folder_of_an_unpacked_archive_is_found(tmp_path):
    write_folder(tmp_path / "images-1.0")
    (tmp_path / "__MACOSX").mkdir()
    assert f"but {tmp_path}/train does not exist; point data.root at {tmp_path}/images-1.0, which" in refusal(tmp_path)


def test_an_archive_or_a_file_in_place_of_a_folder_is_called_a_file(tmp_path):
    (tmp_path / "images.zip").write_bytes(b"PK")
    assert f"but {tmp_path}/images.zip is a file; unpack it, or point data.root at" in refusal(tmp_path / "images.zip")
    (tmp_path / "train").write_text("no folder")
    assert f"but {tmp_path}/train is a file; unpack it" in refusal(tmp_path)


def test_a_tilde_is_the_home_folder_for_reading_and_for_the_fingerprint(tmp_path, monkeypatch):
    monkeypatch.setenv("HOME", str(write_folder(tmp_path / "home" / "images").parent))
    root = Path("~/images")
    assert load("imagefolder", root).digest == load("imagefolder", tmp_path / "home" / "images").digest
    assert source_fingerprint(dataset="imagefolder", root=root) is not None
    assert "data.root must begin with a folder of this machine, but got '~nobody-of-this-name/x'; write" in refusal(
        Path("~nobody-of-this-name/x")
    )


def test_images_that_never_vary_are_refused(tmp_path):
    for path in write_folder(tmp_path).glob("train/*/*"):
        Image.new("RGB", (4, 4), (9, 9, 9)).save(path)
    with pytest.raises(InputError, match="must vary in every channel, but in channel 0"):
        load("imagefolder", tmp_path)
