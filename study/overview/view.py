"""What the page over all studies says, formatted for both twins."""

import os.path
import shlex
from collections import Counter
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from study.overview.leaderboard import cells_by_digest, leaderboard
from study.reporting.format import without_paths
from study.reporting.names import measure_name
from study.results.certificate import Certificate, certified
from study.results.schema import StudyResults
from study.verification.freshness import Freshness


def build_view(
    studies: Sequence[StudyResults],
    *,
    profile: str,
    elsewhere: Sequence[str],
    wanted: Sequence[str],
    certificates: Mapping[str, Certificate],
    checked: Mapping[str, Freshness],
    links: Mapping[str, Mapping[str, str]],
) -> dict[str, Any]:
    """Return everything both pages print, formatted: strings, lists and dicts.

    Args:
        studies: results of one profile.
        profile: its name.
        elsewhere: studies whose results are another profile's, and are left out.
        wanted: the studies that params.yaml names.
        certificates: study -> what `study.verify` wrote of it.
        checked: study -> how its results stand to today's code and parameters.
        links: study -> addresses of its report, relative to the page: `html` and `markdown`.
    """
    rows = leaderboard(studies)
    absent = [name for name in wanted if name not in [results.study for results in studies]]
    probes = list(dict.fromkeys(measure_name(results.primary) for results in studies))
    found = [(results.study, checked[results.study]) for results in studies]
    return {
        "profile": profile,
        "answer": _answer(studies, profile, rows),
        "state": _state(studies, checked, absent),
        "studies": [_study(results, certificates.get(results.study), links.get(results.study)) for results in studies],
        "absent": [shlex.join(["python", "-m", "study.ablate", "--study", name, "--profile", profile]) for name in absent],
        "elsewhere": ", ".join(elsewhere),
        "probe": " or ".join(probes) or "no probe",
        "rows": rows,
        "stale": [(name, one.groups) for name, one in found if one.groups],
        "unchecked": [(name, one.unchecked) for name, one in found if one.unchecked],
    }


def report_links(studies: Sequence[str], reports: Path, page: Path) -> dict[str, dict[str, str]]:
    """Return study -> where its report lies, as seen from the page. `dvc repro` makes each, be it after this page."""
    folders = {name: Path(os.path.relpath(reports / name, page)).as_posix() for name in studies}
    return {name: {"html": f"{folder}/index.html", "markdown": f"{folder}/README.md"} for name, folder in folders.items()}


def _answer(studies: Sequence[StudyResults], profile: str, rows: Sequence[Mapping[str, Any]]) -> str:
    """Return how many studies, runs and cells there are."""
    runs = cells_by_digest(studies)
    cells = sum(map(len, runs.values()))
    standing = f" that stand for {cells} cells" if cells != len(runs) else ""
    finished = sum(row["place"] != "–" for row in rows)
    counted = f"{_count(len(studies), 'study', 'studies')} on profile {profile}, {_count(len(runs), 'run', 'runs')}"
    return f"{counted}{standing}; {finished} finished."


def _state(studies: Sequence[StudyResults], checked: Mapping[str, Freshness], absent: Sequence[str]) -> str:
    """Return whether what the page shows is what today's code and parameters would make."""
    stale = sum(checked[results.study].count for results in studies)
    cells = sum(len(arm.runs) for results in studies for arm in results.arms)
    unchecked = [results.study for results in studies if checked[results.study].unchecked]
    parts = [f"{stale} of {cells} cells are stale or missing"] if stale else []
    parts += [f"{', '.join(absent)} {'has' if len(absent) == 1 else 'have'} not been run"] if absent else []
    parts += [f"staleness was not checked for {', '.join(unchecked)}"] if unchecked else []
    if not parts:
        return "Everything is fresh: today's code and parameters would make the very runs that are shown."
    sentence = "; ".join(parts)
    return f"{sentence[0].upper()}{sentence[1:]}."


def _study(results: StudyResults, certificate: Certificate | None, links: Mapping[str, str] | None) -> dict[str, Any]:
    runs = [run for arm in results.arms for run in arm.runs]
    trained = [run for arm in results.arms if not arm.is_control for run in arm.runs]
    return {
        "name": results.study,
        "question": results.question,
        "answer": results.answer,
        "alerts": [without_paths(alert) for alert in results.alerts],
        "statuses": _counted(Counter(run.status for run in runs)),
        "verdicts": _counted(Counter(run.outcome for run in trained)) or "none",
        "links": dict(links or {}),
        "certificate": _certificate(results, certificate),
    }


def _certificate(results: StudyResults, certificate: Certificate | None) -> str:
    """Return the certificate's sentence, or that there is none, or that it is of other results."""
    command = shlex.join(["python", "-m", "study.verify", "--study", results.study])
    if certificate is None:
        return f"Not verified; {command} does so."
    if (held := certified(certificate, results)) is None:
        return f"Verified for earlier results alone; {command} verifies these."
    return held.sentence


def _counted(counts: Counter[str]) -> str:
    return ", ".join(f"{count} {name}" for name, count in sorted(counts.items()))


def _count(count: int, one: str, many: str) -> str:
    return f"{count} {one if count == 1 else many}"
