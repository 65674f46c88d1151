"""Many bad inputs: each is refused in one sentence or ends as a named outcome, and nothing finished is lost."""

import hashlib
import re
from pathlib import Path

import pytest

from study import ablate
from tests.study.bad_inputs import door, draw
from tests.study.made_up_reports import without_figures

pytestmark = pytest.mark.slow
COUNT, SWEEP = 72, 240  # six for each door, and twenty
# What a command says that went on: what it left out or made anew, or how a run ended.
OUTCOMES = re.compile(
    r"diverged|failed|left out|leaves out|damaged|missing|cannot|trained|finished|reproduced|would|says nothing|again|not ",
    re.I,
)
# What no sentence for people holds: a traceback, the name of an exception's class, a value as Python writes it.
CODE = re.compile(r"Traceback|\b\w+(Error|Exception)\b(?! while)|<class '|<\w+ object at|\bNoneType\b")


@pytest.fixture(autouse=True)
def sketched(monkeypatch) -> None:
    without_figures(monkeypatch)


def finished_files(store: Path) -> dict[Path, str]:
    """The files of finished runs -> their digests."""
    return {
        path: hashlib.sha256(path.read_bytes()).hexdigest()
        for path in (store / "runs").glob("*/*") if path.is_file() and path.suffix != ".lock"
    }  # fmt: skip


@pytest.mark.parametrize(
    "number",
    [*range(COUNT), *(pytest.param(number, marks=pytest.mark.exhaustive) for number in range(COUNT, SWEEP))],
    ids=lambda number: f"{number}-{door(number)}",
)
def test_a_bad_input_is_refused_in_a_sentence_or_named_and_nothing_is_lost(number, copied, command, caplog):
    before = finished_files(copied.folder / "store")
    results = copied.results("tiny")
    attempt = draw(number, copied)
    status, output, errors = command(attempt.main, *attempt.argv)
    errors += caplog.text
    said = f"{attempt.what}: status {status}\n{output[-600:]}\n{errors[-3000:]}"
    assert status in (0, 1, 2), said
    assert not CODE.search(output + errors), said
    if status == 2:
        sentences = [line for line in errors.splitlines() if line.startswith("error: ") or ": error: " in line]
        assert len(sentences) == 1 and len(sentences[0]) < 700 and errors.rstrip().endswith(sentences[0]), said
        assert not attempt.names or any(name in sentences[0] for name in attempt.names), said
    else:
        assert status == 1 or not attempt.must_fail, f"accepted without a word: {said}"
        assert attempt.harmless or OUTCOMES.search(output + errors), said
    if attempt.spoiled is not None and attempt.main is ablate.main and len(attempt.argv) == 2:
        assert status == 0 and copied.results("tiny") == results, f"does not heal: {said}"
    after = finished_files(copied.folder / "store")
    spoiled = attempt.spoiled
    lost = [path for path in before if after.get(path) != before[path] and not (spoiled and path.parent == spoiled.parent)]
    assert not lost, f"lost {lost}: {said}"
