"""Two machines' results of one study: their noise, which arms keep their order, and ties that are called ties."""

import dataclasses
import math
from collections.abc import Sequence

import pytest

from study.comparison.alignment import align
from study.comparison.machines import compare_machines, machinery_of
from study.results.schema import ArmResults, DataDescription
from tests.study.comparison.sides import IDENTITY, PROBE, arm, results, seeds, view

ELSEWHERE = dataclasses.replace(IDENTITY, machinery={"device": "cpu (AVX2)", "torch": "2.0"})
HERE = dataclasses.replace(IDENTITY, machinery={"device": "cpu (AVX512)", "torch": "2.0"})
BEST, NEAR, LOW = (0.90, 0.92, 0.91), (0.89, 0.93, 0.90), (0.50, 0.52, 0.51)


def side(identity, **accuracies: Sequence[float]):
    return results(*(arm(name, {"mu": name}, seeds(values)) for name, values in accuracies.items()), identity=identity)


def compared(a, b):
    return compare_machines([pair for pair in align(a, b) if pair.a and pair.b], a, b, probe=PROBE)


def shifted(values: Sequence[float], by: Sequence[float]) -> list[float]:
    return [value + step for value, step in zip(values, by, strict=True)]


STEPS = (0.002, -0.004, 0.001)


@pytest.fixture
def both():
    a = side(ELSEWHERE, best=BEST, near=NEAR, low=LOW)
    b = side(HERE, best=shifted(BEST, STEPS), near=shifted(NEAR, STEPS[::-1]), low=shifted(LOW, STEPS))
    return a, b


def test_one_machine_and_other_data_are_no_comparison_of_machines(both):
    a, b = both
    assert compared(a, dataclasses.replace(b, identity=ELSEWHERE)) is None
    other = DataDescription(dataset="d", digest="sha256:2", train=100, validation=50, test=400)
    assert compared(a, dataclasses.replace(b, data=other)) is None
    assert machinery_of(a) == {"device": "cpu (AVX2)", "torch": "2.0"}


def test_pairs_of_runs_with_the_same_numbers_are_counted(both):
    a, b = both
    found = compared(a, b)
    assert (found.runs, found.identical) == (9, 0)
    same = compared(a, dataclasses.replace(a, identity=HERE))
    assert (same.runs, same.identical) == (9, 9)


def test_runs_that_move_less_from_machine_to_machine_than_from_seed_to_seed_are_within_the_noise(both):
    noise = compared(*both).noise
    assert noise.arms == 3 and not noise.exceeds
    assert noise.moved == pytest.approx(math.sqrt(sum(step**2 for step in STEPS) / 3))


def test_a_shift_that_no_seed_makes_exceeds_the_noise(both):
    a, _ = both
    far = side(HERE, best=shifted(BEST, [0.1] * 3), near=shifted(NEAR, [0.1] * 3), low=shifted(LOW, [0.1] * 3))
    noise = compared(a, far).noise
    assert noise.exceeds and noise.moved == pytest.approx(0.1)
    assert "This exceeds the seeds' noise" in " ".join(view(a, far)["notes"])


def test_seeds_that_differ_as_much_as_machines_do_move_runs_as_far():
    # b's seed s is a's seed s + 1, so that a pair of machines differs as two seeds do
    a = side(ELSEWHERE, one=(0.1, 0.3, 0.2), two=(0.6, 0.5, 0.7))
    b = side(HERE, one=(0.3, 0.2, 0.1), two=(0.5, 0.7, 0.6))
    noise = compared(a, b).noise
    assert noise.moved == pytest.approx(noise.reseeded)


def test_arms_keep_an_order_that_every_seed_of_both_machines_shows(both):
    a, b = both
    found = compared(a, b)
    best, near, low = 0, 1, 2
    assert found.order_of(best, low) == "above" and found.order_of(low, best) == "below"
    assert found.order_of(best, near) == "tie" == found.order_of(near, best)
    turned = side(HERE, best=LOW, near=NEAR, low=BEST)
    assert compared(a, turned).order_of(best, low) == "turned"


def test_two_seeds_put_no_arms_in_order():
    a, b = (side(identity, one=(0.9, 0.8), two=(0.1, 0.2)) for identity in (ELSEWHERE, HERE))
    assert compared(a, b).orders == {}
    assert any("take three seeds" in note for note in view(a, b)["notes"])


def test_another_best_arm_on_another_machine_is_called_a_tie_where_it_is_one():
    a = side(ELSEWHERE, best=(0.90, 0.92, 0.911), near=NEAR, low=LOW)
    b = side(HERE, best=NEAR, near=BEST, low=LOW)
    notes = view(a, b)["notes"]
    assert "A ran on cpu (AVX2), B on cpu (AVX512)." in notes
    assert "3 of the 9 pairs of runs of one seed are identical, bit for bit." in notes
    assert "Best on validation is best on A, and near on B." in notes
    assert "They tie on test: neither is above the other at every seed." in notes
    assert [row["order"] for row in view(a, b)["arms"]] == ["above 1, tied with 1"] * 2 + ["below 2"]


def test_a_winner_on_both_machines_names_those_that_tie_with_it(both):
    notes = view(*both)["notes"]
    first = next(place for place, note in enumerate(notes) if note.startswith("Best on validation"))
    assert notes[first] == "Best on validation is best on both machines."
    assert notes[first + 1] == "With it ties, on test, near."


def test_what_else_differs_is_said_to_have_a_part(both):
    a, b = both
    other = dataclasses.replace(b, recipe={**b.recipe, "pretrain.epochs": 4})
    assert "Not every difference is the machine's: they also differ in parameters." in view(a, other)["notes"]


def test_every_sentence_has_at_most_25_words(both):
    sentences = " ".join(view(*both)["notes"]).split(". ")
    assert max(len(sentence.split()) for sentence in sentences if "p is adjusted" not in sentence) <= 25


def test_controls_and_trials_are_put_in_no_order(both):
    def tried(one: ArmResults) -> ArmResults:
        return dataclasses.replace(one, role="trial") if one.name == "near" else one

    a, b = (dataclasses.replace(one, arms=tuple(map(tried, one.arms))) for one in both)
    assert set(compared(a, b).orders) == {(0, 2)}
