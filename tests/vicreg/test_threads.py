"""Two functions side by side: both are called, each with half of the threads, and no error is lost."""

import threading

import pytest
import torch

from vicreg.threads import halves, side_by_side


@pytest.fixture(autouse=True)
def five_threads():
    before = torch.get_num_threads()
    torch.set_num_threads(5)
    yield
    torch.set_num_threads(before)


def test_both_run_at_once_in_their_order_and_with_half_of_the_threads():
    meeting = threading.Barrier(2, timeout=10)

    def whose() -> tuple[int, int]:
        meeting.wait()  # which breaks where one waits for the other's end
        return threading.get_ident(), torch.get_num_threads()

    (mine, share), (others, of_other) = side_by_side(whose, whose)
    assert mine == threading.get_ident() != others and share == of_other == 2
    assert torch.get_num_threads() == 5


def fails(name: str):
    def run() -> None:
        raise ValueError(name)

    return run


@pytest.mark.parametrize(
    ("one", "other", "said"),
    [(fails("one"), int, "one"), (int, fails("other"), "other"), (fails("one"), fails("other"), "one")],
)
def test_an_error_of_either_is_raised_and_the_threads_are_set_again(one, other, said):
    with pytest.raises(ValueError, match=said):
        side_by_side(one, other)
    assert torch.get_num_threads() == 5 and side_by_side(int, int) == (0, 0)


def test_what_comes_at_the_first_ones_end_lets_the_second_go_on_also_where_the_first_failed():
    for one in (int, fails("one")):
        gate = threading.Event()
        try:
            assert side_by_side(one, lambda gate=gate: gate.wait(10), finally_=gate.set) == (0, True)
        except ValueError:
            assert gate.is_set()


@pytest.mark.parametrize(
    ("sizes", "sums"), [([], [0, 0]), ([7], [0, 7]), ([1, 1, 8], [2, 8]), ([5, 4, 3, 3, 1], [8, 8]), ([0, 0, 9], [0, 9])]
)
def test_halves_are_as_equal_as_the_largest_sizes_allow(sizes, sums):
    parts = halves(sizes)
    assert sorted(index for part in parts for index in part) == list(range(len(sizes)))
    assert sorted(sum(sizes[index] for index in part) for part in parts) == sums
