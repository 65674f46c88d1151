"""The list of all measurements: images, runs, machine, code and command."""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import TypedDict

from study.analysis.wording import count_of, listed
from study.paper.evidence import digests
from study.paper.judged import Judged
from study.paper.page.commands import command_of
from study.paper.protocol import copy_name, data_of, dataset_of, is_copy
from study.reporting.format import short
from study.results.schema import StudyResults

_NAMED_FILES = 4


@dataclass(frozen=True, kw_only=True, eq=False)
class Source:
    """One study's results, as the page refers to them.

    `links` are addresses of their report, `html` and `markdown`; empty where there is none. `changed` are the files of the
    code that trains which have changed since.
    """

    results: StudyResults
    links: Mapping[str, str] = field(default_factory=dict)
    changed: tuple[str, ...] = ()


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


def by_study(sources: Iterable[Source]) -> dict[str, list[StudyResults]]:
    """Return the results of each study."""
    found: dict[str, list[StudyResults]] = {}
    for source in sources:
        found.setdefault(source.results.study, []).append(source.results)
    return found


def used_sources(rows: Sequence[Judged], sources: Sequence[Source]) -> list[Source]:
    """Return every source on a CIFAR, once: those that the claims are judged by first, then the others by study."""
    studies = list(by_study(sources))
    judged = [source for row in rows for source in sources if source.results is row.results]
    others = [source for source in sources if dataset_of(source.results.data) is not None]
    return list(dict.fromkeys([*judged, *sorted(others, key=lambda source: studies.index(source.results.study))]))


def warnings_of(used: Sequence[Source]) -> list[str]:
    """Return what a reader must know of the measurements, a few sentences each."""
    warnings = []
    copies = dict.fromkeys(copy_name(source.results.data) for source in used if is_copy(source.results.data))
    if copies:
        known = [f"a {copy} of CIFAR-10" for copy in copies if copy != "copy"]
        unknown = ["a copy whose format was not recorded"] if "copy" in copies else []
        warnings.append(f"Some measurements are of {listed([*known, *unknown], word='or')}. The bytes are not the canonical "
                        "ones; results name the copy.")  # fmt: skip
    if any(source.changed for source in used):
        warnings.append("Some measurements were made by earlier training code, as the list of measurements says of each: "
                        "run again today they would be new runs.")  # fmt: skip
    return warnings


def measurement_view(source: Source) -> Measurement:
    """Return what the page lists of one study's results."""
    results = source.results
    data, environment = results.data, results.environment
    runs = {digest for arm in results.arms if not arm.is_control for digest in digests(arm)}
    return {
        "study": results.study, "profile": results.profile, "links": dict(source.links),
        "data": f"{data_of(data)}: {data.train:,} training, {data.validation:,} validation and {data.test:,} test images",
        "runs": count_of(len(runs), "run"),
        "machine": ", ".join(str(environment[key]) for key in ("device", "torch") if environment.get(key)),
        "commits": ", ".join(short(commit) for commit in results.commits) or "–",
        "code": _code_text(source.changed),
        "command": command_of(results),
    }  # fmt: skip


def _code_text(files: Sequence[str]) -> str:
    """Return whether the code that trained is today's, and where it is not, which files have changed since."""
    if not files:
        return "today's"
    names = [file.partition(" (")[0] for file in files]
    more = f" and {len(names) - _NAMED_FILES} more files" if len(names) > _NAMED_FILES else ""
    return f"earlier; changed since: {', '.join(names[:_NAMED_FILES])}{more}"
