"""All studies of a profile on one page: their answers, a leaderboard of every run, and what is stale or missing.

    python -m study.index [--results results/ablate] [--reports reports] [--out reports/index.html]

The studies are those of params.yaml, which `dvc repro` runs: what else lies in the folder of results is left out, so that
the page is the same in every clone. It has a Markdown twin beside it, `README.md`. It runs nothing. Each study is planned
anew under today's code and parameters; what its results report and what would be run now are held against one another.
"""

import argparse
import json
import os.path
from collections import Counter
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from study.ablate import RESULTS
from study.cli.command import run_command
from study.config.load import load_params
from study.reporting.formatting import figure_of, measure_name, without_paths
from study.reporting.pages import badge, percent, write_twins
from study.results.certificate import KEYS, certified
from study.results.results import FILE, read_results
from study.runs.baseline import STORE
from study.runs.store import FINISHED
from study.verification.freshness import Freshness, freshness
from study.verify import CERTIFICATES
from vicreg.errors import InputError


def main(argv: Sequence[str] | None = None) -> int:
    arguments = _parse_arguments(argv)
    profile = arguments.profile or load_params()["profile"]
    wanted = load_params()["studies"]
    found = sorted(path.parent.name for path in arguments.results.glob(f"*/{FILE}"))
    every = [read_results(arguments.results / name) for name in found if name in wanted]
    view = build_view(
        [results for results in every if results["profile"] == profile],
        profile=profile,
        elsewhere=[results["study"] for results in every if results["profile"] != profile],
        wanted=wanted,
        certificates=_certificates(arguments.certificates, wanted),
        checked={
            results["study"]: freshness(results, store=arguments.store) for results in every if results["profile"] == profile
        },
        links=_links(wanted, arguments.reports, arguments.out.parent),
    )
    write_twins("index", view, html=arguments.out, markdown=arguments.out.parent / "README.md")
    print(f"{view['answer']} {view['state']}")
    if left_out := [name for name in found if name not in wanted]:
        print(f"left out, for params.yaml's `studies` do not name them: {', '.join(left_out)}")
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
        + f"; {sum(row['place'] != '–' for row in rows)} finished.",
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
    verdicts = Counter(run["verdict"]["name"] if run["verdict"] else run["status"] for run in trained)
    return {
        "name": results["study"],
        "question": results.get("question", ""),
        "answer": results.get("answer", ""),
        "alerts": [without_paths(alert) for alert in results.get("alerts") or []],
        "statuses": _counted(Counter(run["status"] for run in runs)),
        "verdicts": _counted(verdicts) or "none",
        "links": dict(links or {}),
        "certificate": _certificate(results, certificate),
    }


def _certificate(results: Mapping[str, Any], certificate: Mapping[str, Any] | None) -> str:
    """The certificate's sentence; that there is none, or that it is of other results, where so."""
    if certificate is None:
        return f"Not verified; python -m study.verify --study {results['study']} does so."
    if (held := certified(certificate, results)) is None:
        return f"Verified for earlier results alone; python -m study.verify --study {results['study']} verifies these."
    return held["sentence"]


def _runs_by_digest(studies: Sequence[Mapping[str, Any]]) -> dict[str, list[tuple[Any, Any, Any]]]:
    """Digest -> (results, arm, run) of every cell that this run stands for."""
    found: dict[str, list[tuple[Any, Any, Any]]] = {}
    for results in studies:
        for arm in results["arms"]:
            for run in arm["runs"]:
                found.setdefault(run["digest"], []).append((results, arm, run))
    return found


def _leaderboard(studies: Sequence[Mapping[str, Any]]) -> list[dict[str, Any]]:
    """A row a run: those that finished by place, the most accurate on validation first, of equal ones the one whose digest
    comes first; then, without a place, those that did not, by how they ended."""
    finished, others = [], []
    for digest, cells in _runs_by_digest(studies).items():
        results, _, run = cells[0]
        top1 = (run["validation"].get(results["primary"]) or {}).get("top1")
        if run["status"] == FINISHED:
            finished.append((-(top1 if top1 is not None else -1.0), digest, _row(cells)))
        else:
            others.append((run["status"], digest, _row(cells)))
    placed = [row for _, _, row in sorted(finished, key=lambda entry: entry[:2])]
    return [
        *({"place": str(place), **row} for place, row in enumerate(placed, start=1)),
        *({"place": "–", **row} for _, _, row in sorted(others, key=lambda entry: entry[:2])),
    ]


def _row(cells: Sequence[tuple[Any, Any, Any]]) -> dict[str, Any]:
    """What the leaderboard says of a run that stands for these cells."""
    results, arm, run = cells[0]
    accuracies = [(run[part].get(results["primary"]) or {}).get("top1") for part in ("validation", "test")]
    ranks = [run["collapse"].get(space, {}).get("rankme") for space in ("representations", "embeddings")]
    # A network that was not trained has nothing that could collapse: its embeddings are what they are.
    verdict = "untrained" if arm["is_control"] and run["verdict"] else (run["verdict"] or {}).get("name")
    return {
        "studies": ", ".join(dict.fromkeys(one["study"] for one, _, _ in cells)),
        "arm": "; ".join(dict.fromkeys(one["label"] for _, one, _ in cells)),
        "is_control": arm["is_control"], "seed": str(run["seed"]),
        "validation": percent(accuracies[0]), "test": percent(accuracies[1]),
        "ranks": [figure_of(rank, ".1f") for rank in ranks],
        "badge": badge(verdict, run["status"]),
        "digest": run["digest"],
        "command": run.get("command") or arm["command"],
    }  # fmt: skip


def _links(studies: Sequence[str], reports: Path, page: Path) -> dict[str, dict[str, str]]:
    """Study -> where its report lies, as seen from the page. `dvc repro` makes one for each, be it after this page."""
    folders = {name: Path(os.path.relpath(reports / name, page)).as_posix() for name in studies}
    return {name: {"html": f"{folder}/index.html", "markdown": f"{folder}/README.md"} for name, folder in folders.items()}


def _certificates(folder: Path, studies: Sequence[str]) -> dict[str, Any]:
    found = {}
    for path in [folder / f"{name}.json" for name in sorted(studies)]:
        try:
            certificate = json.loads(path.read_bytes())
            found[certificate["study"]] = {key: certificate[key] for key in KEYS}
        except FileNotFoundError:
            continue
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
