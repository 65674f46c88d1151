"""What the page says of measurements, section by section."""

import shlex
from dataclasses import replace

import pytest

from study.ablate import parse_arguments
from study.paper.claims.judge import judge
from study.paper.copy_cost import CodingCost, CopyCost, NetworksCost
from study.paper.page.build import build_view
from study.paper.page.commands import more_seeds
from study.paper.page.measurements import Source
from study.paper.write import changed_files
from tests.study.made_up import unfinished
from tests.study.made_up_paper import (
    FEW,
    FINE,
    JPEG,
    PUBLISHED,
    SPREAD,
    WHOLE,
    Paper,
    around,
    measured,
    projection,
)

CPU = {"profile": "cifar10-cpu", "data": {**JPEG, **FEW}}


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


def view_of(found, maps=(), *, changed=(), cost=None):
    """The page from results by study, all of which were made before these files of training code changed."""
    sources = [Source(results=one, changed=changed) for studies in found.values() for one in studies]
    return build_view(judge(found, maps, PUBLISHED.source_paper), sources, maps, PUBLISHED, failures={}, cost=cost)


NUMBER, _, AUTHORS, _ = (one.says for one in PUBLISHED.source_paper.numbers)


def card_of(view, says):
    (card,) = [card for group in view["groups"] for card in group["cards"] if card["says"] == says]
    return card


def facts_of(measurement):
    return {fact["name"]: fact["text"] for fact in measurement["facts"]}


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


def test_the_answer_counts_every_claim_once_and_gives_what_was_tried_no_verdict(paper):
    found = {"stem": [paper.results("stem", around(0.7667), **CPU)], "epochs": [paper.results("epochs")]}
    view = view_of(found, [projection(data=CPU["data"], pairs=((0, 1),))])
    assert view["answer"] == (
        "None of the paper's 13 claims is settled. One is undetermined. "
        "Three were tried at a smaller scale and nine were not run."
    )
    assert [(one["status"], one["count"]) for one in view["counts"]] == [
        ("undetermined", 1), ("tried at a smaller scale", 3), ("not run", 9)
    ]  # fmt: skip
    assert view["tried"].startswith("3 claims were tried, but not by the paper's protocol.")
    assert view["next"] == ["dvc exp run -S profile=cifar10", "dvc exp run -S profile=cifar100"]
    assert view["first"] == (
        "The cheapest step: one training a seed tells of 4 claims.",
        "python -m study.ablate --study source-recipe --profile cifar10",
    )


def test_a_training_that_has_not_ended_goes_on_by_its_own_command(paper):
    command = "python -m study.ablate --study source-recipe --profile cifar10 --seeds 2"
    recipe = paper.results("source-recipe", lost=("epochs-100", "halfway"), data=JPEG, seeds=(0, 1), command=command)
    view = view_of({"source-recipe": [recipe]})
    card = card_of(view, NUMBER)
    assert card["status"] == "tried at a smaller scale" and card["measurements"][0]["arm"].endswith(
        " stem, as in torchvision's ResNet, after 20 of 100 epochs"
    )
    assert card["missing"] == [{"text": "the rest of its training", "command": command}]
    assert view["first"][1] == command and view["losses"]["caption"].startswith("Arm after-20 of source-recipe, ")
    whole = view_of({"source-recipe": [paper.results("source-recipe", around(0.7667), data=JPEG, seeds=(0, 1))]})
    assert card_of(whole, NUMBER)["status"] == "reproduced on the JPEG copy" and whole["first"] is not None


def test_a_look_without_the_papers_probe_or_a_seed_that_is_left_has_the_command_that_settles_it(paper):
    command = "python -m study.ablate --study source-recipe --profile cifar10 --seeds 2"

    def without_linear(arm, seed):
        run = measured(arm, seed, 0.7)
        return {**run, "test": {name: probe for name, probe in run["test"].items() if name != "linear"}}

    looks = paper.results("source-recipe", without_linear, lost=("epochs-100",), seeds=(0, 1), command=command)
    card = card_of(view_of({"source-recipe": [looks]}), NUMBER)
    assert card["missing"] == [
        {"text": "the paper's protocol", "command": "python -m study.ablate --study source-recipe --profile cifar10"}
    ]
    assert card["status"] == "tried at a smaller scale"  # by another probe as well
    one_left = lambda arm, seed: unfinished("missing") if seed else around(0.7)(arm, seed)  # noqa: E731
    half = paper.results("source-recipe", one_left, seeds=(0, 1), command=command)
    card = card_of(view_of({"source-recipe": [half]}), NUMBER)
    assert [one["command"] for one in card["missing"]] == [command]  # and not two seeds more


def test_where_no_more_runs_of_the_recipe_would_tell_more_there_is_no_cheapest_step(paper):
    def outcome(arm, seed):
        run = measured(arm, seed, {"halfway": 0.7467}.get(arm, 0.7667) + SPREAD[seed] * (1 + 0.1 * (arm == "halfway")))
        for name, value in (("invariance", 1e-4 * (1 + 0.01 * seed)), ("covariance", 1.0)):
            run["history"][-1] |= {name: value, f"weighted_{name}": value}
        return run

    view = view_of({"source-recipe": [paper.results("source-recipe", outcome)]})
    collapse = card_of(view, PUBLISHED.source_paper.claims["collapse"])
    assert [one["text"] for one in collapse["missing"]] == ["a baseline whose terms are of one scale"]
    assert view["first"] is None


def test_the_answer_says_what_is_decided_and_on_which_copy(paper):
    outcome = lambda arm, seed: measured(arm, seed, 0.68 + SPREAD[seed] * (1 + 0.1 * (arm == "size-256")))  # noqa: E731
    view = view_of({"batch-size": [paper.results("batch-size", outcome)]})
    assert view["answer"] == "Of the paper's 13 claims one is reproduced. One is undetermined. Eleven were not run."
    assert view["groups"][0]["title"] == "Reproduced: 1 of 13"
    found = {"batch-size": [paper.results("batch-size", outcome, data=JPEG)], "stem": [paper.results("stem", data=JPEG)]}
    view = view_of(found)
    assert view["answer"].startswith("Of the paper's 13 claims one is reproduced and one is not, on the JPEG copy. One is ")
    del found["stem"]
    assert view_of(found)["answer"].startswith("Of the paper's 13 claims one is reproduced on the JPEG copy. One is ")
    found["stem"] = [paper.results("stem", data=JPEG)]
    found["epochs"] = [paper.results("epochs")]  # of canonical images, and all the same
    found["generalisation"] = [paper.given()]
    assert view_of(found)["answer"].startswith(
        "Of the paper's 13 claims one is not reproduced; one is reproduced and one is not, on the JPEG copy. "
    )
    assert [group["anchor"] for group in view["groups"]] == [
        "reproduced-on-the-jpeg-copy", "not-reproduced-on-the-jpeg-copy", "undetermined", "not-run"
    ]  # fmt: skip


def test_a_row_says_how_many_images_were_trained_on_what_was_held_out_and_the_arithmetic(paper):
    results = paper.results("stem", data=JPEG, settings={"pretrain.precision": "bfloat16"})
    held_out = replace(results, recipe={**results.recipe, "pretrain.train_on": "train"})
    facts = facts_of(card_of(view_of({"stem": [held_out]}), NUMBER)["measurements"][0])
    assert facts["On"] == "a JPEG copy of CIFAR-10 (bytes not the canonical ones)"
    assert facts["Protocol"] == (
        "the paper's; trained on 45,000 of 50,000 training images, 5,000 held out for validation; "
        "trained in bfloat16, where the paper is silent"
    )
    assert facts["Verdict"] == "not reproduced on the JPEG copy" and facts["Difference"].startswith("−6.7 points [")
    on_all = replace(results, recipe={**results.recipe, "pretrain.train_on": "all", "pretrain.convention": "equation"})
    facts = facts_of(card_of(view_of({"stem": [on_all]}), NUMBER)["measurements"][0])
    assert facts["Protocol"].startswith("the paper's; trained on all 50,000 training images; ")
    assert "convention equation, where the paper is silent and official is usual here" in facts["Protocol"]


def test_what_was_tried_has_its_value_and_interval_its_protocol_and_nothing_against_the_paper(paper):
    view = view_of({"stem": [paper.results("stem", around(0.5), **CPU)]})
    card = card_of(view, NUMBER)
    assert (card["status"], card["copies"], card["accounts"], card["apart"]) == ("tried at a smaller scale", [], [], "")
    facts = facts_of(card["measurements"][0])
    assert set(facts) == {"Ours", "How sure", "On", "Protocol"}
    assert facts["Ours"] == "50.00 % [49.50, 50.50], n = 3" and "paper" not in facts["How sure"]
    assert facts["Protocol"].startswith(
        "A, which is not the paper's; trained on 4,500 of 5,000 training images, 500 held out"
    )


# ---- a copy, and what it may cost

DIGITS = CodingCost(probe="linear_cached", coded="train and test", n=8, mean=-0.003, low=-0.009, high=0.002, psnr=30.5)


def test_a_verdict_on_the_copy_stands_with_what_coding_was_measured_to_move(paper):
    found = {"stem": [paper.results("stem", data=JPEG)]}
    said = ("On digits: −0.3 points [−0.9, +0.2], n = 8, by “Linear, cached features”, with train and test coded at "
            "30.5 dB.")  # fmt: skip
    view = view_of(found, cost=CopyCost(digits=DIGITS))
    assert card_of(view, NUMBER)["copies"] == [said]
    assert view["copies"] == [("JPEG copy", said)]
    all_three = CopyCost(digits=DIGITS, copy=replace(DIGITS, n=2, low=None, high=None), cifar10=replace(DIGITS, mean=0.01))
    view = view_of(found, cost=all_three)
    ((_, text),) = view["copies"]
    first, second, third = text.split("dB. ")
    assert card_of(view, NUMBER)["copies"] == [f"{first}dB. In full under “How far to trust this”."]
    assert first.startswith("On lossless images of CIFAR-10: +1.0 points") and second in said
    assert third.startswith("On the copy, coded once more: −0.3 points n = 2, no interval, by ")


def test_what_the_copy_costs_networks_that_were_trained_on_it_comes_first(paper):
    networks = NetworksCost(probe="linear_cached", differences=(0.003, -0.008), again=(-0.0037, -0.007), psnr=30.5)
    view = view_of({"stem": [paper.results("stem", data=JPEG)]}, cost=CopyCost(networks=networks, digits=DIGITS))
    assert card_of(view, NUMBER)["copies"] == [
        "Of two networks trained on it, coded images give +0.3 and −0.8 points over the same ones lossless, by “Linear, "
        "cached features”, at 30.5 dB. These are training images; test images coded once more give −0.4 and −0.7 points. "
        "In full under “How far to trust this”."
    ]


def test_what_a_copy_may_cost_is_not_measured_without_a_measurement_of_its_format(paper):
    view = view_of({"stem": [paper.results("stem", data=JPEG)]})
    assert card_of(view, NUMBER)["copies"] == ["not measured (python -m benchmarks.jpeg)."]
    view = view_of({"stem": [paper.results("stem", data={**JPEG, "files": "PNG"})]}, cost=CopyCost(digits=DIGITS))
    assert card_of(view, NUMBER)["copies"] == ["not measured."]
    assert card_of(view_of({"stem": [paper.results("stem")]}), NUMBER)["copies"] == []


# ---- why a number does not come out


def silences(paper, **studies):
    """The silences beside a number that comes out 4.7 points too low on the copy, by what the paper is silent about."""
    named = {"data": JPEG, "settings": {"pretrain.precision": "bfloat16"}}
    found = {"stem": [paper.results("stem", around(0.72), lost=("cifar",), **named)]}
    found |= {name.replace("_", "-"): [results] for name, results in studies.items()}
    card = card_of(view_of(found), NUMBER)
    assert card["apart"].startswith("Ours lies 4.7 points below the paper's number.")
    return {one["about"]: one for one in card["accounts"]}


RATE, STEM, CONVENTION = (
    "whether its learning rate was tuned", "the stem at 32 x 32 pixels", "which convention the coefficients are read in"
)  # fmt: skip


def rates(paper, gain, **named):
    """The study of the learning rate, of which 0.8 gains so much, with a spread of its own."""
    return paper.results(
        "base-lr", lambda arm, seed: measured(arm, seed, 0.72 + SPREAD[seed] + (arm == "lr-0.8") * (gain + SPREAD[seed])),
        **named,
    )  # fmt: skip


def test_a_number_that_does_not_come_out_lists_every_silence_of_its_training_with_the_command_for_the_same_images(paper):
    listed = silences(paper)
    trained = [one.about for one in PUBLISHED.source_paper.silent if one.study != "generalisation"]
    assert list(listed) == trained and {STEM, CONVENTION, RATE} <= set(trained)
    for one in listed.values():
        assert (one["status"], one["moved"]) == ("not run", [])
        arguments = parse_arguments(shlex.split(one["command"])[3:])
        assert arguments.set == ['pretrain.precision="bfloat16"'] and arguments.profile == "cifar10"


@pytest.mark.parametrize(
    ("gain", "status"),
    [
        (0.05, "it could account for the difference"),
        (0.044, "it could account for the difference"),  # with its interval
        (0.01, "too small to account for it alone"),
        (-0.05, "too small to account for it alone"),  # the other way
    ],
)
def test_a_silence_accounts_for_a_number_where_what_it_moves_reaches_it(paper, gain, status):
    one = silences(paper, base_lr=rates(paper, gain, data=JPEG))[RATE]
    assert one["status"] == status
    (moved,) = one["moved"]
    assert moved.startswith("base lr 0.8 over base lr 0.2: ") and "n = 3" in moved


def test_what_a_silence_moved_at_a_smaller_scale_or_with_too_few_seeds_accounts_for_nothing(paper):
    one = silences(paper, base_lr=rates(paper, 0.05, **CPU))[RATE]
    assert one["status"].startswith("tried at a smaller scale, on a JPEG copy") and len(one["moved"]) == 1
    one = silences(paper, base_lr=rates(paper, 0.05, data=JPEG, seeds=(0, 1)))[RATE]
    assert one["status"] == "measured, without an interval"


def test_of_the_authors_network_the_input_size_is_the_silence_and_of_what_comes_out_there_is_none(paper):
    view = view_of({"generalisation": [paper.given(around(0.6))]})
    card = card_of(view, AUTHORS)
    assert [one["about"] for one in card["accounts"]] == ["the input size of the ResNet-50's linear evaluation"]
    assert len(card["accounts"][0]["moved"]) == 3
    card = card_of(view_of({"stem": [paper.results("stem", around(0.7667))]}), NUMBER)
    assert (card["status"], card["apart"], card["accounts"]) == ("reproduced", "", [])


def test_what_a_silence_moves_is_told_from_the_choice_of_the_numbers_own_runs(paper):
    def outcome(arm, seed):
        return measured(arm, seed, 0.72 + SPREAD[seed] * (1 + (arm == "all")) + 0.05 * (arm == "all"))

    split = paper.results("split", outcome, data=JPEG)
    for train_on, moved in (("all", "−5.0 points"), ("train", "+5.0 points")):
        stem = paper.results("stem", around(0.72), data=JPEG, lost=("cifar",), settings={"pretrain.train_on": train_on})
        accounts = card_of(view_of({"stem": [stem], "split": [split]}), NUMBER)["accounts"]
        (one,) = [one for one in accounts if one["about"] == "whether training images were held out"]
        assert moved in one["moved"][0] and ("could account" in one["status"]) == (train_on == "train")


def test_where_one_stem_comes_out_and_the_other_does_not_the_stem_accounts_for_it(paper):
    found = {"stem": [paper.results("stem", lambda arm, seed: measured(
        arm, seed, (0.7667 if arm == "cifar" else 0.72) + SPREAD[seed] * (1 + (arm == "cifar"))
    ))]}  # fmt: skip
    card = card_of(view_of(found), NUMBER)
    assert card["status"] == "depends on the reading"
    (stem,) = [one for one in card["accounts"] if one["about"] == STEM]
    assert stem["status"] == "it could account for the difference" and "3x3 stem over 7x7 stem" in stem["moved"][0]
