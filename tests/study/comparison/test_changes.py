"""What changed between two results, by kind."""

import dataclasses

from study.comparison.alignment import Pair
from study.comparison.changes import changes, settings_changes
from study.results.schema import RecordedIdentity
from tests.study.comparison.sides import DATA, RECIPE, arm, results


def test_what_changed_is_named_by_kind_and_what_did_not_is_left_out():
    identity = RecordedIdentity(
        code="2", definitions={"vicreg.methods.vicreg": "2", "vicreg.optim.lars": "1", "vicreg.new": "3"},
        machinery={"torch": "2.1"},
    )  # fmt: skip
    b = results(recipe={**RECIPE, "pretrain.epochs": 9}, environment={"torch": "2.1"}, identity=identity)
    assert changes(results(), b) == {
        "code": [("vicreg.methods.vicreg", "1", "2"), ("vicreg.new", "none", "3")],
        "parameters": [("pretrain.epochs", "3", "9")],
        "environment": [("torch", "2.0", "2.1")],
    }
    assert changes(results(), results()) == {}


def test_other_data_and_commits_are_changes():
    b = results(data=dataclasses.replace(DATA, digest="sha256:2", test=100), commits=("c", "d"))
    assert changes(results(), b) == {
        "data": [("digest", "sha256:1", "sha256:2"), ("test", "400", "100")],
        "commits": [("commits", "c", "c, d")],
    }


def test_results_that_do_not_record_their_code_are_named():
    early = RecordedIdentity(code={"vicreg.losses": "1"}, machinery={"torch": "2.0"})
    assert changes(results(identity=None), results(identity=early)) == {
        "unrecorded": [("the code of A", "", ""), ("the code of B", "", "")]
    }


def test_an_arms_settings_are_compared_with_the_recipe_below_them():
    a, b = arm("x", {"pretrain.nu": 2}, []), arm("x", {"pretrain.mu": 25.0}, [])
    assert settings_changes(Pair(a=a, b=b), results(a), results(b)) == [("pretrain.nu", "2", "1")]
    assert settings_changes(Pair(a=None, b=b), results(), results(b)) == []


def test_commits_that_one_side_does_not_record_are_no_change():
    assert changes(results(commits=()), results(commits=("c",))) == {}
