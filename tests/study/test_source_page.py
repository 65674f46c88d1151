"""The page on the source paper, end to end in a folder of its own: twins, figures, links and commands."""

import re
import shlex
from pathlib import Path

import pytest

from study.ablate import parse_arguments
from study.source_page import main
from study.spec.study_file import available
from tests.study.made_up import unfinished
from tests.study.made_up_paper import SPREAD, WHOLE, Paper, around, map_of, measured, write_results
from tests.study.made_up_reports import without_figures
from tests.study.reading import parse, read_html, read_markdown

PAGE, TEXT = Path("reports/source-paper.html"), Path("reports/source-paper.md")
FEW = {**WHOLE, "dataset": "imagefolder", "train": 4500, "validation": 500, "test": 1000}
CPU = {"profile": "cifar10-cpu", "data": FEW}


@pytest.fixture(scope="module")
def paper(digits):
    return Paper(digits)


@pytest.fixture(scope="module")
def studies(paper):
    """Of this profile, which is a reduced one on a copy; and what a GPU measured elsewhere, part of it lost."""

    def partly(arm, seed):
        return unfinished("killed", "killed by signal 9") if arm == "cifar" else around(0.7667)(arm, seed)

    return {
        "own": {
            "lambda-mu-nu": paper.results("lambda-mu-nu", around(0.5), **CPU),
            "batch-size": paper.results("batch-size", around(0.5), **CPU),
            "longer": paper.results("longer", around(0.6), seeds=(0,), **CPU),
        },
        "kept": {
            "stem": paper.results("stem", partly),
            "epochs": paper.results("epochs", around(0.7), seeds=(0, 1)),
            "batch-size": paper.results(
                "batch-size", lambda arm, seed: measured(arm, seed, 0.7032 + SPREAD[seed] * (1 + 0.1 * (arm == "size-256")))
            ),
        },
    }  # fmt: skip


@pytest.fixture
def place(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    return tmp_path


@pytest.fixture(scope="module")
def made(tmp_path_factory, studies):
    """A folder with the page of all of these, made once: to be looked at alone."""
    folder = tmp_path_factory.mktemp("made")
    with pytest.MonkeyPatch.context() as patch:
        patch.chdir(folder)
        without_figures(patch)
        for name, content in studies["own"].items():
            write_results(Path("results/source_paper") / name, content)
        failures = {"generalisation": "it must be at /home/me/.cache/file.pth, but is not."}
        write_results(Path("results/source_paper"), failures, "failures.json")
        write_results(Path("results/project"), map_of(data=FEW, profile="cifar10-cpu"), "tsne.json")
        elsewhere = [str(write_results(Path("elsewhere") / name, content)) for name, content in studies["kept"].items()]
        elsewhere.append(str(write_results(Path("elsewhere/map"), map_of(purity=0.8), "tsne.json")))
        assert main(["--keep", *elsewhere]) == 0
    return folder


def test_nothing_measured_makes_a_page_of_what_is_missing(place, capsys):
    assert main([]) == 0
    page, text = read_html(PAGE.read_text(encoding="utf-8")), read_markdown(TEXT.read_text(encoding="utf-8"))
    assert "0 reproduced, 0 not reproduced, 14 undetermined" in page.blocks[1]
    assert len(page.tables) == len(text.tables) == 2
    assert all(row[3] == "–" and row[6].startswith("◆ undetermined") for row in page.tables[0][1:])
    assert not list(Path("reports/source-paper").glob("*.svg"))
    assert "None yet." in page.blocks and "None yet." in text.blocks


def test_the_twins_say_the_same(made):
    page, text = read_html((made / PAGE).read_text()), read_markdown((made / TEXT).read_text())
    assert page.headings == text.headings and len(page.headings) >= 9
    assert all(table in page.tables for table in text.tables) and len(text.tables) >= 6
    for table in text.tables:
        assert {len(row) for row in table} == {len(table[0])}
    said = " ".join(text.blocks)
    for block in page.blocks:
        if not block.startswith(("Data of this figure", "and ", "drag it")):
            assert block.removeprefix("VICReg studies: ").removesuffix(".") in said, block


def test_the_page_made_again_is_the_same_to_the_byte(made, monkeypatch, capsys):
    monkeypatch.chdir(made)
    without_figures(monkeypatch)
    files = lambda: {str(path): path.read_bytes() for path in Path("reports").rglob("*.*") if path.is_file()}  # noqa: E731
    before = files()
    assert main([]) == 0
    assert files() == before and len(before) > 20


def test_the_page_names_no_folder_of_the_machine(made):
    for path in (PAGE, TEXT):
        content = (made / path).read_text()
        assert str(made) not in content and "/home/me" not in content and "/root" not in content
    assert "it must be at …/file.pth, but is not." in (made / TEXT).read_text()


def test_links_and_figures_lead_to_files_that_exist(made):
    page, text = (made / PAGE).read_text(), (made / TEXT).read_text()
    targets = [attributes["href"] for tag, attributes in parse(page).attributes if tag == "a"]
    targets += re.findall(r"\]\(([^)]+)\)", text)
    assert len(targets) >= 18
    for target in targets:
        assert (made / "reports" / target).is_file(), target
    assert {path.name for path in (made / "reports/source-paper").glob("*.svg")} == {
        Path(target).name for target in targets if target.endswith(".svg")
    }


def test_every_command_on_the_page_is_one_that_the_command_line_takes(made):
    text = (made / TEXT).read_text()
    commands = set(re.findall(r"python -m study\.ablate[^`\n|;]*", text))
    assert len(commands) >= 10
    for command in commands:
        arguments = parse_arguments(shlex.split(command)[3:])
        assert arguments.study in available() and arguments.profile in ("cifar10", "cifar100", "cifar10-cpu")
    assert "python -m study.ablate --study epochs --profile cifar10 --add-seeds 2" in commands


def claims(folder):
    """Rows of the page's first table, by what the paper says."""
    found = {}
    for says, *cells in read_html((folder / PAGE).read_text()).tables[0][1:]:
        found.setdefault(says, []).append(cells)
    return found


def test_rows_say_what_was_measured_on_what_and_the_verdict_that_follows(made):
    rows = claims(made)
    ((measured_as, published, ours, difference, sure, verdict),) = rows["ResNet-34 trained on CIFAR-10"]
    assert measured_as == "imagenet CIFAR-10, the paper's protocol" and published == "76.67 %"
    assert ours.startswith("76.67 % [76.17, 77.17], n = 3") and difference.startswith("+0.0 points [")
    assert verdict == "● reproduced" and "among them" in sure
    (batch,) = rows["ResNet-18 at batch 256 instead of 128: accuracy does not improve"]
    assert batch[-1] == "● reproduced" and "the paper's protocol" in batch[0]
    for cells in rows["50 -> 100 pretraining epochs: linear accuracy +2 points"]:
        assert cells[-1] == "◆ undetermined missing: three seeds" and "n = 2, no interval" in cells[2]


def test_a_reduced_recipe_on_a_copy_is_shown_as_what_it_is_and_decides_nothing(made):
    rows = claims(made)
    says = "At lambda = mu = 25, nu = 1 the invariance and covariance losses converge to the same scale"
    for cells in rows[says]:
        assert "a copy of CIFAR-10 (bytes not the canonical ones), protocol " in cells[0]
        assert cells[-1].startswith("◆ undetermined by protocol ") and cells[3] == "–"
    blocks = read_html((made / PAGE).read_text()).blocks
    (protocol,) = [block for block in blocks if block.startswith("Protocol A: ")]
    assert "5,000 training images in place of 50,000" in protocol and "epochs 20 in place of 100" in protocol
    assert any(block.startswith("Some measurements are of a copy of CIFAR-10") for block in blocks)


def test_no_row_has_a_number_of_ours_that_was_not_measured(made):
    for cells in (cells for rows in claims(made).values() for cells in rows):
        if cells[0].startswith("–"):
            assert cells[2:5] == ["–", "–", "not measured"]


def test_the_map_on_the_page_is_the_one_that_the_claims_are_judged_by(made):
    rows = claims(made)
    (cells,) = rows["t-SNE of the embeddings separates the ten classes for the most part"]
    assert cells[2] == "80 % n = 1, no interval" and cells[-1] == "● reproduced"
    quality = [table for table in read_html((made / PAGE).read_text()).tables if table[0][-1] == "Trustworthiness"]
    assert quality[0][2][1] == "80.0"


def test_figures_of_an_earlier_page_are_removed(place, studies, capsys):
    stale = Path("reports/source-paper/loss-of-yesterday.svg")
    stale.parent.mkdir(parents=True)
    stale.write_text("<svg/>", encoding="utf-8")
    main([])
    assert not stale.exists()
