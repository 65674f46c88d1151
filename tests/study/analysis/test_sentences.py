"""Every sentence of a page is short, plain and true, on made-up studies that call for each of them."""

import ast
import dataclasses
import inspect
import random
import re
from collections.abc import Iterator, Sequence
from pathlib import Path
from types import CodeType, FunctionType, ModuleType

import pytest

from study.analysis import alerts as alerts_module
from study.analysis import answer as answer_module
from study.analysis import arms_answer, collapse_answer, design_answers
from study.analysis import notes as notes_module
from study.analysis import trust as trust_module
from study.analysis.answer import MOST_WORDS, answer
from study.analysis.arms import compare_arms
from study.analysis.by_decision import Decisions, decisions_of, is_collapsed, is_established, is_whole
from study.analysis.sensitivity import describe_power
from study.analysis.trust import trust
from study.analysis.wording import in_words, word_count
from study.reporting.view import certainty, designs, header
from study.results.runs import SPACES, CollapseMetrics, CollapseType, ProbeAccuracy, RunResults
from study.results.schema import ArmCollapseType, ArmResults, StudyResults
from tests.study.analysis import sentences as made_up
from tests.study.analysis.sentences import PLURAL, RIDDLES, SINGULAR
from tests.study.comparison.sides import results as results_of

LONGEST = 25  # words of a sentence
PROBE = "linear_cached"


MODULES = (
    alerts_module, answer_module, arms_answer, collapse_answer, design_answers, trust_module, notes_module, certainty,
    header, designs,
)  # fmt: skip


class Marked(ast.NodeTransformer):
    """Puts before each `return` a call that notes its line."""

    def visit_Return(self, node: ast.Return) -> list[ast.stmt]:
        (mark,) = ast.parse(f"_note_line({node.lineno})").body
        return [mark, node]


def mark_returns(module: ModuleType, lines: set[int], patch: pytest.MonkeyPatch) -> None:
    """Let the functions of a module note the line of each `return` that they reach; a tracer would cost a minute."""
    tree = ast.fix_missing_locations(Marked().visit(ast.parse(inspect.getsource(module))))
    marked = {code.co_qualname: code for code in codes_in(compile(tree, str(module.__file__), "exec", dont_inherit=True))}
    patch.setattr(module, "_note_line", lines.add, raising=False)
    own = [one for one in vars(module).values() if getattr(one, "__module__", None) == module.__name__]
    own += [one for kind in own if isinstance(kind, type) for one in vars(kind).values()]
    for one in own:
        function = one.fget if isinstance(one, property) else one
        if isinstance(function, FunctionType) and function.__qualname__ in marked:
            patch.setattr(function, "__code__", marked[function.__qualname__])


def codes_in(code: CodeType) -> Iterator[CodeType]:
    """Yield the code of functions and classes within this one, and within those."""
    for one in code.co_consts:
        if isinstance(one, CodeType):
            yield one
            yield from codes_in(one)


@pytest.fixture(scope="module")
def traced(plans):
    """The made-up studies, what is said of each, and by file the lines of `return` in `MODULES` that all this reaches."""
    reached: dict[str, set[int]] = {str(module.__file__): set() for module in MODULES}
    with pytest.MonkeyPatch.context() as patch:
        for module in MODULES:
            mark_returns(module, reached[str(module.__file__)], patch)
        catalogue = made_up.catalogue(plans)
        told = {name: made_up.said(results) for name, results in catalogue.items()}
    return catalogue, told, reached


def every_sentence(told: dict[str, dict[str, list[str]]]) -> Iterator[tuple[str, str]]:
    """Yield (study and place, sentence)."""
    for name, said in told.items():
        for place, texts in said.items():
            for text in texts:
                yield from ((f"{name}: {place}", one) for one in made_up.sentences(text))


# ---- form


@pytest.mark.slow
def test_every_sentence_is_short_and_plain_and_every_answer_has_forty_words_at_most(traced):
    catalogue, said, _ = traced
    told = list(every_sentence(said))
    assert len({sentence for _, sentence in told}) > 200 and len(catalogue) > 70
    wrong = [(where, one) for where, one in told if word_count(one) > LONGEST]
    wrong += [(where, one) for where, one in told if not one.endswith((".", ":"))]
    wrong += [(where, one) for where, one in told if any(riddle in f"{one} " for riddle in RIDDLES)]
    wrong += [(where, one) for where, one in told if SINGULAR.search(one) or PLURAL.search(one)]
    wrong += [(name, one) for name in catalogue for one in said[name]["answer"] if word_count(one) > MOST_WORDS]
    assert not wrong
    for name, results in catalogue.items():
        assert_true(name, results)


@pytest.mark.slow
def test_the_made_up_studies_call_for_every_sentence_there_is(traced):
    _, _, reached = traced
    missed = [
        f"{Path(name).name}:{statement.lineno}"
        for name, lines in reached.items()
        for statement in ast.walk(ast.parse(Path(name).read_text(encoding="utf-8")))
        if isinstance(statement, ast.Return) and statement.lineno not in lines
    ]
    assert missed == []


def test_the_checks_of_form_find_what_they_look_for():
    assert SINGULAR.search("1 runs") and SINGULAR.search("of one settings") and not SINGULAR.search("11 runs of 1 arm")
    assert PLURAL.search("3 seed") and PLURAL.search("0 run") and not PLURAL.search("21 seeds, seed 3 run 4; one seed")


# ---- truth: what a sentence says is computed once more from the results


def assert_true(name: str, results: StudyResults) -> None:
    """Assert that the answer and what is said of trust agree with the numbers."""
    said, found = answer(results), decisions_of(results)
    assert results.answer == "" or name, name
    if found is None:
        assert "Keep" not in said and "clearly" not in said, (name, said)
        return
    if results.is_about_collapse:
        assert_collapses(name, said, results)
        return
    assert_decisions(name, said, results, found)
    gain = found.baseline.gain(results.primary)
    text = " ".join(trust(results))
    if gain is not None and "no untrained network" not in text:
        assert ("is clear:" in text) == is_established(gain), (name, text)
    assert ("change places" in text) == bool(found.tied), name


def assert_decisions(name: str, said: str, results: StudyResults, found: Decisions) -> None:
    """Assert that an answer's advice and counts are those of the decisions."""
    better = {arm.label for arm in found.better}
    if said.startswith("Use ") or " Use " in said:
        assert better and all(mean(arm, results) > 0 for arm in found.better), (name, said)
    if "Keep " in said and results.mode != "path":
        assert not better, (name, said)
    if "nothing is clearly better" in said or "none clearly better" in said:
        assert not better, (name, said)
    outside_regions = assert_region(name, said, results, found)
    for some, all_of in re.findall(
        r"(?:(\w+) of )?(\w+) (?:others|other|settings|setting) (?:are|is) clearly worse", outside_regions
    ):
        count = some or all_of
        assert count.lower() in (in_words(len(found.worse)), "none" if not found.worse else "-"), (name, said)
    for names in re.findall(r"([^.:]+) (?:is|are) clearly worse", said):
        for label in [arm.label for arm in (*found.better, *found.tied, *found.partial)]:
            assert f"{label} " not in f"{names} " or f"than {label}" in said, (name, said)
    for arm in found.worse:
        assert mean(arm, results) < 0
    for arm in found.better:
        assert mean(arm, results) > 0 and is_whole(arm)
    for points in re.findall(r"\(([+−]\d+\.\d) points\)", said):
        steps = [step.gain.mean for step in results.path.steps] if results.path else []
        values = [*(mean(arm, results) for arm in (*found.better, *found.worse)), *steps]
        assert points in {f"{100 * value:+.1f}".replace("-", "−") for value in values}, (name, said)


def assert_collapses(name: str, said: str, results: StudyResults) -> None:
    """Assert that an answer's counts are those of the arms, and that it advises nothing."""
    assert "Keep" not in said and "clearly" not in said and "Use " not in said, (name, said)
    clear = [one for one in collapse_answer.ablations(results) if one.is_conclusive]
    assert all(run.outcome == "healthy" for one in clear for run in one.unchanged.runs), name
    count = sum(is_collapsed(one.changed) for one in clear)
    words = in_words(count).capitalize() if count else "None"
    if clear:
        counted = f"{words} of {in_words(len(clear))} changes" if len(clear) > 1 else "The one change"
        assert said.startswith(counted), (name, said)


def assert_region(name: str, said: str, results: StudyResults, found: Decisions) -> str:
    """Assert that the counts inside and outside a region add up to all; return the answer without that sentence."""
    region = re.search(r"Stay where [^:]+: there (\w+) of (\w+) settings? ([^,]+), elsewhere (\w+) of (\w+)\. ?", said)
    if region is None:
        return said
    words = {in_words(number): number for number in range(13)} | {"none": 0}
    bad_in, inside, what, bad_out, outside = (words.get(word, word) for word in region.groups())
    arms = [arm for arm in results.arms if arm.role == "arm"]
    kinds = {"collapsed": [arm for arm in arms if is_collapsed(arm)], "worse": list(found.worse)}
    bad = {arm.name for kind, own in kinds.items() if kind in what for arm in own}
    assert (bad_in + bad_out, inside + outside) == (len(bad), len(arms)), (name, said)
    return said.replace(region.group(), "")


def mean(arm: ArmResults, results: StudyResults) -> float:
    difference = arm.difference(results.primary)
    assert difference is not None
    return difference.mean


# ---- random studies, made in no time


def random_study(seed: int) -> StudyResults:
    """Return a study of random arms, seeds, accuracies in steps of 1/359, endings and collapse types."""
    draw = random.Random(seed)
    seeds = range(draw.choice((1, 2, 3, 3, 3, 4, 5)))
    places = [
        (25, 25, 1),
        *draw.sample(
            [(lambda_, mu, nu) for lambda_ in (0, 1, 5, 25) for mu in (0, 1, 5) for nu in (0, 1)], draw.randint(0, 9)
        ),
    ]
    arms = [random_arm(draw, place, seeds, is_baseline=place == (25, 25, 1)) for place in places]
    arms.append(random_arm(draw, (0, 0, 9), seeds, is_control=True))
    tested = compare_arms(arms, baseline=arms[0].name, primary=PROBE, test_images=359, margin=0.01)
    study = results_of(*tested, baseline=arms[0].name, primary=PROBE, mode=draw.choice(("arms", "arms", "grid")))
    power = describe_power(tested, primary=PROBE, margin=0.01, configured=3, command="run")
    return dataclasses.replace(study, power=power)


def random_arm(
    draw: random.Random, place: tuple[int, int, int], seeds: Sequence[int], *, is_baseline: bool = False,
    is_control: bool = False,
) -> ArmResults:  # fmt: skip
    level, spread = draw.choice((0.4, 0.9, 0.95, 0.96)), draw.choice((0.0, 0.002, 0.01, 0.05))
    kind = draw.choice(("healthy", "healthy", "healthy", "complete", "dimensional"))
    runs = []
    for seed in seeds:
        ended = "finished" if draw.random() < 0.95 else draw.choice(("diverged", "killed", "missing"))
        top1 = round(359 * min(1.0, max(0.0, draw.gauss(level, spread)))) / 359
        measured = {PROBE: ProbeAccuracy(top1=top1)} if ended == "finished" else {}
        runs.append(
            RunResults(
                seed=seed, digest=f"{place}-{seed}", status=ended, validation=measured, test=measured, history=(),
                    collapse={space: CollapseMetrics(rankme=10.0) for space in SPACES} if measured else {},
                collapse_type=CollapseType(name=kind) if measured else None,
            )
        )  # fmt: skip
    names = ("pretrain.lambda", "pretrain.mu", "pretrain.nu")
    return ArmResults(
        name="-".join(map(str, place)), label=", ".join(f"{key} {value}" for key, value in zip("λμν", place)),
        is_baseline=is_baseline, is_control=is_control, settings=dict(zip(names, place)), command="", summary={},
        runs=tuple(runs), collapse_type=ArmCollapseType(name=kind, counts={kind: len(runs)}),
        role="control" if is_control else "arm", control=None if is_control else "0-0-9",
    )  # fmt: skip


@pytest.mark.slow
def test_random_studies_get_true_answers_of_at_most_forty_words():
    kinds = set()
    for seed in range(100):
        results = random_study(seed)
        said = answer(results)
        assert word_count(said) <= MOST_WORDS, said
        assert_true(f"random {seed}", results)
        assert all(word_count(one) <= LONGEST for text in (said, *trust(results)) for one in made_up.sentences(text)), said
        kinds.add(
            re.sub(r"[−+]?\d+(\.\d+)?|\b(no|none|one|two|three|four|five|six|seven|eight|nine|ten)\b", "#", said.lower())
        )
    assert len(kinds) > 30  # so that the property is one of many answers


def test_no_answer_depends_on_the_order_in_which_arms_tie():
    for seed in range(30):
        results = random_study(seed)
        baseline, *others = results.arms
        turned = dataclasses.replace(results, arms=(baseline, *reversed(others)))
        counts = [re.findall(r"clearly \w+", answer(one)) for one in (results, turned)]
        assert sorted(counts[0]) == sorted(counts[1])
