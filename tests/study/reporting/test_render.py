"""The page and its Markdown as files: self-contained, well-formed, escaped, and true to the view."""

import html as html_module
import re
import xml.etree.ElementTree
from pathlib import Path

import pytest
from markupsafe import escape

from study.reporting.neighbours import neighbours_of
from study.reporting.render import code_in_cell, escaped, heading_anchor, render, slug, themed, unique
from study.reporting.report import figures_of, write_view
from study.reporting.view.build import build_view
from tests.study.made_up import Plans, arm_of, unfinished
from tests.study.made_up_reports import (
    FEW,
    TABLE_7,
    everything,
    inputs_of,
    table_7,
    twins,
    view_of,
    without_figures,
)
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


def html_text(body):
    """What a page says, without its tags."""
    return html_module.unescape(re.sub(r"<[^>]*>", "", body))


def column_of(view, name):
    """One of the columns that the table of five leaves out."""
    return [row[view["more"]["columns"].index(name)] for row in view["more"]["rows"]]


# ---- what is said


def test_both_twins_print_every_formatted_number(full):
    view, html, markdown = full
    markdown = plain(markdown)
    for arm in view["arms"]:
        for text in (arm["test"], *shown(arm["difference"]), *shown(arm["gain"]), arm["decision"], *arm["marks"]):
            assert text in html and text in markdown
        assert arm["command"] in html and arm["command"] in markdown
    for row in view["more"]["rows"]:
        assert len(row) > 15 and all(str(escape(text)) in html and text in markdown for text in row)
    for _, cells in view["every_measure"]["rows"]:
        for text, difference in cells:
            assert all(part in html and part in markdown for part in (text, *(shown(difference) if difference else [])))
    for row in view["evaluation"]["rows"]:
        assert all(text in html and text in markdown for text in row)


def test_the_controls_own_difference_is_no_test_and_its_number_stands_as_the_baselines_gain(full):
    view, *_ = full
    (control,) = [arm for arm in view["arms"] if arm["is_control"]]
    (baseline,) = [arm for arm in view["arms"] if arm["is_baseline"]]
    assert control["difference"]["text"] == "not tested" and baseline["gain"]["text"].startswith("+")


def test_only_differences_that_are_told_apart_are_set_in_bold(full):
    view, html, _ = full
    marked = [cell for arm in view["arms"] for cell in (arm["difference"], arm["gain"]) if cell["is_significant"]]
    assert html.count('class="n clear"') == len(marked) and 0 < len(marked) < 20
    assert all(cell["text"].endswith(" *") for cell in marked)


def test_the_answer_stands_before_the_figure_the_trust_what_was_found_the_contents_and_the_table(full):
    view, html, markdown = full
    contents, table = ('<nav class="contents"', "- [Settings]("), ('<table id="settings-table"', "\n| Setting |")
    for at, text in enumerate((html, markdown)):
        body = text[text.index("<body>") if "<body>" in text else 0 :]
        parts = (view["question"], view["answer"], view["facts"][0][0], view["figures"]["main"][0]["title"],
                 "How far to trust this", view["hypothesis"], view["found"], contents[at], table[at])  # fmt: skip
        said = plain(body) if at else html_text(body)
        places = [(said if part in parts[:7] else body).find(part) for part in parts]
        assert -1 not in places
        assert places[:7] == sorted(places[:7]) and places[7:] == sorted(places[7:])
        assert body.index("How far to trust this") < body.index(contents[at])


def test_the_table_has_five_columns_and_the_rest_is_folded(full, plans):
    view, html, markdown = full
    head = ["Setting", "Collapse type", "Test accuracy, %", "Difference from the baseline, points"]
    for read in (read_html(html), read_markdown(markdown)):
        kinds = [kind for kind, _ in read.places]
        (first,) = [table for table in read.tables if table[0] == [*head, "Gain over untrained, points"]]
        assert [row[0].removesuffix(" baseline") for row in first[1:]] == [arm["label"] for arm in view["arms"]]
        (more,) = [table for table in read.tables if table[0][:4] == ["Setting", "lambda", "mu", "nu"]]
        assert {"Holm's p", "g", "P(better)", "n", "Published"} <= set(more[0])
        assert kinds.count("table") == len(read.tables)
    page = parse(html)
    folded = html[html.index('<details id="more">') : html.index("</details>", html.index('<details id="more">'))]
    assert '<table id="settings-more"' in folded and '<div class="scroll"' in folded
    assert "<details open" not in html and page.read.tables
    before = html[: html.index('<table id="settings-table"')]
    assert before.count("<details") == before.count("</details>") + 0  # it is not itself folded


def test_the_figure_of_each_mode_comes_first_and_once(made_up_modes, monkeypatch):
    without_figures(monkeypatch)
    wanted = {"arms": "forest", "grid": "phase-verdict", "search": "search-plane", "path": "forest", "tuned": "forest"}
    for mode, summary in made_up_modes().items():
        view = view_of(summary)
        (main,) = view["figures"]["main"]
        assert main["name"] == wanted[mode] and view["main_caption"]
        assert [figure["name"] for figure in figures_of(view)].count(main["name"]) == 1


def test_every_link_of_the_contents_leads_to_a_section_of_both_twins(full):
    _, html, markdown = full
    page, contents = parse(html), html[html.index('<nav class="contents"') : html.index("</nav>")]
    links = re.findall(r'<a href="#([^"]+)">', contents)
    sections = [attributes["id"] for tag, attributes in page.attributes if tag == "section"]
    assert links == [name for name in sections if name not in ("trust", "expected")] and len(links) >= 10
    anchors = {heading_anchor(plain(line.removeprefix("## "))) for line in markdown.splitlines() if line.startswith("## ")}
    ours = re.findall(r"^- \[[^]]+\]\(#([^)]+)\)$", markdown, flags=re.MULTILINE)
    assert len(ours) == len(links) and set(ours) <= anchors
    assert set(re.findall(r"\]\(#([^)]+)\)", markdown)) <= anchors


def test_every_table_row_and_column_can_be_named_by_a_script(full):
    html = full[1]
    tables = re.findall(r"<table ([^>]*)>(.*?)</table>", html, flags=re.DOTALL)
    assert len(tables) > 20
    for attributes, content in tables:
        assert re.search(r'\bid="[^"]+"', attributes) and content.lstrip().startswith("<caption")
        head, body = content.split("</thead>")
        keys = re.findall(r"<th [^>]*>", head)
        named = [re.search(r'data-key="([^"]+)"', key) for key in keys]
        assert all(named) and len({found[1] for found in named}) == len(keys)
        assert all('id="' in row for row in re.findall(r"<tr[^>]*>", body))


def test_a_formatted_cell_has_the_number_behind_it(full):
    view, html, _ = full
    row = html[html.index('<tr role="row" id="setting-1-0-0"') :]
    row = row[: row.index("</tr>")]
    (arm,) = [arm for arm in view["arms"] if arm["name"] == "1-0-0"]
    numbers = [float(text) for text in re.findall(r'data-value="(-?[\d.e-]+)"', row)]
    assert numbers == pytest.approx(
        [arm["test"].value, arm["difference"]["text"].value, arm["gain"]["text"].value], rel=1e-5
    )


def test_names_are_made_plain_and_unlike():
    assert [slug(text) for text in ("λ 1, μ 0", "Test, %", "a_b", "%")] == ["λ-1-μ-0", "test", "a-b", "none"]
    assert unique(["a", "a", "a 2", "a"], "x-") == ["x-a", "x-a-2", "x-a-2-2", "x-a-3"]


@pytest.mark.usefixtures("sketched")
def test_a_report_below_reports_leads_to_the_pages_beside_it_and_one_elsewhere_to_what_is_there(
    small, tmp_path, monkeypatch
):
    monkeypatch.chdir(tmp_path)
    view = inputs_of(small())

    def links_of(out, **named):
        html, markdown = render(build_view(view, neighbours_of(Path(out), **named)))
        addresses = re.findall(r'href="([^"#][^"]*)"', html)
        return addresses, [link for link in re.findall(r"\]\(([^)#][^)]*)\)", markdown) if not link.startswith("figures/")]

    assert links_of("reports/one") == (
        ["../index.html", "../source-paper.html"],
        ["../README.md", "../source-paper.md", "index.html"],
    )
    assert links_of("reports/source-paper/one")[0] == ["../../index.html", "../../source-paper.html"]
    assert links_of("reports/measured/digits/one") == ([], ["../../source-paper.md"])  # what git keeps
    assert links_of("elsewhere/one") == ([], ["index.html"])
    Path("elsewhere").mkdir()
    Path("elsewhere/README.md").write_text("", encoding="utf-8")
    assert links_of("elsewhere/one") == ([], ["../README.md", "index.html"])


@pytest.mark.usefixtures("sketched")
def test_the_map_of_the_baseline_is_shown_in_one_report_and_the_others_lead_to_it(small, tmp_path):
    study = small()
    page = tmp_path / "first" / "index.html"
    views = {
        name: build_view(inputs_of(study, **everything(study)), neighbours_of(tmp_path / name, map_page=page))
        for name in ("first", "second")
    }
    html, markdown = render(views["first"])
    assert 'id="space"' in html and '<section id="map">' in html
    for text, link in zip(render(views["second"]), ("../first/index.html#map", "../first/README.md#map-of-the-test-images")):
        assert link in text and 'id="space"' not in text and "t-SNE in two dimensions" not in text
    assert re.search(r"\(\.\./first/README\.md#([^)]+)\)", render(views["second"])[1])[1] in {
        heading_anchor(line[3:]) for line in markdown.splitlines() if line.startswith("## ")
    }
    assert [figure["name"] for figure in figures_of(views["second"]) if "tsne" in figure["name"]] == []


def test_a_figure_has_the_table_of_what_it_shows(full):
    view, html, _ = full
    (forest,) = view["figures"]["main"]
    assert len(forest["rows"]) == 10 and forest["columns"][0] == "Setting"
    tables = read_html(html).tables
    figures = [figure for group in view["figures"].values() for figure in group if figure["rows"]]
    assert len(figures) >= 15
    for figure in figures:
        assert [figure["columns"], *figure["rows"]] in tables, figure["title"]


@pytest.mark.usefixtures("sketched")
def test_effective_coefficients_are_shown_only_where_they_differ_from_the_names(small):
    study = small()
    name = "λ, μ, ν in the official code's units"
    assert name not in view_of(study)["more"]["columns"]
    study["arms"][1]["effective"]["lambda_"] = 12800.0
    assert column_of(view_of(study), name) == ["1, 0, 0", "12800, 1, 0", "25, 25, 1", ""]


@pytest.mark.usefixtures("sketched")
def test_whether_an_arm_learned_as_the_published_one_did_is_said_and_what_that_compares(small):
    study = small()
    for arm, agrees in zip(study["arms"], (True, False, None, None), strict=True):
        arm["agrees"] = agrees
    view = view_of(study)
    assert column_of(view, "Agrees with it") == ["agrees", "differs", "", ""]
    assert view["published"][1].startswith("“Agrees” means an accuracy there and a gain over the untrained network here, ")
    assert "Table 7; ImageNet, ResNet-50" in view["published"][0]  # and the protocol here, beside the one there
    assert "Here: digits, resnet18, width 4" in view["published"][0]


@pytest.mark.usefixtures("sketched")
def test_one_seed_has_no_spread_and_no_interval(small):
    view = view_of(small(seeds=(0,)))
    assert "one finished seed" in view["certainty"][0] and view["certainty"][0].startswith("n = 1: descriptive only.")
    assert not any("±" in arm["test"] for arm in view["arms"])
    assert view["arms"][0]["difference"]["interval"] == "no interval, n = 1" and view["arms"][0]["decision"] == ""
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
    assert "<summary>1 warning</summary>" in html and "<summary>1 warning</summary>" in markdown
    assert markdown.index("These bytes") < markdown.index("## Settings")


@pytest.mark.usefixtures("sketched")
def test_what_the_study_could_have_seen_comes_with_the_command_for_more_seeds(small):
    study = small()
    study["power"] |= {"needed": 9, "needed_range": [7, 12], "command": "python -m study.ablate --study small --add-seeds 6"}
    power = study["power"]
    for twin in (read_html(twins(study)[0]), read_markdown(twins(study)[1])):
        text, *again = [block for block in twin.blocks if "would take 9 seeds (7 to 12" in block]
        assert f"{100 * power['detectable']:.1f} points" in text and again in ([], [text])
        assert power["command"] in twin.blocks
    vague = small()  # three seeds do not know their spread well enough to say
    assert "would take" not in "".join(twins(vague)[:2])


# ---- the page by itself


def test_html_asks_for_nothing_outside_itself(full):
    html = full[1].replace('"http://www.w3.org/2000/svg"', "")  # a name in the script, which nothing is asked for
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
    (tmp_path / "README.md").write_text("VICReg study **a**, profile b.\n\n![](figures/stale.svg)\n")
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
        (arms,) = [table for table in read.tables if table[0][:3] == ["Setting", "Collapse type", "Test accuracy, %"]]
        for row, arm in zip(arms[1:4], view["arms"]):
            below = ["baseline"] if arm["is_baseline"] else []
            assert row[0] == " ".join([*arm["label"].split(), *below, *arm["details"]])
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
