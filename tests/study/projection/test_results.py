"""What a `tsne.json` holds, read and checked."""

import json

import pytest

from study.projection.results import parse_projection
from tests.study.made_up_paper import map_of
from vicreg.errors import InputError


def parsed(**changes):
    return parse_projection(json.dumps({**map_of(), **changes}).encode(), where="tsne.json")


def test_a_map_is_read_with_what_it_is_of_and_how_far_to_believe_it():
    found = parsed()
    assert len(found.points_2d) == len(found.points_3d) == len(found.labels) == 60 and len(found.points_3d[0]) == 3
    assert found.data.train == 45_000 and found.recipe["pretrain.epochs"] == 100
    assert (found.quality.in_2d.purity, found.quality.features.trustworthiness) == (0.7, None)
    assert [(pair.first, pair.second) for pair in found.confused] == [(1, 9), (3, 5)]


def test_a_map_of_an_earlier_version_is_read_without_what_it_does_not_say():
    old = {key: value for key, value in map_of().items() if key not in ("recipe", "profile", "data", "quality", "confused")}
    found = parse_projection(json.dumps(old).encode(), where="tsne.json")
    assert (found.recipe, found.profile, found.data, found.quality, found.confused) == (None, None, None, None, ())


@pytest.mark.parametrize(
    ("changes", "rule"),
    [
        ({"labels": [0]}, "tsne.json must have one point of each kind an image, but has 60 points in 2-D, 60 in 3-D and 1"),
        ({"classes": ["one"]}, "tsne.json must have labels from 0 to 0, one for each of its classes, but goes up to 9"),
        ({"labels": [0.5] * 60}, "must have a whole number under"),
        ({"digest": None}, "must have text under 'digest', but got None"),
    ],
)
def test_a_map_that_does_not_fit_is_refused_with_the_stage_that_makes_it(changes, rule):
    with pytest.raises(InputError, match=rule) as refused:
        parsed(**changes)
    assert str(refused.value).endswith("run python -m study.project again.")
