"""What lies beside the images is left out and counted, once, with an example of each kind."""

import os

import pytest
from PIL import Image

from tests.vicreg.data.image_files import write_folder
from tests.vicreg.data.loading import load
from vicreg.data.fingerprint import source_fingerprint
from vicreg.data.image_folder import find_images
from vicreg.errors import InputError


@pytest.fixture
def root(tmp_path):
    return write_folder(tmp_path)


def test_each_kind_is_counted_in_one_sentence(root, caplog):
    before = load("imagefolder", root).digest, source_fingerprint(dataset="imagefolder", root=root)
    assert caplog.messages == []
    cat = root / "train" / "cat"
    (cat / "more" / "deep").mkdir(parents=True)
    for path in (cat / "more" / "1.png", cat / "more" / "deep" / "2.PNG", cat / "more" / "notes.txt"):
        path.write_bytes((cat / "000.png").read_bytes())
    (root / "test" / "dog" / "gone.png").symlink_to(root / "nowhere.png")
    (root / "test" / "dog" / "itself.png").symlink_to(root / "test" / "dog" / "itself.png")
    for name in ("boxes.xml", "000", "000.npy"):
        (cat / name).write_text("no image")
    (root / "train" / "loose.jpg").write_text("no image")
    assert (load("imagefolder", root).digest, source_fingerprint(dataset="imagefolder", root=root)) == before
    assert caplog.messages == [
        f"left out under {root}: images in folders below class folders (2, such as {cat}/more/1.png), links or others that "
        f"lead to no file (2, such as {root}/test/dog/gone.png), files whose suffix is of no image (3, such as {cat}/000), "
        f"images beside class folders (1, such as {root}/train/loose.jpg)"
    ]


@pytest.mark.parametrize("name", [".DS_Store", "Thumbs.db", "desktop.ini", "Icon\r", "._000.png"])
def test_what_systems_leave_behind_is_passed_over_without_a_word(root, name):
    before = find_images(root)
    for folder in (root, root / "train", root / "train" / "cat"):
        (folder / name).write_text("no image")
        (folder / "__MACOSX").mkdir()
    after = find_images(root)
    assert (after.paths, after.classes, after.remarks) == (before.paths, before.classes, ())


def test_linked_class_folders_are_read_and_a_link_to_a_folder_above_is_no_endless_way(root, tmp_path_factory):
    elsewhere = tmp_path_factory.mktemp("elsewhere") / "cats"
    before = load("imagefolder", root).digest
    (root / "train" / "cat").rename(elsewhere)
    (root / "train" / "cat").symlink_to(elsewhere)
    (elsewhere / "up").symlink_to(root)
    assert load("imagefolder", root).digest == before


def test_a_class_whose_images_lie_one_folder_deeper_is_told_so(root):
    cat = root / "train" / "cat"
    (cat / "images").mkdir()
    for path in sorted(cat.glob("*.png")):
        path.rename(cat / "images" / path.name)
    with pytest.raises(InputError, match="cat has none itself, and 5 in folders below it, such as .*images/000.png; move"):
        find_images(root)


def test_class_names_that_differ_only_by_case_or_form_are_named(root):
    for part in ("train", "test"):
        (root / part / "dog").rename(root / part / "Cat")
    assert find_images(root).remarks == (
        "class folders 'Cat' and 'cat' differ only by case or Unicode form, and are two classes",
    )
    (root / "train" / "cat").rename(root / "train" / "caf\u00e9")
    (root / "test" / "cat").rename(root / "test" / "cafe\u0301")
    with pytest.raises(InputError, match=r"where 'caf\\xe9' differs from '.*' only by case or Unicode form; rename one"):
        find_images(root)


def test_a_folder_that_cannot_be_listed_is_named(root, monkeypatch):
    original = os.listdir

    def denied(folder):
        if str(folder).endswith("dog"):
            raise PermissionError(13, "Permission denied")
        return original(folder)

    monkeypatch.setattr(os, "listdir", denied)
    for read in (lambda: load("imagefolder", root), lambda: source_fingerprint(dataset="imagefolder", root=root)):
        with pytest.raises(InputError, match=r"train/dog cannot be listed \(Permission denied\); make it a readable folder"):
            read()


@pytest.mark.skipif(os.geteuid() == 0, reason="root may read everything")
def test_a_file_that_may_not_be_read_is_named(root):
    path = root / "train" / "cat" / "000.png"
    path.chmod(0)
    for read in (lambda: load("imagefolder", root), lambda: source_fingerprint(dataset="imagefolder", root=root)):
        with pytest.raises(InputError, match="000.png cannot be read"):
            read()


def test_many_classes_of_two_images_are_read(tmp_path):
    for number in range(200):
        for part, names in (("train", ("a", "b")), ("test", ("c",))):
            folder = tmp_path / part / f"{number:03}"
            folder.mkdir(parents=True)
            for index, name in enumerate(names):
                picture = Image.new("RGB", (2, 2), (number, index, len(part)))
                picture.putpixel((0, 0), (255, 255, 255))
                picture.save(folder / f"{name}.bmp")
    dataset = load("imagefolder", tmp_path, validation=0.5)
    assert len(dataset.classes) == 200 and len(dataset.train.labels) == len(dataset.validation.labels) == 200
