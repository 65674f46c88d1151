"""The README's quotation of kept results: written by a command, and the same as what is kept."""

import lzma
import re
from pathlib import Path

import pytest

from study.analysis.read import read_analysed
from study.paper.readme import README, update_readme
from study.reporting.render import escaped
from study.source_page import main
from tests.study.made_up_paper import Paper, around, write_results
from tests.study.made_up_reports import without_figures
from vicreg.errors import InputError

ROOT = Path(__file__).parents[3]
QUOTED = re.compile(r"<!-- answer of (\S+) -->\n(.*?)<!-- end of answer -->", re.DOTALL)
PLACE = "reports/measured/cifar10/stem"


@pytest.fixture(scope="module")
def paper(digits):
    return Paper(digits)


@pytest.fixture
def document(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    README.write_text(f"# Mine\n\n<!-- answer of {PLACE} -->\nby hand\n<!-- end of answer -->\n\nLeft.\n", encoding="utf-8")
    return README


def test_the_readme_quotes_the_answer_that_is_kept_with_a_figure_of_the_very_report_it_links_to():
    text = (ROOT / README).read_text(encoding="utf-8")
    ((folder, quoted),) = QUOTED.findall(text)
    answer = read_analysed(ROOT / f"{folder}.json.xz").answer
    assert f"> {escaped(answer)}\n" in quoted, "run python -m study.source_page --readme"
    (figure,) = re.findall(r"!\[[^\]]+\]\(([^)]+)\)", quoted)
    assert figure.startswith(f"{folder}/figures/") and (ROOT / figure).is_file()
    assert f"]({folder}/README.md)" in quoted
    assert Path(figure).name in (ROOT / folder / "README.md").read_text(encoding="utf-8")


def test_the_readme_opens_with_the_answer_and_its_picture_and_then_the_two_commands():
    text = (ROOT / README).read_text(encoding="utf-8")
    order = ("# VICReg", "<!-- answer of ", "![", "<!-- end of answer", "## ", "make repro", "make test")
    places = [text.index(one) for one in order]
    assert places == sorted(places) and text.index("## ") == text.index("## Two commands")


@pytest.mark.slow
def test_keeping_results_writes_the_quotation_anew(document, paper, monkeypatch, capsys):
    without_figures(monkeypatch)
    folder = write_results(Path("elsewhere/stem"), paper.results("stem", around(0.7)))
    assert main(["--keep", str(folder)]) == 0
    text = document.read_text(encoding="utf-8")
    assert "written: README.md, which quotes a kept answer" in capsys.readouterr().out
    assert escaped(read_analysed(Path(f"{PLACE}.json.xz")).answer) in text and "by hand" not in text.splitlines()
    assert text.startswith("# Mine\n\n<!-- answer of ") and text.endswith("<!-- end of answer -->\n\nLeft.\n")
    assert main(["--readme"]) == 0 and document.read_text(encoding="utf-8") == text


def test_results_that_are_not_kept_cannot_be_quoted(document):
    with pytest.raises(InputError, match=rf"must quote results that are kept, but {PLACE}\.json\.xz is not there"):
        update_readme()


def test_a_document_without_a_quotation_is_left_as_it_is_and_none_is_no_error(tmp_path):
    assert not update_readme(tmp_path / "none.md")
    (tmp_path / "one.md").write_text("# Mine\n", encoding="utf-8")
    assert not update_readme(tmp_path / "one.md") and (tmp_path / "one.md").read_text(encoding="utf-8") == "# Mine\n"


def test_damaged_results_are_refused(document):
    Path(PLACE).parent.mkdir(parents=True)
    Path(f"{PLACE}.json.xz").write_bytes(lzma.compress(b"{}")[:-4])
    with pytest.raises(InputError, match="damaged"):
        update_readme()
