"""What a certificate says of results, run by run and in a sentence."""

import dataclasses
import subprocess
import sys

import pytest

from study.results.certificate import (
    Certificate,
    VerifiedRun,
    certified,
    describe_run,
    read_certificate,
    with_runs,
    write_certificate,
)
from tests.study.comparison.sides import arm, results, run
from vicreg.errors import InputError

STUDY = results(
    arm("x", {}, [run(0, 0.5), run(1, 0.6), run(2, None, status="killed")]),
    arm("y", {"pretrain.nu": 2}, [run(0, None, status="diverged")]),
)


def verified(name="x", seed=0, **changes):
    """A run of the study that came out bit-identical, but for these changes."""
    reported = STUDY.runs_by_cell()[name, seed]
    given = {
        "arm": name, "label": f"ν {name}", "seed": seed, "digest": reported.digest, "outcome": "bit-identical",
        "status": reported.status, "status_again": reported.status, "largest_difference": 0.0, "differing": (),
        "differing_count": 0, "weights": "identical",
    }  # fmt: skip
    return VerifiedRun(**{**given, **changes})


def certificate(*runs, **changes):
    empty = Certificate(
        study="s", runs=(), tolerance=0.0, environment={"device": "cpu (AVX2)", "torch": "2.0"}, sentence="", **changes
    )
    return with_runs(empty, runs, STUDY)


OTHER = {"outcome": "not reproduced", "differing": ("a", "b", "c", "d"), "differing_count": 7, "largest_difference": 0.01}


@pytest.mark.parametrize(
    ("changes", "said"),
    [
        ({}, "bit-identical (weights identical)"),
        ({"weights": "not kept"}, "bit-identical (weights not kept)"),
        (OTHER, "not reproduced: differs in a, b, c and 4 more, accuracies at most 1 points apart"),
        ({**OTHER, "differing": ("a",), "differing_count": 1, "weights": "differ", "largest_difference": None},
         "not reproduced: differs in a, and in the weights"),
        ({**OTHER, "differing": (), "differing_count": 0, "outcome": "within tolerance"},
         "within tolerance: differs in the weights alone, accuracies at most 1 points apart"),
        ({**OTHER, "status_again": "diverged"}, "not reproduced: it was finished, and is now diverged"),
    ],
)  # fmt: skip
def test_what_became_of_a_run_is_said_in_words(changes, said):
    assert describe_run(verified(**changes)) == said


def test_a_sentence_counts_the_runs_that_could_have_been_chosen():
    told = certificate(verified())
    assert told.ended == 3  # a killed run would not be killed again
    assert told.sentence == "1 of 3 ended runs was run again from nothing on cpu (AVX2), torch 2.0: bit-identical."
    assert told.counts == {"bit-identical": 1, "within tolerance": 0, "not reproduced": 0}


def test_a_sentence_names_the_first_run_that_was_not_reproduced():
    near = verified(outcome="within tolerance", differing=("a",), differing_count=1, largest_difference=0.004)
    runs = [near, verified(seed=1, **OTHER), verified("y")]
    told = with_runs(dataclasses.replace(certificate(), tolerance=0.005), runs, STUDY)
    assert told.sentence == (
        "3 of 3 ended runs were run again from nothing on cpu (AVX2), torch 2.0: 1 bit-identical, 1 within tolerance "
        "(accuracies at most 0.4 points apart, 0.5 allowed), 1 not reproduced (ν x, seed 1: differs in a, b, c and 4 more, "
        "accuracies at most 1 points apart)."
    )


def test_a_certificate_speaks_of_the_runs_that_the_results_report_and_counts_those():
    told = certificate(verified(), verified(seed=1, **OTHER))
    assert certified(told, STUDY) == told
    left = certified(told, results(*STUDY.arms[1:], arm("x", {}, STUDY.arms[0].runs[:1])))
    assert left.runs == told.runs[:1] and left.sentence.startswith("1 of 2 ended runs was run again from nothing")
    assert certified(told, results(*STUDY.arms[1:])) is None
    assert certified(told, results(*STUDY.arms, study="another")) is None
    assert certified(None, STUDY) is None


def test_a_certificate_is_read_as_it_was_written_with_the_same_bytes(tmp_path):
    told = certificate(verified(), verified(seed=1, **OTHER), profile="p", same_machinery=True, commit="c")
    path = tmp_path / "s.json"
    write_certificate(path, told)
    before = path.read_bytes()
    assert read_certificate(path) == told
    write_certificate(path, told)
    assert path.read_bytes() == before


def test_a_file_that_is_no_certificate_is_one_sentence_and_a_missing_one_is_none(tmp_path):
    path = tmp_path / "s.json"
    assert read_certificate(path) is None
    for content, said in (("{", "must be JSON, but it is malformed"), ("{}", "must have the key 'study', but has none")):
        path.write_text(content)
        with pytest.raises(InputError, match=said) as refused:
            read_certificate(path)
        assert str(refused.value).endswith("; run python -m study.verify again.") and "\n" not in str(refused.value)


def test_a_report_can_judge_a_certificate_without_loading_what_trains():
    names = "('torch', 'optuna', 'sklearn')"
    code = f"import sys, study.results.certificate; sys.exit(any(name in sys.modules for name in {names}))"
    assert subprocess.run([sys.executable, "-c", code]).returncode == 0
