"""Two functions side by side: both are called, each with half of the threads, and no error is lost."""

import gc
import os
import subprocess
import sys
import threading
import weakref
from pathlib import Path

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


def test_a_second_thread_that_cannot_be_started_leaves_the_threads_as_they_were(monkeypatch):
    class Full:
        def submit(self, _):
            raise RuntimeError("can't start new thread")

    monkeypatch.setattr("vicreg.threads._second_thread", Full)
    with pytest.raises(RuntimeError, match="can't start"):
        side_by_side(int, int)
    assert torch.get_num_threads() == 5


def test_an_error_holds_nothing_of_the_other_result():
    made = []

    def one() -> torch.nn.Module:
        made.append(weakref.ref(module := torch.nn.Identity()))
        return module

    gc.disable()
    try:
        with pytest.raises(ValueError, match="other"):
            side_by_side(one, fails("other"))
        assert made[0]() is None
    finally:
        gc.enable()


@pytest.mark.skipif(not hasattr(os, "fork"), reason="needs a system that forks")
def test_a_forked_child_has_a_second_thread_of_its_own():
    script = """
import os, torch
from vicreg.threads import side_by_side
torch.set_num_threads(2)
assert side_by_side(int, int) == (0, 0)
child = os.fork()
if child == 0:
    os._exit(side_by_side(lambda: 1, lambda: 2) != (1, 2))
assert os.waitpid(child, 0)[1] == 0
"""
    subprocess.run([sys.executable, "-W", "ignore", "-c", script], check=True, timeout=60, cwd=Path(__file__).parents[2])


@pytest.mark.parametrize(
    ("sizes", "sums"), [([], [0, 0]), ([7], [0, 7]), ([1, 1, 8], [2, 8]), ([5, 4, 3, 3, 1], [8, 8]), ([0, 0, 9], [0, 9])]
)
def test_halves_are_as_equal_as_the_largest_sizes_allow(sizes, sums):
    parts = halves(sizes)
    assert sorted(index for part in parts for index in part) == list(range(len(sizes)))
    assert sorted(sum(sizes[index] for index in part) for part in parts) == sums
