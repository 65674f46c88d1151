"""Reads results for pages; kept ones are analysed again."""

from pathlib import Path

from study.results.files import is_packed, read_results
from study.results.schema import StudyResults


def read_analysed(path: Path) -> StudyResults:
    """Return the results in a file or a folder. What git keeps may be of earlier code, so it is analysed again.

    Raises:
        InputError: if there is no such file, or it does not hold the results of a study.
    """
    results = read_results(path)
    if not is_packed(path):
        return results
    from study.analysis.reanalyse import reanalyse  # imports torch, which reports of fresh results are made without

    return reanalyse(results)
