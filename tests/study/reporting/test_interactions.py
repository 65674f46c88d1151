"""What the page's scripts do with tables and figures, in a browser, on small pages of their own."""

import csv
import io
import re

import jinja2
import pytest

from benchmarks.browser import ask, find_browser
from study.reporting.figures.dots import dot_plot
from study.reporting.palette import COLLAPSE_TYPES
from study.reporting.render import TEMPLATES, themed

pytestmark = [pytest.mark.slow, pytest.mark.skipif(find_browser() is None, reason="no Chromium on the PATH")]

ROWS = {  # name -> difference, lambda, type and note: missing in some, below zero, with an interval, in words
    "a": ("−0.3 [−1.2, +0.6]", "25", "● healthy", "plain"),
    "b": ("+2.0 [+0.6, +3.5] *", "5", "● healthy", "plain"),
    "c": ("–", "1e-3", "✖ complete", "<details><summary>open</summary>folded</details>"),
    "d": ("−35.5 [−59.0, −12.1] *", "–", "✖ complete", '<span class="unseen">unseen</span>'),
    "e": ("no result", "1,000", "–", "100 %, a_b | c &amp; d"),
    "f": ("+10.0", "100", "▲ informational", "plain"),
}
SCRIPT = """
const [table] = document.querySelectorAll("#t"), [by] = [(key) => document.querySelector(`#t th[data-key=${key}]`)];
const shown = () => [...table.tBodies[0].rows].filter((row) => !row.hidden);
const names = () => shown().map((row) => row.cells[0].firstChild.data.trim()).join("");
const type = (field, text) => { field.value = text; field.dispatchEvent(new Event("input", {bubbles: true})); };
const tools = document.querySelector(".tools"), search = tools.querySelector("input[type=search]"), told = {};
const limits = document.querySelector("details.columns");
const opened = () => new Promise((done) => { limits.open = true; setTimeout(done, 50); });
const control = (name) => [...limits.querySelectorAll(".control")].find((one) => one.textContent.trim().startsWith(name));
"""


def rendered(name):
    environment = jinja2.Environment(loader=jinja2.FileSystemLoader(TEMPLATES), trim_blocks=True, lstrip_blocks=True)
    return environment.get_template(name).render(collapse_types=COLLAPSE_TYPES)


def page_of(body):
    style, script = rendered("style.css.j2"), rendered("page.js.j2")
    return f'<!DOCTYPE html><html lang="en"><head><meta charset="utf-8"><style>{style}</style></head><body><main>{body}</main><script>{script}</script></body></html>'  # noqa: E501


@pytest.fixture(scope="module")
def table():
    rows = "".join(
        f'<tr id="row-{name}" data-row="{name}"><th scope="row">{name}</th>'
        + "".join(f"<td>{cell}</td>" for cell in cells)
        + "</tr>"
        for name, cells in ROWS.items()
    )
    names = {"name": "Name", "difference": "Difference", "lambda": "λ", "type": "Type", "note": "Note"}
    heads = "".join(f'<th scope="col" data-key="{key}">{name}</th>' for key, name in names.items())
    more = "".join(f'<tr data-row="{name}"><th scope="row">{name}</th><td>{len(name)}0{name}</td></tr>' for name in "fedcb")
    return page_of(
        f'<div class="tools" data-table="t" hidden></div><div class="chooser" data-table="t" data-from="more" hidden></div>'
        f'<details id="fold"><summary>Rows</summary><table id="t" class="sortable"><thead><tr>{heads}</tr></thead>'
        f'<tbody>{rows}</tbody></table></details><table id="more"><thead><tr><th scope="col" data-key="name">Name</th>'
        f'<th scope="col" data-key="extra">Extra</th></tr></thead><tbody>{more}</tbody></table>'
    )


def test_missing_values_stand_last_in_both_directions_and_numbers_in_their_order(table):
    told = ask(table, SCRIPT + """
        for (const key of ["difference", "lambda", "type"]) {
          const button = by(key).querySelector("button");
          button.click(); const up = names(); told[by(key).getAttribute("aria-sort")] = true;
          button.click(); told[key] = [up, names()];
        }
        tell(told);""")  # fmt: skip
    assert told["difference"] == ["dabfce", "fbadce"]
    assert told["lambda"] == ["cbafed", "efabcd"]
    assert [order[-1] for order in told["type"]] == ["e", "e"] and told["ascending"]


def test_a_filter_reads_what_is_seen(table):
    told = ask(table, SCRIPT + """
        document.getElementById("fold").open = true;
        for (const word of ["folded", "unseen", "plain HEALTHY", "open", "zzz", ""]) {
          type(search, word); told[word] = [names(), tools.querySelector("[role=status]").textContent.trim()];
        }
        table.querySelector("tbody details").open = true;
        type(search, "folded"); told.unfolded = names();
        tell(told);""")  # fmt: skip
    assert told["folded"] == told["unseen"] == told["zzz"] == ["", "0 of 6"] and told["unfolded"] == "c"
    assert told["plain HEALTHY"] == ["ab", "2 of 6"] and told["open"] == ["c", "1 of 6"] and told[""] == ["abcdef", ""]


def test_columns_have_limits_and_are_chosen(table):
    told = ask(table, SCRIPT + """
        document.getElementById("fold").open = true;
        await opened();
        const [from, to] = control("Difference").querySelectorAll("input[type=number]");
        type(from, "-1"); told.from = names();
        type(to, "5"); told.both = names();
        type(from, ""); type(to, "");
        const only = control("Type").querySelector("select");
        type(only, "✖ complete"); told.only = names(); type(only, "");
        control("Note").querySelector("input[type=checkbox]").click();
        told.hidden = by("note").hidden;
        type(search, "plain"); told.unseen = names(); type(search, "");
        control("Extra").querySelector("input[type=checkbox]").click();
        told.added = [...table.tBodies[0].rows].map((row) => row.cells[5].textContent);
        by("extra").querySelector("button").click();
        told.sorted = names();
        control("Extra").querySelector("input[type=checkbox]").click();
        told.again = by("extra").hidden;
        tell(told);""")  # fmt: skip
    assert told["from"] == "abf" and told["both"] == "ab" and told["only"] == "cd"
    assert told["hidden"] and told["unseen"] == "" and told["again"]
    assert told["added"] == ["", "10b", "10c", "10d", "10e", "10f"] and told["sorted"] == "bcdefa"


def small_table(rows, kind=""):
    heads = '<th scope="col" data-key="name">Name</th><th scope="col" data-key="test">Test</th>'
    tools = '<div class="tools" data-table="t" hidden></div>'
    return f'{tools}<table id="t" class="{kind} sortable"><thead><tr>{heads}</tr></thead><tbody>{rows}</tbody></table>'


def test_a_limit_means_the_number_that_is_seen():
    rows = "".join(
        f'<tr><th scope="row">{n}</th><td data-value="{n}">{n:.1f}</td></tr>' for n in (97.3538, 97.34, 96.6, 97.96)
    )
    page = page_of(small_table(rows))
    told = ask(page, SCRIPT + """
        await opened();
        const [from, to] = control("Test").querySelectorAll("input[type=number]");
        const left = () => [...table.tBodies[0].rows].filter((row) => !row.hidden).map((row) => row.cells[1].textContent);
        type(from, "97.4"); told.one = left();
        type(from, "97"); told.none = left(); type(from, "");
        type(to, "97.35"); told.two = left();
        tell(told);""")  # fmt: skip
    assert told == {"one": ["97.4", "98.0"], "none": ["97.4", "97.3", "98.0"], "two": ["97.4", "97.3", "96.6"]}


def test_a_limit_does_not_round_what_is_shown_with_more_digits():
    rows = "".join(
        f'<tr><th scope="row">{n}</th><td data-value="{n}">{text}</td></tr>'
        for n, text in ((0.054, "0.054"), (0.0496, "0.0496"), (0.000012, "1.2e-05"), (0.953, "0.953 [0.9, 1.0]"))
    )
    told = ask(page_of(small_table(rows)), SCRIPT + """
        await opened();
        const [from, to] = control("Test").querySelectorAll("input[type=number]");
        const left = () => [...table.tBodies[0].rows].filter((row) => !row.hidden).map((row) => row.cells[1].textContent);
        type(to, "0.05"); told.to = left();
        type(to, "0"); told.none = left(); type(to, "");
        type(from, "1"); told.from = left();
        tell(told);""")  # fmt: skip
    assert told == {"to": ["0.0496", "1.2e-05"], "none": [], "from": []}


@pytest.mark.parametrize("kind", ["five", "settings"])
def test_a_filter_hides_rows_on_a_phone_too(kind):
    rows = "".join(f'<tr><th scope="row">{name}</th><td data-label="Test">1</td></tr>' for name in "ab")
    style = rendered("overview.css.j2") if kind == "settings" else ""
    page = page_of(f"<style>{style}</style>{small_table(rows, kind)}")
    told = ask(page, SCRIPT + """
        const heights = () => [...table.tBodies[0].rows].map((row) => row.getBoundingClientRect().height > 0);
        told.before = heights(); type(search, "b"); told.after = heights();
        tell(told);""", width=390)  # fmt: skip
    assert told == {"before": [True, True], "after": [False, True]}


def test_a_table_is_copied_as_it_is_shown_in_three_forms(table):
    told = ask(table, SCRIPT + """
        Object.defineProperty(navigator, "clipboard", {value: {writeText: () => Promise.reject(new Error("refused"))}});
        document.getElementById("fold").open = true;
        by("difference").querySelector("button").click();
        type(search, "%");
        await opened(); control("Type").querySelector("input[type=checkbox]").click();
        type(search, "");
        const only = document.querySelectorAll(".copy button"), area = document.querySelector("textarea.copied");
        for (const button of only) {
          button.click(); await new Promise((done) => setTimeout(done, 20));
          told[button.textContent] = area.value; told.shown = !area.hidden; told.said = button.parentElement.textContent;
        }
        told.selected = [area.selectionStart, area.selectionEnd];
        const kept = []; navigator.clipboard.writeText = (text) => { kept.push(text); return Promise.resolve(); };
        only[0].click(); await new Promise((done) => setTimeout(done, 20));
        told.clipboard = kept[0]; told.away = area.hidden;
        tell(told);""")  # fmt: skip
    read = list(csv.reader(io.StringIO(told["CSV"])))
    assert read[0] == ["Name", "Difference", "λ", "Note"] and "".join(row[0] for row in read[1:]) == "dabfce"
    assert read[1][1] == "-35.5 [-59.0, -12.1] *" and read[5][3] == "open" and read[6][2:] == ["1,000", "100 %, a_b | c & d"]
    lines = told["Markdown"].splitlines()
    assert lines[1] == "| --- | ---: | ---: | --- |" and all(len(re.findall(r"(?<!\\)\|", line)) == 5 for line in lines)
    assert r"a\_b \| c & d" in lines[-1] and len(lines) == 8
    latex = told["LaTeX"]
    assert r"\begin{tabular}{lrrl}" in latex and all(rule in latex for rule in (r"\toprule", r"\midrule", r"\bottomrule"))
    assert (
        r"100 \%, a\_b | c \& d \\" in latex and r"d & $-$35.5 {[}$-$59.0, $-$12.1{]} *" in latex and r"$\lambda$" in latex
    )
    assert told["shown"] and "LaTeX is selected below" in told["said"] and told["selected"] == [0, len(latex)]
    assert told["clipboard"] == told["CSV"] and told["away"]


def test_a_link_to_a_row_opens_what_it_is_folded_in_and_marks_it(table):
    told = ask(table, SCRIPT + """
        const link = document.querySelector("#row-c .permalink");
        told.link = [link.getAttribute("href"), link.getAttribute("aria-label"), document.getElementById("fold").open];
        location.hash = link.getAttribute("href");
        await new Promise((done) => setTimeout(done, 50));
        const row = document.getElementById("row-c"), box = row.getBoundingClientRect();
        const folds = [document.getElementById("fold"), row.querySelector("details")];
        told.linked = [row.classList.contains("linked"), ...folds.map((fold) => fold.open)];
        const colour = (row) => getComputedStyle(row.cells[1]).backgroundColor;
        told.colour = colour(row) !== colour(table.rows[1]);
        told.seen = box.top >= 0 && box.bottom <= innerHeight;
        location.hash = "#row-a";
        await new Promise((done) => setTimeout(done, 50));
        told.moved = [...document.querySelectorAll(".linked")].map((one) => one.id);
        tell(told);""")  # fmt: skip
    assert told["link"] == ["#row-c", "Link to c", False] and told["linked"] == [True, True, True]
    assert told["colour"] and told["seen"] and told["moved"] == ["row-a"]


@pytest.fixture(scope="module")
def figure():
    row = {
        "label": "λ 1 < 2", "types": ["healthy", "complete"], "is_baseline": True, "is_control": False, "seeds": [0, 7],
        "values": [0.9, 0.8], "mean": 0.85,
    }  # fmt: skip
    svg = themed({"svg": dot_plot([row]), "name": "dots", "title": "Accuracy", "columns": [], "rows": [], "left_out": 0})
    return page_of(f'<figure id="figure-dots"><figcaption>Accuracy</figcaption>{svg}</figure>')


DRAWN = """
const svg = document.querySelector("figure > svg"), tip = document.querySelector(".tip"), told = {};
const marks = [...svg.querySelectorAll("g.mark[data-tip]")];
const at = (mark) => {
  const box = mark.getBoundingClientRect();
  return [box.left + box.width / 2, box.top + box.height / 2];
};
const move = (x, y) => svg.dispatchEvent(new PointerEvent("pointermove", {clientX: x, clientY: y, bubbles: true}));
const key = (name) => svg.dispatchEvent(new KeyboardEvent("keydown", {key: name, bubbles: true}));
"""


def test_a_pointer_and_the_arrow_keys_name_each_run(figure):
    told = ask(figure, DRAWN + """
        const [x, y] = at(marks[1]);
        move(x, y); told.over = [tip.textContent, tip.hidden];
        move(x + 5, y + 4); told.near = tip.textContent;
        const box = tip.getBoundingClientRect();
        told.inside = box.left >= 0 && box.right <= innerWidth;
        move(x + 60, y + 30); told.away = tip.hidden;
        svg.focus(); told.focused = document.activeElement === svg;
        key("ArrowRight"); told.first = tip.textContent;
        key("ArrowRight"); told.second = tip.textContent;
        key("ArrowRight"); told.round = tip.textContent;
        key("Escape"); told.escaped = tip.hidden;
        tell(told);""", width=390)  # fmt: skip
    runs = ["λ 1 < 2, seed 0: 90.00 %, healthy", "λ 1 < 2, seed 7: 80.00 %, complete"]
    assert told["over"] == [runs[1], False] and told["near"] == runs[1] and told["away"] and told["inside"]
    assert told["focused"] and [told["first"], told["second"], told["round"]] == [*runs, runs[0]] and told["escaped"]


def test_a_legend_of_buttons_switches_series_on_and_off(figure):
    told = ask(figure, DRAWN + """
        const buttons = [...document.querySelectorAll(".legend button")];
        told.names = buttons.map((one) => one.textContent.trim());
        told.pressed = buttons.map((one) => one.getAttribute("aria-pressed"));
        told.label = document.querySelector(".legend").getAttribute("aria-label");
        told.signs = buttons.every((one) => one.querySelector("svg use"));
        told.key = getComputedStyle(svg.querySelector("g.key")).display;
        buttons[1].focus(); told.reached = document.activeElement === buttons[1] && buttons[1].tabIndex === 0;
        buttons[1].click();
        told.off = marks.map((one) => getComputedStyle(one).display); told.now = buttons[1].getAttribute("aria-pressed");
        buttons[1].click();
        told.on = marks.map((one) => getComputedStyle(one).display);
        tell(told);""")  # fmt: skip
    assert told["names"] == ["healthy", "complete"] and told["pressed"] == ["true", "true"] and told["signs"]
    assert told["label"] == "Shown in: Accuracy" and told["key"] == "none" and told["reached"]
    assert "none" not in told["on"] and told["off"] == [told["on"][0], "none"] and told["now"] == "false"


def test_many_series_are_folded_and_switched_together():
    marks = "".join(
        f'<g class="mark" data-series="arm {n}"><title>arm {n}</title><path d="M0 {n}L9 {n}"/></g>' for n in range(9)
    )
    told = ask(page_of(f'<figure><figcaption>Loss</figcaption><svg viewBox="0 0 9 9">{marks}</svg></figure>'), """
        const told = {}, fold = document.querySelector("details.series"), [all, first] = fold.querySelectorAll("button");
        const off = () => document.querySelectorAll("g.mark.off").length;
        told.fold = [fold.open, fold.querySelector("summary").textContent];
        first.click(); told.one = off();
        all.click(); told.none = off();
        first.click(); told.alone = off();
        all.click(); all.click(); told.every = off();
        tell(told);""")  # fmt: skip
    assert told["fold"] == [False, "Show or hide 9 series"] and told["one"] == 1
    assert told["none"] == 9 and told["alone"] == 8 and told["every"] == 0


def test_a_column_that_a_narrow_page_leaves_out_is_neither_offered_nor_copied(table):
    narrow = table.replace("</style>", "th:nth-child(5), td:nth-child(5) { display: none; }</style>")
    told = ask(narrow, SCRIPT + """
        document.getElementById("fold").open = true;
        await opened();
        told.offered = [...limits.querySelectorAll("label")].map((one) => one.textContent.trim());
        document.querySelector(".copy button").click(); await new Promise((done) => setTimeout(done, 20));
        told.copied = document.querySelector("textarea.copied").value.split("\\n")[0];
        tell(told);""")  # fmt: skip
    assert told["offered"] == ["Name", "Difference", "λ", "Type", "Extra"]
    assert told["copied"] == "Name,Difference,λ,Type"
