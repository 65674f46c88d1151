"""Files that are empty, cut short, of another program or of a later version: one sentence and status 2, or a page."""

import copy
import json
import lzma
import re
from pathlib import Path

import pytest

from study import compare, index, report, source_page, verify
from study.paper.kept_results import read_failures
from tests.study.made_up import Plans, unfinished
from tests.study.made_up_reports import everything, table_7, twins, without_figures
from vicreg.errors import InputError

CONTENTS = {
    "empty": b"", "cut short": b'{"study": "tiny", "arms": [', "null": b"null", "a list": b"[]", "a number": b"5",
    "an empty object": b"{}", "bytes": b"\xff\xfe\x00\x80", "nested": b"[" * 100_000,
    "half a surrogate": b'{"study": "\\ud800"}', "a number beyond all measure": b'{"study": 1' + b"0" * 5000 + b"}",
}  # fmt: skip
KINDS = [*CONTENTS, "a folder"]


@pytest.fixture(scope="module")
def good(tiny_config, digits):
    """The results of three arms, as they are written; read only."""
    return table_7(Plans(tiny_config, digits))


@pytest.fixture
def place(project, good, monkeypatch):
    """A project whose one study has results, a certificate and times; `place(name, kind)` spoils one of the files."""
    without_figures(monkeypatch)
    params = project.folder / "params.yaml"
    params.write_text(re.sub(r"^studies:\n(- .*\n)+", "studies: [lambda-mu-nu]\n", params.read_text(), flags=re.M))
    others = everything(good)
    files = {
        "results/ablate/lambda-mu-nu/study.json": good, "results/ablate/lambda-mu-nu/timing.json": others["timing"],
        "results/verify/lambda-mu-nu.json": others["certificate"], "results/project/tsne.json": others["project"],
        "results/evaluate/metrics.json": others["evaluation"], "results/source_paper/failures.json": {},
        "other/study.json": good,
    }  # fmt: skip
    for name, values in files.items():
        path = project.folder / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(json.dumps(values))

    def spoil(name, kind):
        path = Path(name)
        if kind == "a folder":
            path.unlink()
            path.mkdir()
        else:
            path.write_bytes(CONTENTS[kind])

    return spoil


STUDY = "results/ablate/lambda-mu-nu/study.json"
REPORT = ["--results", "other/study.json", "--out", "out"]
ASKED = {
    "report, of the results": (report.main, ["--results", STUDY, "--out", "out"], STUDY),
    "report, of the map": (report.main, [*REPORT, "--project", "results/project/tsne.json"], "results/project/tsne.json"),
    "report, of the evaluation": (
        report.main, [*REPORT, "--evaluate", "results/evaluate/metrics.json"], "results/evaluate/metrics.json",
    ),
    "report, of the curves": (
        report.main, [*REPORT, "--curves", "results/evaluate/metrics.json"], "results/evaluate/metrics.json",
    ),
    "report, of the times": (
        report.main, [*REPORT, "--timing", "results/ablate/lambda-mu-nu/timing.json"],
        "results/ablate/lambda-mu-nu/timing.json",
    ),
    "report, of the certificate": (
        report.main, [*REPORT, "--certificate", "results/verify/lambda-mu-nu.json"], "results/verify/lambda-mu-nu.json",
    ),
    "compare, of the results": (compare.main, ["lambda-mu-nu", "other"], STUDY),
    "compare, of the times": (compare.main, ["lambda-mu-nu", "other"], "results/ablate/lambda-mu-nu/timing.json"),
    "verify, of the results": (verify.main, ["--study", "lambda-mu-nu"], STUDY),
    "index, of the results": (index.main, ["--out", "reports/index.html"], STUDY),
    "index, of the certificate": (index.main, ["--out", "reports/index.html"], "results/verify/lambda-mu-nu.json"),
    "source_page, of the results": (source_page.main, ["--keep", "results/ablate/lambda-mu-nu"], STUDY),
    "source_page, of the map": (source_page.main, ["--keep", "results/project"], "results/project/tsne.json"),
}  # fmt: skip


@pytest.mark.parametrize("asked", ASKED)
def test_a_file_that_is_not_what_it_should_be_is_named_in_one_sentence(place, command, asked):
    main, argv, name = ASKED[asked]
    for kind in KINDS:
        if kind == "a folder" and ("keep" in argv[0] or name.endswith("study.json")):
            continue  # there is no such file, then
        place(name, kind)
        status, _, errors = command(main, *argv)
        assert status == 2 and errors.count("\n") == 1, (kind, status, errors)
        assert Path(name).name in errors or name in errors, (kind, errors)


@pytest.mark.parametrize("kind", [kind for kind in CONTENTS if kind != "an empty object"])
def test_a_list_of_failures_that_is_none_is_named(place, kind):
    name = "results/source_paper/failures.json"
    place(name, kind)
    with pytest.raises(InputError, match=rf"{name} must .*; run python -m study.source_paper again\.$"):
        read_failures()


def test_results_of_a_later_version_are_shown_without_what_is_not_known(place, command, good):
    later = copy.deepcopy(good) | {"schema": 99, "new": {"deep": [1, {"a": None}]}}
    for arm in later["arms"]:
        arm["new"] = 1
        for run in arm["runs"]:
            run["new"] = "text"
    Path(STUDY).write_text(json.dumps(later), encoding="utf-8")
    assert command(report.main, "--results", STUDY, "--out", "out")[0] == 0
    assert command(compare.main, "lambda-mu-nu", "other")[0] == 0
    assert command(index.main, "--out", "reports/index.html")[0] == 0


def test_kept_results_that_are_damaged_within_a_whole_xz_file_are_named(place, command):
    path = Path("reports/measured/digits/lambda-mu-nu.json.xz")
    path.parent.mkdir(parents=True)
    path.write_bytes(lzma.compress(b"{"))
    status, _, errors = command(source_page.main, "--keep", "other")
    assert status == 2 and errors.count("\n") == 1 and str(path) in errors


@pytest.mark.parametrize("name", ["../up", "a/b", "..", "", "/etc"])
@pytest.mark.parametrize("key", ["study", "profile"])
def test_results_that_name_a_place_elsewhere_are_not_kept(place, command, good, key, name):
    Path("other/study.json").write_text(json.dumps({**good, key: name}), encoding="utf-8")
    status, _, errors = command(source_page.main, "--keep", "other")
    assert status == 2 and errors.count("\n") == 1 and "must name a study and a profile without /" in errors
    assert not Path("reports").exists()


# ---- what became of the runs


NUMBERS = (float("nan"), float("inf"), float("-inf"), 1e300, -1.0)


def test_a_report_with_numbers_that_are_none_is_shown_with_dashes(good, monkeypatch):
    without_figures(monkeypatch)
    for number in NUMBERS:
        spoiled = copy.deepcopy(good)
        for arm in spoiled["arms"]:
            for entry in arm["summary"].values():
                entry["mean"] = entry["sd"] = number
            for run in arm["runs"]:
                run["test"]["linear_cached"]["top1"] = number
                run["collapse"]["embeddings"]["rankme"] = number
                for record in run["history"]:
                    record["total"] = number
        html, _ = twins(spoiled)
        assert ">nan<" not in html.lower() and ">inf<" not in html.lower()


@pytest.mark.parametrize("status", ["diverged", "killed", "failed", "missing", "out-of-memory", "partial"])
def test_a_study_of_which_no_run_finished_is_reported(tiny_config, digits, monkeypatch, status):
    without_figures(monkeypatch)
    names = ("1-0-0", "1-1-0", "25-25-1", "untrained")
    lost = {(name, seed): unfinished(status, "because") for name in names for seed in (0, 1, 2)}
    html, markdown = twins(table_7(Plans(tiny_config, digits), lost=lost))
    assert html.count("because") >= 3 and "every run finished" not in markdown


@pytest.mark.slow
@pytest.mark.parametrize("lost", [("25-25-1", "untrained"), ("untrained",)])
def test_a_study_of_one_arm_and_one_seed_is_reported_with_its_figures_whatever_became_of_it(tiny_config, digits, lost):
    rows = [(25, 25, 1, 68.6, "healthy", 0.92, 9.0, 0.98)]
    ended = {(name, 0): unfinished("diverged", "because") for name in lost}
    study = table_7(Plans(tiny_config, digits), rows, seeds=(0,), lost=ended)
    html, markdown = twins(study, **everything(study))
    assert html.count("<svg") >= 4 and markdown.count("](figures/") >= 4
