"""What the page over all studies says, formatted for both twins."""

import os.path
import re
import shlex
from collections import Counter
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any, TypedDict

from study.analysis.alerts import paired_seeds
from study.analysis.looks import confidence_of
from study.analysis.moments import LEAST_SEEDS
from study.analysis.wording import agree, count_of
from study.overview.settings import STOPPED_EARLY, setting_table
from study.reporting.format import without_paths
from study.reporting.lead import lead_figure
from study.reporting.names import measure_name
from study.reporting.panels.panel import Panel
from study.reporting.panels.phase_diagram import has_phase_diagram, phase_source
from study.reporting.selection import CHOOSING, shown_arms
from study.reporting.view.first_screen import caption_of, facts_of, seeds_text
from study.results.certificate import Certificate, certified
from study.results.schema import StudyResults
from study.runs.outcomes import FINISHED, KILLED, PRUNED
from study.verification.freshness import Freshness

_ENDED = {PRUNED: STOPPED_EARLY, KILLED: "killed"}  # what is said of a run with a status, where it is not the status itself


class Lead(TypedDict):
    """What stands on top: a question, its answer, how far to trust it, and the figure, all of one study."""

    study: str
    question: str
    answer: str
    facts: list[tuple[str, str]]
    trust: list[str]
    figure: Panel | None
    file: str
    caption: str
    links: dict[str, str]


class Card(TypedDict):
    """A study in short; `file` is its figure's address from the Markdown twin, empty without a report."""

    name: str
    question: str
    answer: str
    figure: Panel | None
    file: str
    counts: str
    certificate: str
    alerts: list[str]
    links: dict[str, str]


def build_view(
    studies: Sequence[StudyResults],
    *,
    profile: str,
    elsewhere: Sequence[str],
    wanted: Sequence[str],
    certificates: Mapping[str, Certificate],
    checked: Mapping[str, Freshness],
    links: Mapping[str, Mapping[str, str]],
    headlines: Mapping[str, str],
) -> dict[str, Any]:
    """Return everything both pages print, formatted: strings, lists and dicts.

    Args:
        studies: results of one profile, the one of most interest first.
        profile: its name.
        elsewhere: studies whose results are another profile's, and are left out.
        wanted: the studies that params.yaml names.
        certificates: study -> what `study.verify` wrote of it.
        checked: study -> how its results stand to today's code and parameters.
        links: study -> addresses of its report, relative to the page: `html`, `markdown` and `figures`.
        headlines: study -> the short question that it helps to answer.
    """
    absent = [name for name in wanted if name not in [results.study for results in studies]]
    found = [(results.study, checked[results.study]) for results in studies]
    top = _leading(studies, headlines)
    lines = own_sentences({results.study: results.answer for results in studies})
    probes = list(dict.fromkeys(measure_name(results.primary) for results in studies))
    return {
        "profile": profile,
        "lead": _lead(top, headlines, links.get(top.study, {})) if top else None,
        "cards": [
            _card(results, lines[results.study], certificates.get(results.study), links.get(results.study, {}))
            for results in studies
        ],
        "finished": _finished(studies),
        "state": _state(studies, checked, absent),
        "absent": [shlex.join(["python", "-m", "study.ablate", "--study", name, "--profile", profile]) for name in absent],
        "elsewhere": ", ".join(elsewhere),
        "probe": " or ".join(probes) or "no probe",
        "table": setting_table(studies),
        "stale": [(name, one.groups) for name, one in found if one.groups],
        "unchecked": [(name, one.unchecked) for name, one in found if one.unchecked],
    }


def report_links(studies: Sequence[str], reports: Path, page: Path) -> dict[str, dict[str, str]]:
    """Return study -> where its report and its figures lie, as seen from the page."""
    folders = {name: Path(os.path.relpath(reports / name, page)).as_posix() for name in studies}
    return {
        name: {"html": f"{folder}/index.html", "markdown": f"{folder}/README.md", "figures": f"{folder}/figures"}
        for name, folder in folders.items()
    }


def _leading(studies: Sequence[StudyResults], headlines: Mapping[str, str]) -> StudyResults | None:
    """Return the study whose answer stands on top.

    It is the first one, or, of those that help to answer the same question, the first with a phase diagram.
    """
    if not studies:
        return None
    question = headlines.get(studies[0].study)
    alike = [one for one in studies if question is not None and headlines.get(one.study) == question]
    return next((one for one in alike if has_phase_diagram(one)), studies[0])


def _lead(results: StudyResults, headlines: Mapping[str, str], links: Mapping[str, str]) -> Lead:
    figure = lead_figure(results)
    return {
        "study": results.study,
        "question": headlines.get(results.study, results.question),
        "answer": results.answer,
        "facts": facts_of(results, shown_arms(results)),
        "trust": [without_paths(sentence) for sentence in results.trust or ()],
        "figure": _renamed(figure, f"lead-{results.study}"),
        "file": _file(figure, links),
        "caption": caption_of([figure], phase_source(results), _confidence(results)) if figure else "",
        "links": dict(links),
    }


def _confidence(results: StudyResults) -> str | None:
    """Return at what confidence intervals are; None where there are too few seeds for one."""
    return confidence_of(results.looks) if paired_seeds(results) >= LEAST_SEEDS else None


def _renamed(figure: Panel | None, name: str) -> Panel | None:
    """Return a figure under a name of its own: it may stand twice on the page."""
    return {**figure, "name": name} if figure else None


def _file(figure: Panel | None, links: Mapping[str, str]) -> str:
    return f"{links['figures']}/{figure['name']}.svg" if figure and "figures" in links else ""


def _card(results: StudyResults, line: str, certificate: Certificate | None, links: Mapping[str, str]) -> Card:
    figure = lead_figure(results)
    return {
        "name": results.study,
        "question": results.question,
        "answer": line,
        "figure": _renamed(figure, f"card-{results.study}"),
        "file": _file(figure, links),
        "counts": _counts(results),
        "certificate": _certificate(results, certificate),
        "alerts": [without_paths(alert) for alert in results.alerts],
        "links": dict(links),
    }


def own_sentences(answers: Mapping[str, str]) -> dict[str, str]:
    """Return of each study's answer the first sentence that not all answers share; it stands on top of the page already."""
    split = {name: sentences_of(answer) for name, answer in answers.items()}
    shared = set.intersection(*map(set, split.values())) if len(split) > 1 else set()
    return {name: next((one for one in own if one not in shared), own[0]) for name, own in split.items()}


def sentences_of(text: str) -> list[str]:
    """Return the sentences of a text, at least one."""
    return re.split(r"(?<=[.!?])\s+(?=[A-ZΑ-Ωα-ω0-9])", text.strip())


def _counts(results: StudyResults) -> str:
    """Return how many seeds, settings and trials a study has, in a few words."""
    arms = [arm for arm in shown_arms(results) if not arm.is_control]
    tried = sum(arm.role in CHOOSING for arm in results.arms)
    parts = [f"seeds: {seeds_text(arms, results.looks)}", count_of(len(arms), "setting")]
    parts += [f"{count_of(tried, 'trial')} to choose by"] if tried else []
    return "; ".join(parts)


def _finished(studies: Sequence[StudyResults]) -> str:
    """Return how many runs finished and what became of the others, each run counted once."""
    statuses = Counter({run.digest: run.status for one in studies for arm in one.arms for run in arm.runs}.values())
    total, finished = statuses.total(), statuses.pop(FINISHED, 0)
    others = [
        f"{count} {agree(count, 'was', 'were')} {_ENDED[name]}" if name in _ENDED else f"{count} {name}"
        for name, count in sorted(statuses.items())
    ]
    if finished == total:
        return f"All {total} runs finished." if total > 1 else f"{count_of(total, 'run')} finished."
    return f"{finished} of {count_of(total, 'run')} finished; {', '.join(others)}."


def _state(studies: Sequence[StudyResults], checked: Mapping[str, Freshness], absent: Sequence[str]) -> str:
    """Return whether what the page shows is what today's code and parameters would make."""
    stale = sum(checked[results.study].count for results in studies)
    cells = sum(len(arm.runs) for results in studies for arm in results.arms)
    unchecked = [results.study for results in studies if checked[results.study].unchecked]
    parts = [f"{stale} of {count_of(cells, 'result')} {agree(stale, 'is', 'are')} out of date or missing"] if stale else []
    parts += [f"{', '.join(absent)} {agree(len(absent), 'has', 'have')} not been run"] if absent else []
    parts += [f"{', '.join(unchecked)} could not be checked against the current code"] if unchecked else []
    if not parts:
        return "Results match the current code."
    sentence = "; ".join(parts)
    return f"{sentence[0].upper()}{sentence[1:]}."


def _certificate(results: StudyResults, certificate: Certificate | None) -> str:
    """Return the certificate's sentence, or that there is none, or that it is of other results."""
    command = shlex.join(["python", "-m", "study.verify", "--study", results.study])
    if certificate is None:
        return f"No run was rerun to check it; {command} does so."
    if (held := certified(certificate, results)) is None:
        return f"Earlier results were checked by a rerun; {command} checks these."
    return held.sentence
