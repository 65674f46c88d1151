"""The report of a large study: wall time, peak memory and size, as a process of its own on made-up results.

    python -m benchmarks.report [--runs 1000] [--epochs 100] [--out FILE]

The results are those `study.ablate` would write, of runs that are made up but as large as real ones: every key of the log
at every epoch, spectra of as many eigenvalues as there are held-out images, which test images were right. An arm in five
collapses, and one run in fifty diverges or is killed. Exit status: 1 where a report takes 30 s or 1 GB or more, or that of
40 runs is 3 MB or more.
"""

import json
import subprocess
import sys
import tempfile
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import torch

from benchmarks.measure import RESULTS, ROOT, machine, table, write
from study.cli.arguments import Parser, positive
from study.cli.command import run_command
from study.config.load import load_config
from study.spec.plan import Plan
from study.spec.study_file import Arm
from tests.study.made_up import Plans, lifelike, study, unfinished
from vicreg.data.dataset import load_dataset
from vicreg.errors import InputError
from vicreg.files import to_json

SEEDS = 3
SMALL_RUNS, SMALL_EPOCHS = 40, 20  # a study of the default profile
MOST_SECONDS, MOST_BYTES, MOST_PAGE = 30, 1_000_000_000, 3_000_000
COLLAPSED = {"complete": (0.4, 1.5, 1e-4), "dimensional": (0.7, 4.0, 0.4), "chance-level": (0.3, 30.0, 1.0)}


def main() -> int:
    parser = Parser("benchmarks.report", __doc__.partition("\n")[0])
    parser.add_argument("--runs", type=positive, default=1000, help="of the large study")
    parser.add_argument("--epochs", type=positive, default=100, help="of each of its runs")
    parser.add_argument("--out", type=Path, default=RESULTS / "report.json")
    arguments = parser.parse_args()
    if arguments.runs < 2 * SEEDS or arguments.epochs < 3:
        raise InputError(
            f"--runs must be at least {2 * SEEDS} and --epochs at least 3, but got {arguments.runs} and {arguments.epochs}."
        )
    measured = {
        f"{kind}, {runs} runs x {epochs} epochs": measure(kind, runs=runs, epochs=epochs)
        for kind, runs, epochs in (
            ("arms", arguments.runs, arguments.epochs), ("search", arguments.runs, arguments.epochs),
            ("arms", SMALL_RUNS, SMALL_EPOCHS),
        )
    }  # fmt: skip
    write(arguments.out, {"machine": machine(torch.device("cpu")), "measured": measured})
    print(table([{"report of": name, **shown(one)} for name, one in measured.items()]))
    *large, small = measured.values()
    slow = any(one["seconds"] >= MOST_SECONDS or one["peak_bytes"] >= MOST_BYTES for one in large)
    return int(slow or small["page_bytes"] >= MOST_PAGE)


def shown(one: Mapping[str, float]) -> dict[str, str]:
    """A row of the table."""
    return {
        "s": f"{one['seconds']:.1f}", "peak, MB": f"{one['peak_bytes'] / 1e6:.0f}",
        "results, MB": f"{one['results_bytes'] / 1e6:.1f}", "page, MB": f"{one['page_bytes'] / 1e6:.2f}",
        "Markdown, MB": f"{one['markdown_bytes'] / 1e6:.2f}",
    }  # fmt: skip


# A small process between: Linux counts the memory of whoever forked a process as that process's own, up to its exec.
_METER = """import json, resource, subprocess, sys, time
started = time.perf_counter()
status = subprocess.run(sys.argv[1:], stdout=subprocess.DEVNULL).returncode
print(json.dumps([status, time.perf_counter() - started, resource.getrusage(resource.RUSAGE_CHILDREN).ru_maxrss * 1024]))
"""


def measure(kind: str, *, runs: int, epochs: int) -> dict[str, float]:
    """Writes made-up results and renders them by `python -m study.report`."""
    with tempfile.TemporaryDirectory() as folder:
        results, out = Path(folder) / "study.json", Path(folder) / "report"
        make(kind, runs, epochs, results)
        command = [sys.executable, "-m", "study.report", "--results", str(results), "--out", str(out)]
        metered = [sys.executable, "-c", _METER, *command]
        told = subprocess.run(metered, cwd=ROOT, check=True, capture_output=True, text=True).stdout
        status, seconds, peak = json.loads(told)
        if status:
            raise InputError(f"python -m study.report must end with status 0, but ended with {status}.")
        return {
            "seconds": seconds, "peak_bytes": peak, "results_bytes": results.stat().st_size,
            "page_bytes": (out / "index.html").stat().st_size, "markdown_bytes": (out / "README.md").stat().st_size,
        }  # fmt: skip


def make(kind: str, runs: int, epochs: int, path: Path) -> None:
    """Writes the summary of made-up runs of the digits profile."""
    base = load_config(profile="digits", settings={"pretrain.epochs": epochs, "ablate.seeds": SEEDS})
    given = base.values["prepare"]
    dataset = load_dataset(root=Path("nowhere"), **{key: given[key] for key in
                           ("dataset", "validation", "split_seed", "test", "per_class", "image_size")})  # fmt: skip
    plans = Plans(lambda settings: base.with_settings(settings), dataset)
    plan = large_search(plans, runs) if kind == "search" else plans.plan(study(arms(runs // SEEDS - 1)))
    eigenvalues = min(len(dataset.validation.images) - 1, base.pretrain.expander[-1])
    results = {}
    for number, cell in enumerate(plan.cells):
        results[cell.arm, cell.seed] = outcome(cell.arm, cell.seed, number, cell.run.config.pretrain.epochs,
                                               images=len(dataset.test.images), eigenvalues=eigenvalues)  # fmt: skip
    path.write_bytes(to_json(plans.summary(results, of=plan)))


def arms(count: int) -> tuple[Arm, ...]:
    return tuple(Arm(name="base" if n == 0 else f"arm-{n}", settings=settings_of(n)) for n in range(count))


def settings_of(number: int) -> dict[str, Any]:
    """Coefficients that no other number has."""
    return {"pretrain.lambda": 1 + number % 20, "pretrain.mu": 1 + number // 20}


def large_search(plans: Plans, runs: int) -> Plan:
    """As many trials as are left beside a baseline, the best and the control at every seed."""
    return plans.search([settings_of(number) for number in range(max(1, runs - 3 * SEEDS))])


def outcome(arm: str, seed: int, number: int, epochs: int, *, images: int, eigenvalues: int) -> dict[str, Any]:
    if number % 50 == 49 and epochs:
        history = lifelike(arm, seed, 0.5, epochs=max(1, epochs // 3))["history"]
        return unfinished(("diverged", "killed")[number % 2], "the loss was not finite", history=history)
    place = sum(map(ord, arm))
    linear, rank, std, verdict = 0.9 + place % 7 / 100, 40.0 + place % 11, 0.9, "healthy"
    if place % 5 == 4:
        verdict = tuple(COLLAPSED)[place % 3]
        linear, rank, std = COLLAPSED[verdict]
    return lifelike(
        arm, seed, linear, verdict=verdict, rank=rank, std=std, epochs=epochs, images=images, eigenvalues=eigenvalues
    )


if __name__ == "__main__":
    run_command(main)
