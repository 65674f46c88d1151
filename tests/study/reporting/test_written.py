"""What an earlier command wrote is replaced, and nothing else."""

import subprocess
from pathlib import Path

import pytest

from study import compare, index, report
from study.reporting.written import figures_in, require_free
from tests.study.made_up import Plans
from tests.study.made_up_reports import everything, table_7, twins, without_figures
from vicreg.errors import InputError

ROOT = Path(__file__).parents[3]
OWN = "# What is not written by us\n\nA line.\n"
# Lines by which earlier versions' pages are known.
WRITTEN = (
    "# Q?\n\n> **A.**\n\nVICReg study **a**, profile b. The same report: [index.html](index.html).\n",
    "[All studies](../README.md) · VICReg study **a**, profile b.\n\n# Q?\n",
    "# Studies of profile digits\n\nThe same page with a table that sorts and filters: [index.html](index.html).\n",
    "# Q?\n\nThis is the answer of a. See also the same page in one file: [index.html](index.html).\n",
    "\n# a and b compared\n\n> **Nothing.**\n",
    "",
)


@pytest.mark.parametrize("text", WRITTEN)
def test_a_page_of_any_version_may_be_replaced(tmp_path, text):
    (tmp_path / "README.md").write_text(text, encoding="utf-8")
    require_free(tmp_path)


def test_a_report_of_today_and_a_new_folder_may_be_written(digits, tiny_config, tmp_path, monkeypatch):
    without_figures(monkeypatch)
    study = table_7(Plans(tiny_config, digits))
    (tmp_path / "README.md").write_text(twins(study, **everything(study))[1], encoding="utf-8")
    require_free(tmp_path)
    require_free(tmp_path / "new")


def test_no_other_readme_of_the_project_is_taken_for_a_page():
    listed = subprocess.run(["git", "ls-files", "*.md"], cwd=ROOT, capture_output=True, text=True).stdout.split()
    names = [name for name in listed or ["benchmarks/README.md"] if not name.startswith("reports/measured")]
    for name in names:
        if name.endswith("/README.md"):
            with pytest.raises(InputError, match="that no report wrote"):
                require_free((ROOT / name).parent)


@pytest.mark.parametrize(
    ("main", "argv"),
    [
        (report.main, ["--results", "study.json", "--out", "own"]),
        (index.main, ["--out", "own/page.html"]),
        (compare.main, ["a", "b", "--out", "own"]),
    ],
)
def test_a_readme_that_no_report_wrote_is_refused_and_stays(project, command, main, argv):
    folder = project.folder / "own"
    (folder / "figures").mkdir(parents=True)
    (folder / "README.md").write_text(OWN)
    (folder / "figures" / "mine.svg").write_text("<svg/>")
    status, _, errors = command(main, *argv)
    assert status == 2 and "--out must not replace a file that no report wrote, but own/README.md is one" in errors
    assert (folder / "README.md").read_text() == OWN and (folder / "figures" / "mine.svg").exists()


@pytest.mark.parametrize("readme", [None, ""])
def test_a_page_without_a_reports_readme_beside_it_is_refused(tmp_path, readme):
    (tmp_path / "index.html").write_text("<p>Mine</p>")
    if readme is not None:
        (tmp_path / "README.md").write_text(readme)
    with pytest.raises(InputError, match=r"index.html has no README.md of a report beside it; remove it or name another"):
        require_free(tmp_path)
    require_free(tmp_path, page="other.html")
    (tmp_path / "README.md").write_text(WRITTEN[0], encoding="utf-8")
    require_free(tmp_path)


def test_only_figures_that_the_report_shows_are_its_own(tmp_path):
    assert figures_in(tmp_path) == []
    (tmp_path / "README.md").write_text("# Mine\n\n![](figures/loss.svg)\n")
    assert figures_in(tmp_path) == []
    (tmp_path / "README.md").write_text(f"{WRITTEN[1]}\n![](figures/loss.svg) ![](figures/../../x.svg)\n", encoding="utf-8")
    assert figures_in(tmp_path) == [tmp_path / "figures" / "loss.svg"]
