"""The benchmark of reports measures a process, on results as large as asked for."""

import pytest

from benchmarks import report


@pytest.mark.slow
@pytest.mark.parametrize("kind", ["arms", "search"])
def test_a_report_of_made_up_runs_is_timed_and_weighed(kind):
    measured = report.measure(kind, runs=6, epochs=3)
    assert measured["seconds"] > 0 and measured["peak_bytes"] > 10_000_000  # Python and matplotlib alone take more
    assert measured["page_bytes"] > 50_000 and measured["markdown_bytes"] > 5_000 and measured["results_bytes"] > 10_000
