"""What axe-core finds in reports, in headless Chromium: light and dark, on a screen and on a phone, all folds open.

    python -m benchmarks.accessibility reports/*/index.html [--out FILE]

Prints violations by impact. Exit status: 0 with none of any impact, 1 with some, 2 for bad input. Needs
Chromium and npm, which fetches axe-core at the version pinned here; both are for this benchmark alone.
"""

import subprocess
import tarfile
import tempfile
from collections import Counter
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from benchmarks.browser import ask
from benchmarks.measure import RESULTS, table, write
from study.cli.arguments import Parser
from study.cli.command import run_command
from study.runs.revision import current_commit
from vicreg.errors import InputError

AXE = "4.14.1"
IMPACTS = ("critical", "serious", "moderate", "minor")
WIDTHS = (1280, 390)
# All of axe's rules: WCAG 2.2 A and AA, and its best practices. A node's own HTML says where it is.
_RUNNER = """
document.querySelectorAll("details").forEach((one) => { one.open = true; });
document.querySelector(".copy button")?.click();
await new Promise((done) => setTimeout(done, 200)); // so that what scripts add to an open fold is there
const found = await axe.run(document, {resultTypes: ["violations", "incomplete"]});
const brief = (one) => ({id: one.id, impact: one.impact, help: one.help, nodes: one.nodes.length,
  where: one.nodes.slice(0, 3).map((node) => node.target.join(" ")), why: one.nodes[0].failureSummary});
tell({violations: found.violations.map(brief), incomplete: found.incomplete.map(brief), passes: found.passes.length});
"""

# axe cannot tell what lies behind the text of a drawing, so its contrast is worked out here: by WCAG 2.2's formula, against
# the shapes that lie under its middle, each over the next by its opacity, and at last the page.
_CONTRAST = """
const parts = (text) => (text.match(/[\\d.]+/g) ?? []).map(Number);
const over = (top, under, share) => top.slice(0, 3).map((value, at) => share * value + (1 - share) * under[at]);
const light = (rgb) => rgb.map((value) => value / 255).map((v) => (v <= 0.04045 ? v / 12.92 : ((v + 0.055) / 1.055) ** 2.4))
  .reduce((sum, v, at) => sum + [0.2126, 0.7152, 0.0722][at] * v, 0);
const page = parts(getComputedStyle(document.body).backgroundColor).slice(0, 3);
const faint = [];
let judged = 0;
for (const text of document.querySelectorAll("svg text")) {
  text.scrollIntoView({block: "center", inline: "center"});
  const box = text.getBoundingClientRect();
  const stack = document.elementsFromPoint(box.left + box.width / 2, box.top + box.height / 2);
  const below = stack.slice(stack.indexOf(text) + 1);
  const under = below.filter((one) => one.closest("svg") && !["svg", "text"].includes(one.tagName));
  if (!stack.includes(text) || under.some((one) => one.tagName === "image")) continue;
  let behind = page;
  for (const one of under.reverse()) {
    const style = getComputedStyle(one), fill = parts(style.fill);
    const share = style.fillOpacity * style.opacity * (fill[3] ?? 1);
    if (style.fill !== "none" && fill.length >= 3) behind = over(fill, behind, share);
  }
  const style = getComputedStyle(text), ink = over(parts(style.fill), behind, style.fillOpacity * style.opacity);
  const [low, high] = [light(ink), light(behind)].sort((a, b) => a - b), ratio = (high + 0.05) / (low + 0.05);
  judged += 1;
  if (ratio < 4.5) faint.push([text.closest("figure").id, text.textContent, Math.round(10 * ratio) / 10]);
}
tell({judged, faint});
"""


def main() -> int:
    parser = Parser("benchmarks.accessibility", __doc__.partition("\n")[0])
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
            for figure, text, ratio in results["drawings"]["faint"]:
                print(f"\n{name}, {view}: serious: {text!r} in {figure} has a contrast of {ratio}, below 4.5")
    return int(any(any(one.values()) for one in counts.values()))


def fetch_axe() -> str:
    """The script of axe-core at the pinned version, from the npm registry.

    Raises:
        InputError: if npm is missing or cannot fetch it.
    """
    with tempfile.TemporaryDirectory() as folder:
        try:
            subprocess.run(
                ["npm", "pack", f"axe-core@{AXE}", "--silent"], cwd=folder, check=True, capture_output=True, text=True
            )
        except FileNotFoundError:
            raise InputError("npm must be on the PATH to fetch axe-core, but is not; install Node.js.") from None
        except subprocess.CalledProcessError as error:
            raise InputError(
                f"npm must be able to fetch axe-core {AXE}, but: {' '.join(error.stderr.split())[:300]}"
            ) from None
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
    with_axe = content.replace("</body>", f"<script>{axe}</script></body>")
    return {
        f"{width} {'dark' if dark else 'light'}": ask(with_axe, _RUNNER, width=width, dark=dark)
        | {"drawings": ask(content, _CONTRAST, width=width, dark=dark)}
        for width in WIDTHS
        for dark in (False, True)
    }


def count(views: Mapping[str, Mapping[str, Any]]) -> dict[str, int]:
    """Impact -> in how many places a rule is broken, in the worst view, since one place is seen in several."""
    by_view = []
    for results in views.values():
        counts: Counter[str] = Counter()
        for one in results["violations"]:
            counts[one["impact"]] += one["nodes"]
        counts["serious"] += len(results["drawings"]["faint"])  # as axe has it for other text
        by_view.append(counts)
    return {impact: max(counts[impact] for counts in by_view) for impact in IMPACTS}


def _views() -> list[str]:
    return [f"{width} {colours}" for width in WIDTHS for colours in ("light", "dark")]


def _name(page: Path) -> str:
    return page.parent.name if page.name == "index.html" else page.stem


if __name__ == "__main__":
    run_command(main)
