"""Accuracy, worked by hand and against its own confusion matrix."""

import pytest
import torch

from vicreg.metrics.accuracy import accuracy


def test_accuracy_of_a_case_worked_by_hand():
    scores = torch.tensor(
        [
            [0.1, 0.7, 0.2, 0, 0, 0],  # true 1, answered 1
            [0.6, 0.1, 0.3, 0, 0, 0],  # true 2, answered 0, in the top five
            [0.0, 0.1, 0.2, 0.3, 0.4, 0.5],  # true 0, answered 5, sixth of six
            [0.9, 0.0, 0.0, 0, 0, 0],  # true 0, answered 0
        ]
    )
    measured = accuracy(scores, torch.tensor([1, 2, 0, 0]))
    assert (measured.top1, measured.top5) == (0.5, 0.75)
    assert measured.correct == "90"  # 1001 and four zeros to fill the byte
    assert measured.per_class == (0.5, 1.0, 0.0, 0.0, 0.0, 0.0)  # classes 3 to 5 have no images
    assert measured.confusion == (
        (1, 0, 0, 0, 0, 1),
        (0, 1, 0, 0, 0, 0),
        (1, 0, 0, 0, 0, 0),
        (0, 0, 0, 0, 0, 0),
        (0, 0, 0, 0, 0, 0),
        (0, 0, 0, 0, 0, 0),
    )


def test_ties_go_to_the_lowest_class_so_a_constant_score_is_right_by_chance_alone():
    labels = torch.arange(100) % 10
    measured = accuracy(torch.zeros(100, 10), labels)
    assert measured.top1 == 0.1 and measured.top5 == 0.5
    assert measured.per_class == (1.0,) + (0.0,) * 9


def test_with_fewer_than_five_classes_top5_is_certain():
    measured = accuracy(torch.tensor([[0.0, 1.0, 2.0]] * 2), torch.tensor([0, 1]))
    assert (measured.top1, measured.top5) == (0.0, 1.0)


def test_accuracies_are_the_confusions_diagonal():
    scores = torch.randn(200, 7, generator=torch.Generator().manual_seed(0))
    labels = torch.randint(0, 7, (200,), generator=torch.Generator().manual_seed(1))
    measured = accuracy(scores, labels)
    confusion = torch.tensor(measured.confusion)
    assert confusion.sum() == 200 and torch.equal(confusion.sum(dim=1), torch.bincount(labels, minlength=7))
    assert measured.top1 == confusion.trace().item() / 200
    assert measured.per_class == pytest.approx((confusion.diagonal() / confusion.sum(dim=1)).tolist())
    assert measured.top1 <= measured.top5


def test_what_is_right_image_by_image_adds_up_to_top1():
    scores = torch.randn(203, 7, generator=torch.Generator().manual_seed(0))
    measured = accuracy(scores, torch.arange(203) % 7)
    bits = [int(bit) for digit in measured.correct for bit in f"{int(digit, 16):04b}"]
    assert len(bits) == 208 and sum(bits) / 203 == measured.top1
    assert bits[:203] == (scores.argmax(dim=1) == torch.arange(203) % 7).int().tolist()


@pytest.mark.parametrize("transform", [lambda s: 3 * s + 5, torch.exp, lambda s: s.double()])
def test_accuracy_sees_the_order_of_scores_alone(transform):
    scores = torch.randn(50, 6, generator=torch.Generator().manual_seed(0))
    labels = torch.randint(0, 6, (50,), generator=torch.Generator().manual_seed(1))
    assert accuracy(scores, labels) == accuracy(transform(scores), labels)
