"""What axe-core finds in reports, in headless Chromium: light and dark, on a screen and on a phone, all details open.

    python -m benchmarks.accessibility reports/*/index.html [--out FILE]

Prints violations by impact. Exit status: 0 with none that is serious or critical, 1 with some, 2 for bad input. Needs
Chromium and npm, which fetches axe-core at the version pinned here; both are for this benchmark alone.
"""

import argparse
import subprocess
import tarfile
import tempfile
from collections import Counter
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from benchmarks.browser import ask
from benchmarks.measure import RESULTS, table, write
from study.command import run_command
from study.runs import current_commit
from vicreg.errors import InputError

AXE = "4.14.1"
IMPACTS = ("critical", "serious", "moderate", "minor")
BARRED = IMPACTS[:2]
WIDTHS = (1280, 390)
# All of axe's rules: WCAG 2.2 A and AA, and its best practices. A node's own HTML says where it is.
_RUNNER = """
document.querySelectorAll("details").forEach((one) => { one.open = true; });
const found = await axe.run(document, {resultTypes: ["violations", "incomplete"]});
const brief = (one) => ({id: one.id, impact: one.impact, help: one.help, nodes: one.nodes.length,
  where: one.nodes.slice(0, 3).map((node) => node.target.join(" ")), why: one.nodes[0].failureSummary});
tell({violations: found.violations.map(brief), incomplete: found.incomplete.map(brief), passes: found.passes.length});
"""


def main() -> int:
    parser = argparse.ArgumentParser(prog="python -m benchmarks.accessibility", description=__doc__.partition("\n")[0])
    parser.add_argument("pages", type=Path, nargs="+", metavar="PAGE", help="an HTML file")
    parser.add_argument("--out", type=Path, default=RESULTS / "accessibility.json")
    arguments = parser.parse_args()
    axe = fetch_axe()
    found = {_name(page): examine(page, axe) for page in arguments.pages}
    counts = {name: count(views) for name, views in found.items()}
    write(arguments.out, {"axe": AXE, "commit": current_commit(), "views": _views(), "counts": counts, "found": found})
    print(table([{"page": name, **{impact: str(number) for impact, number in one.items()}} for name, one in counts.items()]))
    for name, views in found.items():
        for view, results in views.items():
            for one in results["violations"]:
                print(f"\n{name}, {view}: {one['impact']}: {one['help']} ({one['id']}), {one['nodes']} times")
                print(f"  {'; '.join(one['where'])}\n  {' '.join(one['why'].split())}")
    return int(any(one[impact] for one in counts.values() for impact in BARRED))


def fetch_axe() -> str:
    """The script of axe-core at the pinned version, from the npm registry.

    Raises:
        InputError: if npm is missing or cannot fetch it.
    """
    with tempfile.TemporaryDirectory() as folder:
        try:
            subprocess.run(["npm", "pack", f"axe-core@{AXE}", "--silent"], cwd=folder, check=True, capture_output=True, text=True)
        except FileNotFoundError:
            raise InputError("npm must be on the PATH to fetch axe-core, but is not; install Node.js.") from None
        except subprocess.CalledProcessError as error:
            raise InputError(f"npm must be able to fetch axe-core {AXE}, but: {' '.join(error.stderr.split())[:300]}") from None
        (archive,) = Path(folder).glob("*.tgz")
        with tarfile.open(archive) as files:
            script = files.extractfile("package/axe.min.js")
            assert script is not None
            return script.read().decode("utf-8")


def examine(page: Path, axe: str) -> dict[str, Any]:
    """View (`1280 light`) -> what axe found there.

    Raises:
        InputError: if the page cannot be read.
    """
    try:
        content = page.read_text(encoding="utf-8")
    except OSError as error:
        raise InputError(f"{page} must be a readable file, but: {error.strerror}; render the report first.") from None
    content = content.replace("</body>", f"<script>{axe}</script></body>")
    return {
        f"{width} {'dark' if dark else 'light'}": ask(content, _RUNNER, width=width, dark=dark)
        for width in WIDTHS
        for dark in (False, True)
    }


def count(views: Mapping[str, Mapping[str, Sequence[Mapping[str, Any]]]]) -> dict[str, int]:
    """Impact -> in how many places a rule is broken, in the worst view, since one place is seen in several."""
    by_view = []
    for results in views.values():
        counts: Counter[str] = Counter()
        for one in results["violations"]:
            counts[one["impact"]] += one["nodes"]
        by_view.append(counts)
    return {impact: max(counts[impact] for counts in by_view) for impact in IMPACTS}


def _views() -> list[str]:
    return [f"{width} {colours}" for width in WIDTHS for colours in ("light", "dark")]


def _name(page: Path) -> str:
    return page.parent.name if page.name == "index.html" else page.stem


if __name__ == "__main__":
    run_command(main)
