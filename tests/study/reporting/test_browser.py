"""A report in a browser with the network off: it asks for nothing, says all without scripts, and more with them."""

import csv
import io
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


def test_with_scripts_tables_have_tools_and_nothing_is_moved_until_a_reader_asks(visited, page):
    assert not re.search(r'<figure id="turn"[^>]*hidden', visited.dom)
    sortable = len(re.findall(r'<table [^>]*class="[^"]*sortable', page))
    assert sortable >= 2 and visited.dom.count('type="search"') == sortable
    heads = re.findall(r"<th [^>]*>(.*?)</th>", visited.dom)
    assert sum(head.startswith('<button type="button">') for head in heads) >= 11
    read = read_html(visited.dom.replace("<label", "<p").replace("</label", "</p"))
    assert read.tables == read_html(page).tables  # nothing is lost or moved until a reader asks


USING = """
document.querySelectorAll("main details").forEach((one) => { one.open = true; });
const soon = () => new Promise((done) => setTimeout(done, 50));
const type = (field, text) => { field.value = text; field.dispatchEvent(new Event("input", {bubbles: true})); };
const table = document.querySelector("#runs-table"), tools = document.querySelector(".tools[data-table=runs-table]");
const head = [...table.tHead.rows[0].cells].find((cell) => cell.textContent === "Test, %");
const shown = () => [...table.tBodies[0].rows].filter((row) => !row.hidden);
const values = () => shown().map((row) => row.cells[head.cellIndex].textContent);
const button = head.querySelector("button"), told = {before: values()};
button.focus();
told.focused = document.activeElement === button;
button.click();
told.up = values(); told.ascending = head.getAttribute("aria-sort");
button.click();
told.down = values(); told.descending = head.getAttribute("aria-sort");
const field = tools.querySelector("input[type=search]");
told.label = field.closest("label").textContent;
type(field, "untrained");
told.filtered = values(); told.status = field.closest("label").querySelector("[role=status]").textContent;
Object.defineProperty(navigator, "clipboard", {value: {writeText: () => Promise.reject(new Error("refused"))}});
tools.querySelector(".copy button").click(); await soon();
told.copied = tools.querySelector("textarea").value;
type(field, "");

const settings = document.querySelector("#settings-table");
const names = () => [...settings.tHead.rows[0].cells].map((cell) => cell.textContent);
const columns = document.querySelector("#settings details.columns");
columns.open = false; await soon(); columns.open = true; await soon();
told.own = names();
const boxes = [...columns.querySelectorAll("input[type=checkbox]")].filter((box) => !box.checked);
told.offered = boxes.length;
boxes[0].click(); await soon();
told.added = names();
told.cells = [...settings.tBodies[0].rows].map((row) => row.cells[row.cells.length - 1].textContent.trim());

const row = settings.tBodies[0].rows[1];
location.hash = row.querySelector(".permalink").getAttribute("href"); await soon();
told.linked = [...document.querySelectorAll("tr.linked")].map((one) => one.id === row.id);

const figure = document.querySelector("#figure-accuracy-linear_cached"), svg = figure.querySelector(":scope > svg");
const marks = [...svg.querySelectorAll("g.mark[data-tip]")];
marks[0].scrollIntoView({block: "center"});
const place = marks[0].getBoundingClientRect();
const at = {clientX: place.left + place.width / 2, clientY: place.top + place.height / 2};
svg.dispatchEvent(new PointerEvent("pointermove", {...at, bubbles: true}));
told.tip = document.querySelector(".tip").textContent; told.tips = marks.map((mark) => mark.dataset.tip);
const [series] = figure.querySelectorAll(".legend button");
series.click();
told.series = series.textContent.trim(); told.pressed = series.getAttribute("aria-pressed");
told.off = marks.filter((mark) => getComputedStyle(mark).display === "none").map((mark) => mark.dataset.tip);

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
const used = document.querySelectorAll("button, input, select, summary, canvas, a[href], .scroll, pre, svg:has(g.mark)");
told.unreached = [...used].filter((one) => one.tabIndex < 0).map((one) => one.outerHTML.slice(0, 80));
tell(told);
"""


@pytest.fixture(scope="module")
def told(page):
    """What became of a page that was used in every way."""
    return ask(page, USING)


def test_the_table_of_runs_sorts_filters_and_copies_and_all_can_be_reached_by_keyboard(told):
    assert told["focused"] and told["unreached"] == []
    assert sorted(told["before"], key=float) == told["up"] != told["before"] and told["ascending"] == "ascending"
    assert sorted(told["before"], key=float, reverse=True) == told["down"] and told["descending"] == "descending"
    assert len(told["before"]) == 12 and len(told["filtered"]) == 3 and clean(told["status"]) == "3 of 12"
    assert told["label"].startswith("Show rows with")
    lines = list(csv.reader(io.StringIO(told["copied"])))
    assert len(lines) == 4 and lines[0][:2] == ["Setting", "Seed"] and all("untrained" in line[0] for line in lines[1:])


def test_columns_are_added_to_the_table_of_settings_and_its_rows_have_links(told):
    assert len(told["own"]) == 5 and told["offered"] >= 5 and told["added"][:5] == told["own"] and len(told["added"]) == 6
    assert any(told["cells"]) and told["linked"] == [True]


def test_figures_name_runs_switch_series_and_turn(told):
    assert told["tip"] == told["tips"][0] and re.search(r", seed \d+: \d+\.\d\d %, \S+", told["tip"])
    assert told["pressed"] == "false" and told["off"]
    assert told["off"] == [tip for tip in told["tips"] if tip.endswith(told["series"])]
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
