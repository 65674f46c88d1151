"""Images are turned upright, read in eight bits and three channels, and what is read in part is said."""

import struct
import zlib

import numpy as np
import pytest
from PIL import Image, ImageOps

from tests.vicreg.data.image_files import write_folder
from tests.vicreg.data.loading import load
from vicreg.data.image_files import fit, read_images
from vicreg.errors import InputError


def noise(height=6, width=4, channels=3, dtype=np.uint8):
    numbers = np.random.Generator(np.random.PCG64(0)).integers(
        0, np.iinfo(dtype).max, (height, width, channels), dtype=dtype
    )
    return numbers.squeeze()


def save(path, picture, orientation=None, **more):
    exif = Image.Exif()
    if orientation is not None:
        exif[0x0112] = orientation
        more["exif"] = exif.tobytes()
    picture.save(path, **more)
    return path


@pytest.mark.parametrize("suffix", ["png", "webp", "tif", "jpg"])
@pytest.mark.parametrize("orientation", range(1, 9))
def test_an_exif_orientation_is_applied(tmp_path, caplog, suffix, orientation):
    lossless = {"lossless": True} if suffix == "webp" else {}
    picture = Image.fromarray(noise())
    path = save(tmp_path / f"a.{suffix}", picture, orientation, **lossless)
    flat = read_images([save(tmp_path / f"flat.{suffix}", picture, **lossless)], image_size=None)[0]
    turned = Image.fromarray(np.ascontiguousarray(flat.transpose(1, 2, 0)))
    turned.getexif()[0x0112] = orientation
    expected = np.asarray(ImageOps.exif_transpose(turned)).transpose(2, 0, 1)
    found = read_images([path], image_size=None)[0]
    assert found.shape == expected.shape and np.array_equal(found, expected)
    assert (found.shape[1:] == (6, 4)) == (orientation <= 4)
    if suffix != "tif":  # which Pillow turns by itself
        said = [f"of 1 images: turned upright by their EXIF orientation (1, such as {path})"]
        assert caplog.messages == (said if orientation > 1 else [])


def test_a_turned_copy_of_an_image_is_the_same_data(tmp_path):
    write_folder(tmp_path / "a")
    write_folder(tmp_path / "b")
    path = tmp_path / "b" / "train" / "cat" / "000.png"
    save(path, Image.open(path).rotate(90), 6)
    assert load("imagefolder", tmp_path / "b").digest == load("imagefolder", tmp_path / "a").digest


@pytest.mark.parametrize(
    "exif", [b"Exif\0\0nonsense", b"Exif\0\0MM\0*\0\0\0\x08\xff\xff\x01\x12", b"Exif\0\0II*\0" + b"\xff" * 40]
)
def test_damaged_metadata_are_ignored(tmp_path, exif, caplog):
    picture = Image.fromarray(noise())
    picture.save(tmp_path / "damaged.jpg", exif=exif)
    picture.save(tmp_path / "plain.jpg")
    first, second = read_images([tmp_path / "damaged.jpg", tmp_path / "plain.jpg"], image_size=None)
    assert np.array_equal(first, second) and caplog.messages == []


def test_what_is_read_in_part_is_counted_in_one_sentence(tmp_path, caplog):
    frames = [Image.fromarray(noise(6, 4)), Image.new("RGB", (4, 6))]
    tif, png = tmp_path / "pages.tif", tmp_path / "clear.png"
    frames[0].save(tif, save_all=True, append_images=frames[1:])
    frames[0].save(tmp_path / "film.gif", save_all=True, append_images=frames[1:])
    Image.fromarray(noise(6, 4, 4)).save(png)
    images = read_images([tif, tmp_path / "film.gif", png], image_size=None)
    assert np.array_equal(images[0], noise(6, 4).transpose(2, 0, 1))
    assert np.array_equal(images[2], noise(6, 4, 4)[..., :3].transpose(2, 0, 1))
    assert caplog.messages == [
        f"of 3 images: with several pictures, of which the first is read (2, such as {tif}), transparent in places, where "
        f"the colours below are read (1, such as {png})"
    ]


def test_colours_of_sixteen_bits_are_read_by_their_upper_eight_and_said(tmp_path, caplog):
    numbers = noise(6, 4, dtype=np.uint16)
    rows = b"".join(b"\0" + row.astype(">u2").tobytes() for row in numbers)  # each begins with a filter, which is none
    header = struct.pack(">IIBBBBB", 4, 6, 16, 2, 0, 0, 0)  # 16 bits, RGB; Pillow writes no such file
    path = tmp_path / "deep.png"
    with path.open("wb") as file:
        file.write(b"\x89PNG\r\n\x1a\n")
        for name, content in ((b"IHDR", header), (b"IDAT", zlib.compress(rows)), (b"IEND", b"")):
            file.write(struct.pack(">I", len(content)) + name + content + struct.pack(">I", zlib.crc32(name + content)))
    assert np.array_equal(read_images([path], image_size=None)[0], (numbers >> 8).transpose(2, 0, 1))
    assert caplog.messages == [f"of 1 images: with 16 bits a channel, of which the upper 8 are read (1, such as {path})"]


@pytest.mark.parametrize("mode", ["1", "L", "LA", "P", "RGB", "RGBA", "CMYK", "YCbCr"])
def test_every_mode_of_eight_bits_becomes_one_or_three_channels_without_a_word(tmp_path, mode, caplog):
    suffix = "jpg" if mode in ("CMYK", "YCbCr") else "png"
    Image.fromarray(noise()).convert(mode).save(tmp_path / f"a.{suffix}")
    images = read_images([tmp_path / f"a.{suffix}"], image_size=None)
    assert images.shape == (1, 1 if mode == "L" else 3, 6, 4) and caplog.messages == []


def test_one_pixel_and_a_line_of_pixels_are_read(tmp_path):
    paths = [tmp_path / f"{n}.png" for n in range(3)]
    for path, size in zip(paths, [(1, 1), (1, 20_000), (20_000, 2)], strict=True):
        Image.new("RGB", size, (10, 20, 30)).save(path)
    assert (read_images(paths, image_size=9) == np.array([10, 20, 30])[:, None, None]).all()


@pytest.mark.parametrize("size", [2, 3, 9])
def test_a_long_image_gives_what_resizing_before_cropping_does(size):
    for numbers in (noise(4, 1001), noise(1001, 4)):
        image = Image.fromarray(numbers)
        width, height = (int(side * size / 4 + 0.5) for side in image.size)
        left, top = (width - size) // 2, (height - size) // 2
        whole = image.resize((width, height), Image.Resampling.BILINEAR).crop((left, top, left + size, top + size))
        difference = np.asarray(fit(image, size)).astype(int) - np.asarray(whole)
        assert abs(difference).max() <= 1


@pytest.mark.parametrize(
    ("content", "cause"),
    [
        (b"", "it is empty"),
        (
            b"version https://git-lfs.github.com/spec/v1\n",
            "it is a Git LFS pointer, which `git lfs pull` replaces by the file",
        ),
        (b"<html>404</html>", "it is a web page or other XML"),
        (b"no image", "cannot identify image file .*"),
    ],
)
def test_a_file_that_is_no_image_is_named_and_called_what_it_is(tmp_path, content, cause):
    path = write_folder(tmp_path) / "train" / "dog" / "zzz.png"
    path.write_bytes(content)
    with pytest.raises(InputError, match=rf"train/dog/zzz.png cannot be read as an image \({cause}\); replace it or remove"):
        load("imagefolder", tmp_path)


def test_an_image_that_would_fill_the_memory_is_refused(tmp_path, monkeypatch):
    monkeypatch.setattr(Image, "MAX_IMAGE_PIXELS", 10)
    Image.new("RGB", (6, 6)).save(tmp_path / "bomb.png")
    with pytest.raises(InputError, match=r"bomb.png cannot be read as an image \(Image size \(36 pixels\) exceeds limit"):
        read_images([tmp_path / "bomb.png"], image_size=None)
