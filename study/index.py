"""All studies of a profile on one page: their answers, a leaderboard of every run, and what is stale or missing.

    python -m study.index [--results results/ablate] [--reports reports] [--out reports/index.html]

The page has a Markdown twin beside it, `README.md`. It runs nothing. Each study is planned anew under today's code and
parameters; what its results report and what would be run now are held against one another.
"""

import argparse
import json
import os.path
from collections import Counter
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from study.ablate import RESULTS
from study.baseline import STORE
from study.command import run_command
from study.config import load_params
from study.formatting import figure_of, measure_name, without_paths
from study.freshness import Freshness, freshness
from study.pages import badge, percent, write_twins
from study.results import FILE, read_results
from study.runs import FINISHED
from study.verify import CERTIFICATES
from vicreg.errors import InputError


def main(argv: Sequence[str] | None = None) -> int:
    arguments = _parse_arguments(argv)
    profile = arguments.profile or load_params()["profile"]
    wanted = load_params()["studies"]
    every = [read_results(path) for path in sorted(arguments.results.glob(f"*/{FILE}"))]
    view = build_view(
        [results for results in every if results["profile"] == profile],
        profile=profile,
        elsewhere=[results["study"] for results in every if results["profile"] != profile],
        wanted=wanted,
        certificates=_certificates(arguments.certificates),
        checked={
            results["study"]: freshness(results, store=arguments.store) for results in every if results["profile"] == profile
        },
        links=_links(every, arguments.reports, arguments.out.parent, wanted=wanted),
    )
    write_twins("index", view, html=arguments.out, markdown=arguments.out.parent / "README.md")
    print(f"{view['answer']} {view['state']}")
    print(f"written: {arguments.out} and {arguments.out.parent / 'README.md'}")
    return 0


def build_view(
    studies: Sequence[Mapping[str, Any]],
    *,
    profile: str,
    elsewhere: Sequence[str],
    wanted: Sequence[str],
    certificates: Mapping[str, Mapping[str, Any]],
    checked: Mapping[str, Freshness],
    links: Mapping[str, Mapping[str, str]],
) -> dict[str, Any]:
    """Everything both pages print, formatted: strings, lists and dicts.

    Args:
        studies: results of one profile.
        elsewhere: studies whose results are another profile's, and are left out.
        wanted: the studies that params.yaml names.
        certificates: study -> what `study.verify` wrote of it.
        checked: study -> how its results stand to today's code and parameters.
        links: study -> addresses of its report, relative to the page: `html` and `markdown`.
    """
    rows = _leaderboard(studies)
    asked = sum(len(runs) for runs in _runs_by_digest(studies).values())
    probes = list(dict.fromkeys(measure_name(results["primary"]) for results in studies))
    absent = [name for name in wanted if name not in [results["study"] for results in studies]]
    return {
        "profile": profile,
        "answer": f"{_count(len(studies), 'study', 'studies')} on profile {profile}, "
        f"{_count(len(_runs_by_digest(studies)), 'run', 'runs')}"
        + (f" that stand for {asked} cells" if asked != len(_runs_by_digest(studies)) else "")
        + f"; {len(rows)} finished.",
        "state": _state(studies, checked, absent),
        "studies": [_study(results, certificates.get(results["study"]), links.get(results["study"])) for results in studies],
        "absent": [f"python -m study.ablate --study {name} --profile {profile}" for name in absent],
        "elsewhere": ", ".join(elsewhere),
        "probe": " or ".join(probes) or "no probe",
        "rows": rows,
        "stale": [
            (results["study"], checked[results["study"]].groups) for results in studies if checked[results["study"]].groups
        ],
        "unchecked": [
            (results["study"], checked[results["study"]].unchecked)
            for results in studies
            if checked[results["study"]].unchecked
        ],
    }


def _state(studies: Sequence[Mapping[str, Any]], checked: Mapping[str, Freshness], absent: Sequence[str]) -> str:
    """One sentence on whether what the page shows is what today's code and parameters would make."""
    stale = sum(checked[results["study"]].count for results in studies)
    unchecked = [results["study"] for results in studies if checked[results["study"]].unchecked]
    parts = (
        [f"{stale} of {sum(len(arm['runs']) for one in studies for arm in one['arms'])} cells are stale or missing"]
        if stale
        else []
    )
    parts += [f"{', '.join(absent)} {'has' if len(absent) == 1 else 'have'} not been run"] if absent else []
    parts += [f"staleness was not checked for {', '.join(unchecked)}"] if unchecked else []
    if not parts:
        return "Everything is fresh: today's code and parameters would make the very runs that are shown."
    sentence = "; ".join(parts)
    return f"{sentence[0].upper()}{sentence[1:]}."


def _study(
    results: Mapping[str, Any], certificate: Mapping[str, Any] | None, links: Mapping[str, str] | None
) -> dict[str, Any]:
    runs = [run for arm in results["arms"] for run in arm["runs"]]
    trained = [run for arm in results["arms"] if not arm["is_control"] for run in arm["runs"]]
    verdicts = Counter(run["verdict"]["name"] for run in trained if run["verdict"])
    return {
        "name": results["study"],
        "question": results.get("question", ""),
        "answer": results.get("answer", ""),
        "alerts": [without_paths(alert) for alert in results.get("alerts") or []],
        "statuses": _counted(Counter(run["status"] for run in runs)),
        "verdicts": _counted(verdicts) or "none",
        "links": dict(links or {}),
        "certificate": _certified(results, certificate),
    }


def _certified(results: Mapping[str, Any], certificate: Mapping[str, Any] | None) -> str:
    """The certificate's sentence; that there is none, or that it is of other results, where so."""
    if certificate is None:
        return f"Not verified; python -m study.verify --study {results['study']} does so."
    digests = {run["digest"] for arm in results["arms"] for run in arm["runs"]}
    if not {cell["digest"] for cell in certificate["runs"]} <= digests:
        return f"Verified for earlier results alone; python -m study.verify --study {results['study']} verifies these."
    return certificate["sentence"]


def _runs_by_digest(studies: Sequence[Mapping[str, Any]]) -> dict[str, list[tuple[Any, Any, Any]]]:
    """Digest -> (results, arm, run) of every cell that this run stands for."""
    found: dict[str, list[tuple[Any, Any, Any]]] = {}
    for results in studies:
        for arm in results["arms"]:
            for run in arm["runs"]:
                found.setdefault(run["digest"], []).append((results, arm, run))
    return found


def _leaderboard(studies: Sequence[Mapping[str, Any]]) -> list[dict[str, Any]]:
    """A row a finished run, the most accurate on validation first; of equal ones the one whose digest comes first."""
    entries = []
    for digest, cells in _runs_by_digest(studies).items():
        results, arm, run = cells[0]
        if run["status"] != FINISHED:
            continue
        accuracies = [(run[part].get(results["primary"]) or {}).get("top1") for part in ("validation", "test")]
        ranks = [run["collapse"][space]["rankme"] for space in ("representations", "embeddings")]
        entries.append((-(accuracies[0] if accuracies[0] is not None else -1.0), digest, {
            "studies": ", ".join(dict.fromkeys(one["study"] for one, _, _ in cells)),
            "arm": "; ".join(dict.fromkeys(one["label"] for _, one, _ in cells)),
            "is_control": arm["is_control"], "seed": str(run["seed"]),
            "validation": percent(accuracies[0]), "test": percent(accuracies[1]),
            "ranks": [figure_of(rank, ".1f") for rank in ranks],
            "badge": badge((run["verdict"] or {}).get("name"), run["status"]),
            "digest": digest,
            "command": run.get("command") or arm["command"],
        }))  # fmt: skip
    ordered = [row for _, _, row in sorted(entries, key=lambda entry: entry[:2])]
    return [{"place": str(place), **row} for place, row in enumerate(ordered, start=1)]


def _links(
    studies: Sequence[Mapping[str, Any]], reports: Path, page: Path, *, wanted: Sequence[str]
) -> dict[str, dict[str, str]]:
    """Study -> where its report lies, as seen from the page. `dvc repro` makes one for every study that is wanted, be it
    after this page; of others there is one or none."""
    found = {}
    for name in [results["study"] for results in studies]:
        if name in wanted or (reports / name / "index.html").is_file():
            folder = Path(os.path.relpath(reports / name, page)).as_posix()
            found[name] = {"html": f"{folder}/index.html", "markdown": f"{folder}/README.md"}
    return found


def _certificates(folder: Path) -> dict[str, Any]:
    found = {}
    for path in sorted(folder.glob("*.json")):
        try:
            certificate = json.loads(path.read_bytes())
            found[certificate["study"]] = {key: certificate[key] for key in ("sentence", "runs")}
        except (OSError, ValueError, KeyError, TypeError) as error:
            raise InputError(
                f"{path} must be a certificate, but is not ({error!r}); run python -m study.verify again."
            ) from None
    return found


def _counted(counts: Counter[str]) -> str:
    return ", ".join(f"{count} {name}" for name, count in sorted(counts.items()))


def _count(count: int, one: str, many: str) -> str:
    return f"{count} {one if count == 1 else many}"


def _parse_arguments(argv: Sequence[str] | None) -> argparse.Namespace:
    parser = argparse.ArgumentParser(prog="python -m study.index", description="All studies of a profile on one page.")
    parser.add_argument("--results", type=Path, default=RESULTS, help="default: results/ablate")
    parser.add_argument("--reports", type=Path, default=Path("reports"), help="folder of the studies' reports")
    parser.add_argument("--certificates", type=Path, default=CERTIFICATES, help="default: results/verify")
    parser.add_argument("--out", type=Path, default=Path("reports/index.html"), help="README.md is written beside it")
    parser.add_argument("--profile", help="default: the one params.yaml names")
    parser.add_argument("--store", type=Path, default=STORE, help="folder of finished runs; default: store")
    return parser.parse_args(argv)


if __name__ == "__main__":
    run_command(main)
