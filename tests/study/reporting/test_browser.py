"""A report in a browser with the network off: it asks for nothing, says all without scripts, and more with them."""

import re

import pytest

from benchmarks.browser import ask, find_browser, visit
from tests.study.made_up import Plans, lifelike_results
from tests.study.made_up_reports import everything, table_7, twins, without_figures
from tests.study.reading import clean, read_html

pytestmark = pytest.mark.skipif(find_browser() is None, reason="no Chromium on the PATH")

NO_SCRIPTS = """<meta http-equiv="Content-Security-Policy" content="script-src 'none'">"""


@pytest.fixture(scope="module")
def page(tiny_config, digits):
    """A report with everything in it, figures and all."""
    summary = table_7(Plans(tiny_config, digits))
    return twins(summary, **everything(summary))[0]


@pytest.fixture(scope="module")
def visited(page, tmp_path_factory):
    path = tmp_path_factory.mktemp("page") / "index.html"
    path.write_text(page, encoding="utf-8")
    return visit(path)


def test_the_page_asks_the_network_for_nothing_and_its_script_finds_no_error(visited):
    assert visited.requests == () and visited.messages == ()


def test_a_page_that_asks_for_something_would_have_been_seen(tmp_path):
    """The same browser in the same way, on a page that is not self-contained: else the test above could not fail."""
    path = tmp_path / "asking.html"
    path.write_text("""<!DOCTYPE html><title>asking</title><img src="http://one.example/x.png">
        <script>fetch("https://two.example/").catch(() => console.log("refused"))</script>""")
    seen = visit(path)
    assert set(seen.requests) == {"http://one.example/x.png", "https://two.example/"}
    assert any("refused" in message for message in seen.messages)


def test_without_scripts_the_page_is_complete(page, tmp_path):
    path = tmp_path / "index.html"
    path.write_text(page.replace("<head>", f"<head>{NO_SCRIPTS}"), encoding="utf-8")
    seen = visit(path)
    assert "<button" not in seen.dom and re.search(r'<figure id="turn" hidden=""', seen.dom)
    still, written = read_html(seen.dom), read_html(page)
    assert (still.headings, still.tables, still.figures, still.blocks) == (
        written.headings,
        written.tables,
        written.figures,
        written.blocks,
    )


def test_with_scripts_tables_sort_and_filter_and_the_view_in_space_is_shown(visited, page):
    assert not re.search(r'<figure id="turn"[^>]*hidden', visited.dom)
    sortable = len(re.findall(r'<table [^>]*class="[^"]*sortable', page))
    assert sortable >= 2 and visited.dom.count('type="search"') == sortable
    heads = re.findall(r'<th scope="col"[^>]*>(.*?)</th>', visited.dom)
    assert sum(head.startswith('<button type="button">') for head in heads) >= 11
    read = read_html(visited.dom.replace("<label", "<p").replace("</label", "</p"))
    assert read.tables == read_html(page).tables  # nothing is lost or moved until a reader asks


USING = """
const table = document.querySelector("table.runs");
const column = [...table.tHead.rows[0].cells].findIndex((cell) => cell.textContent === "Test, %");
const values = () => [...table.tBodies[0].rows].filter((row) => !row.hidden).map((row) => row.cells[column].textContent);
const head = table.tHead.rows[0].cells[column], button = head.querySelector("button");
const told = {before: values()};
document.querySelectorAll("details").forEach((one) => { one.open = true; });
button.focus();
told.focused = document.activeElement === button;
button.click();
told.up = values(); told.ascending = head.getAttribute("aria-sort");
button.click();
told.down = values(); told.descending = head.getAttribute("aria-sort");
const field = table.closest("details").querySelector("input[type=search]");
told.label = field.closest("label").textContent;
field.value = "untrained";
field.dispatchEvent(new Event("input"));
told.filtered = values(); told.status = field.closest("label").querySelector("[role=status]").textContent;
const canvas = document.querySelector("#turn canvas");
const picture = () => canvas.toDataURL();
canvas.dispatchEvent(new KeyboardEvent("keydown", {key: "ArrowLeft"}));
const first = picture();
canvas.dispatchEvent(new KeyboardEvent("keydown", {key: "ArrowUp"}));
const second = picture();
told.turns = first !== second;
const [one] = document.querySelectorAll("#turn .classes button");
one.click();
told.picked = picture() !== second && one.getAttribute("aria-pressed") === "true";
const used = document.querySelectorAll("button, input, summary, canvas, a[href], .scroll, pre");
told.reached = [...used].every((one) => one.tabIndex >= 0);
tell(told);
"""


def test_the_table_of_runs_and_the_view_in_space_can_be_used_by_keyboard(page):
    told = ask(page, USING)
    assert told["focused"] and told["reached"]
    assert sorted(told["before"], key=float) == told["up"] != told["before"] and told["ascending"] == "ascending"
    assert sorted(told["before"], key=float, reverse=True) == told["down"] and told["descending"] == "descending"
    assert len(told["before"]) == 12 and len(told["filtered"]) == 3 and clean(told["status"]) == "3 of 12"
    assert told["label"].startswith("Show rows with")
    assert told["turns"] and told["picked"]


MEASURE = """
document.querySelectorAll("details").forEach((one) => { one.open = true; });
const dark = matchMedia("(prefers-color-scheme: dark)").matches;
tell([innerWidth, document.documentElement.scrollWidth, document.body.scrollWidth, dark]);
"""


def test_on_a_phone_nothing_is_wider_than_the_screen(tiny_config, digits, page, monkeypatch):
    for content in (page, wide(tiny_config, digits, monkeypatch)):
        assert ask(content, MEASURE, width=390) == [390, 390, 390, False]


def wide(tiny_config, digits, monkeypatch):
    """A search with long names and many columns, drawn without figures."""
    without_figures(monkeypatch)
    plans = Plans(tiny_config, digits)
    plan = plans.search([{"pretrain.augmentation.crop_scale": [0.2, 1.0], "pretrain.expander": [2048, 2048, 2048]}] * 3)
    summary = plans.summary(lifelike_results(plan), of=plan)
    summary["notes"].append("A word that cannot be broken: " + "x" * 200)
    return twins(summary)[0]


def test_the_page_follows_the_colours_that_a_reader_prefers(page):
    colours = "const style = getComputedStyle(document.body); tell([style.backgroundColor, style.color]);"
    light, dark = (ask(page, colours, dark=dark) for dark in (False, True))
    assert light[0] == "rgb(255, 255, 255)" and brightness(light[0]) > brightness(light[1])
    assert brightness(dark[0]) < 60 < 200 < brightness(dark[1])


def brightness(colour):
    return sum(map(int, re.findall(r"\d+", colour))) / 3
