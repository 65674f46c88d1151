"""The benchmark of JPEG coding: its codec, how images are paired, its intervals, and all of it on a few images."""

import json
import math

import numpy as np
import pytest
import torch
from PIL import Image

from benchmarks.jpeg import __main__ as command
from benchmarks.jpeg import parts
from benchmarks.jpeg.__main__ import main
from benchmarks.jpeg.coding import code_at, code_images, nearest_quality, psnr
from benchmarks.jpeg.differences import difference, summary
from benchmarks.jpeg.images import CopiedImages, all_images, find_files_of, fold_of, read_copy, read_lossless, with_images
from benchmarks.jpeg.networks import Run, movement, train
from benchmarks.jpeg.tables import statement
from study.config.config import UNTRAINED
from vicreg.errors import InputError
from vicreg.training.checkpoint import save_weights


def smooth_images(count: int, *, channels: int = 3, side: int = 32, seed: int = 0) -> torch.Tensor:
    """Return images whose neighbouring pixels are alike, as those of photographs are, with some grey noise."""
    generator = torch.Generator().manual_seed(seed)
    coarse = torch.rand(count, channels, 3, 3, generator=generator)
    fine = torch.nn.functional.interpolate(coarse, size=(side, side), mode="bilinear", align_corners=False)
    noise = 0.05 * torch.randn(count, 1, side, side, generator=generator)
    return (255 * (fine + noise).clamp(0, 1)).to(torch.uint8)


def test_an_error_of_one_level_everywhere_is_48_decibels():
    images = torch.full((2, 3, 4, 4), 100, dtype=torch.uint8)
    assert psnr(images, images + 1).tolist() == pytest.approx([20 * math.log10(255)] * 2)
    assert psnr(images, images).tolist() == [math.inf] * 2


@pytest.mark.parametrize(("target", "quality"), [(25.0, 50), (25.04, 50), (25.06, 51), (20.1, 1), (30.0, 100)])
def test_the_quality_found_is_the_nearest(target, quality):
    assert nearest_quality(lambda q: 20 + 0.1 * q, target=target) == quality


def test_a_psnr_that_no_quality_gives_is_refused():
    with pytest.raises(InputError, match="between 20.1 and 30.0 dB, .* but got 31"):
        nearest_quality(lambda q: 20 + 0.1 * q, target=31)


def test_images_are_coded_at_the_wanted_psnr_with_either_grid():
    images = smooth_images(40)
    for shift in (0, 4):
        coded = code_at(images, target=30.5, shift=shift)
        assert float(coded.psnr.mean()) == pytest.approx(30.5, abs=0.3)
        assert torch.equal(coded.psnr, psnr(images, coded.images)) and coded.images.shape == images.shape


def test_a_shift_by_a_whole_block_is_no_shift():
    images = smooth_images(5, channels=1)
    assert torch.equal(code_images(images, quality=60, shift=8), code_images(images, quality=60))
    assert not torch.equal(code_images(images, quality=60, shift=4), code_images(images, quality=60))


def test_a_second_coding_at_the_same_places_changes_little_and_a_shifted_one_as_much_as_the_first():
    images = smooth_images(40, channels=1)
    first = code_images(images, quality=60)
    at_same_places, shifted = (psnr(first, code_images(first, quality=60, shift=shift)) for shift in (0, 4))
    of_first = psnr(images, first).mean()
    assert at_same_places.mean() > of_first + 15 and shifted.mean() < of_first + 4


def test_pixels_of_one_value_survive_any_coding():
    images = torch.full((1, 1, 8, 8), 128, dtype=torch.uint8)
    assert torch.equal(code_images(images, quality=10, shift=4), images)


def run_of(**cells: list[int]) -> Run:
    """Return a run of one probe from which test images are answered right, by cell spelled with `_` for `/`."""
    correct = {cell.replace("_", "/"): torch.tensor(right, dtype=torch.bool) for cell, right in cells.items()}
    return Run(correct={"knn": correct}, movements={"plain": {"cosine": 1.0}})


def test_half_widths_of_seeds_and_of_images_are_added_in_squares():
    plain = [1, 1, 1, 1, 0, 0, 1, 1]
    runs = [run_of(plain_plain=plain, coded_coded=[*plain[: 8 - n], *[0] * n]) for n in (1, 2, 0)]
    found = difference(runs, "knn", "coded/coded", "plain/plain")
    assert found["mean"] == pytest.approx(-1 / 8)
    assert found["seeds"] == pytest.approx(4.3026527 * 0.125 / math.sqrt(3))  # differences -1/8, -2/8, 0
    by_image = np.array([0] * 6 + [-1 / 3, -2 / 3])
    assert found["images"] == pytest.approx(1.959964 * by_image.std(ddof=1) / math.sqrt(8))
    assert found["high"] - found["mean"] == pytest.approx(math.hypot(found["seeds"], found["images"]))
    assert found["answers_changed"] == pytest.approx(3 / 24)


def test_runs_of_different_folds_have_different_images():
    runs = [run_of(plain_plain=[1, 1], plain_coded=[right, 1]) for right in (0, 1, 1, 1)]
    found = summary(runs, folds=2)
    assert (found["n"], found["test_images"]) == (4, 4)
    by_image = np.array([-1 / 2, 0, 0, 0])  # image 0 was answered wrongly in one of the two rounds
    one = found["differences"]["knn"]["test alone"]
    assert one["images"] == pytest.approx(1.959964 * by_image.std(ddof=1) / 2)
    assert set(found["differences"]["knn"]) == {"test alone"}, "contrasts without their cells are left out"
    with pytest.raises(InputError, match="multiple of the 3 folds"):
        summary(runs, folds=3)


def test_seeds_that_agree_exactly_give_no_interval():
    runs = [run_of(plain_plain=[1, 1], coded_coded=[1, 0])] * 3
    found = difference(runs, "knn", "coded/coded", "plain/plain")
    assert (found["mean"], found["low"], found["high"]) == (-0.5, None, None)


def test_features_that_are_turned_by_half_are_as_far_as_can_be():
    features = torch.randn(50, 4, generator=torch.Generator().manual_seed(0))
    centre = features.mean(dim=0)
    assert movement(features, features) == pytest.approx({"cosine": 1, "distance": 0, "cka": 1})
    assert movement(features, 2 * centre - features) == pytest.approx({"cosine": -1, "distance": 2, "cka": 1}, abs=1e-5)


def test_lossless_images_find_their_files_in_any_order():
    images = smooth_images(6)
    order = torch.tensor([3, 0, 5, 1])
    copied = CopiedImages(code_images(images, quality=60), torch.arange(6))
    found = find_files_of(images[order], copied)
    assert torch.equal(found.labels, order) and torch.equal(found.images, copied.images[order])
    with pytest.raises(InputError, match="1 share one"):
        find_files_of(images[[0, 0]], copied)
    with pytest.raises(InputError, match="at 20 dB or more"):
        find_files_of(smooth_images(2, seed=1), copied)


def test_each_image_is_tested_in_one_fold_and_trained_on_in_no_other_split_of_it():
    images = CopiedImages(torch.arange(40, dtype=torch.uint8).reshape(40, 1, 1, 1).expand(40, 1, 2, 2), torch.arange(40) % 2)
    folds = [fold_of(images, fold=fold, folds=4, classes=("a", "b")) for fold in range(4)]
    tested = torch.cat([one.test.images[:, 0, 0, 0] for one in folds])
    assert sorted(tested.tolist()) == list(range(40))
    for one in folds:
        assert (len(one.train.labels), len(one.validation.labels), len(one.test.labels)) == (27, 3, 10)
        assert sorted(all_images(one)[:, 0, 0, 0].tolist()) == list(range(40))


def test_replaced_pixels_keep_their_labels_and_bring_their_statistics():
    images = CopiedImages(smooth_images(20), torch.arange(20) % 2)
    plain = fold_of(images, fold=0, folds=4, classes=("a", "b"))
    dark = with_images(plain, all_images(plain) // 2)
    assert torch.equal(dark.test.images, plain.test.images // 2) and torch.equal(dark.test.labels, plain.test.labels)
    assert dark.mean[0] == pytest.approx(plain.mean[0] / 2, rel=0.01)


@pytest.fixture
def folders(tmp_path):
    """Return a copy of two classes, 26 training images and 2 test images each, and lossless files of 12 of each."""
    images = smooth_images(56)
    labels = torch.arange(56) % 2
    for label in (0, 1):
        for number, image in enumerate(images[labels == label]):
            part = "train" if number < 26 else "test"
            path = tmp_path / "copy" / part / f"class-{label}" / f"{number:04}.jpg"
            path.parent.mkdir(parents=True, exist_ok=True)
            Image.fromarray(image.permute(1, 2, 0).numpy()).save(path, quality=75)
    lossless = tmp_path / "lossless"
    lossless.mkdir()
    for file in (0, 1):
        rows = images[12 * file : 12 * file + 12].permute(0, 2, 3, 1).reshape(12, 1024, 3).numpy()
        Image.fromarray(rows).save(lossless / f"batch_{file}.png")
    return tmp_path / "copy", lossless


def test_a_copy_is_cut_into_parts_without_common_images(folders):
    copied = read_copy(folders[0], first=12, later=14)
    assert [len(one.labels) for one in (copied.first, copied.later, copied.test)] == [24, 28, 4]
    assert read_lossless(folders[1]).shape == (24, 3, 32, 32)
    everything = torch.cat([one.images for one in (copied.first, copied.later, copied.test)]).flatten(1)
    assert len(everything.unique(dim=0)) == 56
    with pytest.raises(InputError, match="at least 27 training images, but one has 26"):
        read_copy(folders[0], first=12, later=15)


def test_a_network_trained_elsewhere_is_measured_on_coded_test_images(folders, tmp_path, monkeypatch, capsys):
    monkeypatch.setattr(parts, "FIRST", 12)
    copied, pair = parts.read_images_of(*folders, later=14)
    dataset = parts.whole_of(copied.later, copied.test, classes=copied.classes)
    small = parts.load_config(profile="cifar10-cpu", settings={**UNTRAINED, "pretrain.width": 4}, own=False)
    trained = train(small, dataset, seed=3)
    weights = tmp_path / "model.safetensors"
    save_weights(weights, trained.model)
    found = parts.measure_encoder(str(weights), copied, pair)
    assert found["encoder"].items() >= {"backbone": "resnet18", "stem": "imagenet", "width": 4}.items()
    right = trained.predictions(trained.features(dataset.test.images))["linear_cached"] == dataset.test.labels
    assert found["again"]["accuracy"]["linear_cached"]["plain/plain"] == right.double().mean().item()
    assert found["held_out"]["test_images"] == 24 and found["held_out"]["movement"]["coded"]["distance"] > 0
    out = tmp_path / "jpeg.json"
    monkeypatch.setattr(command, "LATER_OF_ENCODERS", 14)
    assert main(["--encoder", str(weights), "--copy", str(folders[0]), "--out", str(out)]) == 0
    results = json.loads(out.read_text())
    assert results["parts"]["encoder 1"]["again"] == found["again"] and results["statement"] == {}
    (moved,) = found["held_out"]["differences"]["linear_cached"].values()
    told = statement({"encoder 1": found})["networks"]
    assert told["differences"] == [moved["mean"]]
    assert told["again"] == [found["again"]["differences"]["linear_cached"]["test alone"]["mean"]]
    assert "of images alone" in capsys.readouterr().out


@pytest.mark.slow
@pytest.mark.exhaustive
def test_the_command_measures_every_part(folders, tmp_path, monkeypatch, capsys):
    copy, lossless = folders
    small = {"pretrain.width": 4, "pretrain.expander": [8], "pretrain.epochs": 1, "pretrain.warmup_epochs": 0}
    load_config = parts.load_config

    def load_small(*, profile, settings, own):
        few = {"pretrain.batch_size": 4} if profile == "cifar10-cpu" else {"prepare.per_class": 12}
        return load_config(profile=profile, settings={**(settings or {}), **small, **few}, own=own)

    monkeypatch.setattr(parts, "load_config", load_small)
    wide = {**parts.WIDE, "pretrain.width": 4}
    for name, value in {"FIRST": 12, "FOLDS": 2, "WIDE": wide, "WIDE_RUNS": 2}.items():
        monkeypatch.setattr(parts, name, value)
    for name, value in {"FOLDS": 2, "LATER": 14}.items():
        monkeypatch.setattr(command, name, value)
    out = tmp_path / "jpeg.json"
    assert main(["--copy", str(copy), "--lossless", str(lossless), "--seeds", "2", "--out", str(out)]) == 0
    results = json.loads(out.read_text())
    assert set(results["statement"]) == set(results["parts"]) == {"digits", "cifar10", "copy"}
    for one in results["statement"].values():
        assert (one["probe"], one["coded"]) == ("linear_cached", "train and test") and -1 <= one["mean"] <= 1
        assert one["test_alone"].keys() == {"mean", "low", "high"}
    assert results["statement"]["digits"]["psnr"] == pytest.approx(30.5, abs=0.3)
    assert results["parts"]["copy"]["held_out"]["test_images"] == 24
    assert "| copy, held_out" in capsys.readouterr().out


@pytest.mark.parametrize(
    ("given", "said"),
    [
        (["--seeds", "6"], "multiple of 4"),
        (["--lossless", "x"], "needs --copy"),
        (["--encoder", "x"], "needs --copy"),
        (["--encoder", "x", "--copy", "y", "--seeds", "4"], "no effect"),
    ],
)
def test_options_that_do_not_fit_are_refused(given, said):
    with pytest.raises(InputError, match=said):
        main(given)
