"""The stage `source_page`: the source paper's claims, each beside the measurement there is of it.

    python -m study.source_page [--keep FOLDER ...]

It writes `reports/source-paper.html` and its Markdown twin from all results there are: those of this profile, with a report
of each study that `study.source_paper` ran, and those of any profile that were kept under `reports/measured`, where git
keeps them, so that what a GPU measured elsewhere stands beside what is measured here. `--keep` takes folders there that hold
a `study.json` or a `tsne.json`.
"""

import argparse
import gzip
import json
import os
import zlib
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import yaml

from study import report
from study.cli.command import run_command
from study.paper.claims import judge
from study.paper.view import build_view
from study.reporting.pages import write_twins
from study.results.files import FILE, parse_results, read_results
from study.results.json_values import to_values
from study.runs.code_digest import changed_definitions
from study.runs.identity import modules_of, training_code
from vicreg.errors import InputError
from vicreg.files import to_json, write_atomically

ANSWERS, STUDIES, PROJECT = Path("results/source_paper"), Path("results/ablate"), Path("results/project/tsne.json")
FAILURES = ANSWERS / "failures.json"
MEASURED = Path("reports/measured")
PAGE = Path("reports/source-paper.html")
PUBLISHED = Path(__file__).parent / "analysis/published.yaml"
SAYS_OF_WHAT = {"profile", "recipe", "data"}  # keys of a map that says of what it is; older ones do not


def main(argv: Sequence[str] | None = None) -> int:
    arguments = parse_arguments(argv)
    for folder in arguments.keep:
        print(f"kept: {keep(folder)}")
    for path in sorted(ANSWERS.glob(f"*/{FILE}")):
        write_report(path.parent, report_of(path))
    failures = json.loads(FAILURES.read_bytes()) if FAILURES.is_file() else {}
    write_page(failures=failures)
    print(f"written: {PAGE} and {PAGE.with_suffix('.md')}")
    return 0


def keep(folder: Path) -> Path:
    """Takes results into `reports/measured`, for git to keep, with their report; returns where they lie.

    Raises:
        InputError: for a folder without a `study.json` or a `tsne.json`, or where results of the same study and profile
            with other settings over it are kept already.
    """
    if (folder / PROJECT.name).is_file():
        content = json.loads((folder / PROJECT.name).read_bytes())
        if lacking := sorted(SAYS_OF_WHAT - set(content)):
            raise InputError(f"{folder / PROJECT.name} must have the key {lacking[0]!r}, but has none; run the project "
                             "stage again.")  # fmt: skip
        target = MEASURED / content["profile"] / f"{PROJECT.name}.gz"
    elif not (folder / FILE).is_file():
        raise InputError(f"--keep takes folders that hold a {FILE} or a {PROJECT.name}, but {folder} holds neither.")
    else:
        content = to_values(read_results(folder / FILE))
        target = MEASURED / content["profile"] / f"{content['study']}.json.gz"
        if target.is_file() and overrides_of(before := read_kept(target)) != overrides_of(content):
            raise InputError(
                f"{target} holds what came of {before['command']!r}, which has other settings than {content['command']!r}; "
                "remove it, or keep the new results under a profile of their own."
            )
        write_report(folder, MEASURED / content["profile"] / content["study"])
    write_atomically(target, gzip.compress(to_json(content), mtime=0))  # without a time: the same results, the same bytes
    return target


def overrides_of(results: Mapping[str, Any]) -> dict[str, Any]:
    """What was set over the profile, but for where the data lie."""
    return {key: value for key, value in (results.get("overrides") or {}).items() if not key.startswith("data.")}


def write_report(folder: Path, out: Path) -> None:
    """The report of the results in `folder`.

    Raises:
        InputError: where it cannot be written; the sentence is printed by the report itself.
    """
    timing = ["--timing", str(folder / "timing.json")] if (folder / "timing.json").is_file() else []
    if report.main(["--results", str(folder / FILE), *timing, "--out", str(out)]) != 0:
        raise InputError(f"the report of {folder} could not be written to {out}; see the line above.")


def write_page(*, failures: Mapping[str, str], page: Path = PAGE) -> None:
    """Both twins of the page, from every result there is, and their figures beside them."""
    found: dict[str, list[Mapping[str, Any]]] = {}
    links: dict[int, dict[str, str]] = {}
    for place, results in every_result():
        found.setdefault(results["study"], []).append(results)
        if (place / "index.html").is_file():
            where = Path(os.path.relpath(place, page.parent)).as_posix()
            links[id(results)] = {"html": f"{where}/index.html", "markdown": f"{where}/README.md"}
    maps = every_map()
    published = yaml.safe_load(PUBLISHED.read_text(encoding="utf-8"))
    rows = judge(found, maps, published["source_paper"])
    changed = {id(one): changed_modules(one) for studies in found.values() for one in studies}
    view = build_view(rows, found, maps, published, changed=changed, links=links, failures=failures)
    write_twins("source_paper", view, html=page, markdown=page.with_suffix(".md"))
    write_figures(view, page.with_suffix(""))


def write_figures(view: Mapping[str, Any], folder: Path) -> None:
    """The figures of the Markdown twin, one file each; those of an earlier page are removed."""
    for stale in folder.glob("*.svg"):
        stale.unlink()
    for part in ("losses", "longer", "map"):
        for figure in (view[part] or {"figures": []})["figures"]:
            write_atomically(folder / f"{figure['name']}.svg", figure["svg"].encode())


def report_of(path: Path) -> Path:
    """Where the report of results of this profile lies: beside the page, or where DVC's stage of the study puts it."""
    name = path.parent.name
    return PAGE.with_suffix("") / name if path.is_relative_to(ANSWERS) else PAGE.parent / name


def every_result() -> list[tuple[Path, Mapping[str, Any]]]:
    """The folder of its report, and the results, each once: this profile's own first, then the kept ones by profile and
    study."""
    own = [
        (report_of(path), to_values(read_results(path)))
        for path in sorted(ANSWERS.glob(f"*/{FILE}")) + sorted(STUDIES.glob(f"*/{FILE}"))
    ]  # fmt: skip
    kept = [
        (path.parent / path.name.removesuffix(".json.gz"), read_kept(path))
        for path in sorted(MEASURED.glob("*/*.json.gz"))
        if path.name != f"{PROJECT.name}.gz"
    ]
    different: list[tuple[Path, Mapping[str, Any]]] = []
    for place, results in (*own, *kept):  # what was kept of this profile is there twice
        if results not in [one for _, one in different]:
            different.append((place, results))
    return different


def every_map() -> list[Mapping[str, Any]]:
    """The projections there are: this profile's own first."""
    own = [json.loads(PROJECT.read_bytes())] if PROJECT.is_file() else []
    kept = [json.loads(unpacked(path)) for path in sorted(MEASURED.glob(f"*/{PROJECT.name}.gz"))]
    return [one for one in (*own, *kept) if SAYS_OF_WHAT <= set(one)]


def read_kept(path: Path) -> Mapping[str, Any]:
    return to_values(parse_results(unpacked(path), where=str(path)))


def unpacked(path: Path) -> bytes:
    """What a file in `reports/measured` holds.

    Raises:
        InputError: if it is damaged.
    """
    try:
        return gzip.decompress(path.read_bytes())
    except (OSError, EOFError, zlib.error) as error:
        raise InputError(f"{path} must be a gzip file, but is damaged ({error}); restore it from git.") from None


def changed_modules(results: Mapping[str, Any]) -> list[str]:
    """The files of the code that trains which have changed since the results were made, with what changed in them."""
    today, recorded = training_code(results.get("method", "vicreg")), results.get("identity") or {}
    if recorded.get("code") == today.root:
        return []
    return modules_of(changed_definitions(recorded.get("definitions") or {}, today.definitions))


def parse_arguments(argv: Sequence[str] | None) -> argparse.Namespace:
    parser = argparse.ArgumentParser(
        prog="python -m study.source_page", description="The source paper's claims beside what was measured."
    )
    parser.add_argument("--keep", nargs="+", type=Path, default=[], metavar="FOLDER",
                        help="take the results in these folders into reports/measured, for git to keep")  # fmt: skip
    return parser.parse_args(argv)


if __name__ == "__main__":
    run_command(main)
