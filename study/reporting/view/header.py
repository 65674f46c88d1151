"""What stands above a report's tables: warnings, scale, cost and design."""

from study.analysis.wording import capitalised, count_of, listed, noun
from study.reporting.format import duration, finite, plain, quantity, settings_lines, without_paths
from study.reporting.inputs import Timing
from study.reporting.names import dataset_name, key_name
from study.reporting.selection import seeds_of
from study.results.runs import looks_at_others
from study.results.schema import StudyResults
from study.results.training_images import training_of


def warnings_of(study: StudyResults) -> list[str]:
    """Return what a reader must know before the numbers, a sentence each."""
    warnings = [without_paths(alert) for alert in study.alerts]
    if study.data.note:
        warnings.append(f"About the data: {without_paths(study.data.note)}")
    if study.overrides:
        warnings.append(f"Run with changes to the profile: {', '.join(settings_lines(study.overrides))}.")
    if any(commit.endswith("-dirty") for commit in study.commits):
        warnings.append("Some runs were made from code with uncommitted changes; their commits are marked -dirty.")
    return warnings


def scale_text(study: StudyResults) -> str:
    """Return how many images, classes, arms, trials and seeds there are, and which were trained on, in three sentences."""
    data = study.data
    arms = [arm for arm in study.arms if arm.role in ("arm", "step", "control")]
    seeds, controls = seeds_of(arms), sum(arm.is_control for arm in arms)
    trials = sum(arm.role == "trial" for arm in study.arms)
    size = f" of {' × '.join(map(str, data.shape))}" if data.shape else ""
    parts = [count_of(len(arms) - controls, "arm")]
    parts += [count_of(controls, "untrained control")] if controls else []
    parts += [count_of(trials, "search trial")] if trials else []
    images = f"{data.train} training, {data.validation} validation and {count_of(data.test, 'test image')}"
    return (f"{dataset_name(data.dataset)}: {images}"
            f"{size}, {count_of(len(data.classes), 'class')}. {capitalised(training_of(study))}. "
            f"{capitalised(listed(parts))}; "
            f"{noun(len(seeds), 'seed')} {', '.join(map(str, seeds))}.")  # fmt: skip


def cost_text(study: StudyResults, timing: Timing) -> str:
    """Return what the runs took, in a few sentences; empty for results that do not say."""
    cost = study.cost
    if cost is None:
        return ""
    looks = looks_at_others(run for arm in study.arms for run in arm.runs)
    runs = [run for digest, run in timing.runs.items() if digest not in looks]
    seconds = finite(run.seconds for run in runs)
    took = f" Training took {duration(sum(seconds))}, all runs added up." if seconds else ""
    joules = sum(finite(run.joules for run in timing.runs.values()))
    used = f" The device counted {joules / 3.6e6:.2g} kWh." if joules else ""
    pruned = study.search.pruned if study.search else None
    stopped = pruned is not None and pruned.trials > 0
    saved = (
        f" Stopping collapsed trials early saved {100 * pruned.saved:.0f} % of the search's epochs."
        if stopped and pruned
        else ""
    )
    counts = [count_of(cost.runs, "run"), _amount(cost.epochs, "epoch"), _amount(cost.images, "image"),
              _amount(cost.operations, "operation")]  # fmt: skip
    device = study.environment.get("device", "an unnamed device")
    alone = " Looks at a training count as none." if looks else ""
    return f"Cost: {', '.join(counts)} on {device}.{took}{used}{saved}{alone}"


def _amount(value: float, what: str) -> str:
    """Return a large count with its noun: `718 thousand images`, `1 epoch`."""
    return f"{quantity(value)} {noun(1 if value == 1 else 2, what)}"


def design_rows(study: StudyResults) -> list[tuple[str, str]]:
    """Return (term, text) of what was varied, what was tuned alike in every arm, and what was held."""
    given = study.parameters
    if given is None:
        return []
    tuned = [f"{key_name(key)} among {', '.join(map(plain, values))}" for key, values in given.nuisance.items()]
    own = [
        f"{key_name(key)} among {', '.join(map(plain, values))} in {name}"
        for name, lists in (given.own_nuisance or {}).items()
        for key, values in lists.items()
    ]
    held = "; ".join(settings_lines(given.fixed))
    return [
        ("Scientific, varied to learn of it", ", ".join(map(key_name, given.scientific)) or "nothing"),
        ("Nuisance, tuned alike in every arm", "; ".join(tuned) or "nothing"),
        *([("Nuisance, tuned in one arm alone", "; ".join(own))] if own else []),
        ("Fixed by the study", f"{held}; all else as the profile has it" if held else "all else, as the profile has it"),
    ]
