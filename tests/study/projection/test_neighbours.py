"""Neighbours without an N x N matrix are scikit-learn's, in any block and on any number of threads."""

import os

import numpy as np
import pytest
from sklearn import manifold
from sklearn.neighbors import NearestNeighbors

from study.projection import neighbours
from study.projection.neighbours import nearest, trustworthiness


@pytest.fixture
def features():
    """(N, d) of more than two blocks, the last of them short, far from the origin."""
    return 1000 + np.random.default_rng(0).standard_normal((2 * neighbours.ROWS + 37, 24))


@pytest.fixture
def plane(features):
    """A map (N, 2) of them that keeps some neighbours and loses others."""
    return features[:, :2] + 0.1 * np.random.default_rng(1).standard_normal((len(features), 2))


@pytest.mark.parametrize("count", [1, 10, 91])
def test_neighbours_and_their_distances_are_scikit_learns(features, count):
    near, squared = nearest(features, count=count)
    distances, indices = NearestNeighbors(n_neighbors=count).fit(features).kneighbors()
    assert np.array_equal(near, indices)
    assert np.sqrt(squared) == pytest.approx(distances, rel=1e-9)


def test_all_others_can_be_asked_for_and_no_point_is_its_own_neighbour():
    near, squared = nearest(np.array([[0.0], [1.0], [3.0]]), count=2)
    assert near.tolist() == [[1, 2], [0, 2], [1, 0]]
    assert squared == pytest.approx(np.array([[1, 9], [1, 4], [4, 9]]))


def test_of_equally_near_ones_the_first_comes_first():
    near, squared = nearest(np.ones((5, 3)), count=4)
    assert near[3].tolist() == [0, 1, 2, 4] and not squared.any()


@pytest.mark.parametrize("count", [1, 5, 10])
def test_trustworthiness_is_scikit_learns(features, plane, count):
    found = trustworthiness(features, [nearest(plane, count=count)[0]])
    assert found == pytest.approx([manifold.trustworthiness(features, plane, n_neighbors=count)], abs=1e-12)
    assert 0.5 < found[0] < 0.95


def test_trustworthiness_of_several_maps_is_that_of_each(features, plane):
    near = [nearest(features, count=7)[0], nearest(plane, count=10)[0], nearest(plane[::-1], count=10)[0]]
    together = trustworthiness(features, near)
    assert together == [trustworthiness(features, [one])[0] for one in near]
    assert together[0] == 1, "every neighbour is one among the features"
    assert together[2] == pytest.approx(0.5, abs=0.03), "neighbours are drawn at random"


def test_one_wrong_neighbour_costs_its_rank():
    features = np.array([0.0, 1, 3, 7, 15, 31])[:, None]  # from the first, others have ranks 1 to 5 in order
    near = nearest(features, count=1)[0]
    near[0] = 4  # of rank 4, where 1 is right
    assert trustworthiness(features, [near]) == pytest.approx([1 - 2 / (6 * 1 * (12 - 3 - 1)) * 3])


@pytest.mark.parametrize("cores", [1, 3])
def test_the_number_of_threads_changes_no_bit(features, plane, monkeypatch, cores):
    expected = nearest(features, count=10), trustworthiness(features, [nearest(plane, count=10)[0]])
    monkeypatch.setattr(os, "cpu_count", lambda: cores)
    again = nearest(features, count=10), trustworthiness(features, [nearest(plane, count=10)[0]])
    assert np.array_equal(again[0], expected[0]) and again[1] == expected[1]
