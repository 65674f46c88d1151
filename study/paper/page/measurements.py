"""The list of all measurements: images, runs, machine, code and command."""

from collections.abc import Mapping, Sequence
from typing import TypedDict

from study.paper.evidence import ResultsByStudy, digests
from study.paper.judged import Judged
from study.paper.page.commands import command_of
from study.paper.page.values import count_text
from study.paper.protocol import data_of, dataset_of, is_copy
from study.reporting.format import short
from study.results.schema import StudyResults

Changed = Mapping[int, Sequence[str]]  # id() of results -> files of training code that have changed since
Links = Mapping[int, Mapping[str, str]]  # id() of results -> addresses of their report, `html` and `markdown`


class Measurement(TypedDict):
    """One study's results as the page lists them."""

    study: str
    profile: str
    links: dict[str, str]
    data: str
    runs: str
    machine: str
    commits: str
    code: str
    command: str


def used_results(rows: Sequence[Judged], found: ResultsByStudy) -> list[StudyResults]:
    """Return every result on a CIFAR, once, those that the claims are judged by first."""
    every = [row.results for row in rows if isinstance(row.results, StudyResults)]
    every += [one for studies in found.values() for one in studies if dataset_of(one.data) is not None]
    return list({id(one): one for one in every}.values())


def warnings_of(used: Sequence[StudyResults], changed: Changed) -> list[str]:
    """Return what a reader must know of the measurements, a sentence each."""
    warnings = []
    if any(is_copy(one.data) for one in used):
        warnings.append("Some measurements are of a copy of CIFAR-10, read from a folder of image files, whose bytes are "
                        "not the canonical ones; each says so.")  # fmt: skip
    if any(changed.get(id(one)) for one in used):
        warnings.append("Some measurements were made by earlier training code, as the list of measurements says of each: "
                        "run again today they would be new runs.")  # fmt: skip
    return warnings


def measurement_view(results: StudyResults, changed: Changed, links: Links) -> Measurement:
    """Return what the page lists of one study's results."""
    data, environment = results.data, results.environment
    runs = {digest for arm in results.arms if not arm.is_control for digest in digests(arm)}
    files = changed.get(id(results)) or ()
    return {
        "study": results.study, "profile": results.profile, "links": dict(links.get(id(results), {})),
        "data": f"{data_of(data)}: {data.train:,} + {data.validation:,} + {data.test:,} images",
        "runs": count_text(len(runs), "run"),
        "machine": ", ".join(str(environment[key]) for key in ("device", "torch") if environment.get(key)),
        "commits": ", ".join(short(commit) for commit in results.commits) or "–",
        "code": "today's" if not files else f"earlier; changed since: {', '.join(files)}",
        "command": command_of(results),
    }  # fmt: skip
