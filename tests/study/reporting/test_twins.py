"""A report's page and its Markdown say the same: headings, tables cell by cell, figures and every paragraph."""

import re

import pytest

from tests.study.made_up import Plans, unfinished
from tests.study.made_up_reports import everything, table_7, twins, without_figures
from tests.study.reading import read_html, read_markdown

MODES = ("arms", "grid", "search", "path", "tuned", "empty", "predicted")
EXPECTED = {
    "hypothesis": "Without variance a | b all collapses; x < y. No prediction says this.",
    "predictions": [
        {"says": "Without variance a | b all collapses;", "arms": ["25-25-1"], "ends": ["healthy"]},
        {"says": "x < y.", "arms": ["25-25-1", "gone"], "ends": ["complete"]},
    ],
    "predicted_after": True,
}  # fmt: skip


@pytest.fixture(scope="module")
def read(tiny_config, digits, made_up_modes):
    """Mode -> what a reader sees of both twins."""
    with pytest.MonkeyPatch.context() as patch:
        without_figures(patch)
        plans = Plans(tiny_config, digits)
        modes = made_up_modes()
        lost = {(arm["name"], seed): unfinished("failed", "a | b") for arm in modes["arms"]["arms"] for seed in range(3)}
        pages = {mode: twins(summary, **everything(summary)) for mode, summary in modes.items()}
        pages["predicted"] = twins({**table_7(plans), **EXPECTED})
        pages["empty"] = twins(table_7(plans, lost=lost))
    return {mode: (read_html(page), read_markdown(markdown)) for mode, (page, markdown) in pages.items()}


@pytest.mark.parametrize("mode", MODES)
def test_headings_are_the_same_in_the_same_order(read, mode):
    page, markdown = read[mode]
    assert page.headings == markdown.headings and len(page.headings) >= 7


@pytest.mark.parametrize("mode", MODES)
def test_every_table_of_the_markdown_is_in_the_page_cell_by_cell(read, mode):
    page, markdown = read[mode]
    assert len(markdown.tables) >= 3
    for table in markdown.tables:
        same_head = [other for other in page.tables if other[0] == table[0]]
        assert table in same_head, (table, same_head)


@pytest.mark.parametrize("mode", MODES)
def test_tables_of_the_page_beside_those_of_figures_are_in_the_markdown(read, mode):
    page, markdown = read[mode]
    kinds = [kind for kind, _ in page.places]
    texts = [text for _, text in page.places]
    own = []
    tables = iter(page.tables)
    for place, kind in enumerate(kinds):
        if kind == "table":
            table = next(tables)
            before = next((text for text, what in zip(texts[:place][::-1], kinds[:place][::-1]) if what == "summary"), "")
            inside = place and kinds[place - 1] == "summary" and before.startswith("Data of this figure")
            own += [] if inside else [table]
    assert own and all(table in markdown.tables for table in own)


@pytest.mark.parametrize("mode", MODES)
def test_rows_have_as_many_cells_as_their_heads(read, mode):
    for twin in read[mode]:
        for table in twin.tables:
            assert len(table) > 1 and {len(row) for row in table} == {len(table[0])}, table[0]


@pytest.mark.parametrize("mode", MODES)
def test_every_figure_of_the_markdown_is_in_the_page_in_the_same_order(read, mode):
    page, markdown = read[mode]
    assert [title for title in page.figures if title in markdown.figures] == markdown.figures
    assert len(set(markdown.figures)) == len(markdown.figures)
    more = [title for title in page.figures if title not in markdown.figures]
    assert len(more) <= 1 and all("drag it" in title for title in more)  # that view needs a script, and Markdown has none


def loose(text):
    """Without what only one of the twins puts between a name and what is said of it."""
    text = text.replace("Left: ", "First: ").replace("Right: ", "Second: ")
    text = text.removesuffix("The same report with its figures in one page: index.html.")
    return re.sub(r"[:.](?=\s|$)", "", text).strip()


@pytest.mark.parametrize("mode", MODES)
def test_every_paragraph_of_one_is_in_the_other(read, mode):
    page, markdown = read[mode]
    titles = {loose(title) for title in page.figures}
    ours = [
        loose(text)
        for text in page.blocks
        if not text.startswith("Data of this figure") and not re.fullmatch(r"and \d+ more", text)
    ]
    theirs = [loose(text) for text in markdown.blocks if loose(text) and loose(text) not in titles]
    assert [text for text in theirs if text not in ours] == []
    assert [text for text in ours if text and text not in theirs] == []


def test_predictions_stand_with_their_verdicts_and_what_is_not_judged_apart(read):
    for twin in read["predicted"]:
        said = " ".join(twin.blocks)
        for text in (
            "Held: Without variance a | b all collapses. λ 25, μ 25, ν 1: healthy at all three seeds.",
            "Did not hold: X < y. λ 25, μ 25, ν 1: healthy at all three seeds.",
            "Not judged: No prediction says this.",
            "The hypothesis is older than the runs; these predictions were taken from it after them.",
        ):
            assert text in said
        assert EXPECTED["hypothesis"] not in said


def test_each_mode_has_what_it_was_made_for(read):
    headings = {mode: [text for _, text in page.headings] for mode, (page, _) in read.items()}
    assert {"The grid", "Analysis of variance"} <= set(headings["grid"])
    assert "The search" in headings["search"] and "The path to ν 2, μ 5" in headings["path"]
    heads = {mode: [table[0] for table in page.tables] for mode, (page, _) in read.items()}
    assert ["Term", "df", "F", "p", "share", "partial η²", "ω²"] in heads["grid"]
    assert ["Parameter", "fANOVA", "PED-ANOVA"] in heads["search"]
    assert ["Setting", "Tried", "Validation, %", "Outcome", ""] in heads["tuned"]
    assert any(head[0] == "Change" for head in heads["path"])
    assert "Loss, term by term" not in headings["empty"] and "What did not finish" in headings["empty"]
