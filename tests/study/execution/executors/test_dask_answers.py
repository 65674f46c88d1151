"""An answer that is lost with its worker is asked for again: the job finds in the store what has run."""

import pytest

from study.execution.executors import dask


class Lost:
    """A future whose job has ended, and whose answer is with a worker that has died."""

    status = "finished"

    def result(self, timeout):
        raise TimeoutError

    def add_done_callback(self, end):
        end(self)


class There(Lost):
    def result(self, timeout):
        return {"status": "finished"}


class Cluster:
    """A client that hands out these futures in turn."""

    def __init__(self, *futures):
        self.futures, self.keys = list(futures), []

    def get(self, graph, keys, sync):
        self.keys += keys
        return [self.futures.pop(0)]


@pytest.mark.parametrize("lost", [0, 1, dask.RESENT])
def test_a_lost_answer_is_asked_for_again(lost):
    engine, answers = dask.DaskEngine(), []
    engine._client = Cluster(*[Lost()] * lost, There())
    engine.send({"digest": "d"}, answers.append)
    assert answers == [{"status": "finished"}] and len(set(engine._client.keys)) == lost + 1
    assert engine._ended == 1 and engine._futures == {}


def test_a_job_whose_answers_are_lost_again_and_again_is_given_up():
    engine, answers = dask.DaskEngine(), []
    engine._client = Cluster(*[Lost()] * (dask.RESENT + 1))
    engine.send({"digest": "d"}, answers.append)
    assert answers == [{"status": "killed", "reason": "its answer was lost 4 times; start again to go on"}]
