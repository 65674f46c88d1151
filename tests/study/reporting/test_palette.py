"""Types of collapse as readers see them."""

from study.reporting.palette import COLLAPSE_TYPES, COLOUR_NAMES, badge, named_type_view, type_view
from study.results.schema import ArmCollapseType


def test_shape_says_what_colour_says():
    colours, markers, signs = zip(*COLLAPSE_TYPES.values())
    assert len(set(colours)) == len(set(markers)) == len(set(signs)) == len(COLLAPSE_TYPES)
    assert COLOUR_NAMES.keys() == COLLAPSE_TYPES.keys()


def test_seeds_that_disagree_on_a_type_are_counted():
    shown = type_view(ArmCollapseType(name="healthy", reason="r", counts={"healthy": 2, "dimensional": 1}))
    assert shown["counts"] == "2 healthy, 1 dimensional" and shown["reason"] == "r"
    assert type_view(ArmCollapseType(name="healthy", counts={"healthy": 3}))["counts"] == ""


def test_the_type_of_most_seeds_is_marked_as_theirs():
    assert ArmCollapseType(name="healthy", counts={"healthy": 2, "dimensional": 1}).marked_name == "healthy (2 of 3 seeds)"
    assert ArmCollapseType(name="healthy", counts={"healthy": 3}).marked_name == "healthy"
    assert ArmCollapseType(name="untrained").marked_name == "untrained"


def test_every_type_has_a_sign_of_its_own_and_an_unknown_one_is_still_shown():
    names = ("healthy", "complete", "dimensional", "informational", "view-dependent", "chance-level", "diverged")
    views = [named_type_view(name) for name in names]
    assert len({view["sign"] for view in views}) == len(names)
    assert [view["known"] for view in views][-2:] == ["chance-level", "other"]


def test_a_badge_is_of_the_type_or_else_of_the_status():
    assert badge("complete", "finished") == {"name": "complete", "sign": "✖", "style": "complete"}
    assert badge(None, "diverged")["name"] == "diverged" and badge(None, "diverged")["style"] == "other"
