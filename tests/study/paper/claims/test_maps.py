"""The claims about the t-SNE of the embeddings."""

import pytest

from study.paper.claims.maps import judge_classes, judge_trucks
from study.paper.judged import HOLDS, NOT_REPRODUCED, OTHER_PROTOCOL, REPRODUCED, SMALLER
from tests.study.made_up_paper import CLASSES, FINE, JPEG, PAPER, WHOLE, barred, projection


def mapped(*, of_classes, **changes):
    judge = judge_classes if of_classes else judge_trucks
    (row,) = judge("tsne", "says", [projection(**changes)], PAPER)
    return row


def test_classes_are_separated_for_the_most_part_where_most_neighbours_are_of_ones_own():
    assert mapped(of_classes=True, purity=0.51).verdict == REPRODUCED
    row = mapped(of_classes=True, purity=0.49)
    assert (row.verdict, row.ours.mean, row.ours.n, row.ours.low) == (NOT_REPRODUCED, 0.49, 1, None)
    assert row.reason == "one network, so no interval; among the embeddings themselves it is 75 %" and row.runs == (
        "0123456789abcdef",
    )


def test_trucks_lie_close_to_automobiles_where_they_are_among_the_pairs_mixed_most():
    row = mapped(of_classes=False, pairs=((3, 5), (1, 9)))
    assert (row.verdict, row.ours.mean) == (REPRODUCED, 0.1)
    row = mapped(of_classes=False, pairs=((3, 5), (0, 8)))
    assert (row.verdict, row.ours) == (NOT_REPRODUCED, None)
    assert row.reason == "one network, so no interval; the pairs mixed most are cat and dog; airplane and ship"


@pytest.mark.parametrize(
    ("changes", "text", "verdict"),
    [
        ({"features": "representations"}, "t-SNE of the representations in place of the embeddings", OTHER_PROTOCOL),
        ({"classes": list(CLASSES[:5])}, "5 of 10 classes on the map", SMALLER),
        ({"data": {**WHOLE, "test": 1000}}, "1,000 test images in place of 10,000", SMALLER),
        ({"recipe": {**projection().recipe, "pretrain.epochs": 20}}, "epochs 20 in place of 100", SMALLER),
    ],
)
def test_a_map_of_something_else_decides_nothing(changes, text, verdict):
    row = mapped(of_classes=True, **changes)
    assert (row.verdict, row.outcome, barred(row)) == (verdict, HOLDS, [text])


def test_a_map_of_a_network_trained_on_the_copy_is_judged_and_names_it():
    assert mapped(of_classes=True, data=JPEG, purity=0.7).verdict == "reproduced on the JPEG copy"


def test_the_map_nearest_to_the_paper_is_judged_and_one_of_other_images_is_not():
    other, near = projection(data={**WHOLE, "train": 100}, purity=0.1), projection(purity=0.9)
    (row,) = judge_classes("tsne", "says", [other, near], PAPER)
    assert row.results is near
    (row,) = judge_classes("tsne", "says", [projection(data=FINE)], PAPER)
    assert (row.results, row.missing) == (None, "the stage project on CIFAR-10")
