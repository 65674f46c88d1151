"""The tests that need a GPU, with the outcome of each on disk as it ends."""

from collections import Counter
from pathlib import Path
from typing import Any

from benchmarks.gpu.bench import Bench
from benchmarks.gpu.call import ROOT
from vicreg.errors import InputError

SIGNS = ("needs a GPU", "on_gpu")  # that a file holds such a test


def gpu_tests(bench: Bench, record: Any) -> None:
    """Run them in this process.

    Raises:
        InputError: where pytest is not installed, or a test failed; on a GPU also where none passed or one was skipped.
    """
    try:
        import pytest
    except ImportError:
        raise InputError("pytest must be there to run tests, but is not; `make gpu-wheels` fetches it.") from None
    seen = Outcomes(record)
    arguments = [
        "-q", "--import-mode=importlib", "-m", "gpu", "-p", "no:cacheprovider", "-o", "addopts=",
        "-o", "filterwarnings=default", "--rootdir", str(ROOT), "-c", str(ROOT / "pyproject.toml"), *map(str, files()),
    ]  # fmt: skip
    status = int(pytest.main(arguments, plugins=[seen]))
    if status not in (pytest.ExitCode.OK, pytest.ExitCode.NO_TESTS_COLLECTED):
        failed = [name for name, one in seen.outcomes.items() if one["outcome"] == "failed"]
        raise InputError(f"{len(failed)} of {len(seen.outcomes)} tests failed; the log says why.")
    counts = Counter(one["outcome"] for one in seen.outcomes.values())
    if bench.device.type == "cuda" and (counts["passed"] == 0 or counts["skipped"] > 0):
        raise InputError(
            f"the tests that need a GPU must pass on one, but {counts['passed']} passed and {counts['skipped']} were "
            "skipped; the log says why."
        )


def files() -> list[Path]:
    """Return the files of tests of `vicreg` in which one needs a GPU."""
    found = sorted((ROOT / "tests" / "vicreg").rglob("test_*.py"))
    return [path for path in found if any(sign in path.read_text(encoding="utf-8") for sign in SIGNS)]


class Outcomes:
    """A plugin of pytest that records each test's outcome when it ends."""

    def __init__(self, record: Any) -> None:
        self.outcomes: dict[str, dict[str, Any]] = {}
        self._record = record

    def pytest_runtest_logreport(self, report: Any) -> None:
        if report.when != "call" and report.outcome == "passed":
            return
        reason = None if report.outcome == "passed" else str(report.longrepr).strip().splitlines()[-1]
        self.outcomes[report.nodeid] = {"outcome": report.outcome, "seconds": report.duration, "reason": reason}
        counts = [one["outcome"] for one in self.outcomes.values()]
        self._record("counts", {outcome: counts.count(outcome) for outcome in sorted(set(counts))})
        self._record("tests", self.outcomes)
