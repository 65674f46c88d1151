"""The page and its Markdown as files: self-contained, well-formed, escaped, and true to the view."""

import re
import xml.etree.ElementTree

import pytest

from study.reporting.render import code_in_cell, escaped, render, themed
from study.reporting.report import write_view
from tests.study.made_up import Plans, arm_of, unfinished
from tests.study.made_up_reports import FEW, TABLE_7, everything, table_7, twins, view_of, without_figures
from tests.study.reading import parse, plain, read_html, read_markdown
from vicreg.errors import InputError


@pytest.fixture(scope="module")
def plans(tiny_config, digits):
    return Plans(tiny_config, digits)


@pytest.fixture(scope="module")
def full(plans):
    """The view of the full study and its two twins, figures and all; read only."""
    summary = table_7(plans, TABLE_7)
    view = view_of(summary, **everything(summary))
    return view, *render(view)


@pytest.fixture
def small(plans):
    """Makes a study of three arms, to be changed at will: `small(runs)` with some that ended otherwise."""
    return lambda lost=None, **named: table_7(plans, FEW, lost=lost, **named)


@pytest.fixture
def sketched(monkeypatch):
    without_figures(monkeypatch)


def shown(difference):
    return [difference["text"], difference["interval"]]


# ---- what is said


def test_both_twins_print_every_formatted_number(full):
    view, html, markdown = full
    markdown = plain(markdown)
    for arm in view["arms"]:
        for text in (
            arm["validation"],
            *arm["accuracies"],
            *shown(arm["difference"]),
            *shown(arm["gain"]),
            arm["rank"],
            arm["std"],
        ):
            assert text in html and text in markdown
        assert arm["command"] in html and arm["command"] in markdown
    for _, cells in view["every_measure"]["rows"]:
        for text, difference in cells:
            assert all(part in html and part in markdown for part in (text, *(shown(difference) if difference else [])))
    for row in view["evaluation"]["rows"]:
        assert all(text in html and text in markdown for text in row)


def test_only_differences_that_are_told_apart_are_set_in_bold(full):
    view, html, _ = full
    marked = [cell for arm in view["arms"] for cell in (arm["difference"], arm["gain"]) if cell["is_significant"]]
    assert html.count('class="n clear"') == len(marked) and 0 < len(marked) < 20
    assert all(cell["text"].endswith(" *") for cell in marked)


def test_the_question_the_answer_the_forest_plot_and_the_cost_stand_before_any_table(full):
    view, html, markdown = full
    for text, table in ((html, '<table class="arms">'), (markdown, "\n| Arm |")):
        places = [
            text.index(part)
            for part in (view["question"], "Best on validation is", "Difference from the baseline, Linear", "Cost: ")
        ]
        assert places == sorted(places) and places[-1] < text.index(table)


def test_a_figure_has_the_table_of_what_it_shows(full):
    view, html, _ = full
    (forest,) = view["figures"]["forest"]
    assert len(forest["rows"]) == 10 and forest["columns"][0] == "Arm"
    tables = read_html(html).tables
    figures = [figure for group in view["figures"].values() for figure in group if figure["rows"]]
    assert len(figures) >= 15
    for figure in figures:
        assert [figure["columns"], *figure["rows"]] in tables, figure["title"]


@pytest.mark.usefixtures("sketched")
def test_effective_coefficients_are_shown_only_where_they_differ_from_the_names(small):
    study = small()
    assert not any(arm["effective"] for arm in view_of(study)["arms"])
    study["arms"][1]["effective"]["lambda_"] = 12800.0
    assert [arm["effective"] for arm in view_of(study)["arms"]] == ["1, 0, 0", "12800, 1, 0", "25, 25, 1", ""]


@pytest.mark.usefixtures("sketched")
def test_a_verdict_that_differs_from_the_published_outcome_is_named(small):
    view = view_of(small())
    assert [arm["published"]["agreement"] for arm in view["arms"]] == ["agrees", "differs", "agrees", ""]
    assert view["published"][1] == "Here and there differ for: λ 1, μ 1, ν 0."
    assert "Table 7; ImageNet, ResNet-50" in view["published"][0]  # and the protocol here, beside the one there
    assert "Here: digits, resnet18, width 4" in view["published"][0]


@pytest.mark.usefixtures("sketched")
def test_one_seed_has_no_spread_and_no_interval(small):
    view = view_of(small(seeds=(0,)))
    assert "one finished seed" in view["certainty"][0] and view["certainty"][0].startswith("n = 1: descriptive only.")
    assert not any("±" in text for arm in view["arms"] for text in arm["accuracies"])
    assert view["arms"][0]["difference"]["interval"] == "no interval, n = 1"
    assert view["arms"][0]["certainty"] == ["n = 1: descriptive only"]
    assert all("one finished seed" in text for text in render(view))


@pytest.mark.usefixtures("sketched")
def test_a_study_without_a_control_says_so(small):
    study = small()
    study["arms"] = [arm for arm in study["arms"] if not arm["is_control"]]
    for text in twins(study):
        assert "no untrained control" in text and "Gain over untrained" not in text


@pytest.mark.usefixtures("sketched")
def test_data_that_are_not_canonical_are_announced_above_the_results(small):
    study = small()
    study["data"]["note"] = "These bytes are not the canonical ones."
    html, markdown = twins(study)
    assert '<p class="warning">About the data: These bytes' in html
    assert markdown.index("These bytes") < markdown.index("## The arms")


@pytest.mark.usefixtures("sketched")
def test_what_the_study_could_have_seen_comes_with_the_command_for_more_seeds(small):
    study = small()
    study["power"] |= {"needed": 9, "needed_range": [7, 12], "command": "python -m study.ablate --study small --add-seeds 6"}
    power = study["power"]
    for twin in (read_html(twins(study)[0]), read_markdown(twins(study)[1])):
        (text,) = [block for block in twin.blocks if "smallest difference this study would have found" in block]
        assert f"is {100 * power['detectable']:.1f} points." in text and "would take 9 seeds (7 to 12" in text
        assert power["command"] in twin.blocks
    vague = small()  # three seeds do not know their spread well enough to say
    assert "would take" not in "".join(twins(vague)[:2])


# ---- the page by itself


def test_html_asks_for_nothing_outside_itself(full):
    html = full[1]
    assert (
        "http:" not in html and "https:" not in html and "@import" not in html and "url(" not in re.sub(r"url\(#", "", html)
    )
    for tag, attributes in parse(html).attributes:
        links = [
            attributes[name]
            for name in ("src", "href", "xlink:href", "action", "data", "srcset", "poster")
            if name in attributes
        ]
        assert all(link.startswith(("#", "data:image/png;base64,")) for link in links), (tag, links)
        assert tag not in ("link", "iframe", "object", "embed", "base", "form")
    assert html.count("<svg") == html.count("<figure") - 1  # the view that turns is a canvas


def test_its_script_makes_no_request_and_is_the_only_one(full):
    scripts = re.findall(r"<script([^>]*)>(.*?)</script>", full[1], flags=re.DOTALL)
    assert [attributes.strip() for attributes, _ in scripts] == ['type="application/json" id="space"', ""]
    assert not re.search(
        r"fetch|XMLHttp|import\(|WebSocket|sendBeacon|new Image|EventSource|eval\(|innerHTML", scripts[1][1]
    )


@pytest.mark.usefixtures("sketched")
def test_a_page_without_a_map_has_no_points_and_no_canvas_that_a_script_would_show(full, small):
    html, _ = twins(small())
    assert 'id="space"' not in html and "<canvas" not in html and "<canvas" in full[1]


def test_ids_are_unique_and_references_resolve(full):
    html = full[1]
    ids = re.findall(r'\bid="([^"]+)"', html)
    assert len(ids) == len(set(ids))
    assert set(re.findall(r'(?:href="|url\()#([^")]+)', html)) <= set(ids)


def test_every_drawing_has_a_name_and_every_table_heads(full):
    page = parse(full[1])
    named = [attributes for tag, attributes in page.attributes if tag == "svg"]
    assert named and all(attributes["role"] == "img" and attributes["aria-label"] for attributes in named)
    heads = [attributes for tag, attributes in page.attributes if tag == "th"]
    assert heads and all(attributes.get("scope") in ("col", "row") for attributes in heads)


def test_the_views_colours_are_the_pages_and_not_the_drawings(full):
    _, html, _ = full
    drawings = re.findall(r"<svg.*?</svg>", html, flags=re.DOTALL)
    assert drawings and not any(re.search("#1c1c1e|#66666b|#dedee2|#ffffff", svg) for svg in drawings)
    assert all("var(--ink)" in svg or "var(--muted)" in svg for svg in drawings[:5])


# ---- text that looks like markup


def test_markup_in_names_is_shown_and_not_obeyed(small):
    study = small()
    study.update(question="<script>alert(1)</script> & *why* | how?")
    study["arms"][0].update(label="<b>x</b> & $y$", name="x")
    study["data"]["classes"] = ["<i>", *study["data"]["classes"][1:]]
    html, markdown = twins(study, project=everything(study)["project"])
    assert html.count("<script") == 2 and "<b>x</b>" not in html and "<i>" not in html
    assert "&lt;script&gt;alert(1)&lt;/script&gt; &amp; *why* | how?" in html
    assert "<script" not in markdown and r"\*why\* \| how?" in markdown
    page, text = read_html(html), read_markdown(markdown)
    assert page.headings[0] == text.headings[0] == (1, "<script>alert(1)</script> & *why* | how?")
    assert all(table in page.tables for table in text.tables)


@pytest.mark.usefixtures("sketched")
def test_a_class_cannot_end_the_script_that_holds_the_points(small):
    study = small()
    study["data"]["classes"] = ["</script><script>alert(1)</script>", *study["data"]["classes"][1:]]
    html, _ = twins(study, project=everything(study)["project"])
    assert html.count("<script") == 2 and "alert(1)</script>" not in html


def test_markdown_is_escaped_so_that_it_reads_as_it_was():
    for text in ("a|b", "*x* _y_ `z`", "[a](b)", "1 < 2 & 3 > 2", "# no heading", "$x^2$", r"back\slash", "~ten"):
        assert plain(escaped(text)) == text


# ---- files


def test_figures_beside_the_markdown_are_complete_and_well_formed(small, tmp_path):
    study = small()
    (tmp_path / "figures").mkdir()
    (tmp_path / "figures" / "stale.svg").write_text("<svg/>")
    write_view(view_of(study, **everything(study)), tmp_path)
    linked = re.findall(r"\(figures/([^ )]+)", (tmp_path / "README.md").read_text(encoding="utf-8"))
    assert set(linked) == {path.name for path in (tmp_path / "figures").iterdir()}
    assert len(linked) == len(set(linked)) >= 20
    for path in (tmp_path / "figures").iterdir():
        xml.etree.ElementTree.parse(path)


@pytest.mark.usefixtures("sketched")
def test_an_output_that_cannot_be_written_is_an_input_error(small, tmp_path):
    (tmp_path / "file").write_text("")
    with pytest.raises(InputError, match="--out must be a folder"):
        write_view(view_of(small()), tmp_path / "file")


@pytest.mark.usefixtures("sketched")
def test_no_absolute_path_reaches_the_report(small):
    study = small({("1-0-0", 0): unfinished("failed", "OSError: [Errno 28] '/home/someone/store/x.pt'")})
    study["notes"] = ["Read from /home/someone/data/raw here."]
    html, markdown = twins(study)
    assert "/home" not in html and "/home" not in markdown
    assert "…/x.pt" in html and "…/x.pt" in markdown
    assert arm_of(study, "1-0-0")["runs"][0]["status"] == "failed"


# ---- names that are markup elsewhere

ODD_NAMES = (
    "<script>alert(1)</script>", "a | b", "$x_1$ and _y_", "tench, Tinca tinca", r"back\slash \1 \g", "🐈 猫 é",
    "`code` & more", "x" * 200, "two\nlines",
)  # fmt: skip


def renamed(summary, names):
    """The summary with its classes and the labels of its arms called so."""
    summary["data"]["classes"] = [*names, "tenth"]
    for arm, name in zip(summary["arms"], names):
        arm["label"] = name
    return summary


def test_names_that_are_markup_elsewhere_are_read_back_as_they_are_from_both_twins(small):
    summary = renamed(small(), ODD_NAMES)
    view = view_of(summary, **everything(summary))
    html, markdown = render(view)
    assert "<script>alert" not in html and "<script>" not in markdown
    for figure in [one for group in view["figures"].values() for one in group]:
        xml.etree.ElementTree.fromstring(figure["svg"])
    page, twin = read_html(html), read_markdown(markdown)
    for read in (page, twin):
        (arms,) = [table for table in read.tables if table[0][:2] == ["Arm", "Settings"]]
        assert [row[0].removesuffix(" baseline") for row in arms[1:4]] == [
            " ".join(arm["label"].split()) for arm in view["arms"][:3]
        ]
        assert len({len(row) for row in arms}) == 1
    (classes,) = [table for table in page.tables if table[0] == ["Class", "Each seed, %"]]
    assert [row[0] for row in classes[1:10]] == [" ".join(name.split()) for name in ODD_NAMES]


@pytest.mark.parametrize(
    "text", ["plain", "a|b", "back`tick", "``two``", "`", "a\nb", "--arm 'pretrain.weights=\"a|`b.pth\"'"]
)
def test_code_of_a_markdown_cell_ends_neither_its_cell_nor_its_span(text):
    cell = code_in_cell(text)
    assert not re.search(r"(?<!\\)\|", cell)
    fence = re.match("`+", cell)[0]
    inner = cell[len(fence) : -len(fence)]
    assert cell.endswith(fence) and not re.search(rf"(?<!`){fence}(?!`)", inner)
    assert inner.replace(r"\|", "|").strip() == " ".join(text.split())


def test_a_title_may_hold_what_a_regular_expression_would_take_for_a_group():
    figure = {"name": "one", "title": r'\1 \g <b> "quoted"', "svg": '<svg viewBox="0 0 1 1"></svg>'}
    assert r'aria-label="\1 \g &lt;b&gt; &#34;quoted&#34;"' in str(themed(figure))
