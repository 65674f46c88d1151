"""The page over all studies: its cards, a row a setting, what is out of date and why, and that both twins say the same."""

import contextlib
import io
import json
import re
import shlex
import shutil
from html.parser import HTMLParser

import pytest

from study import ablate, index, report, source_page, verify
from tests.study.conftest import QUICK, Project, enter
from tests.study.made_up_reports import without_figures
from tests.study.reading import read_html, read_markdown
from vicreg.data import sources


def name_studies(project):
    """Lets params.yaml name both finished studies."""
    params = project.folder / "params.yaml"
    params.write_text(re.sub(r"^studies:\n(- .*\n)+", "studies: [tiny, quest]\n", params.read_text(), flags=re.M))


def write_page(project):
    """Writes the index of the project in this folder, and returns (output, HTML, Markdown)."""
    with contextlib.redirect_stdout(io.StringIO()) as output:
        assert index.main(["--out", "reports/index.html"]) == 0
    texts = [(project.folder / "reports" / name).read_text(encoding="utf-8") for name in ("index.html", "README.md")]
    return output.getvalue(), *texts


@pytest.fixture(scope="module")
def shown(tmp_path_factory, tiny_config, undisturbed):
    """The index of a project with two finished studies, to be looked at: (output, HTML, Markdown)."""
    project = Project(tmp_path_factory.mktemp("shown"), tiny_config(QUICK))
    for name in ("store", "results"):
        shutil.copytree(undisturbed.folder / name, project.folder / name)
    name_studies(project)
    with pytest.MonkeyPatch.context() as patch:
        enter(project, patch)
        return write_page(project)


@pytest.fixture
def page(finished, monkeypatch):
    """`page()`: writes the index of a project whose studies a test may change, without drawings."""
    without_figures(monkeypatch)
    name_studies(finished)
    return lambda: write_page(finished)


class Rows(HTMLParser):
    """The cells' text of every row of the table of settings; a cell that heads a row is split into its name and the rest."""

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
    """The table of settings, a dictionary a row."""
    (own,) = re.findall(r'<table id="every-setting".*?</table>', html, flags=re.S)
    head, *rows = Rows(own).rows
    return [dict(zip(head, row, strict=True)) for row in rows]


def commands_of(row):
    return re.findall(r"python -m study\.ablate.*?--again", row["Setting"])


def cards(html):
    return re.findall(r'<article class="card">.*?</article>', html, flags=re.S)


# ---- what it shows


def test_every_study_has_a_card_with_its_question_answer_figure_seeds_and_a_link(shown, undisturbed):
    output, html, markdown = shown
    assert "Results match the current code." in output
    found = cards(html)
    assert len(found) == 2
    for name, card in zip(("tiny", "quest"), found, strict=True):
        summary = undisturbed.summary(name)
        assert summary["question"] in card and f'href="{name}/index.html"' in card and "<svg" in card
        assert re.search(r"seeds: \d; \d settings?", card)
        assert f"[{name}]({name}/README.md)" in markdown and summary["question"] in markdown


def test_the_page_opens_with_the_question_and_the_answer_of_the_first_study(shown, undisturbed):
    _, html, markdown = shown
    summary = undisturbed.summary("tiny")
    assert f"<h1>{summary['question']}</h1>" in html and markdown.startswith(f"# {summary['question']}")
    top = html[: html.index('id="studies"')]
    assert '<p class="answer">' in top and 'href="tiny/index.html"' in top and "<figure" in top


@pytest.mark.slow
def test_every_address_on_the_page_is_a_page_that_is_there(page, finished, command):
    for name in ("tiny", "quest"):
        arguments = ("--results", f"results/ablate/{name}/study.json", "--out", f"reports/{name}")
        assert command(report.main, *arguments)[0] == 0
    assert command(source_page.main)[0] == 0
    _, html, markdown = page()
    addresses = re.findall(r'href="([^"#]+)"', html) + re.findall(r"\]\(([^)]+)\)", markdown)
    assert len(addresses) >= 8
    for address in addresses:
        assert (finished.folder / "reports" / address).is_file(), address
    inside = re.findall(r'href="#([^"]+)"', html)
    assert inside and all(f'id="{one}"' in html for one in inside)


def test_a_study_that_has_no_report_and_is_promised_none_has_no_link(page, finished, command):
    page()
    params = finished.folder / "params.yaml"
    params.write_text(params.read_text().replace("studies: [tiny, quest]", "studies: [tiny]"))
    assert command(index.main, "--out", "reports/index.html", "--all")[0] == 0
    html = (finished.folder / "reports/index.html").read_text(encoding="utf-8")
    assert 'href="tiny/index.html"' in html and "quest/index.html" not in html and len(cards(html)) == 2


def test_the_table_has_a_row_a_setting_with_its_runs_and_their_commands_folded_inside(shown, undisturbed):
    _, html, _ = shown
    rows = table(html)
    summaries = [undisturbed.summary(name) for name in ("tiny", "quest")]
    digests = {run["digest"] for one in summaries for arm in one["arms"] for run in arm["runs"]}
    shown = [re.findall(r"run ([0-9a-f]{16})", row["Setting"]) for row in rows]
    assert sorted(sum(shown, [])) == sorted(digests)
    assert len(rows) < len(digests) or all(len(one) == 1 for one in shown)
    folded = re.findall(r'<th scope="row"[^>]*><details><summary>.*?</details>', html, flags=re.S)
    assert len(folded) == len(rows) and "<details open" not in html
    for row, own in zip(rows, shown, strict=True):
        assert len(commands_of(row)) == len(own)


def test_rows_stand_in_the_order_of_validation_and_what_a_search_only_tried_stands_last(shown, undisturbed):
    rows = table(shown[1])
    trials = {arm["label"] for arm in undisturbed.summary("quest")["arms"] if arm["role"] == "trial"}
    assert trials
    validation = [row["Validation, %"].split(" ")[0] for row in rows]
    tried = [place for place, row in enumerate(rows) if "quest" in row["Setting"] and row["Seeds"] == "1"]
    known = [float(one) for one in validation[: tried[0]] if one != "–"]
    assert known == sorted(known, reverse=True)
    pruned = [row for row in rows if "stopped early" in row["Collapse type"]]
    assert pruned and all((row["Validation, %"], row["Test, %"], row["Seeds"]) == ("–", "–", "0") for row in pruned)


def test_an_untrained_network_has_one_row_for_all_studies_and_no_type_of_collapse(shown):
    (shared,) = [row for row in table(shown[1]) if row["Setting"].startswith("untrained")]
    assert "Part of tiny, quest." in shared["Setting"] and shared["Collapse type"].split()[-1] == "untrained"
    assert shared["Gain, points"] == "control"


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
    arm = next(arm for arm in results["arms"] if arm["name"] == "nu-2")
    (run,) = arm["runs"]
    run["validation"][results["primary"]]["top1"], run["test"][results["primary"]]["top1"] = 0.9876, 0.1234
    for name, value in ((f"validation_{results['primary']}", 0.987), (results["primary"], 0.123)):
        arm["summary"][name]["mean"] = value
    path.write_text(json.dumps(results))
    row = table(page()[1])[0]
    assert (row["Validation, %"], row["Test, %"], row["ν"]) == ("98.7", "12.3", "2")
    assert "validation 98.76, test 12.34" in row["Setting"]


def test_the_command_of_a_run_runs_it_again(shown, finished, command):
    row = next(row for row in table(shown[1]) if row["ν"] == "2" and "Part of tiny" in row["Setting"])
    (given,) = commands_of(row)
    status, output, _ = command(ablate.main, *shlex.split(given)[3:])
    assert status == 0 and output.count("identical") == 1
    assert re.search(r"run ([0-9a-f]{16})", row["Setting"])[1] in output


def test_a_certificate_is_quoted_and_one_of_other_results_is_not(shown, page, finished, command):
    assert "No run was rerun to check it; python -m study.verify --study tiny does so." in shown[1]
    assert command(verify.main, "--study", "tiny", "--runs", "1")[0] == 0
    assert "1 of 3 ended runs was run again from nothing" in page()[1]
    path = finished.folder / "results/verify/tiny.json"
    certificate = json.loads(path.read_bytes())
    certificate["runs"][0]["digest"] = "of-before"
    path.write_text(json.dumps(certificate))
    assert "Earlier results were checked by a rerun" in page()[1]


def test_studies_of_another_profile_are_left_out_by_name(page, finished):
    path = finished.folder / "results/ablate/quest/study.json"
    path.write_text(path.read_text().replace('"profile": "tiny"', '"profile": "large"'))
    output, html, _ = page()
    assert output.startswith("All 3 runs finished.") and len(cards(html)) == 1
    assert "Results of other profiles are left out: quest." in html


def test_a_study_that_has_not_been_run_is_listed_with_its_command(page, finished):
    (finished.folder / "results/ablate/quest/study.json").unlink()
    output, html, markdown = page()
    assert "Quest has not been run." in output
    for text in (html, markdown):
        assert "python -m study.ablate --study quest --profile tiny" in text and "Results match" not in text


def test_without_any_results_the_page_says_what_to_run(page, finished):
    for name in ("tiny", "quest"):
        (finished.folder / f"results/ablate/{name}/study.json").unlink()
    output, html, markdown = page()
    assert output.startswith("0 runs finished.") and "<table" not in html
    for text in (html, markdown):
        assert "No study has results yet" in text and "python -m study.ablate --study tiny --profile tiny" in text


# ---- what is stale or missing


def test_a_changed_parameter_makes_cells_stale_and_the_page_says_which(page, finished):
    finished.set({"pretrain.vicreg.mu": 7})
    output, html, markdown = page()
    for text in (html, markdown):
        assert "stale: setting mu changed from 25.0 to 7.0: ν 1, seed 0; ν 2, seed 0" in text
    assert "out of date or missing" in output and "Results match" not in html


def test_without_the_data_nothing_is_downloaded_and_the_page_says_that_nothing_was_checked(page, finished, monkeypatch):
    def never(*arguments, **named):
        raise AssertionError("a download")

    monkeypatch.setattr(sources, "read_published", never)
    finished.set({"prepare.dataset": "cifar10"})
    output, html, _ = page()
    assert "Tiny, quest could not be checked against the current code." in output
    assert "the data (cifar10) are not here, so no plan can be made." in html


def test_parameters_that_no_run_can_have_are_said_in_place_of_staleness(page, finished):
    finished.set({"pretrain.warmup_epochs": 99})
    _, html, _ = page()
    assert "<b>tiny</b> was not checked: " in html


# ---- pages


def test_the_page_has_the_same_bytes_in_each_folder_and_nothing_of_the_machine(shown, finished):
    name_studies(finished)
    assert write_page(finished) == shown
    for text in shown[1:]:
        assert str(finished.folder) not in text and not re.search(r"/tmp|/home|/root|\d\d:\d\d:\d\d|20\d\d-\d\d-\d\d", text)
        assert "http" not in text


def test_the_twins_say_the_same(shown):
    _, html, markdown = shown
    there, here = read_html(html), read_markdown(markdown)
    assert [text for _, text in there.headings] == [text for _, text in here.headings]
    (written,) = here.tables
    (shown,) = [one for one in there.tables if one[0] == written[0]]
    assert shown[0] == written[0] and len(shown) == len(written) and len(shown) > 4
    for row, twin in zip(shown[1:], written[1:], strict=True):
        assert row[1:] == twin[1:] and row[0].startswith(twin[0].split(" ")[0])
    assert set(re.findall(r"python -m study\.\w+[^<`]*?--again", html.replace("&#39;", "'"))) == set(
        re.findall(r"python -m study\.\w+[^<`]*?--again", markdown)
    )


def test_the_page_reads_without_its_script(shown):
    _, html, _ = shown
    bare = re.sub(r"<script>.*?</script>", "", html, flags=re.S)
    assert table(bare) == table(html) and not re.search(r"<(tr|table|section)[^>]* hidden", bare)


def test_a_hundred_settings_of_three_runs_stay_below_a_megabyte(page, finished):
    path = finished.folder / "results/ablate/tiny/study.json"
    results = json.loads(path.read_bytes())
    arm = next(one for one in results["arms"] if one["name"] == "nu-2")
    (run,) = arm["runs"]
    results["arms"] = [
        {**arm, "name": f"arm-{i}", "label": f"λ {i}, μ {i}, ν {i}", "settings": {"pretrain.nu": i},
         "runs": [{**run, "seed": seed, "digest": f"{i:08x}{seed:08x}"} for seed in range(3)]}
        for i in range(100)
    ]  # fmt: skip
    path.write_text(json.dumps(results))
    _, html, markdown = page()
    assert len(table(html)) > 100 and html.count("--again") > 300
    assert len(html.encode()) < 1e6 and len(markdown.encode()) < 1e6


def test_a_page_does_not_replace_the_projects_readme(project, command):
    (project.folder / "README.md").write_text("mine")
    for main, argv in ((index.main, ["--out", "page.html"]), (index.main, ["--out", "./page.html"])):
        status, _, errors = command(main, *argv)
        assert status == 2 and errors.startswith("error: --out must not be the project's folder, whose README.md")
    assert (project.folder / "README.md").read_text() == "mine"


def test_a_folder_of_results_that_is_none_is_refused(project, command):
    status, _, errors = command(index.main, "--results", "nowhere")
    assert (status, errors) == (2, "error: --results must be a folder of results, but nowhere is none; check its name.\n")
