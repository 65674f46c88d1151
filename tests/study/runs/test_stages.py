"""The stages before a study: one run of the baseline that three of them share, and files that say the same every time."""

import csv
import dataclasses
import io
import json

import pandas
import pytest

from study import evaluate, prepare, pretrain
from study import project as projection
from study.projection.baseline import project_baseline
from study.runs.baseline import open_baseline
from study.runs.stages import confusion_pairs, linear_curves
from vicreg.errors import InputError

STAGES = (prepare.main, pretrain.main, evaluate.main, projection.main)


@pytest.fixture
def small(project):
    """Of this folder's profile, only as much as shows that the stages fit together."""
    project.set({
        "evaluate.linear.epochs": 1, "project.iterations": 250, "project.perplexity": 5, "project.max_images": 20,
    })  # fmt: skip
    return project


def written(project) -> dict[str, bytes]:
    folders = [project.folder / name for name in ("data", "models", "results")]
    return {str(path.relative_to(project.folder)): path.read_bytes() for root in folders for path in root.rglob("*.*")}


@pytest.mark.slow
def test_the_stages_one_after_the_other_write_what_dvc_expects_in_its_shape_and_the_same_bytes_again(small, trained, capsys):
    for stage in STAGES:
        stage()
    first = written(small)
    assert {
        "data/prepared/dataset.safetensors", "models/baseline/model.safetensors", "models/baseline/run.json",
        "results/pretrain/metrics.json", "results/pretrain/history.csv", "results/evaluate/metrics.json",
        "results/evaluate/confusion.csv", "results/project/tsne.json", "results/project/tsne.csv",
    } <= set(first)  # fmt: skip
    assert len(trained()) == 2  # the baseline and its untrained control
    digest = json.loads(first["models/baseline/run.json"])["digest"]
    assert digest in {digest for digest, _ in trained()}
    assert json.loads(first["results/evaluate/metrics.json"])["digest"] == digest
    assert json.loads(first["results/project/tsne.json"])["digest"] == digest
    assert_shapes(small.folder / "results")
    for stage in STAGES:
        stage()
    assert written(small) == first and len(trained()) == 2
    assert not [name for name, content in first.items() if str(small.folder).encode() in content]


def assert_shapes(results):
    """The numbers of each stage are of the right shape."""
    rows = list(csv.DictReader((results / "pretrain/history.csv").read_text().splitlines()))
    assert [row["epoch"] for row in rows] == ["1", "2", "3"] and "images_per_second" not in rows[0]
    metrics = json.loads((results / "evaluate/metrics.json").read_bytes())
    assert set(metrics["trained"]) == set(metrics["control"]) == {"knn_5", "knn_20", "linear", "linear_cached"}
    pairs = list(csv.DictReader((results / "evaluate/confusion.csv").read_text().splitlines()))
    right = sum(pair["actual"] == pair["predicted"] for pair in pairs)
    assert right / len(pairs) == pytest.approx(metrics["trained"]["linear"]) and len(pairs) == 40
    points = json.loads((results / "project/tsne.json").read_bytes())
    assert len(points["points_2d"]) == len(points["points_3d"]) == len(points["labels"]) == 20
    assert {len(point) for point in points["points_3d"]} == {3} and len(set(points["labels"])) == 10


def test_weights_of_another_run_than_the_parameters_describe_are_refused(small, capsys):
    with pytest.raises(InputError, match="holds no trained baseline; run `dvc repro --force --single-item pretrain` first"):
        evaluate.main()
    pretrain.main()
    small.set({"pretrain.vicreg.nu": 3})
    for stage in (evaluate.main, projection.main):
        with pytest.raises(
            InputError, match="but the parameters now describe run .*; run `dvc repro --force --single-item pretrain` first"
        ):
            stage()


def test_a_perplexity_that_the_test_set_is_too_small_for_is_refused(small, capsys):
    small.set({"project.perplexity": 30})
    pretrain.main()
    with pytest.raises(InputError, match="project.perplexity must be below the number of test images, but got 30"):
        projection.main()


ODD = ("tench, Tinca tinca", 'the "great" one', "two\nlines", "=1+1", "NA", "猫")


def test_pairs_of_classes_and_curves_give_back_every_name():
    counts = [[int(i == j) + int(j == 0) for j in range(len(ODD))] for i in range(len(ODD))]
    text = confusion_pairs({"test": {"linear": {"confusion": counts}}}, ODD)
    frame = pandas.read_csv(io.BytesIO(text), keep_default_na=False)
    expected = [(ODD[i], ODD[j]) for i, row in enumerate(counts) for j, count in enumerate(row) for _ in range(count)]
    assert list(frame.itertuples(index=False, name=None)) == expected
    measured = {split: {"linear": {"curve": [0.5, 1 / 3]}} for split in ("validation", "test")}
    frame = pandas.read_csv(io.BytesIO(linear_curves({"a, b": measured})))
    assert set(frame["network"]) == {"a, b"} and list(frame["top1"]) == [0.5, 0.333333] * 2


def test_the_map_s_table_gives_back_every_name(small, capsys):
    pretrain.main()
    baseline = open_baseline()
    named = dataclasses.replace(baseline.dataset, classes=(*ODD, *"abcd"))
    project_baseline(dataclasses.replace(baseline, dataset=named))
    frame = pandas.read_csv(small.folder / "results/project/tsne.csv", keep_default_na=False)
    assert set(frame["class"]) == set(named.classes) and frame["x"].dtype == float
