"""What the page says of measurements, section by section."""

import shlex
from dataclasses import replace

import pytest

from study.ablate import parse_arguments
from study.paper.claims.judge import judge
from study.paper.judged import HOLDS, NOT_REPRODUCED, OPEN, REPRODUCED, UNDETERMINED, Judged
from study.paper.page.build import build_view
from study.paper.page.claims import NOT_MEASURED, STATUSES, claim_card, protocols_of, status_of
from study.paper.page.commands import more_seeds
from study.paper.page.measurements import Source
from study.paper.write import changed_files
from study.results.comparisons import Interval
from tests.study.made_up_paper import (
    FINE,
    PUBLISHED,
    SPREAD,
    WHOLE,
    Paper,
    around,
    measured,
    projection,
)

FEW = {**WHOLE, "dataset": "imagefolder", "train": 4500, "validation": 500, "test": 1000}
CPU = {"profile": "cifar10-cpu", "data": FEW}


@pytest.fixture(scope="module")
def paper(digits):
    return Paper(digits)


@pytest.mark.parametrize(
    ("command", "more"),
    [
        ("python -m study.ablate --study stem", "python -m study.ablate --study stem --add-seeds 2"),
        ("python -m study.ablate --study stem --seeds 3", "python -m study.ablate --study stem --seeds 5"),
        ("python -m study.ablate --study stem --add-seeds 2", "python -m study.ablate --study stem --add-seeds 4"),
        ("python -m study.ablate --seeds 1 --first-seed 2", "python -m study.ablate --seeds 3 --first-seed 2"),
    ],
)
def test_the_command_for_more_seeds_has_more_than_there_are(command, more):
    assert more_seeds(command) == more


def view_of(found, maps=(), *, changed=()):
    """The page from results by study, all of which were made before these files of training code changed."""
    sources = [Source(results=one, changed=changed) for studies in found.values() for one in studies]
    return build_view(judge(found, maps, PUBLISHED.source_paper), sources, maps, PUBLISHED, failures={})


def test_a_command_with_a_folder_of_the_machine_is_shown_without_it(paper, monkeypatch):
    command = """python -m study.ablate --study stem --profile cifar10 --set 'data.root="/home/me/data"'"""
    view = view_of({"stem": [paper.results("stem", command=command)]})
    (card,) = [card for group in view["groups"] for card in group["cards"] if card["measurements"]]
    shown = [view["used"][0]["command"], *card["made"]]
    assert shown == ["""python -m study.ablate --study stem --profile cifar10 --set 'data.root="…/data"'"""] * 2


def test_code_that_has_changed_since_is_named_beside_the_measurement_and_warned_of(paper):
    results = paper.results("stem")
    view = view_of({"stem": [results]}, changed=("vicreg/methods/vicreg.py",))
    assert view["used"][0]["code"] == "earlier; changed since: vicreg/methods/vicreg.py"
    assert any("earlier training code" in warning for warning in view["warnings"])
    assert changed_files(results) == []
    assert any(file.startswith("vicreg/methods/vicreg.py (") for file in changed_files(replace(results, identity=None)))


def test_loss_curves_are_drawn_term_by_term_with_the_collapse_metrics_beside_them(paper):
    losses = view_of({"lambda-mu-nu": [paper.results("lambda-mu-nu", around(0.5), seeds=(0, 1))]})["losses"]
    assert [figure["name"] for figure in losses["figures"]] == ["loss-weighted-invariance", "loss-invariance"]
    assert all(figure["svg"].startswith("<svg") and figure["svg"].count("<path") > 5 for figure in losses["figures"])
    assert [row[0] for row in losses["figures"][0]["rows"]] == [
        "invariance, weighted", "variance, weighted", "covariance, weighted"
    ]  # fmt: skip
    assert losses["rows"][0] == ["Collapse type", "healthy", "untrained"] and "over 2 seeds" in losses["caption"]


def test_studies_of_other_images_are_not_on_the_page(paper):
    digits = paper.results("stem", data={**WHOLE, "dataset": "digits", "classes": ["0"]})
    view = view_of({"stem": [digits], "coefficient-search": [digits]})
    assert view["used"] == [] and view["field"]["rows"] == []


def test_what_the_paper_is_silent_about_is_shown_with_what_its_study_measured(paper):
    view = view_of({"stem": [paper.results("stem", lambda arm, seed: measured(
        arm, seed, 0.7 + (arm == "cifar") * (0.1 + SPREAD[seed])
    ))]})  # fmt: skip
    silent = {row["about"]: row for row in view["silent"]}
    stem, other = silent["the stem at 32 x 32 pixels"]["measured"]
    assert stem["arm"] == other["arm"] == "3x3 stem over 7x7 stem"
    assert stem["text"] == "+10.0 points" and "n = 3" in stem["interval"]
    assert silent["LARS's eta and exclusions"]["measured"] == []
    assert silent["LARS's eta and exclusions"]["command"] == "python -m study.ablate --study lars --profile cifar10"
    for row in view["silent"]:
        parse_arguments(shlex.split(row["command"])[3:])


def test_a_number_of_others_stands_beside_ours_where_every_setting_that_it_gives_is_ours(paper):
    view = view_of({"batch-size": [paper.results("batch-size", around(0.68))]})
    rows = view["field"]["rows"]
    shown = {(row["source"].partition(" ")[0], row["arm"].split(": ")[1].split(" on ")[0]): row for row in rows}
    assert set(shown) == {
        (source, f"batch size {size}")
        for source in ("awesomeslayer/Unbiased_VICReg", "AdityaaP27/VICReg-Cifar10") for size in (128, 256)
    }  # fmt: skip
    row = shown["awesomeslayer/Unbiased_VICReg", "batch size 128"]
    assert (row["paper"], row["ours"], row["n"]) == ("68.18 %", "68.00 %", "3")
    for other in ({"settings": {"pretrain.width": 16}}, {"data": {**WHOLE, "train": 4500}}, {"data": FINE}):
        assert view_of({"batch-size": [paper.results("batch-size", around(0.68), **other)]})["field"]["rows"] == []


def test_the_effect_of_the_stem_is_given_by_both_probes_and_each_is_named(paper):
    view = view_of({"stem": [paper.results("stem")]})
    row = next(row for row in view["silent"] if row["study"] == "stem")
    assert [one["probe"] for one in row["measured"]] == ["Linear, augmented", "Linear, cached features"]
    assert "the study's own report goes by “Linear, cached features”" in row["note"]


def test_the_answer_counts_every_claim_once_and_other_protocols_apart(paper):
    found = {"stem": [paper.results("stem", around(0.7667), **CPU)], "epochs": [paper.results("epochs")]}
    view = view_of(found, [projection(data=FEW, pairs=((0, 1),))])
    assert view["answer"] == "None of the paper's 13 claims is settled: 4 are undetermined and 9 were not measured."
    assert [one["count"] for one in view["counts"]] == [0, 0, 4, 9]
    assert view["smaller"].startswith("3 claims were measured by another protocol")
    assert view["smaller"].endswith("By it 2 hold, 1 does not hold, and 0 cannot be told.")
    assert view["next"] == ["dvc exp run -S profile=cifar10", "dvc exp run -S profile=cifar100"]


def test_the_answer_says_what_is_decided(paper):
    outcome = lambda arm, seed: measured(arm, seed, 0.68 + SPREAD[seed] * (1 + 0.1 * (arm == "size-256")))  # noqa: E731
    view = view_of({"batch-size": [paper.results("batch-size", outcome)]})
    assert view["answer"].startswith("Of the paper's 13 claims 1 is reproduced and 0 are not; ")
    assert view["groups"][0]["title"] == "Reproduced: 1 of 13"


def judged(verdict, *, outcome=OPEN, **changes):
    ours = Interval(n=3, mean=0.5, low=0.4, high=0.6, p=None)
    return Judged(claim="c", says="", study="s", dataset="cifar10", ours=ours, verdict=verdict, outcome=outcome, **changes)


YES, NO, LEFT = judged(REPRODUCED), judged(NOT_REPRODUCED), judged(UNDETERMINED)
ABSENT = Judged(claim="c", says="", study="s", dataset="cifar100")


def test_the_status_of_a_claim_is_the_verdict_that_all_its_measurements_share():
    assert status_of([YES, YES]) == REPRODUCED and status_of([NO]) == NOT_REPRODUCED
    for mixed in ([YES, NO], [YES, LEFT], [YES, ABSENT], [LEFT]):
        assert status_of(mixed) == UNDETERMINED
    assert status_of([ABSENT, ABSENT]) == NOT_MEASURED


def test_an_undetermined_claim_says_why():
    other = judged(UNDETERMINED, outcome=HOLDS, deviations=("width 16 in place of 64",))
    notes = {
        "measurements disagree": [YES, NO], "Not measured on CIFAR-100": [YES, ABSENT],
        "Measured by another protocol": [other, other], "Too few seeds": [LEFT],
    }  # fmt: skip
    for said, rows in notes.items():
        assert said in claim_card(rows, PUBLISHED.source_paper, protocols_of(rows))["note"]
    assert claim_card([YES], PUBLISHED.source_paper, {})["note"] == ""


def test_each_status_has_a_sign_and_a_style_of_its_own():
    assert len({sign for sign, _ in STATUSES.values()}) == len({style for _, style in STATUSES.values()}) == 4
