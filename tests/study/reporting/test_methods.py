"""The page of a study of methods: what it shows of each, what it keeps apart, and that other studies have none of it."""

import dataclasses
import re

import pytest

from benchmarks.browser import ask, find_browser
from study.reporting.figures import curves
from study.reporting.figures.method_plane import method_plane
from study.reporting.figures.similarity import similarity_map
from study.reporting.format import memory
from study.reporting.panels import curves as curve_panels
from study.reporting.render import render
from study.reporting.selection import shown_arms
from study.reporting.view.build import build_view
from study.reporting.view.methods import A_LOSS, ESTABLISHED, NOT_ESTABLISHED, gain_decision
from study.results.comparisons import Adjusted, Difference
from study.results.files import results_from_values
from study.spec.study_file import Arm
from tests.study.made_up import ARMS as ONE_METHOD
from tests.study.made_up import Plans, lifelike_results, study, unfinished
from tests.study.made_up_methods import ARMS, method_plans, method_summary, methods_at
from tests.study.made_up_reports import everything, inputs_of, twins, without_figures
from tests.study.reading import read_html, read_markdown
from tests.study.test_wording import assert_plain

HEADINGS = ("What each method reaches and costs", "How alike the networks are", "Each method's own loss")
COSTS = {"Seconds a step": "0.02", "Memory of its state": "5.12 kB", "Runs to tune it": "0"}


@pytest.fixture(scope="module")
def plans(tmp_path_factory, digits):
    folder = tmp_path_factory.mktemp("methods")
    with methods_at(folder):
        yield method_plans(folder, digits)


@pytest.fixture(scope="module")
def summary(plans):
    return method_summary(plans)


def others_of(summary):
    """What other stages give, every run timed."""
    given = everything(summary)
    for run in given["timing"]["runs"].values():
        run["step_seconds"] = 0.02
    return given


@pytest.fixture(scope="module")
def view(summary):
    with pytest.MonkeyPatch.context() as patch:
        without_figures(patch)
        return build_view(inputs_of(summary, **others_of(summary)))


@pytest.fixture(scope="module")
def figured(summary):
    """The same with its figures."""
    return build_view(inputs_of(summary, **others_of(summary)))


@pytest.fixture(scope="module")
def plain_twins(summary):
    """The page and its Markdown twin with all that is known, without figures."""
    with pytest.MonkeyPatch.context() as patch:
        without_figures(patch)
        return twins(summary, **others_of(summary))


@pytest.fixture(scope="module")
def drawn(summary):
    """Title -> labels of the lines of every figure of curves."""
    found = {}

    def remember(name, title, arms, *_, **__):
        found[title] = [arm.label for arm in arms]
        return {"name": name, "title": title, "svg": "", "columns": [], "rows": [], "left_out": 0}

    with pytest.MonkeyPatch.context() as patch:
        without_figures(patch)
        for module in (curve_panels, *[__import__("study.reporting.panels.methods", fromlist=["x"])]):
            patch.setattr(module, "epoch_panel", remember)
        build_view(inputs_of(summary))
    return found


# ---- the table


def test_a_method_is_a_row_with_what_it_reaches_and_costs(view):
    table = view["methods"]
    assert [row[0] for row in table["rows"]] == ["VICReg", "Toy", "Queued", "Supervised (takes labels)"]
    queued = dict(zip(table["columns"], table["rows"][2]))
    assert queued["Family"] == "contrastive" and queued["Collapse type"] == "healthy"
    assert {name: queued[name] for name in COSTS} == COSTS and queued["Operations a step"].endswith("million")
    for name in ("k-NN, k = 20, test, %", "Linear, cached features, test, %", "RankMe, repr.", "RankMe, emb."):
        assert re.match(r"\d", queued[name])
    assert queued["The gain is"] in (ESTABLISHED, A_LOSS, NOT_ESTABLISHED) and "[" in queued["Gain over untrained, points"]


def test_which_network_and_which_embedding_are_measured_is_said_of_each(view):
    said = {row[0]: row[2] for row in view["methods"]["probed"]}
    assert said["Queued"] == "The online network is encoded; embeddings are the expander's."
    assert said["VICReg"] and said["Toy"]


def test_a_method_with_labels_is_called_so_in_every_table_and_figure(view, plain_twins):
    page, markdown = plain_twins
    read = read_html(page)
    named = [cell for table in read.tables for row in table for cell in row if "Supervised" in cell]
    assert len(named) > 5 and all("Supervised (takes labels)" in cell for cell in named)
    note = "Supervised takes labels: a control, never the best self-supervised method."
    assert note in page and note in markdown and "Supervised" not in view["methods"]["front"]


@pytest.mark.parametrize(
    ("n", "p", "mean", "said"),
    [(2, None, 0.2, ""), (3, 0.01, 0.2, ESTABLISHED), (3, 0.01, -0.2, A_LOSS), (3, 0.2, 0.2, NOT_ESTABLISHED)],
)
def test_a_gain_is_established_by_its_adjusted_p_value_alone(n, p, mean, said):
    gain = Difference(n=n, mean=mean, low=0.0, high=1.0, p=0.001, adjusted=Adjusted(p_holm=p))
    assert gain_decision(gain) == said and gain_decision(None) == ""


def test_a_column_in_units_of_the_features_has_no_difference(view):
    names = view["every_measure"]["columns"]
    rows = dict(view["every_measure"]["rows"])
    compared = {name: cell[1] for name, cell in zip(names, rows["Toy"])}
    assert compared["std, emb."] is None and compared["std, repr."] is None and compared["RankMe, emb."] is not None


def test_one_untrained_network_stands_for_all_that_are_alike(view, summary):
    assert [arm["label"] for arm in view["arms"] if arm["is_control"]] == ["untrained"]
    results = results_from_values(summary, where="made up")
    first = results.arm("untrained-toy").runs[0]
    other = dataclasses.replace(
        first, test={name: dataclasses.replace(probe, top1=0.1) for name, probe in first.test.items()}
    )
    arms = [
        dataclasses.replace(arm, runs=(other, *arm.runs[1:])) if arm.name == "untrained-toy" else arm for arm in results.arms
    ]
    shown = [arm.name for arm in shown_arms(dataclasses.replace(results, arms=tuple(arms))) if arm.is_control]
    assert shown == ["untrained", "untrained-toy"]


# ---- what is drawn together


def test_no_figure_holds_the_losses_of_two_methods(drawn):
    losses = {title: labels for title, labels in drawn.items() if ": " in title}
    assert {"VICReg: Invariance term", "Queued: Invariance of a queue", "Toy: Negative cosine"} <= losses.keys()
    assert {f"{name}: Total loss" for name in ("VICReg", "Toy", "Queued", "Supervised (takes labels)")} <= losses.keys()
    assert all(len(labels) == 1 for labels in losses.values())


def test_what_compares_methods_is_drawn_together(drawn):
    everyone = ["VICReg", "Toy", "Queued", "Supervised (takes labels)"]
    together = {title for title, labels in drawn.items() if labels == everyone}
    assert together == {
        "RankMe of the embeddings", "RankMe of the representations", "Normalised standard deviation of the embeddings",
        "Root-mean-square correlation of the embeddings", "k-NN accuracy on validation while training, %",
    }  # fmt: skip


def test_planes_and_the_map_of_likeness_name_every_method(figured):
    planes = {panel["name"]: panel for panel in figured["figures"]["methods"]}
    assert set(planes) == {
        "methods-operations", "methods-seconds", "methods-uniformity-representations", "methods-uniformity-embeddings",
    }  # fmt: skip
    for panel in planes.values():
        assert all(f">{name}<" in panel["svg"] for name in ("VICReg", "Toy", "Queued", "Supervised (takes labels)"))
    (likeness,) = figured["figures"]["similarity"]
    assert likeness["columns"] == ["", "VICReg", "Toy", "Queued", "Supervised (takes labels)", "untrained"]
    assert "<title>VICReg and Queued: 0.81</title>" in likeness["svg"]


def test_a_plane_keeps_names_apart():
    points = [{"x": 1e9, "y": 70 + 0.2 * k, "type": "healthy", "tip": str(k)} for k in range(4)]
    svg = method_plane(points, [f"method {k}" for k in range(4)], xlabel="x", ylabel="y", log_x=True)
    places = re.findall(r'transform="translate\(([\d.]+) ([\d.]+)\)[^>]*>method', svg) or re.findall(
        r'x="([\d.]+)" y="([\d.]+)"[^>]*>method', svg
    )
    assert len(set(places)) == 4


def test_a_plane_numbers_its_points_where_names_have_no_room():
    crowd = [{"x": 1.0, "y": 1 + 0.001 * k, "type": "healthy", "tip": f"tip {k}"} for k in range(31)]
    svg = method_plane(crowd, [f"method {k}" for k in range(31)], xlabel="x", ylabel="y")
    assert all(f">{k + 1}  method {k}<" in svg and f">{k + 1}<" in svg for k in range(31))
    few = method_plane(crowd[:2], ["method 0", "method 1"], xlabel="x", ylabel="y")
    assert ">method 0<" in few and ">1<" not in few


def test_a_pair_that_was_not_compared_leaves_a_gap():
    svg = similarity_map([[1.0, None], [None, 1.0]], ["a", "b"])
    assert svg.count(">1.00<") == 2 and "a and b" not in svg


def test_lines_of_more_methods_than_a_figure_has_room_for_are_named_in_a_higher_one():
    styles = [{"label": f"m{k}", "is_baseline": k == 0, "is_control": False, "type": "healthy"} for k in range(18)]
    lines = [([1, 2], [(k, k, k), (k + 1, k, k + 2)]) for k in range(18)]
    usual, higher = curves.curves(styles, lines), curves.curves(styles, lines, most_named=30)
    assert usual.count(">m1<") == 0 and all(f">m{k}<" in higher for k in range(18))
    heights = [float(re.search(r'height="([\d.]+)pt"', svg)[1]) for svg in (usual, higher)]
    assert heights[0] == 250 and heights[1] > 300


# ---- the page


@pytest.mark.parametrize("given", ["everything", "nothing has run", "one seed"])
def test_both_twins_have_the_sections_and_say_the_same(plans, plain_twins, given, monkeypatch):
    without_figures(monkeypatch)
    if given == "everything":
        page, markdown = plain_twins
    elif given == "one seed":
        page, markdown = twins(method_summary(plans, seeds=(0,), alike=False))
    else:
        plan = plans.plan(study(ARMS, source=None))
        page, markdown = twins(plans.summary({(cell.arm, cell.seed): unfinished("missing") for cell in plan.cells}, of=plan))
    ours, theirs = read_html(page), read_markdown(markdown)
    assert ours.headings == theirs.headings
    headings = [text for _, text in ours.headings]
    assert [name for name in HEADINGS if name in headings] == list(HEADINGS[: 3 if given == "everything" else 1]) or (
        given == "one seed" and HEADINGS[1] not in headings
    )
    assert all(table in ours.tables for table in theirs.tables)
    assert "Loss, term by term" not in headings


def test_sentences_on_methods_are_plain(view, plans):
    assert_plain([view["methods"][name] for name in ("labelled", "front", "similarity")], at_least=4)
    assert_plain([text for _, text in view["glossary"]], at_least=10)


def test_a_study_of_one_method_has_none_of_these_sections(tiny_config, digits):
    plain, named = Plans(tiny_config, digits), []
    for changes in ({}, {"pretrain.method": "vicreg"}):
        arms = tuple(Arm(name=arm.name, settings={**arm.settings, **changes}) for arm in ONE_METHOD)
        plan = plain.plan(study(arms))
        with pytest.MonkeyPatch.context() as patch:
            without_figures(patch)
            view = build_view(inputs_of(plain.summary(lifelike_results(plan), of=plan)))
        page, markdown = render(view)
        assert view["methods"] is None and not any(view["figures"][name] for name in ("methods", "losses", "similarity"))
        for heading in (*HEADINGS, "methods-", "Supervised", "probed"):
            assert heading not in page and heading not in markdown
        assert "Loss, term by term" in page
        named.append([title for _, title in read_html(page).headings])
    assert named[0] == named[1]


@pytest.mark.parametrize(("size", "text"), [(0, "none"), (320, "320 bytes"), (5120, "5.12 kB"), (16_777_216, "16.8 MB")])
def test_memory_is_in_the_unit_a_person_would_use(size, text):
    assert memory(size) == text and memory(size).value == size


@pytest.mark.slow
@pytest.mark.skipif(find_browser() is None, reason="no Chromium on the PATH")
def test_nothing_is_wider_than_the_screen_of_a_phone(figured):
    page, _ = render(figured)
    told = ask(page, "tell([document.documentElement.scrollWidth, innerWidth])", width=390)
    assert told[0] <= told[1] == 390
