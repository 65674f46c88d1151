"""The lines of figures over epochs."""

import pytest

from study.reporting.panels.lines import lines_table, spectrum, trace
from tests.study.made_up_reports import arm_with


def test_a_trace_is_the_mean_over_seeds_within_its_extremes():
    runs = [{"history": [{"epoch": 1, "total": 0.0, "embeddings": {"rankme": v}}]} for v in (1.0, 2.0, 6.0)]
    runs.append({"status": "failed", "history": [{"epoch": 1, "total": 0.0, "embeddings": {"rankme": 100.0}}]})
    assert trace(arm_with(runs), "embeddings.rankme") == ([1], [(3.0, 1.0, 6.0)])
    assert trace(arm_with(runs[3:]), "embeddings.rankme") == ([1], [(100.0, 100.0, 100.0)])  # better than nothing


def test_a_trace_has_the_epochs_at_which_its_quantity_was_logged():
    history = [{"epoch": 1, "total": 3.0, "knn": None}, {"epoch": 2, "total": 2.0, "knn": 0.5}]
    arm = arm_with([{"history": history}])
    assert trace(arm, "total") == ([1, 2], [(3.0, 3.0, 3.0), (2.0, 2.0, 2.0)])
    assert trace(arm, "knn") == ([2], [(0.5, 0.5, 0.5)]) and trace(arm, "embeddings.rankme") == trace(arm, "none") == (
        [],
        [],
    )


def test_a_spectrum_is_relative_to_each_runs_largest_eigenvalue():
    runs = [{"collapse": {"embeddings": {"spectrum": spectrum}}} for spectrum in ([4.0, 2.0], [10.0, 1.0, 0.5])]
    x, y = spectrum(arm_with([*runs, {}]), "embeddings")
    assert x == [1, 2] and y == [(1.0, 1.0, 1.0), (pytest.approx(0.3), 0.1, 0.5)]


def test_the_table_behind_long_curves_has_some_epochs_the_first_and_the_last_among_them():
    style = {"label": "a", "is_baseline": False, "is_control": False, "type": None}
    epochs = list(range(1, 101))
    columns, (row,) = lines_table([style], [(epochs, [(float(x), 0.0, 0.0) for x in epochs])], "epoch")
    assert len(columns) == len(row) == 12 and columns[1] == "epoch 1" and columns[-1] == "epoch 100"
    assert row[0] == "a" and [row[1], row[-1]] == ["1", "100"]
