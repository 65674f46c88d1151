"""Every sentence that a page prints, from made-up studies. `python -m tests.study.analysis.sentences` prints them all."""

import dataclasses
import re
import textwrap
from collections.abc import Callable, Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

from study.analysis.alerts import alerts
from study.analysis.answer import answer
from study.analysis.trust import trust
from study.config.load import load_config
from study.reporting.inputs import Timing
from study.reporting.selection import shown_arms
from study.reporting.view import arms as arm_texts
from study.reporting.view import certainty, designs, first_screen, header
from study.results.comparisons import Adjusted, Difference
from study.results.findings import ClassPower, Importance, ImportanceTable, Looks
from study.results.methods import ComparedMethod, MethodDescription, MethodFindings
from study.results.schema import ArmResults, StudyResults
from study.results.timing import RunTiming
from study.spec.names import grid_name
from study.spec.study_file import Arm
from tests.conftest import PARAMS, TINY
from tests.study.made_up import RATES, Plans, by_seed, finished, lifelike_results, log_record, study, unfinished
from vicreg.data.dataset import load_dataset

UNTRAINED = [0.4, 0.41, 0.39]
GOOD = [0.7, 0.71, 0.69]
# What no sentence says: riddles, words of the code, and numbers that do not agree with their nouns.
RIDDLES = (
    "told apart", "tell apart", "stand for", "stands for", "verdict", "anew", "the luck of", "the very", "at most one of",
    "uninformative", ", None", ": None", "is None", "nan", "inf ", "[]", "()", "  ", " ,", "..", "%%",
)  # fmt: skip
SINGULAR = re.compile(
    r"(?<![.\d])1 (runs|arms|seeds|trials|settings|points|epochs|images|classes|others|parameters)\b"
    r"|\bone (runs|arms|seeds|trials|settings|others|changes)\b"
)
PLURAL = re.compile(r"\b([02-9]|[1-9]\d+|two|three|four|five|six|seven) (run|arm|seed|trial|setting|change|epoch)\b(?! \d)")
LONG = "-".join(["an arm with a very long name that nobody would type"] * 3)


def said(results: StudyResults) -> dict[str, list[str]]:
    """Return every text that the page of a study prints, by the place where it stands."""
    shown = shown_arms(results)
    power = certainty.power_view(results)
    tables = [
        table(results) for table in (designs.anova_table, designs.importance_table, designs.path_table, designs.trial_table,
                                     designs.tuning_table)
    ]  # fmt: skip
    predictors = designs.predictor_table(results)
    timed = Timing(runs={run.digest: RunTiming(seconds=90.0, joules=4e6) for arm in results.arms for run in arm.runs})
    return {
        "answer": [answer(results)],
        "trust": trust(results),
        "alerts": alerts(results),
        "notes": [*results.notes, *arm_texts.published_notes(results)],
        "certainty": certainty.certainty_texts(results, shown),
        "power": [power["text"]] if power else [],
        "found": [first_screen.found_text(results)],
        "collapse type": [
            text for arm in results.arms for text in (arm.collapse_type.reason, arm.collapse_type.borderline) if text
        ],
        "header": [*header.warnings_of(results), header.scale_text(results), header.cost_text(results, timed)],
        "design": [f"{term}: {text}." for term, text in header.design_rows(results)],
        "designs": [
            *(note for table in tables if table for note in table["notes"]), *([predictors["note"]] if predictors else []),
            *designs.scale_texts(results),
        ],
    }  # fmt: skip


def sentences(text: str) -> list[str]:
    """Return a text sentence by sentence; a full stop inside a number, a name or brackets ends none."""
    return [one for one in re.split(r"(?<=[.!?])\s+(?=[A-Z0-9“*±λμν])", text) if one]


# ---- made-up studies


def runs_of(values: Mapping[str, Sequence[float]], **verdicts: str) -> dict[tuple[str, int], Any]:
    """Return runs of arms with these accuracies, seed by seed, beside an untrained network at 40 %."""
    found = by_seed("untrained", UNTRAINED)
    for name, own in values.items():
        found |= by_seed(name, own, verdict=verdicts.get(name.replace("-", "_"), "healthy"))
    return found


def coefficients(*rows: tuple[float, float, float], published: Mapping[str, Any] | None = None) -> tuple[Arm, ...]:
    """Return arms of these coefficients, named as `25-25-1`."""
    keys = ("pretrain.lambda", "pretrain.mu", "pretrain.nu")
    return tuple(
        Arm(name="-".join(f"{value:g}" for value in row), settings=dict(zip(keys, row, strict=True)), published=published)
        for row in rows
    )


def shifted(by: float, *, wobble: float = 0.002) -> list[float]:
    """Return accuracies that lie above or below `GOOD` by nearly the same at each seed."""
    return [value + by + step for value, step in zip(GOOD, (0.0, wobble, -wobble), strict=True)]


NOISE = [0.72, 0.69, 0.695]  # beside GOOD: +2, -2 and +0.5 points
TERMS = coefficients((25, 25, 1), (1, 1, 1), (5, 5, 1), (1, 0, 0), (25, 0, 1), (0, 25, 1), (10, 1, 1))
CROSSED = tuple(
    Arm(name=grid_name(one), settings=one)
    for one in ({"pretrain.lambda": lambda_, "pretrain.mu": mu} for lambda_ in (1, 5, 25) for mu in (1, 5, 25))
)
NAMED = tuple(
    Arm(name=grid_name(one), settings=one)
    for one in ({"pretrain.optimizer": name, "pretrain.mu": mu} for name in ("sgd", "lars") for mu in (5, 25))
)
TRIALS = tuple({"pretrain.nu": value} for value in (0.5, 4))


def arms_studies(plans: Plans) -> Iterator[tuple[str, StudyResults]]:
    """Yield studies of named arms that were decided in every way."""

    def of(values: Mapping[str, Sequence[float]], **verdicts: str) -> StudyResults:
        return plans.results(runs_of(values, **verdicts))

    yield "one arm better", of({"base": GOOD, "other": shifted(0.1), "third": NOISE})
    yield "two arms better", of({"base": GOOD, "other": shifted(0.1), "third": shifted(0.05)})
    yield "better and worse", of({"base": GOOD, "other": shifted(0.1), "third": shifted(-0.1)})
    yield "better but collapsed", of({"base": GOOD, "other": shifted(0.1), "third": NOISE}, other="complete")
    yield "better by less than matters", of({"base": GOOD, "other": shifted(0.005, wobble=0.0001), "third": NOISE})
    yield "none decided", of({"base": GOOD, "other": NOISE, "third": [0.69, 0.72, 0.7]})
    yield "one arm worse", of({"base": GOOD, "other": shifted(-0.2), "third": NOISE})
    yield "all arms worse", of({"base": GOOD, "other": shifted(-0.2), "third": shifted(-0.3)})
    yield "the baseline collapsed", of({"base": GOOD, "other": NOISE, "third": shifted(-0.2)}, base="dimensional")
    yield "no gain over the untrained network", of({"base": [0.42, 0.4, 0.41], "other": [0.41, 0.42, 0.4], "third": NOISE})
    harmed = {"base": [0.2, 0.211, 0.19], "other": [0.19, 0.2, 0.181], "third": [0.1, 0.11, 0.09]}
    yield "training harms", of(harmed)
    yield "the same at every seed", of({"base": GOOD, "other": [value + 0.1 for value in GOOD], "third": NOISE})
    kinds = {"supervised": MethodDescription(title="Supervised", takes_labels=True), "byol": MethodDescription(title="BYOL")}
    methods = {"base": "supervised", "other": "byol", "third": "byol"}
    taught = MethodFindings(
        described=kinds, compared=tuple(ComparedMethod(arm=arm, method=name) for arm, name in methods.items())
    )
    untaught = of({"base": GOOD, "other": shifted(-0.1), "third": NOISE})
    yield "the baseline takes labels", dataclasses.replace(untaught, methods=taught)
    lost = {"base": GOOD, "other": shifted(-0.4), "third": shifted(-0.35)}
    yield "a method below the untrained network", dataclasses.replace(of(lost, other="complete"), methods=taught)
    yield (
        "two methods below it, collapsed",
        dataclasses.replace(of(lost, other="complete", third="complete"), methods=taught),
    )
    yield "two methods below it, healthy", dataclasses.replace(of(lost), methods=taught)
    mixed = runs_of({"base": GOOD, "other": NOISE, "third": shifted(-0.2)})
    mixed["other", 1] = finished(0.3, verdict="complete")
    yield "one arm's seeds end differently", plans.results(mixed)
    mixed["third", 1] = finished(0.3, verdict="complete")
    yield "two arms' seeds end differently", plans.results(mixed)
    yield "all arms equivalent", decided(of({"base": GOOD, "other": NOISE, "third": NOISE}), "equivalent", "equivalent")
    yield "one equivalent, one open", decided(of({"base": GOOD, "other": NOISE, "third": NOISE}), "equivalent", "undecided")
    terms = study(TERMS, baseline="25-25-1")
    ties = {"25-25-1": GOOD, "1-1-1": NOISE, "5-5-1": [0.71, 0.7, 0.695]}
    worse = {name: shifted(-by) for name, by in (("1-0-0", 0.3), ("25-0-1", 0.25), ("0-25-1", 0.2), ("10-1-1", 0.1))}
    yield "a tie that words can name", plans.results(runs_of({**ties, **worse}), asked=terms)
    yield (
        "ties of which one is equivalent",
        decided(plans.results(runs_of({**ties, **worse}), asked=terms), "equivalent", "undecided", *["worse"] * 4),
    )
    both = decided(plans.results(runs_of({**ties, **worse}), asked=terms), "equivalent", "equivalent", *["worse"] * 4)
    yield "ties that are equivalent", both
    apart = runs_of({**ties, **worse})
    apart["1-0-0", 1] = finished(0.3, verdict="complete")
    yield (
        "one of many worse ends differently",
        decided(plans.results(apart, asked=terms), "undecided", "undecided", *["worse"] * 4),
    )
    apart = runs_of({"base": GOOD, "other": shifted(-0.2), "third": NOISE})
    apart["other", 1] = finished(0.5, verdict="complete")
    yield "what is worse ends differently", decided(plans.results(apart), "worse", "undecided")
    ahead = {"base": [0.70, 0.701, 0.702], "other": [0.74, 0.735, 0.722], "third": NOISE}
    yield "ahead, but not after correction", decided(of(ahead), "undecided", "undecided")
    yield "many open", plans.results(runs_of({**{arm.name: NOISE for arm in TERMS}, "25-25-1": GOOD}), asked=terms)
    rising = {arm.name: shifted(0.02 * place, wobble=0.0005 * place) for place, arm in enumerate(TERMS)}
    yield "many better", plans.results(runs_of(rising), asked=terms)
    yield (
        "many better, some collapsed",
        plans.results(runs_of(rising, **{"1_1_1": "complete", "5_5_1": "complete"}), asked=terms),
    )
    broken = {"25-25-1": GOOD, "5-5-1": NOISE, "1-1-1": shifted(-0.15), **worse}
    yield "all that lack a term are worse", plans.results(runs_of(broken), asked=terms)
    falling = {arm.name: shifted(-0.04 * place, wobble=0.0005 * place) for place, arm in enumerate(TERMS)}
    yield "all of many worse", plans.results(runs_of(falling), asked=terms)
    long = study((Arm(name="base", settings={"pretrain.nu": 1}), Arm(name=LONG, settings={"pretrain.nu": 2})))
    yield "long names", plans.results(runs_of({"base": GOOD, LONG: shifted(-0.2)}), asked=long)


def decided(results: StudyResults, *decisions: str) -> StudyResults:
    """Return results whose arms, after the baseline, were decided so."""
    given = iter(decisions)

    def with_decision(arm: ArmResults) -> ArmResults:
        column = arm.summary.get(results.primary)
        if arm.is_baseline or arm.is_control or column is None or column.difference is None:
            return arm
        adjusted = dataclasses.replace(column.difference.adjusted or Adjusted(), decision=next(given))
        difference: Difference = dataclasses.replace(column.difference, adjusted=adjusted)
        summary = {**arm.summary, results.primary: dataclasses.replace(column, difference=difference)}
        return dataclasses.replace(arm, summary=summary)

    return dataclasses.replace(results, arms=tuple(map(with_decision, results.arms)))


def unfinished_studies(plans: Plans) -> Iterator[tuple[str, StudyResults]]:
    """Yield studies that lack runs, seeds, a baseline or an untrained network."""
    names = ("base", "other", "third")
    yield "nothing was run", plans.results({})
    for status in ("diverged", "out-of-memory", "killed", "failed"):
        yield f"all {status}", plans.results({(name, seed): unfinished(status) for name in names for seed in range(3)})
    yield "one diverged, the others missing", plans.results({("base", 0): unfinished("diverged")})
    most = {(name, seed): unfinished("diverged") for name in names for seed in range(3)}
    yield "most diverged", plans.results({**most, ("base", 0): unfinished("killed")})
    yield "the baseline is missing", plans.results(runs_of({"other": GOOD, "third": NOISE}))
    failed = {("base", seed): unfinished("failed") for seed in range(3)}
    yield "the baseline failed", plans.results({**runs_of({"other": GOOD, "third": NOISE}), **failed})
    yield "one arm alone, no baseline", plans.results(runs_of({"other": GOOD}))
    yield "only the baseline finished", plans.results(runs_of({"base": GOOD}))
    alone = study((Arm(name="base", settings={"pretrain.nu": 1}),))
    yield "the baseline alone", plans.results(runs_of({"base": GOOD}), asked=alone)
    lost = runs_of({"base": [*GOOD, 0.7], "other": [*shifted(0.1), 0.8], "third": [*NOISE, 0.7]})
    lost["other", 3] = unfinished("diverged")
    yield "an arm lost a seed", plans.results(lost, seeds=range(4))
    few = runs_of({"base": GOOD, "other": GOOD[:2], "third": NOISE})
    yield "an arm has two of three seeds", plans.results(few)
    for count in (1, 2):
        two = runs_of({"base": GOOD[:count], "other": NOISE[:count], "third": NOISE[:count]})
        yield f"n = {count}", plans.results(two, seeds=range(count))
    yield "n = 1, the baseline alone", plans.results(runs_of({"base": GOOD[:1]}), asked=alone, seeds=range(1))
    undetermined = runs_of({"base": GOOD, "other": NOISE, "third": NOISE}, base="undetermined")
    yield "too few images for one arm", plans.results(undetermined)
    unknown = {name: "undetermined" for name in names}
    yield "too few images for all arms", plans.results(runs_of({name: NOISE for name in names}, **unknown))
    whole = plans.results(runs_of({"base": GOOD, "other": NOISE, "third": shifted(-0.1)}))
    bare = [dataclasses.replace(arm, summary=without_gain(arm)) for arm in whole.arms if not arm.is_control]
    yield "no untrained network", dataclasses.replace(whole, arms=tuple(bare))
    yield "of an earlier version", dataclasses.replace(whole, cost=None, parameters=None, power=None, trust=None)
    yield "changed and dirty", dataclasses.replace(
        whole, overrides={"pretrain.epochs": 5}, commits=("abc-dirty",), notes=(),
        data=dataclasses.replace(whole.data, note="Images were read from JPEG files."),
    )  # fmt: skip


def without_gain(arm: ArmResults) -> dict[str, Any]:
    return {name: dataclasses.replace(column, gain=None) for name, column in arm.summary.items()}


def looked_at(plans: Plans) -> Iterator[tuple[str, StudyResults]]:
    """Yield a study that was looked at once or several times, declared and not."""
    results = plans.results(runs_of({"base": GOOD, "other": NOISE, "third": shifted(-0.1)}))
    given: dict[str, dict[str, Any]] = {
        "one look": {"look": 1, "planned": (3,), "declared": True, "price": 1},
        "look 2 of 4": {"look": 2, "planned": (3, 5, 8, 12), "declared": True, "price": 4},
        "seeds added after looking": {"look": 2, "planned": (3, 5), "declared": False, "price": 6},
        "until decided": {"look": 2, "planned": (3, 5), "declared": True, "price": 2, "stopped": {"third": 1}},
    }
    settled = plans.results(runs_of({"base": GOOD, "other": shifted(0.1), "third": shifted(-0.1)}))
    decided_at = Looks(look=1, planned=(3, 5), declared=True, price=2, until_decided=True, stopped={"other": 1, "third": 1})
    yield "settled", dataclasses.replace(settled, looks=decided_at)
    for name, looks in given.items():
        yield name, dataclasses.replace(results, looks=Looks(**looks))
    assert results.power
    powers: dict[str, dict[str, Any]] = {
        "enough seeds": {"command": None, "needed": 3}, "seeds unknown": {"needed": None}, "unknown": {"detectable": None},
        "nothing detectable": {"detectable": 1.2}, "not finished": {"asked": 40, "needed": 12, "command": "run"},
        "an uncertain spread": {"needed": 12, "needed_range": (6, 40), "command": "run"},
        "one comparison": {"family": 1, "arms": 1, "needed": 4, "command": "run"}, "half a point": {"margin": 0.005},
    }  # fmt: skip
    classes = ("healthy", "collapsed", "mixed")
    each = [ClassPower(name=one, arms=2, spread=0.01, freedom=4.0, detectable=0.02 * (1 + place))
            for place, one in enumerate(classes)]  # fmt: skip
    powers["a declared look is next"] = {"needed": None, "command": "python -m study.ablate --study mine --look 2"}
    powers["three classes"] = {"classes": tuple(each), "spread_of": "mixed"}
    for name, changes in powers.items():
        yield name, dataclasses.replace(results, power=dataclasses.replace(results.power, **changes))


def grids(plans: Plans) -> Iterator[tuple[str, StudyResults]]:
    """Yield grids with a region to stay in, by collapse and by accuracy, and without one."""

    def of(
        value: Callable[[int, int], Sequence[float]], collapses: Callable[[int, int], bool] = lambda lambda_, mu: False
    ) -> StudyResults:
        runs = by_seed("untrained", UNTRAINED)
        for arm in CROSSED:
            place = (arm.settings["pretrain.lambda"], arm.settings["pretrain.mu"])
            verdict = "complete" if collapses(*place) else "healthy"
            runs |= by_seed(arm.name, value(*place), verdict=verdict)
        return plans.results(runs, asked=study(CROSSED, mode="grid", baseline="λ25-μ25"))

    def below(lambda_: int, mu: int) -> Sequence[float]:
        base = GOOD if (lambda_, mu) == (25, 25) else NOISE
        return base if mu >= lambda_ else shifted(-0.02 * lambda_)

    yield "a region by collapse", of(below, lambda lambda_, mu: mu < lambda_)
    yield (
        "a region by collapse, accuracy alike",
        of(lambda lambda_, mu: GOOD if lambda_ == 25 == mu else NOISE, lambda lambda_, mu: mu < lambda_ or lambda_ == 1),
    )
    yield "a region by accuracy", of(below)
    yield "no region", of(lambda lambda_, mu: GOOD if lambda_ == 25 == mu else NOISE)
    yield "a better cell", of(lambda lambda_, mu: shifted(0.1) if (lambda_, mu) == (5, 25) else GOOD)
    yield "collapse here and there", of(below, lambda lambda_, mu: (lambda_, mu) in ((1, 25), (25, 1), (5, 5)))

    def above(lambda_: int, mu: int) -> Sequence[float]:
        return GOOD if mu == lambda_ else shifted(0.1 if mu > lambda_ else -0.1, wobble=0.001 * lambda_ / mu)

    yield "a region with better cells", of(above, lambda lambda_, mu: mu < lambda_)
    runs = by_seed("untrained", UNTRAINED)
    for arm in NAMED:
        runs |= by_seed(arm.name, shifted(-0.2) if arm.settings["pretrain.optimizer"] == "sgd" else NOISE)
    yield "a factor without numbers", plans.results(runs, asked=study(NAMED, mode="grid", baseline=NAMED[-1].name))
    lost = {key: run for key, run in runs.items() if key[0] != NAMED[0].name}
    yield "a grid with a lost cell", plans.results(lost, asked=study(NAMED, mode="grid", baseline=NAMED[-1].name))
    lost[NAMED[-1].name, 2] = unfinished("killed")
    yield "a grid that lost a run", plans.results(lost, asked=study(NAMED, mode="grid", baseline=NAMED[-1].name))
    yield "a grid of one seed", plans.results({}, asked=study(NAMED, mode="grid", baseline=NAMED[-1].name), seeds=range(1))


def searches(plans: Plans) -> Iterator[tuple[str, StudyResults]]:
    """Yield searches whose proposals came to this and that when they were rerun."""

    def of(best: Sequence[float], *, verdict: str = "healthy", **more: Any) -> StudyResults:
        runs = {**by_seed("untrained", UNTRAINED), **by_seed("base", GOOD), **by_seed("best", best, verdict=verdict)}
        runs |= {("trial-000", 1000): finished(0.75), ("trial-001", 1001): unfinished("pruned", history=[log_record(1)])}
        return plans.results({**runs, **more.get("runs", {})}, of=plans.search(TRIALS))

    yield "the proposal is better", of(shifted(0.1))
    yield "the proposal is better and collapsed", of(shifted(0.1), verdict="complete")
    yield "the proposal is within the noise", of(NOISE)
    yield "the proposal is worse", of(shifted(-0.1))
    yield "the proposal is equivalent", decided(of(NOISE), "equivalent")
    yield "the proposal lost a seed", of(GOOD[:2], runs={("best", 2): unfinished("diverged")})
    yield "the proposal was not rerun", of([])
    three = of(shifted(0.1))
    lost = [
        dataclasses.replace(arm, runs=(dataclasses.replace(arm.runs[0], status="diverged"), *arm.runs[1:]))
        if arm.name == "best" else arm for arm in three.arms
    ]  # fmt: skip
    yield "the proposal diverged at one of four seeds", dataclasses.replace(three, arms=tuple(lost))
    yield "a trial was killed", of(shifted(0.1), runs={("trial-000", 1000): unfinished("killed")})
    results = of(shifted(0.1))
    assert results.search
    rows = tuple(
        Importance(label=name, fanova=share, ped_anova=share) for name, share in (("pretrain.nu", 0.8), ("noise", 0.2))
    )
    table = ImportanceTable(rows=rows, floor={"fanova": 0.2, "ped_anova": 0.2}, n=24)
    search = dataclasses.replace(results.search, importances=table, importances_reason=None)
    yield "importances", dataclasses.replace(results, search=search)
    for name, value in (("better", shifted(0.1)), ("not better", NOISE)):
        runs = {**by_seed("untrained", UNTRAINED), **by_seed("base", GOOD)}
        arms = [Arm(name=f"pareto-{place}", settings={"pretrain.nu": 1 + place}) for place in (1, 2)]
        plan = plans.plan(study(mode="search"), arms=[Arm(name="base", settings={"pretrain.nu": 1}), *arms])
        for arm in arms:
            runs |= by_seed(arm.name, value)
        yield f"a front that is {name}", plans.results(runs, of=dataclasses.replace(plan, front=("pareto-1", "pareto-2")))


def paths(plans: Plans) -> Iterator[tuple[str, StudyResults]]:
    """Yield walks of which none, one or each change is clear."""

    def of(first: Sequence[float], second: Sequence[float]) -> StudyResults:
        plan = plans.path([{"step-1-nu": 0.62, "step-1-mu": 0.5}, {"step-2-mu": 0.71}])
        runs = {**by_seed("untrained", UNTRAINED), **by_seed("base", GOOD), **by_seed("step-1-nu", first)}
        return plans.results({**runs, **by_seed("step-2-mu", second)}, of=plan)

    yield "no change is clear", of(NOISE, [0.71, 0.7, 0.695])
    yield "one change is clear", of(NOISE, shifted(0.3))
    yield "both changes are clear", of(shifted(0.1), shifted(0.3))
    yield "a change does harm", of(shifted(0.1), shifted(-0.1))
    yield "the walk has not begun", of([], [])
    walked = of(NOISE, shifted(0.3))
    assert walked.path
    yield "no step was kept", dataclasses.replace(walked, path=dataclasses.replace(walked.path, steps=(), note=""))


def with_notes(plans: Plans) -> Iterator[tuple[str, StudyResults]]:
    """Yield studies that call for every note: published outcomes, tuning, joint passes, few images, predictors."""
    yield "tuned", plans.results({}, of=plans.tuned({}))
    both = {**RATES, "pretrain.weight_decay": (0.0, 0.1)}
    yield "two things tuned", plans.results({}, asked=study(nuisance=both))
    first, second = study().arms[:2]
    alone = (first, dataclasses.replace(second, nuisance={"pretrain.mu": (1, 5)}))
    yield "one arm tuned more", plans.results({}, asked=study(alone, nuisance=RATES))
    joint = (Arm(name="base", settings={}), Arm(name="both", settings={"pretrain.view_passes": "joint"}))
    yield "both views at once", plans.results({}, asked=study(joint, source=None))
    everything = (
        Arm(name="base", settings={"pretrain.train_on": "all"}),
        Arm(name="more", settings={"pretrain.train_on": "all", "pretrain.nu": 2}),
    )
    yield "trained on all", plans.results({}, asked=study(everything, source=None))
    some = (Arm(name="base", settings={}), Arm(name="all", settings={"pretrain.train_on": "all"}))
    yield "some trained on all", plans.results({}, asked=study(some, source=None))
    settings = {"evaluate.knn": [5, 160, 5000]}
    yield "more neighbours than images", plans.results({}, of=plans.plan(study(), settings=settings))
    one_class = dataclasses.replace(plans.dataset, classes=("digit",))
    yield "one class", Plans(plans.config_of, one_class).results({})
    published = coefficients((25, 25, 1), (1, 1, 1), (5, 5, 1), (1, 0, 0), published={"collapse": True})
    yield "published outcomes differ", plans.results(runs_of({arm.name: GOOD for arm in published}), asked=study(published))
    one = study((Arm(name="base", settings={"pretrain.nu": 1}, published={"linear": 68.6}),))
    yield "one published outcome", plans.results(runs_of({"base": GOOD}), asked=one)
    plan = plans.plan(study(coefficients(*((2.0**place, 25, 1) for place in range(12))), baseline="1-25-1"))
    wide = {arm: {"linear": 0.3 + 0.05 * place, "rank": 4.0 + place} for place, arm in enumerate(plan.by_arm())}
    lively = lifelike_results(plan, lambda arm, seed: wide[arm])
    yield "ten settings rank predictors", plans.results(lively, of=plan)
    one_seed = plans.plan(study(), seeds=range(1))
    yield "one seed cannot judge a ratio", plans.results(lifelike_results(one_seed), of=one_seed)
    few = plans.plan(study())
    yield "three settings rank none", plans.results(lifelike_results(few), of=few)


def parts() -> tuple[Arm, ...]:
    """Return two arms that stand for methods as they are, each followed by two arms that change a part of it."""
    changes = {"": {}, "-mu": {"pretrain.mu": 0}, "-nu": {"pretrain.base_lr": 0.1}}
    return tuple(
        Arm(name=f"{name}{end}", settings={"pretrain.nu": nu, **more})
        for name, nu in (("a", 1), ("b", 2)) for end, more in changes.items()
    )  # fmt: skip


def about_collapse(
    plans: Plans, verdicts: Mapping[str, str], *, values: Mapping[str, Sequence[float]] | None = None,
    changed: Mapping[tuple[str, int], Any] | None = None, seeds: Sequence[int] = (0, 1, 2),
) -> StudyResults:  # fmt: skip
    """Return a study about collapse of `parts`, with the collapse types of arms that are not healthy."""
    runs = runs_of({})
    for arm in parts():
        runs |= by_seed(arm.name, (values or {}).get(arm.name, GOOD), verdict=verdicts.get(arm.name, "healthy"))
    return plans.results({**runs, **(changed or {})}, asked=study(parts(), about="collapse"), seeds=seeds)


def two_methods_that_become_one(plans: Plans) -> StudyResults:
    """Return a study about collapse of two methods that, with a part changed, come to the same numbers."""
    arms = [
        Arm(name=f"{name}{what}", settings={"pretrain.method": name, **settings})
        for name in ("vicreg", "barlow_twins")
        for what, settings in (("", {}), ("-off", {"pretrain.base_lr": 0.1}))
    ]
    runs = runs_of({"vicreg": GOOD, "barlow_twins": NOISE})
    for name in ("vicreg-off", "barlow_twins-off"):
        runs |= by_seed(name, shifted(-0.2), verdict="complete")
    return plans.results(runs, asked=study(arms, baseline="vicreg", about="collapse"))


def collapses(plans: Plans) -> Iterator[tuple[str, StudyResults]]:
    """Yield studies about collapse."""
    yield "nothing collapses", about_collapse(plans, {})
    yield (
        "most changes collapse",
        about_collapse(
            plans, {"a-mu": "complete", "a-nu": "complete", "b-mu": "view-dependent"}, changed={("a-mu", 2): finished(0.7)}
        ),
    )
    yield "one method is not healthy", about_collapse(plans, {"a": "complete", "a-mu": "complete", "b-mu": "complete"})
    yield "no method is healthy", about_collapse(plans, {"a": "complete", "b": "informational"})
    yield "one seed about collapse", about_collapse(plans, {"a-mu": "complete"}, seeds=(0,))
    mixed = {(name, 0): finished(0.7) for name in ("a-mu", "a-nu", "b-mu", "b-nu")}
    differ = about_collapse(plans, {name: "complete" for name, _ in mixed}, changed=mixed)
    near = [
        arm if arm.name != "a-mu" else dataclasses.replace(
            arm, collapse_type=dataclasses.replace(arm.collapse_type, borderline="It is near.")
        )
        for arm in differ.arms
    ]  # fmt: skip
    yield "all seeds differ, one near a threshold", dataclasses.replace(differ, arms=tuple(near))
    yield "two methods become one", two_methods_that_become_one(plans)
    asked = study(about="collapse")
    yield "nothing is changed", plans.results(runs_of({"base": GOOD, "other": NOISE, "third": NOISE}), asked=asked)


def catalogue(plans: Plans) -> dict[str, StudyResults]:
    """Return made-up studies by name that between them call for every sentence of a page."""
    kinds = (arms_studies, unfinished_studies, looked_at, grids, searches, paths, with_notes, collapses)
    return {name: results for kind in kinds for name, results in kind(plans)}


def made_up_plans() -> Plans:
    """Return what fixtures give to tests, for the command."""
    base = load_config(path=PARAMS, profile="digits", settings=TINY)
    data = load_dataset(
        dataset="digits", root=Path("nowhere"), validation=0.2, split_seed=0, test=0.2, per_class=20, image_size=None
    )
    return Plans(lambda settings=None: base.with_settings(settings or {}), data)


def print_all() -> None:
    """Print every sentence once, under the first made-up study that calls for it."""
    seen: set[str] = set()
    for name, results in catalogue(made_up_plans()).items():
        print(f"\n== {name} ({results.mode})")
        for place, texts in said(results).items():
            for text in texts:
                for one in sentences(text):
                    if one not in seen:
                        seen.add(one)
                        print(textwrap.fill(f"{place}: {one}", 150, subsequent_indent="    "))


if __name__ == "__main__":
    print_all()
