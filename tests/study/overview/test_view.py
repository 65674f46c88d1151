"""What the page over all studies says of results: its lead, cards, counts, certificates and what is out of date."""

import dataclasses
from pathlib import Path

import pytest

from study.overview.page import headlines_of
from study.overview.view import build_view, own_sentences, report_links, sentences_of
from study.results.certificate import Certificate
from study.results.files import results_from_values
from study.results.findings import Looks
from study.spec.study_file import available
from study.verification.freshness import Freshness
from tests.study.comparison.sides import arm, results, run, seeds


def page(*studies, checked=None, **changes):
    given = {
        "profile": "p", "elsewhere": [], "wanted": [one.study for one in studies], "certificates": {}, "links": {},
        "headlines": {}, "checked": {one.study: Freshness() for one in studies} | (checked or {}),
    }  # fmt: skip
    return build_view(studies, **{**given, **changes})


@pytest.fixture(scope="module")
def modes(made_up_modes):
    return {mode: results_from_values(values, where=mode) for mode, values in made_up_modes().items()}


def test_the_question_on_top_is_the_short_one_of_the_first_study_with_its_answer():
    one, other = results(question="What?", answer="A. B."), results(study="other", question="Why?", answer="C.")
    assert page(one, other, headlines={"s": "Which?"})["lead"]["question"] == "Which?"
    shown = page(one, other)["lead"]
    assert (shown["question"], shown["answer"], shown["study"]) == ("What?", "A. B.", "s")
    assert page()["lead"] is None


@pytest.mark.slow
def test_of_studies_that_answer_one_question_the_one_with_a_phase_diagram_speaks(modes):
    first = dataclasses.replace(modes["arms"], study="first")
    grid = dataclasses.replace(modes["grid"], study="plane")
    alike = {"first": "Which?", "plane": "Which?"}
    shown = page(first, grid, headlines=alike)["lead"]
    assert (shown["study"], shown["answer"]) == ("plane", grid.answer) and shown["figure"]["name"] == "lead-plane"
    assert shown["caption"].startswith("A tile is a setting") and shown["facts"][0][0] == "Seeds"
    assert page(first, grid, headlines={**alike, "plane": "Another?"})["lead"]["study"] == "first"


def test_how_far_to_trust_the_answer_stands_below_it():
    study = results(answer="A.", trust=("Three seeds see two points.", "It is from /home/me/data."))
    assert page(study)["lead"]["trust"] == ["Three seeds see two points.", "It is from …/data."]


@pytest.mark.slow
@pytest.mark.parametrize(
    ("mode", "title"),
    [("arms", "Difference from the baseline"), ("grid", "Collapse phase diagram"), ("search", "All trials by"),
     ("path", "Difference from the baseline")],
)  # fmt: skip
def test_a_card_has_the_figure_of_the_studys_design_under_a_name_of_its_own(modes, mode, title):
    study = modes[mode]
    (card,) = page(study, links=report_links([study.study], Path("reports"), Path("reports")))["cards"]
    assert card["figure"]["title"].startswith(title) and card["figure"]["name"] == f"card-{study.study}"
    assert card["file"].startswith(f"{study.study}/figures/") and card["file"].endswith(".svg")


@pytest.mark.slow
def test_a_card_says_one_sentence_of_the_answer_and_how_many_seeds_and_settings_there_are(modes):
    study = results(arm("x", {}, seeds([0.5, 0.6])), arm("u", {}, [run(0, 0.3)], is_control=True), answer="Use x. It leads.")
    (card,) = page(study)["cards"]
    assert (card["answer"], card["counts"]) == ("Use x.", "seeds: 2; 1 setting")
    (searched,) = page(modes["search"])["cards"]
    assert searched["counts"].endswith(" trials to choose by")
    looks = Looks(look=2, planned=(3, 5, 8), declared=True, price=3)
    assert page(dataclasses.replace(study, looks=looks))["cards"][0]["counts"] == "seeds: 2, look 2 of 3; 1 setting"
    late = dataclasses.replace(looks, planned=(3, 5), declared=False)
    assert (
        page(dataclasses.replace(study, looks=late))["cards"][0]["counts"] == "seeds: 2, look 2 and not planned; 1 setting"
    )


@pytest.mark.parametrize(
    ("text", "first"),
    [
        ("Use λ 1.5, not 2. It is best.", "Use λ 1.5, not 2."),
        ("One only", "One only"),
        ("Why? λ is it.", "Why?"),
        ("Use x (+2.0 points). 14 of 32 collapsed.", "Use x (+2.0 points)."),
        ("", ""),
    ],
)
def test_the_first_sentence_ends_at_its_own_full_stop(text, first):
    assert sentences_of(text)[0] == first


def test_a_card_leaves_out_what_every_answer_says():
    answers = {"a": "No gain. Use x.", "b": "No gain. Keep y. It ties."}
    assert own_sentences(answers) == {"a": "Use x.", "b": "Keep y."}
    assert own_sentences({"a": "No gain. Use x."}) == {"a": "No gain."}
    assert own_sentences({"a": "No gain.", "b": "No gain."}) == {"a": "No gain.", "b": "No gain."}


def test_runs_are_counted_once_whatever_studies_share_them_and_what_was_pruned_was_stopped_early():
    shared = run(0, 0.5)
    one, other = results(arm("x", {}, [shared])), results(arm("y", {}, [shared]), study="other")
    assert page(one, other)["finished"] == "1 run finished."
    ended = [run(0, 0.5), run(1, 0.6), run(2, None, status="pruned"), run(3, None, status="killed", rank=2.0)]
    assert page(results(arm("x", {}, ended)))["finished"] == "2 of 4 runs finished; 1 was killed, 1 was stopped early."
    assert page(results(arm("x", {}, ended[:2])))["finished"] == "All 2 runs finished."
    assert page()["finished"] == "0 runs finished."


def test_a_certificate_is_quoted_where_it_is_of_these_results():
    study = results(arm("x", {}, [run(0, 0.5)]))
    certificate = Certificate(
        study="s", runs=(), tolerance=0.0, environment={"device": "cpu", "torch": "2.0"}, sentence="Of another day."
    )
    for given, said in (
        ({}, "No run was rerun to check it; python -m study.verify --study s does so."),
        ({"s": certificate}, "Earlier results were checked by a rerun; python -m study.verify --study s checks these."),
    ):
        assert page(study, certificates=given)["cards"][0]["certificate"] == said


def test_the_state_counts_what_is_out_of_date_absent_and_unchecked():
    one, other = results(arm("x", {}, seeds([0.5, 0.6]))), results(arm("y", {}, seeds([0.7])), study="other")
    assert page(one, other)["state"] == "Results match the current code."
    stale = Freshness(groups=(("never run", ("ν 1, seed 1",)),), count=1)
    shown = page(one, other, checked={"s": stale, "other": Freshness(unchecked="no data")}, wanted=["s", "other", "third"])
    assert shown["state"] == (
        "1 of 3 results is out of date or missing; third has not been run; "
        "other could not be checked against the current code."
    )
    assert shown["stale"] == [("s", stale.groups)] and shown["unchecked"] == [("other", "no data")]
    assert shown["absent"] == ["python -m study.ablate --study third --profile p"]


def test_links_are_relative_to_the_page(tmp_path):
    assert report_links(["tiny"], tmp_path / "reports", tmp_path / "pages/deep") == {
        "tiny": {
            "html": "../../reports/tiny/index.html", "markdown": "../../reports/tiny/README.md",
            "figures": "../../reports/tiny/figures",
        }
    }  # fmt: skip


def test_the_studies_of_coefficients_answer_one_question_and_a_file_that_is_gone_none():
    found = headlines_of([*available(), "gone"])
    assert {found[name] for name in ("lambda-mu-nu", "coefficient-grid", "coefficient-search")} == {
        "Which coefficients work?"
    }
    assert "gone" not in found and all(len(text.split()) <= 8 for text in found.values())
