"""The page on the source paper, end to end in a folder of its own: twins, figures, links and commands."""

import dataclasses
import html
import re
import shlex
from collections import Counter
from pathlib import Path

import pytest

from study.ablate import parse_arguments
from study.paper.page.status import in_order, mark_of
from study.source_page import main
from study.spec.study_file import available
from tests.study.made_up import unfinished
from tests.study.made_up_paper import FEW, JPEG, SPREAD, Paper, around, map_of, measured, write_results
from tests.study.made_up_reports import without_figures
from tests.study.reading import clean, parse, read_html, read_markdown

PAGE, TEXT = Path("reports/source-paper.html"), Path("reports/source-paper.md")
CPU = {"profile": "cifar10-cpu", "data": {**JPEG, **FEW}}


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
        write_results(Path("results/project"), map_of(data=CPU["data"], profile="cifar10-cpu"), "tsne.json")
        elsewhere = [str(write_results(Path("elsewhere") / name, content)) for name, content in studies["kept"].items()]
        elsewhere.append(str(write_results(Path("elsewhere/map"), map_of(purity=0.8), "tsne.json")))
        assert main(["--keep", *elsewhere]) == 0
    return folder


def test_nothing_measured_makes_a_page_of_what_is_missing(place, capsys):
    assert main([]) == 0
    page, text = PAGE.read_text(encoding="utf-8"), TEXT.read_text(encoding="utf-8")
    for one in (read_html(page), read_markdown(text)):
        assert "None of the paper's 13 claims has been run yet." in one.blocks and "None yet." in one.blocks
        assert "dvc exp run -S profile=cifar10, then dvc exp run -S profile=cifar100" in " ".join(one.blocks)
        assert one.tables == []
    assert [(len(own), {card.status for card in own}) for own in claims(page).values()] == [(1, {"not run"})] * 13
    assert not list(Path("reports/source-paper").glob("*.svg"))
    assert "What others report" not in page + text


def test_the_twins_say_the_same(made):
    page, text = read_html((made / PAGE).read_text()), read_markdown((made / TEXT).read_text())
    assert page.headings == text.headings and len(page.headings) >= 20
    assert all(table in page.tables for table in text.tables) and len(text.tables) >= 3
    for table in text.tables:
        assert {len(row) for row in table} == {len(table[0])}
    said = " ".join(text.blocks)
    for block in page.blocks:
        if not block.startswith(("Data of this figure", "and ", "drag it", "On this page: ")):
            assert block.removeprefix("VICReg studies: ").removesuffix(".").removesuffix(":") in said, block


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
    made_later = {"index.html", "README.md"}  # by the stage `index`
    assert len(targets) >= 18 and made_later < set(targets)
    for target in targets:
        if target.startswith("#"):
            assert f'id="{target[1:]}"' in page, target
        else:
            assert target in made_later or (made / "reports" / target).is_file(), target
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


@dataclasses.dataclass(kw_only=True)
class Card:
    """A card of a claim as text; `measured` is a text for each measurement, commands left out."""

    status: str
    place: str
    text: str
    measured: list[str]


def claims(page):
    """What a page says of each claim, by what the paper says."""
    found = {}
    for card in re.findall(r'<article class="card claim">(.*?)</article>', page, flags=re.S):
        shown = re.sub(r"<details>.*?</details>", "", card, flags=re.S)
        measured = [text_of(one) for one in re.findall(r'<div class="measurement">(.*?)</div>', shown, flags=re.S)]
        status, place = re.findall(r"</span> ([^<]*)</span> <span[^>]*>([^<]*)</span>", shown)[0]
        says = text_of(re.findall(r"<h3>(.*?)</h3>", shown)[0])
        found.setdefault(says, []).append(Card(status=status, place=place, text=text_of(shown), measured=measured))
    return found


def text_of(markup):
    return clean(html.unescape(re.sub(r"<[^>]*>", " ", markup)))


NUMBER = "ResNet-34 pretrained on CIFAR-10, judged there by linear evaluation"
BATCH = "ResNet-18 at batch 256 instead of 128: accuracy does not improve"
EPOCHS = "100 pretraining epochs in place of 50: linear accuracy +2 points"
SCALE = "At lambda = mu = 25, nu = 1 the invariance and covariance losses converge to the same scale"


def test_a_card_says_what_was_measured_on_what_and_the_verdict_that_follows(made):
    found = claims((made / PAGE).read_text())
    (number,) = found[NUMBER]
    assert number.status == "reproduced" and number.place == "linear evaluation, curves in Figures 5 and 6"
    assert "The paper: 76.67 %" in number.text
    (measured,) = number.measured
    assert measured.startswith(
        "7x7 stem, as in torchvision's ResNet, trained from scratch Ours: 76.67 % [76.17, 77.17], n = 3"
    )
    assert "Difference: +0.0 points [" in measured and "among them" in measured
    assert "On: CIFAR-10 Protocol: the paper's; trained on " in measured and measured.endswith("Verdict: reproduced")
    (batch,) = found[BATCH]
    assert batch.status == "reproduced" and batch.place == "where in the paper: not recorded"
    (epochs,) = found[EPOCHS]
    assert epochs.status == "undetermined" and len(epochs.measured) == 2
    for one in epochs.measured:
        assert "n = 2, no interval" in one and one.endswith("Verdict: undetermined; it takes more seeds")


def test_a_reduced_recipe_on_a_copy_is_shown_as_what_it_is_and_decides_nothing(made):
    page = (made / PAGE).read_text()
    (card,) = claims(page)[SCALE]
    assert (card.status, card.place) == ("tried at a smaller scale", "Figure 3")
    assert "Nothing here is held against the paper: it was not measured by the paper's protocol." in card.text
    for one in card.measured:
        assert "On: a JPEG copy of CIFAR-10 (bytes not the canonical ones) Protocol: A, which is not the paper's; " in one
        assert "Difference" not in one and "Verdict" not in one and "hold" not in one.replace("held out", "")
    blocks = read_html(page).blocks
    (protocol,) = [block for block in blocks if block.startswith("Protocol A: ")]
    assert "5,000 training images in place of 50,000" in protocol and "epochs 20 in place of 100" in protocol
    assert any(block.startswith("Some measurements are of a JPEG copy of CIFAR-10") for block in blocks)


def test_a_claim_that_was_not_run_has_no_number_of_ours_and_the_command_that_measures_it(made):
    page = (made / PAGE).read_text()
    left = [card for own in claims(page).values() for card in own if card.status == "not run"]
    assert left and all(card.measured == [] and "Ours" not in card.text for card in left)
    assert page.count("How to run it") == len(left)


def test_the_bar_and_its_counts_are_those_of_the_cards(made):
    page = (made / PAGE).read_text()
    shown = Counter(card.status for own in claims(page).values() for card in own)
    (listed,) = re.findall(r'<ul class="counts">(.*?)</ul>', page, flags=re.S)
    counts = {status: int(count) for count, status in re.findall(r"(\d+) ([a-z ]+)<", listed)}
    assert list(counts) == in_order(shown) and sum(counts.values()) == 13 and counts == shown
    segments = re.findall(r'<span class="([\w -]+)" style="flex-grow: (\d+)">', page)
    assert segments == [(mark_of(status)[1], str(count)) for status, count in counts.items()]
    titles = [text for level, text in read_html(page).headings if level == 2 and text.endswith("of 13")]
    assert titles == [f"{status.capitalize()}: {count} of 13" for status, count in counts.items()]


def test_a_claim_has_one_card_and_no_table_is_wider_than_a_phone(made):
    page = (made / PAGE).read_text()
    found = claims(page)
    assert len(found) == 13 and all(len(own) == 1 for own in found.values())
    bare = re.sub(r'<details class="data">.*?</details>', "", page, flags=re.S)
    assert {len(table[0]) for table in read_html(bare).tables} == {3}


def test_nothing_reads_as_if_the_stem_were_pretrained_on_imagenet(made):
    for path in (PAGE, TEXT):
        content = text_of((made / path).read_text())
        assert not re.search(r"imagenet stem|stem imagenet|imagenet over|over imagenet", content, flags=re.I)
        for found in re.finditer(r"ImageNet", content):
            assert "pretrained on" in content[found.start() - 20 : found.start()], content[found.start() - 60 : found.end()]


def test_the_map_on_the_page_is_the_one_that_the_claims_are_judged_by(made):
    page = (made / PAGE).read_text()
    (card,) = claims(page)["t-SNE of the embeddings separates the ten classes for the most part"]
    assert (card.status, card.place) == ("reproduced", "Figure 4") and "Ours: 80 % n = 1, no interval" in card.measured[0]
    quality = [table for table in read_html(page).tables if table[0][-1] == "Trustworthiness"]
    assert quality[0][2][1] == "80.0"


def test_figures_of_an_earlier_page_are_removed(place, studies, capsys):
    stale = Path("reports/source-paper/loss-of-yesterday.svg")
    stale.parent.mkdir(parents=True)
    stale.write_text("<svg/>", encoding="utf-8")
    main([])
    assert not stale.exists()
