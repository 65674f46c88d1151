"""A batch that several processes share has the numbers of one process: losses, gradients, weights and views."""

import json
import multiprocessing
from pathlib import Path

import numpy as np
import pytest

from tests.vicreg.distributed.member import work
from vicreg.methods import method_class, method_names

TOLERANCE = 1e-10  # relative, in float64

pytestmark = [pytest.mark.slow, pytest.mark.timeout(1200)]


def found(folder: Path, count: int) -> dict[str, dict[str, float]]:
    """What `member.py` finds with so many processes. They are no copies of this one, whose threads may hold locks."""
    clean = multiprocessing.get_context("forkserver")
    clean.set_forkserver_preload([work.__module__])
    members = [clean.Process(target=work, args=(folder, number, count)) for number in range(count)]
    try:
        for member in members:
            member.start()
        for member in members:
            member.join(timeout=900)
            assert member.exitcode == 0, "what it said is above"
    finally:
        for member in members:
            member.kill()
            member.join()
    return json.loads((folder / "found.json").read_bytes())


@pytest.fixture(scope="module", params=[2, pytest.param(4, marks=pytest.mark.exhaustive)])
def count(request) -> int:
    return request.param


@pytest.fixture(scope="module")
def of(count, tmp_path_factory):
    """`of("vicreg")`: the cases of a check, by name."""
    every = found(tmp_path_factory.mktemp("group"), count)

    def cases(check: str) -> dict[str, dict[str, float]]:
        chosen = {name: values for name, values in every.items() if name.startswith(f"{check} ")}
        assert chosen, f"{check} found nothing"
        return chosen

    return cases


def largest(cases: dict[str, dict[str, float]], *values: str) -> float:
    return float(np.max([case[value] for case in cases.values() for value in values]))  # nan where one is: `max` may skip it


def test_three_steps_of_vicreg_have_the_losses_gradients_and_weights_of_one_process(of):
    cases = of("vicreg")
    assert len(cases) == 6  # separate, together and joint passes, with fewer images than dimensions and with more
    assert largest(cases, "losses", "gradients", "weights") < TOLERANCE
    assert largest(cases, "log") < 1e-6  # which is kept in float32
    assert largest(cases, "counters", "processes") == 0


def test_each_term_alone_and_its_gradient_are_those_of_one_process(of):
    assert largest(of("losses"), "terms", "gradient") < TOLERANCE


def test_every_method_that_gathers_embeddings_has_the_steps_of_one_process(of, count):
    if count != 2:
        pytest.skip("two processes show it")
    cases = of("methods")
    names = {name for name in method_names() if method_class(name).GATHERS == "embeddings"}
    assert {case.split()[1] for case in cases} == names
    assert largest(cases, "losses", "gradients", "weights") < TOLERANCE
    assert largest(cases, "counters", "processes") == 0


def test_batchnorm_of_all_processes_has_the_gradients_and_running_statistics_of_one(of):
    (case,) = of("batchnorm").values()
    assert case.pop("counter") == 0
    assert all(error < TOLERANCE for error in case.values()), case


def test_batchnorm_of_each_process_is_another_experiment_with_the_same_weights_everywhere(of):
    (case,) = of("by process").values()
    assert case["weights"] > 1e-6 and case["processes"] == 0


def test_views_are_the_rows_of_one_process_bit_for_bit(of):
    cases = of("views")
    assert len(cases) == 8 and largest(cases, "differing") == 0


def test_rows_of_half_precision_are_gathered_as_they_are(of):
    assert largest(of("half precision"), "differing", "rank") == 0
