"""The page over all studies: the leaderboard, what is stale or missing and why, and that it says the same in both twins."""

import json
import re
import shlex
from html.parser import HTMLParser

import pytest

from study import ablate, index, verify
from vicreg.data import sources


@pytest.fixture
def page(finished, command):
    """`page()`: writes the index of a project with two finished studies, and returns (output, HTML, Markdown)."""
    params = finished.folder / "params.yaml"
    params.write_text(re.sub(r"^studies:\n(- .*\n)+", "studies: [tiny, quest]\n", params.read_text(), flags=re.M))

    def write():
        status, output, errors = command(index.main, "--out", "reports/index.html")
        assert (status, errors) == (0, "")
        texts = [(finished.folder / "reports" / name).read_text(encoding="utf-8") for name in ("index.html", "README.md")]
        return output, *texts

    return write


class Rows(HTMLParser):
    """The cells' text of every row of every table."""

    def __init__(self, text):
        super().__init__()
        self.rows, self._inside = [], False
        self.feed(text)

    def handle_starttag(self, tag, attrs):
        if tag == "tr":
            self.rows.append([])
        if tag in ("td", "th"):
            self.rows[-1].append("")
            self._inside = True

    def handle_endtag(self, tag):
        if tag in ("td", "th"):
            self._inside = False

    def handle_data(self, data):
        if self._inside:
            self.rows[-1][-1] += data


def table(html):
    head, *rows = Rows(html).rows
    return [dict(zip(head, row, strict=True)) for row in rows]


# ---- what it shows


def test_every_study_has_its_question_answer_counts_and_report(page, finished):
    output, html, markdown = page()
    assert "Everything is fresh" in output
    for name in ("tiny", "quest"):
        summary = finished.summary(name)
        assert summary["question"] in html and f'href="{name}/index.html"' in html
        assert f"[{name}]({name}/README.md)" in markdown
    assert "Runs: 3 finished." in html and "- Runs: 3 finished" in markdown


def test_the_leaderboard_has_a_row_a_run_the_best_on_validation_first_and_what_did_not_finish_last(page, finished):
    _, html, _ = page()
    rows = table(html)
    studies = {name: finished.summary(name) for name in ("tiny", "quest")}
    statuses = {run["digest"]: run["status"] for one in studies.values() for arm in one["arms"] for run in arm["runs"]}
    assert sorted(row["Run, and its command"][:16] for row in rows) == sorted(statuses)
    finished_runs = [row for row in rows if statuses[row["Run, and its command"][:16]] == "finished"]
    pruned = rows[len(finished_runs) :]
    assert pruned and rows[: len(finished_runs)] == finished_runs
    validation = [float(row["Validation, %"]) for row in finished_runs]
    assert validation == sorted(validation, reverse=True)
    assert [row["#"] for row in finished_runs] == [str(n + 1) for n in range(len(finished_runs))]
    for row in pruned:
        assert (row["#"], row["Validation, %"], row["Test, %"], row["RankMe, emb."]) == ("–",) * 4
        assert row["Verdict"].split()[-1] == "pruned"


def test_an_untrained_network_has_one_row_for_all_studies_and_no_verdict_of_collapse(page):
    (shared,) = [row for row in table(page()[1]) if "untrained" in row["Arm"]]
    assert shared["Study"] == "quest, tiny" and shared["Verdict"].split()[-1] == "untrained"


def test_pruned_runs_are_counted_among_the_verdicts(page, finished):
    pruned = sum(statuses == ["pruned"] for statuses in finished.statuses("quest").values())
    verdicts = re.findall(r"^- Verdicts: (.*)$", page()[2], flags=re.M)
    assert pruned and f"{pruned} pruned" in verdicts[0] and "pruned" not in verdicts[1]  # quest, tiny


def test_results_of_studies_that_params_yaml_does_not_name_are_left_out_for_another_clone_has_none(page, finished):
    first = page()
    folder = finished.folder / "results/ablate/mine"
    folder.mkdir()
    results = {**finished.summary("tiny"), "study": "mine"}
    (folder / "study.json").write_text(json.dumps(results))
    second = page()
    assert second[1:] == first[1:] and "params.yaml's `studies` do not name them: mine" in second[0]


def test_validation_and_test_are_not_mixed_up(page, finished):
    path = finished.folder / "results/ablate/tiny/study.json"
    results = json.loads(path.read_bytes())
    (run,) = next(arm for arm in results["arms"] if arm["name"] == "nu-2")["runs"]
    run["validation"][results["primary"]]["top1"], run["test"][results["primary"]]["top1"] = 0.9876, 0.1234
    path.write_text(json.dumps(results))
    row = table(page()[1])[0]
    assert (row["Validation, %"], row["Test, %"], row["Arm"]) == ("98.76", "12.34", "ν 2")


def test_the_command_of_a_row_runs_that_run_again(page, command):
    row = next(row for row in table(page()[1]) if row["Arm"] == "ν 2")
    given = row["Run, and its command"][16:]
    status, output, _ = command(ablate.main, *shlex.split(given)[3:])
    assert status == 0 and output.count("identical") == 1 and row["Run, and its command"][:16] in output


def test_a_certificate_is_quoted_and_one_of_other_results_is_not(page, finished, command):
    assert "Not verified; python -m study.verify --study tiny does so." in page()[1]
    assert command(verify.main, "--study", "tiny", "--runs", "1")[0] == 0
    assert "1 of 3 ended runs was run again from nothing" in page()[1]
    path = finished.folder / "results/verify/tiny.json"
    certificate = json.loads(path.read_bytes())
    certificate["runs"][0]["digest"] = "of-before"
    path.write_text(json.dumps(certificate))
    assert "Verified for earlier results alone" in page()[1]


def test_studies_of_another_profile_are_left_out_by_name(page, finished):
    path = finished.folder / "results/ablate/quest/study.json"
    path.write_text(path.read_text().replace('"profile": "tiny"', '"profile": "large"'))
    output, html, _ = page()
    assert output.startswith("1 study on profile tiny, 3 runs; 3 finished.")
    assert "Results of other profiles are left out: quest." in html


def test_a_study_that_has_not_been_run_is_listed_with_its_command(page, finished):
    (finished.folder / "results/ablate/quest/study.json").unlink()
    output, html, markdown = page()
    assert "Quest has not been run." in output or "quest has not been run" in output.lower()
    for text in (html, markdown):
        assert "python -m study.ablate --study quest --profile tiny" in text and "everything is fresh" not in text


# ---- what is stale or missing


def test_a_changed_parameter_makes_cells_stale_and_the_page_says_which(page, finished):
    finished.set({"pretrain.vicreg.mu": 7})
    output, html, markdown = page()
    for text in (html, markdown):
        assert "stale: setting mu changed from 25.0 to 7.0: ν 1, seed 0; ν 2, seed 0" in text
    assert "cells are stale or missing" in output and "everything is fresh" not in html


def test_without_the_data_nothing_is_downloaded_and_the_page_says_that_nothing_was_checked(page, finished, monkeypatch):
    def never(*arguments, **named):
        raise AssertionError("a download")

    monkeypatch.setattr(sources, "read_published", never)
    finished.set({"prepare.dataset": "cifar10"})
    output, html, _ = page()
    assert "taleness was not checked for quest, tiny" in output
    assert "the data (cifar10) are not here, so no plan can be made." in html


def test_parameters_that_no_run_can_have_are_said_in_place_of_staleness(page, finished):
    finished.set({"pretrain.warmup_epochs": 99})
    _, html, _ = page()
    assert "<b>tiny</b> was not checked: " in html


# ---- pages


def test_the_page_has_the_same_bytes_each_time_and_nothing_of_the_machine(page, finished):
    first, second = page(), page()
    assert first == second
    for text in first[1:]:
        assert str(finished.folder) not in text and not re.search(r"/tmp|/home|/root|\d\d:\d\d:\d\d|20\d\d-\d\d-\d\d", text)
        assert "http" not in text


def test_the_twins_say_the_same(page):
    _, html, markdown = page()
    rows = table(html)
    for row in rows:
        place, shares = row["#"], [re.escape(row[column]) for column in ("Validation, %", "Test, %")]
        digest = row["Run, and its command"][:16]
        assert re.search(rf"^\| {place} \| .*{shares[0]} \| {shares[1]} .*`{digest}` \|$", markdown, flags=re.M)
    assert len(re.findall(r"^\| (?:\d+|–) \|", markdown, flags=re.M)) == len(rows)


def test_the_page_reads_without_its_script(page):
    _, html, _ = page()
    bare = re.sub(r"<script>.*?</script>", "", html, flags=re.S)
    assert table(bare) == table(html) and not re.search(r"<(tr|table|section)[^>]* hidden", bare)


def test_three_hundred_runs_stay_below_a_megabyte(page, finished):
    path = finished.folder / "results/ablate/tiny/study.json"
    results = json.loads(path.read_bytes())
    arm = next(one for one in results["arms"] if one["name"] == "nu-2")
    (run,) = arm["runs"]
    results["arms"] = [
        {**arm, "name": f"arm-{i}", "label": f"λ {i}, μ {i}, ν {i}",
         "runs": [{**run, "seed": seed, "digest": f"{i:08x}{seed:08x}"} for seed in range(3)]}
        for i in range(100)
    ]  # fmt: skip
    path.write_text(json.dumps(results))
    _, html, markdown = page()
    assert len(table(html)) > 300 and len(html.encode()) < 1e6 and len(markdown.encode()) < 1e6
