"""The benchmark of reports measures a process, on results as large as asked for."""

import pytest

from benchmarks import report
from study.results.files import read_results


@pytest.mark.slow
def test_a_report_of_made_up_runs_is_timed_and_weighed():
    measured = report.measure("search", runs=6, epochs=3)
    assert measured["seconds"] > 0 and measured["peak_bytes"] > 10_000_000  # Python and matplotlib alone take more
    assert measured["page_bytes"] > 50_000 and measured["markdown_bytes"] > 5_000 and measured["results_bytes"] > 10_000


def test_results_of_arms_are_made_as_many_as_asked_for(tmp_path):
    report.make("arms", 6, 3, tmp_path / "study.json")
    results = read_results(tmp_path)
    assert sum(len(arm.runs) for arm in results.arms) == 6
    assert all(len(run.history) == 3 for arm in results.arms if not arm.is_control for run in arm.runs)
