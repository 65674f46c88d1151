"""What two machines made of the same study, in sentences."""

from collections import Counter
from collections.abc import Sequence

from study.analysis.wording import agree, count_of, first_of, listed, name_of
from study.comparison.alignment import Pair
from study.comparison.machines import Machines
from study.reporting.format import figure_of

MOST_NAMED = 4  # arms in a sentence


def machine_sentences(found: Machines | None, pairs: Sequence[Pair], *, differs: Sequence[str]) -> list[str]:
    """Return which processors ran a study, whether they agree beyond the seeds' noise, and which arms keep their order.

    Args:
        found: the comparison; nothing is said where it is None.
        pairs: the arms, as `found` was made of them.
        differs: what else differs between the sides: `code`, `parameters`.
    """
    if found is None:
        return []
    return [*_processors(found, differs), *_noise(found), *_orders(found), *_best(found, pairs)]


def order_text(found: Machines | None, place: int) -> str:
    """Return against how many other arms an arm keeps its order: `above 6, below 1, tied with 3`."""
    if found is None:
        return ""
    others = {one for both in found.orders for one in both if place in both} - {place}
    counts = Counter(found.order_of(place, other) for other in others)
    words = {"above": "above", "below": "below", "tie": "tied with", "turned": "turned round with"}
    return ", ".join(f"{word} {counts[order]}" for order, word in words.items() if counts[order])  # type: ignore[index]


def _processors(found: Machines, differs: Sequence[str]) -> list[str]:
    changed = [key for key in (*found.a, *found.b) if found.a.get(key) != found.b.get(key)]
    sides = (
        listed([f"{'' if key == 'device' else key + ' '}{side.get(key, 'not recorded')}" for key in dict.fromkeys(changed)])
        for side in (found.a, found.b)
    )
    one, other = sides
    same = found.identical
    count = f"All {found.runs}" if same == found.runs else f"{same or 'None'} of the {found.runs}"
    sentences = [
        f"A ran on {one}, B on {other}.",
        f"{count} pairs of runs of one seed {agree(same or found.runs, 'is', 'are')} identical, bit for bit.",
    ]
    if differs:
        sentences.append(f"Not every difference is the machine's: they also differ in {listed(list(differs))}.")
    return sentences


def _noise(found: Machines) -> list[str]:
    noise = found.noise
    if noise is None:
        return []
    moved, reseeded = (figure_of(value, ".2f", 100) for value in (noise.moved, noise.reseeded))
    says = "This exceeds the seeds' noise" if noise.exceeds else "That machines differ more than seeds do is not shown"
    return [
        f"In {count_of(noise.arms, 'arm')} a run moves {moved} points from machine to machine, and {reseeded} from seed to "
        f"seed (root mean square). {says} (F test at 5 %)."
    ]


def _orders(found: Machines) -> list[str]:
    if not found.orders:
        return ["Two settings take three seeds on each machine to be put in order."]
    counts = Counter(found.orders.values())
    kept, total = counts["above"] + counts["below"], len(found.orders)
    turned = f"{counts['turned'] or 'none'} {agree(counts['turned'] or 1, 'turns', 'turn')} round"
    return [
        f"Of {count_of(total, 'pair')} of settings {kept} {agree(kept, 'keeps its', 'keep their')} order at every seed of "
        f"both machines, {counts['tie']} {agree(counts['tie'], 'is a tie', 'are ties')} and {turned}."
    ]


def _best(found: Machines, pairs: Sequence[Pair]) -> list[str]:
    """Return which arm is best on validation on each machine, and with which others it ties on test."""
    if found.best is None:
        return []
    on_a, on_b = found.best
    names = [name_of(pairs[place].either.label) for place in found.best]
    if on_a == on_b:
        sentences = [f"Best on validation is {names[0]} on both machines."]
    else:
        order = found.order_of(on_a, on_b)
        says = {
            "tie": "They tie on test: neither is above the other at every seed",
            "turned": "On test their order turns round with the machine",
            "above": "On test the first is above the second at every seed of both",
            "below": "On test the second is above the first at every seed of both",
            None: "There are too few seeds to compare them on test",
        }[order]
        sentences = [f"Best on validation is {names[0]} on A, and {names[1]} on B.", f"{says}."]
    tied = [
        name_of(pair.either.label)
        for place, pair in enumerate(pairs)
        if place not in found.best and all(found.order_of(place, best) in ("tie", "turned") for best in found.best)
    ]
    if tied:
        sentences.append(f"With {agree(len(set(found.best)), 'it', 'both')} {agree(len(tied), 'ties', 'tie')}, on test, "
                         f"{first_of(tied, MOST_NAMED)}.")  # fmt: skip
    return sentences
