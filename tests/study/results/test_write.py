"""The tables beside a `study.json`: what DVC reads of them is what the results say."""

import csv
import dataclasses

import pandas
import pytest

from study.results.files import results_from_values
from study.results.write import write_results
from tests.study.made_up import Plans
from tests.study.made_up_reports import table_7


@pytest.fixture
def results(tiny_config, digits):
    return results_from_values(table_7(Plans(tiny_config, digits)), where="study.json")


def test_the_log_of_each_run_is_a_row_an_epoch_whatever_an_arm_is_called(results, tmp_path):
    names = ("a, b", 'the "great" one', "two\nlines")
    arms = tuple(dataclasses.replace(arm, name=name) for arm, name in zip(results.arms, names))
    write_results(tmp_path, dataclasses.replace(results, arms=arms))
    frame = pandas.read_csv(tmp_path / "history.csv")
    logged = [(arm.name, run.seed, one.epoch) for arm in arms for run in arm.runs for one in run.history]
    assert list(frame[["arm", "seed", "epoch"]].itertuples(index=False, name=None)) == logged
    assert frame["rankme_embeddings"].notna().all()


def test_an_epoch_without_a_look_at_held_out_images_has_a_row_of_all_columns(results, tmp_path):
    arm = results.arms[0]
    runs = tuple(
        dataclasses.replace(run, history=(dataclasses.replace(run.history[0], embeddings=None),)) for run in arm.runs
    )
    write_results(tmp_path, dataclasses.replace(results, arms=(dataclasses.replace(arm, runs=runs),)))
    rows = list(csv.reader((tmp_path / "history.csv").read_text().splitlines()))
    assert {len(row) for row in rows} == {6} and all(row[4:] == ["", ""] for row in rows[1:])
