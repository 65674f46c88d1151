"""The prepared data: made once from the same settings and bytes, made anew from others, refused where damaged."""

import json
import shutil
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from study.config.places import PREPARED
from study.prepare import main
from study.runs import prepared_data
from study.runs.code_digest import CodeDigest
from study.runs.prepared_data import obtain_dataset
from vicreg.data.cache import read_dataset
from vicreg.errors import InputError

STORE = Path("store")


@pytest.fixture(autouse=True)
def folder(tmp_path, monkeypatch):
    """Each test runs in a folder of its own, where `data/prepared` and `store` are."""
    monkeypatch.chdir(tmp_path)
    shutil.copyfile(Path(__file__).parents[3] / "params.yaml", "params.yaml")
    return tmp_path


@pytest.fixture
def config(tiny_config):
    return tiny_config({"prepare.dataset": "digits", "prepare.per_class": 10})


@pytest.fixture
def counted(monkeypatch):
    """How often data were read from their source."""
    calls = []
    load = prepared_data.load_dataset
    monkeypatch.setattr(prepared_data, "load_dataset", lambda **named: calls.append(named) or load(**named))
    return calls


def write_images(root, *, seed):
    rng = np.random.default_rng(seed)
    for part in ("train", "test"):
        for name in ("cat", "dog"):
            (root / part / name).mkdir(parents=True, exist_ok=True)
            for index in range(4):
                pixels = rng.integers(0, 256, (8, 8, 3), dtype=np.uint8)
                Image.fromarray(pixels).save(root / part / name / f"{index}.png")


def test_the_stages_data_serve_whoever_asks_for_the_same(config, counted):
    made = prepared_data.prepare(config, PREPARED)
    found, where = obtain_dataset(config, store=STORE)
    assert where == PREPARED and found.digest == made.digest and len(counted) == 1


def test_other_settings_are_prepared_under_the_store_and_once(config, counted):
    prepared_data.prepare(config, PREPARED)
    other = config.with_settings({"prepare.split_seed": 1})
    first, where = obtain_dataset(other, store=STORE)
    assert where.parent == STORE / "datasets"
    second, again = obtain_dataset(other, store=STORE)
    assert (again, second.digest) == (where, first.digest) and len(counted) == 2
    assert obtain_dataset(config, store=STORE)[1] == PREPARED
    assert first.digest != obtain_dataset(config, store=STORE)[0].digest


@pytest.mark.parametrize("key", ["pretrain.nu", "evaluate.batch_size", "project.seed"])
def test_settings_of_other_sections_need_no_other_data(config, counted, key):
    prepared_data.prepare(config, PREPARED)
    assert obtain_dataset(config.with_settings({key: 7}), store=STORE)[1] == PREPARED and len(counted) == 1


def test_changed_raw_data_are_prepared_anew(config, folder, counted):
    write_images(folder / "raw", seed=0)
    config = config.with_settings({"prepare.dataset": "imagefolder", "prepare.per_class": None, "data.root": "raw"})
    made = prepared_data.prepare(config, PREPARED)
    assert obtain_dataset(config, store=STORE)[1] == PREPARED
    write_images(folder / "raw", seed=1)
    changed, where = obtain_dataset(config, store=STORE)
    assert where != PREPARED and changed.digest != made.digest


def test_a_root_below_the_home_folder_and_its_full_path_are_one_place(config, folder, counted, monkeypatch):
    monkeypatch.setenv("HOME", str(folder))
    write_images(folder / "raw", seed=0)
    settings = {"prepare.dataset": "imagefolder", "prepare.per_class": None, "data.root": "~/raw"}
    made = prepared_data.prepare(config.with_settings(settings), PREPARED)
    found, where = obtain_dataset(config.with_settings({**settings, "data.root": str(folder / "raw")}), store=STORE)
    assert where == PREPARED and found.digest == made.digest and len(counted) == 1


def test_what_was_left_out_is_said_when_data_are_prepared_and_not_again(config, folder, caplog):
    write_images(folder / "raw", seed=0)
    (folder / "raw" / "train" / "cat" / "notes.txt").write_text("no image")
    shutil.copyfile(folder / "raw" / "train" / "cat" / "0.png", folder / "raw" / "test" / "cat" / "0.png")
    config = config.with_settings({"prepare.dataset": "imagefolder", "prepare.per_class": None, "data.root": "raw"})
    prepared_data.prepare(config, PREPARED)
    assert [message.split(":")[0].split(",")[0] for message in caplog.messages] == [
        "left out under raw", "1 of 8 test images are also training images",
    ]  # fmt: skip
    caplog.clear()
    found, _ = obtain_dataset(config, store=STORE)
    assert caplog.messages == [] and "1 of 8 test images are also training images" in found.note


def test_without_the_raw_data_what_was_prepared_from_them_serves_on(config, folder):
    write_images(folder / "raw", seed=0)
    config = config.with_settings({"prepare.dataset": "imagefolder", "prepare.per_class": None, "data.root": "raw"})
    made = prepared_data.prepare(config, PREPARED)
    shutil.rmtree(folder / "raw")
    found, where = obtain_dataset(config, store=STORE)
    assert where == PREPARED and found.digest == made.digest


def test_where_the_raw_data_lie_is_no_part_of_the_data(config, folder):
    for name in ("raw", "elsewhere"):
        write_images(folder / name, seed=0)
    settings = {"prepare.dataset": "imagefolder", "prepare.per_class": None, "data.root": "raw"}
    made = prepared_data.prepare(config.with_settings(settings), PREPARED)
    assert obtain_dataset(config.with_settings({**settings, "data.root": "elsewhere"}), store=STORE)[0].digest == made.digest


def test_data_of_one_place_do_not_serve_for_another_where_there_are_none(config, folder):
    write_images(folder / "raw", seed=0)
    settings = {"prepare.dataset": "imagefolder", "prepare.per_class": None, "data.root": "raw"}
    prepared_data.prepare(config.with_settings(settings), PREPARED)
    with pytest.raises(InputError, match="elsewhere"):
        obtain_dataset(config.with_settings({**settings, "data.root": "elsewhere"}), store=STORE)


def test_data_read_by_other_code_are_prepared_anew(config, monkeypatch):
    prepared_data.prepare(config, PREPARED)
    monkeypatch.setattr(prepared_data, "reading_code", lambda: CodeDigest(root="edited", definitions={}))
    assert obtain_dataset(config, store=STORE)[1] != PREPARED


def test_a_preparation_that_was_cut_short_leaves_no_data_under_a_false_name(config, monkeypatch):
    prepared_data.prepare(config, PREPARED)
    other, save = config.with_settings({"prepare.split_seed": 1}), prepared_data.save_dataset

    def save_and_stop(dataset, folder):
        save(dataset, folder)
        raise KeyboardInterrupt

    with monkeypatch.context() as patch:
        patch.setattr(prepared_data, "save_dataset", save_and_stop)
        with pytest.raises(KeyboardInterrupt):
            prepared_data.prepare(other, PREPARED)
    found, where = obtain_dataset(config, store=STORE)
    assert where != PREPARED and found.digest != read_dataset(PREPARED).digest


def test_preparing_twice_writes_the_same_bytes(config):
    def contents():
        return {path.name: path.read_bytes() for path in PREPARED.iterdir()}

    prepared_data.prepare(config, PREPARED)
    before = contents()
    shutil.rmtree(PREPARED)
    prepared_data.prepare(config, PREPARED)
    assert contents() == before and len(before) == 3


DAMAGE = [lambda data: data[: len(data) // 2], lambda data: data[:-1] + b"\x07", lambda data: b"", None]


@pytest.mark.parametrize("damage", DAMAGE)
@pytest.mark.parametrize("name", ["dataset.safetensors", "dataset.json"])
def test_damaged_data_are_prepared_again_where_they_lie_with_the_same_bytes(config, capsys, name, damage):
    made = prepared_data.prepare(config, PREPARED)
    path = PREPARED / name
    good = path.read_bytes()
    path.unlink() if damage is None else path.write_bytes(damage(good))
    found, where = obtain_dataset(config, store=STORE)
    assert (found.digest, where, path.read_bytes()) == (made.digest, PREPARED, good)
    said = capsys.readouterr().err
    assert said.count("\n") == 1 and "data/prepared" in said and "it is prepared again" in said
    assert obtain_dataset(config, store=STORE)[1] == PREPARED and not capsys.readouterr().err


def test_damaged_data_whose_raw_data_are_gone_are_refused_with_both(config, folder):
    write_images(folder / "raw", seed=0)
    config = config.with_settings({"prepare.dataset": "imagefolder", "prepare.per_class": None, "data.root": "raw"})
    prepared_data.prepare(config, PREPARED)
    shutil.rmtree(folder / "raw")
    (PREPARED / "dataset.json").write_bytes(b"{")
    with pytest.raises(InputError, match=r"data/prepared is damaged, and cannot be prepared again: .*raw") as raised:
        obtain_dataset(config, store=STORE)
    assert "\n" not in str(raised.value)
    write_images(folder / "raw", seed=0)  # what the message asks for
    assert obtain_dataset(config, store=STORE)[1] == PREPARED


def test_the_stage_prepare_heals_damaged_data(capsys):
    main()
    files = {path: path.read_bytes() for path in PREPARED.iterdir()}
    for path in files:
        path.write_bytes(b"")
    main()
    assert {path: path.read_bytes() for path in PREPARED.iterdir()} == files


@pytest.mark.parametrize("content", ["{", "[]", "{}", '{"settings": 5}', "null"])
def test_data_that_do_not_say_what_they_were_made_from_serve_no_one(config, content):
    prepared_data.prepare(config, PREPARED)
    (PREPARED / "source.json").write_text(content)
    assert obtain_dataset(config, store=STORE)[1].parent == STORE / "datasets"


def test_missing_raw_data_are_refused_with_where_they_were_looked_for(config):
    config = config.with_settings({"prepare.dataset": "imagefolder", "data.root": "nowhere/raw"})
    with pytest.raises(InputError, match="nowhere/raw"):
        obtain_dataset(config, store=STORE)


def test_the_stage_prepares_what_params_yaml_names(capsys):
    main()
    printed = capsys.readouterr().out
    dataset = read_dataset(PREPARED)
    assert dataset.digest in printed and f"{len(dataset.test.images)} test" in printed
    source = json.loads((PREPARED / "source.json").read_bytes())
    assert source["settings"]["dataset"] == dataset.name == "digits"
