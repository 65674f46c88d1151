"""Every sentence of a comparison is short, plain and true, on made-up sides that call for each of them."""

import dataclasses
import re

import pytest

from study.analysis.wording import word_count
from study.results.schema import RecordedIdentity, StudyResults
from tests.study.analysis.sentences import sentences
from tests.study.comparison.sides import DATA, RECIPE, arm, results, run, seeds, view

FIRST, SECOND = [0.50, 0.60, 0.70, 0.80], [0.52, 0.61, 0.73, 0.80]
HIGH = [0.9, 0.91, 0.92]


def two_arms(x: list[float], y: list[float], **named: str) -> StudyResults:
    return results(arm("x", {}, seeds(x, **named)), arm("y", {"pretrain.nu": 2}, seeds(y, **named)))


def shifted(values: list[float], by: float) -> list[float]:
    return [value + by + 0.0001 * place for place, value in enumerate(values)]


MANY = {f"pretrain.{name}": 1 for name in ("epochs", "batch_size", "base_lr", "momentum", "width")}
CODE = RecordedIdentity(code="2", definitions={"vicreg.methods.vicreg": "2", "vicreg.optim.lars": "2", "vicreg.new": "1"})
ONE = results(arm("x", {}, seeds([0.5])))
CASES = {
    "the same runs": (two_arms(FIRST, SECOND), two_arms(FIRST, SECOND)),
    "one same run": (ONE, ONE),
    "nothing shared": (ONE, results(arm("y", {"pretrain.nu": 2}, seeds([0.5])))),
    "all differ": (two_arms(FIRST, SECOND), two_arms(shifted(FIRST, 0.1), shifted(SECOND, 0.1))),
    "one differs": (two_arms(FIRST, SECOND), two_arms(shifted(FIRST, 0.1), SECOND)),
    "within the margin": (two_arms(FIRST, SECOND), two_arms(shifted(FIRST, 0.0), shifted(SECOND, 0.0))),
    "undecided": (two_arms(FIRST, SECOND), two_arms([0.6, 0.5, 0.75, 0.7], SECOND)),
    "too few seeds": (two_arms(FIRST[:2], SECOND[:2]), two_arms(SECOND[:2], FIRST[:2])),
    "equal accuracy": (ONE, results(arm("x", {}, seeds([0.5], rank=11.0)))),
    "another best, a tie": (two_arms(HIGH, [0.901, 0.911, 0.92]), two_arms([0.902, 0.911, 0.92], HIGH)),
    "another best, no tie": (two_arms(HIGH, [0.7, 0.71, 0.72]), two_arms([0.7, 0.71, 0.72], HIGH)),
    "other data": (
        two_arms(FIRST, SECOND),
        dataclasses.replace(two_arms(SECOND, FIRST), data=dataclasses.replace(DATA, digest="sha256:2", test=100)),
    ),
    "all kinds changed": (
        two_arms(FIRST, SECOND),
        dataclasses.replace(
            two_arms(SECOND, FIRST), recipe={**RECIPE, **MANY}, environment={"torch": "2.1", "device": "a b c d e f"},
            identity=CODE, commits=("d", "e"),
        ),
    ),
    "nothing recorded": (dataclasses.replace(ONE, identity=None, commits=()), dataclasses.replace(ONE, identity=None)),
    "arms of one side": (
        results(arm("x", {}, seeds([0.5])), *(arm(f"a{n}", {"pretrain.nu": n}, seeds([0.25])) for n in range(2, 8))),
        results(arm("x", {}, seeds([0.5])), arm("new", {"pretrain.nu": 9}, [run(0, None, status="missing")])),
    ),
    "settings changed": (
        results(arm("x", {"pretrain.nu": 2}, seeds(FIRST))), results(arm("x", {"pretrain.nu": 3}, seeds(SECOND)))
    ),
}  # fmt: skip


def said(name: str) -> list[str]:
    """Return every sentence of the comparison of a case, and what it says of each arm."""
    shown = view(*CASES[name])
    texts = [shown["answer"], *shown["about"], *shown["notes"], *shown["one_sided"]]
    return [sentence for text in texts for sentence in sentences(text)]


@pytest.mark.parametrize("name", CASES)
def test_every_sentence_of_a_comparison_is_short_and_plain(name):
    for sentence in said(name):
        assert word_count(sentence) <= 25, sentence
        assert sentence.endswith("."), sentence
        assert not re.search(r"\b1 (arms|runs|seeds|definitions|parameters|points)\b", sentence), sentence
        assert not re.search(r"\b([02-9]|\d\d) (arm|run|seed|definition|parameter)\b(?! \d)", sentence), sentence


@pytest.mark.parametrize("name", CASES)
def test_what_a_comparison_counts_is_what_its_rows_say(name):
    shown = view(*CASES[name])
    counted = re.search(r"differs in (\w+) of (\d+) arms?", shown["answer"])
    if counted:
        words = ("none", "one", "two")
        different = [row for row in shown["arms"] if row["is_different"]]
        assert (counted[1], int(counted[2])) == (words[len(different)], len(shown["arms"]))


def test_another_best_arm_is_a_tie_where_the_two_lie_within_the_margin():
    assert "The highest mean is that of y in A and of x in B." in said("another best, a tie")
    assert "The two lie at most 0.10 points apart on either side: a tie." in said("another best, a tie")
    assert "The highest mean is that of x in A and of y in B." in said("another best, no tie")
    assert not any("tie" in sentence for sentence in said("another best, no tie"))


def test_what_is_long_is_cut_and_what_is_many_is_counted():
    told = " ".join(said("all kinds changed"))
    assert "B differs from A in code, parameters and environment." in told
    assert "5 parameters changed: base_lr none → 1, batch_size none → 1, epochs 3 → 1 and 2 more." in told
    assert "a b c…" in told
    assert "A alone has 6 arms: a2 (25.00 %), a3 (25.00 %), a4 (25.00 %) and 3 more." in said("arms of one side")
