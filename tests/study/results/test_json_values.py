"""Dataclasses as JSON values: what is read, what is refused, and that writing gives back what was read."""

import math
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

import pytest

from study.results.json_values import from_values, json_field, to_values
from vicreg.errors import InputError


@dataclass(frozen=True, kw_only=True)
class Leaf:
    name: str
    value: float | None


@dataclass(frozen=True, kw_only=True)
class Group:
    left: int = 0
    right: float | None = None


@dataclass(frozen=True, kw_only=True)
class Tree:
    name: str
    kind: str = json_field(key="class")
    leaves: tuple[Leaf, ...] = ()
    by_name: Mapping[str, Leaf] = field(default_factory=dict)
    pair: tuple[int, int] = (0, 0)
    flag: bool = False
    either: str | Mapping[str, int] = "none"
    anything: Any = None
    note: str | None = json_field(omitted=True)
    group: Group | None = json_field(inline=True)
    rest: Mapping[str, float] = json_field(rest=True)


WHOLE = {
    "name": "oak", "class": "tree", "leaves": [{"name": "a", "value": 1}, {"name": "b", "value": None}],
    "by_name": {"c": {"name": "c", "value": 2.5}}, "pair": [1, 2], "flag": True, "either": {"x": 1},
    "anything": [1, {"y": None}], "note": "tall", "left": 3, "right": None, "height": 12.0, "girth": 3,
}  # fmt: skip


def read(values, **named):
    return from_values(Tree, values, where="tree.json", **named)


def test_what_is_read_is_written_as_it_was():
    assert to_values(read(WHOLE)) == WHOLE
    tree = read(WHOLE)
    assert (tree.kind, tree.leaves[0], tree.by_name["c"].value) == ("tree", Leaf(name="a", value=1), 2.5)
    assert tree.group == Group(left=3) and tree.rest == {"height": 12.0, "girth": 3}


def test_a_whole_number_stays_whole_and_a_number_that_is_none_stays_so():
    values = to_values(read({**WHOLE, "height": float("nan"), "girth": 25}))
    assert math.isnan(values["height"]) and type(values["girth"]) is int and type(read(WHOLE).rest["height"]) is float


def test_keys_that_are_missing_have_their_defaults_and_an_omitted_one_is_not_written():
    tree = read({"name": "oak", "class": "tree"})
    assert (tree.leaves, tree.note, tree.group, tree.rest) == ((), None, None, {})
    assert not {"note", "left", "right", "group", "rest"} & to_values(tree).keys()


@pytest.mark.parametrize(
    ("changes", "said"),
    [
        ({"name": 3}, "tree.json must have text under 'name', but got 3; run the study again."),
        ({"leaves": {}}, "tree.json must have a list under 'leaves', but got {}; run the study again."),
        ({"leaves": [{"name": "a"}]}, "tree.json: leaves[0] must have the key 'value', but has none; run the study again."),
        ({"leaves": [7]}, "tree.json must have an object under 'leaves[0]', but got 7; run the study again."),
        ({"by_name": {"c": {"name": "c", "value": "2"}}},
         "tree.json: by_name: c must have a number under 'value', but got '2'"),
        ({"pair": [1]}, "tree.json must have 2 values under 'pair', but has 1"),
        ({"pair": [1, 2.5]}, "tree.json must have a whole number under 'pair[1]', but got 2.5"),
        ({"flag": 1}, "tree.json must have true or false under 'flag', but got 1"),
        ({"left": True}, "tree.json must have a whole number under 'left', but got True"),
        ({"height": "tall"}, "tree.json must have a number under 'height', but got 'tall'"),
    ],
)  # fmt: skip
def test_a_value_of_another_kind_is_refused_in_one_sentence(changes, said):
    with pytest.raises(InputError) as refused:
        read({**WHOLE, **changes})
    assert str(refused.value).startswith(said) and "\n" not in str(refused.value)


def test_an_object_without_a_key_it_must_have_and_what_is_no_object_are_refused():
    with pytest.raises(InputError, match="tree.json must have the key 'class', but has none; plant it again."):
        read({"name": "oak"}, remedy="plant it again")
    with pytest.raises(InputError, match="tree.json must be an object with the key 'name', but is a list"):
        read([])


def test_unknown_keys_are_left_aside_and_refused_where_none_may_be_lost():
    extra = {"name": "a", "value": 1.0, "colour": "green"}
    assert to_values(from_values(Leaf, extra, where="leaf")) == {"name": "a", "value": 1.0}
    with pytest.raises(InputError, match="leaf may not have the key 'colour', which Leaf does not know"):
        from_values(Leaf, extra, where="leaf", strict=True)
