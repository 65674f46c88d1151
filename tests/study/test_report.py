"""The command from results to a report: true whatever became of the runs, and the same bytes on any machine."""

import json
import os
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

from study import ablate, report
from study.analysis.summary import summarise
from study.design.unfold import unfold
from study.execution.request import Request
from study.execution.scheduler import Lookup
from study.execution.session import open_session
from study.reporting.render import render
from study.reporting.report import write_view
from study.results.json_values import to_values
from tests.study.made_up import Plans, arm_of, unfinished
from tests.study.made_up import finished as finished_run
from tests.study.made_up_reports import CURVES, FEW, everything, project_of, table_7, twins, view_of, without_figures
from tests.study.reading import read_html, read_markdown

ROOT = Path(__file__).parents[2]


@pytest.fixture(scope="module")
def plans(tiny_config, digits):
    return Plans(tiny_config, digits)


@pytest.fixture(scope="module")
def small(plans):
    """A study of three arms; read only."""
    return table_7(plans)


@pytest.fixture
def sketched(monkeypatch):
    without_figures(monkeypatch)


def save(folder, study, **changes):
    """Writes what a report is made of, and returns the arguments that name it."""
    given = everything(study) | changes
    lines = ["network,split,epoch,top1", *(",".join(map(str, row)) for row in given["curves"])]
    files = {
        "results": json.dumps(study), "project": json.dumps(given["project"]), "evaluate": json.dumps(given["evaluation"]),
        "curves": "\n".join(lines), "certificate": json.dumps(given["certificate"]), "timing": json.dumps(given["timing"]),
    }  # fmt: skip
    arguments = []
    for name, text in files.items():
        path = folder / (f"{name}.csv" if name == "curves" else f"{name}.json")
        path.write_text(text, encoding="utf-8")
        arguments += [f"--{name}", str(path)]
    return arguments


def bytes_in(folder):
    return {str(path.relative_to(folder)): path.read_bytes() for path in sorted(folder.rglob("*")) if path.is_file()}


# ---- a true report, whatever became of the runs


def both(study, **others):
    html, markdown = twins(study, **others)
    return (read_html(html), html), (read_markdown(markdown), markdown)


def listed(read):
    """The list of what did not finish."""
    return [block for block in read.blocks if " (run " in block]


@pytest.mark.usefixtures("sketched")
def test_a_diverged_a_killed_a_collapsed_and_a_missing_run_are_told_at_the_top_and_counted(plans):
    lost = {
        ("1-0-0", 1): unfinished("diverged", "the loss was not finite at step 12"),
        ("1-1-0", 0): unfinished("killed", "killed by signal 9"),
        ("1-1-0", 1): finished_run(0.4, verdict="complete", knn=0.3),
        ("25-25-1", 2): unfinished("missing"),
    }
    study = table_7(plans, lost=lost)
    alerts = study["alerts"]
    assert alerts[:4] == [
        "3 of 12 runs have no result; they count in every rate and in no mean.",
        "λ 1, μ 0, ν 0 seed 1 diverged.",
        "λ 1, μ 1, ν 0 seed 0 was killed.",
        "λ 25, μ 25, ν 1 seed 2 is missing.",
    ]
    for read, text in both(study):
        blocks = [block for _, block in read.places]
        table_at = blocks.index("Settings", blocks.index("How far to trust this"))
        assert all(alert in blocks and blocks.index(alert) < table_at for alert in alerts)
        assert f"{len(alerts)} warnings" in blocks
        (table,) = [table for table in read.tables if "Runs that collapsed" in table[0]]
        verdicts = {row[0]: row[table[0].index("Runs that collapsed")] for row in table[1:]}
        assert verdicts["λ 1, μ 0, ν 0"].endswith("2 of 3 collapsed [21, 94] %")  # diverged is no collapse, but one of three
        assert verdicts["λ 1, μ 1, ν 0"].endswith("2 of 3 collapsed [21, 94] %")
        assert verdicts["λ 25, μ 25, ν 1"].endswith("0 of 3 collapsed [0, 56] %")
        for said in ("seed 1 (run", "the loss was not finite at step 12", "killed by signal 9", "no reason recorded"):
            assert len([block for block in listed(read) if said in block]) == 1
        assert len(listed(read)) == 3
        assert "every run finished" not in text
    means = {arm["name"]: arm["summary"]["linear_cached"] for arm in study["arms"]}
    assert {name: entry["n"] for name, entry in means.items()} == {"1-0-0": 2, "1-1-0": 2, "25-25-1": 2, "untrained": 3}
    values = [run["test"]["linear_cached"]["top1"] for run in arm_of(study, "1-1-0")["runs"] if run["test"]]
    assert means["1-1-0"]["mean"] == pytest.approx(sum(values) / 2) and 0.4 in values
    # every pair of arms has one seed in common, which says nothing of how differences vary
    assert means["1-0-0"]["difference"]["n"] == means["1-1-0"]["difference"]["n"] == 1
    assert study["power"]["spread"] is None


@pytest.mark.usefixtures("sketched")
@pytest.mark.parametrize("status", ["diverged", "out-of-memory", "killed", "failed", "pruned", "missing", "partial"])
def test_a_run_that_did_not_finish_is_shown_with_its_reason(plans, status):
    study = table_7(plans, lost={("1-0-0", 1): unfinished(status, "stopped at step 12")})
    for text in twins(study):
        assert text.count("stopped at step 12") == 1 and f"seed 1 {status}" in text and "every run finished" not in text
        assert text.index("1 of 12 runs has no result") < text.index("A difference is paired by seed")


def test_an_arm_without_a_finished_run_is_still_in_the_report(plans):
    lost = {("1-0-0", seed): unfinished("diverged", "the loss was not finite at step 12") for seed in range(3)}
    view = view_of(table_7(plans, lost=lost))
    assert view["arms"][0]["test"] == "–" and view["arms"][0]["collapse_type"]["name"] == "diverged"
    html, markdown = render(view)
    for text, read in ((html, read_html(html)), (markdown, read_markdown(markdown))):
        assert "seeds 0, 1, 2 diverged" in text
        assert [block.endswith("the loss was not finite at step 12") for block in listed(read)] == [True] * 3
    assert "no finished run" in html


@pytest.mark.usefixtures("sketched")
def test_a_study_in_which_nothing_finished_is_reported_as_such(plans):
    lost = {(arm, seed): unfinished("missing") for arm in ("1-0-0", "1-1-0", "25-25-1", "untrained") for seed in range(3)}
    html, markdown = twins(table_7(plans, lost=lost))
    assert "no run has finished" in html and "no run has finished" in markdown
    assert "Loss, term by term" not in html + markdown and "missing" in html


@pytest.mark.slow
@pytest.mark.usefixtures("sketched")
def test_a_real_study_with_lost_runs_gives_a_true_report(finished, tmp_path):
    """As a person meets it: one arm diverges, one collapses, one run's worker was killed, one run is gone from the store."""
    project = finished  # in whose store the first runs of `calm` and of the control are
    text = (project.studies / "rough.yaml").read_text()
    (project.studies / "rough.yaml").write_text(f"{text}  still: {{pretrain.lambda: 25, pretrain.mu: 0, pretrain.nu: 25}}\n")
    project.set({"ablate.seeds": 2})
    assert ablate.main(["--study", "rough", "--allow-diverged"]) == 0
    session = open_session(Request(study="rough"))
    plan = unfold(session, Lookup(session))
    runs = {(cell.arm, cell.seed): cell.run for cell in plan.cells}
    shutil.rmtree(project.store.folder(runs["calm", 1].digest))
    (project.store.folder(runs["still", 1].digest) / "status.json").unlink()
    project.store.record_ending(runs["still", 1], "killed", "killed by signal 9")
    study = to_values(summarise(plan, project.store, session.dataset, command=session.command, overrides={}))
    outcomes = {arm["name"]: arm["outcomes"] for arm in study["arms"]}
    assert outcomes["wild"]["counts"] == {"diverged": 2}
    assert outcomes["calm"]["counts"]["missing"] == 1 and outcomes["still"]["counts"] == {"complete": 1, "killed": 1}
    assert (outcomes["still"]["collapsed"], outcomes["still"]["asked"]) == (1, 2)
    means = {arm["name"]: arm["summary"].get(study["primary"], {}).get("n") for arm in study["arms"]}
    assert means == {"calm": 1, "still": 1, "wild": None, "untrained": 2}
    alert, *named = study["alerts"]
    assert alert.startswith("4 of 8 runs have no result; ")
    for arm in study["arms"]:
        for run in arm["runs"]:
            assert (f"{arm['label']} seed {run['seed']}" in " ".join(named)) == (run["status"] != "finished")
    write_view(view_of(study), tmp_path / "report")
    for name, read in (("index.html", read_html), ("README.md", read_markdown)):
        told = read((tmp_path / "report" / name).read_text(encoding="utf-8"))
        assert alert in [block for _, block in told.places]
        (table,) = [table for table in told.tables if "Runs that collapsed" in table[0]]
        assert any("1 of 2 collapsed" in cell for row in table for cell in row)


# ---- the same bytes


@pytest.mark.slow
def test_the_same_results_give_the_same_bytes_in_any_process_place_language_and_time_zone(small, tmp_path):
    arguments = save(tmp_path, small)
    (tmp_path / "matplotlibrc").write_text("font.size: 30\nsvg.fonttype: path\naxes.facecolor: red\n")
    surroundings = [
        {"PYTHONHASHSEED": "1", "TZ": "UTC", "LC_ALL": "C"},
        {
            "PYTHONHASHSEED": "2", "TZ": "Pacific/Auckland", "LC_ALL": "C.UTF-8", "LANG": "tr_TR.UTF-8", "PYTHONUTF8": "0",
            "MATPLOTLIBRC": str(tmp_path / "matplotlibrc"), "SOURCE_DATE_EPOCH": "0", "COLUMNS": "40",
        },
    ]  # fmt: skip
    started = []
    for name, settings, folder in zip(("one", "two"), surroundings, (ROOT, tmp_path)):
        environment = {**os.environ, "PYTHONPATH": str(ROOT), **settings}
        command = [sys.executable, "-m", "study.report", *arguments, "--out", str(tmp_path / name)]
        started.append(subprocess.Popen(command, cwd=folder, env=environment, stderr=subprocess.PIPE, text=True))
    assert [(process.communicate(timeout=120)[1], process.returncode) for process in started] == [("", 0)] * 2
    one, two = bytes_in(tmp_path / "one"), bytes_in(tmp_path / "two")
    assert one == two and len(one) > 20
    assert str(tmp_path).encode() not in b"".join(one.values())


# ---- the command


def test_a_report_is_made_without_torch():
    """Reports of results made elsewhere are made on machines that train nothing."""
    loaded = "import sys, study.report; sys.exit('torch' in sys.modules)"
    assert subprocess.run([sys.executable, "-c", loaded], cwd=ROOT, timeout=120).returncode == 0


@pytest.mark.usefixtures("sketched")
def test_the_command_writes_both_twins_and_uses_all_it_is_given(small, tmp_path):
    assert report.main([*save(tmp_path, small), "--out", str(tmp_path / "out")]) == 0
    assert {path.name for path in (tmp_path / "out").iterdir()} == {"index.html", "README.md", "figures"}
    html, markdown = twins(small, **everything(small))
    assert (tmp_path / "out" / "index.html").read_text(encoding="utf-8") == html
    assert (tmp_path / "out" / "README.md").read_text(encoding="utf-8") == markdown
    for said in ("Map of the test images", "1 bit-identical, 1 not", "Training took", "kWh", "by epoch of the"):
        assert said in html and said in markdown


@pytest.mark.usefixtures("sketched")
def test_results_alone_are_enough(small, tmp_path):
    (tmp_path / "study.json").write_text(json.dumps(small))
    assert report.main(["--results", str(tmp_path / "study.json"), "--out", str(tmp_path / "out")]) == 0
    html = (tmp_path / "out" / "index.html").read_text(encoding="utf-8")
    assert "Map of the test images" not in html and "not reproduced" not in html and "kWh" not in html


@pytest.mark.usefixtures("sketched")
@pytest.mark.parametrize(
    ("change", "rule"), [({"labels": [0]}, "one point of each kind"), ({"classes": ["0"]}, "labels from 0 to 0")]
)
def test_a_broken_t_sne_is_one_sentence_and_status_2(small, tmp_path, command, change, rule):
    arguments = save(tmp_path, small, project={**project_of(small, 20), **change})
    status, _, error = command(report.main, *arguments, "--out", str(tmp_path / "out"))
    assert status == 2
    assert rule in error and error.count("\n") == 1


@pytest.mark.usefixtures("sketched")
@pytest.mark.parametrize("curves", [[("pretrained", "test", "first", 0.5)], [("pretrained", "test", 1)]])
def test_broken_curves_are_one_sentence_and_status_2(small, tmp_path, command, curves):
    arguments = save(tmp_path, small, curves=[*CURVES, *curves])
    status, _, error = command(report.main, *arguments, "--out", str(tmp_path / "out"))
    assert status == 2
    assert "must have the columns network, split, epoch and top1" in error and error.count("\n") == 1


# What results have had from the first version on.
STUDY = ("study", "profile", "mode", "question", "hypothesis", "baseline", "primary", "data", "environment", "answer",
         "recipe", "arms")  # fmt: skip
ARM = ("name", "label", "is_baseline", "is_control", "settings", "command", "summary", "runs", "verdict")
NOTHING = {
    **dict.fromkeys(STUDY, ""), "environment": {}, "recipe": {}, "arms": [],
    "data": {"dataset": "digits", "digest": "", "train": 0, "validation": 0, "test": 0},
}  # fmt: skip


@pytest.mark.parametrize(
    "text, rule",
    [(None, "must be the results of a study, but: No such file"), ("{", "must be JSON"), ("[]", "'study'"),
     ("{}", "'study'"), (json.dumps(NOTHING), "at least one arm"),
     (json.dumps({**NOTHING, "data": 3}), "an object under 'data'"),
     (json.dumps({**NOTHING, "arms": [{}]}), "'name'")],
)  # fmt: skip
def test_a_missing_or_malformed_file_is_one_sentence_and_status_2(tmp_path, command, text, rule):
    path = tmp_path / "study.json"
    if text is not None:
        path.write_text(text)
    status, _, error = command(report.main, "--results", str(path), "--out", str(tmp_path / "out"))
    assert status == 2
    assert rule in error and error.count("\n") == 1 and not (tmp_path / "out").exists()


def test_results_without_what_later_versions_added_are_still_reported(small, tmp_path, monkeypatch):
    without_figures(monkeypatch)
    study = {key: small[key] for key in STUDY}
    study["arms"] = [{key: arm[key] for key in ARM} for arm in small["arms"]]
    (tmp_path / "study.json").write_text(json.dumps(study))
    assert report.main(["--results", str(tmp_path / "study.json"), "--out", str(tmp_path / "out")]) == 0
    assert len(FEW) + 1 == len(study["arms"])
