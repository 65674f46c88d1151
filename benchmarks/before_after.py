"""How fast another commit trains and how fast this one does, in turn, alone and beside busy processes.

    python -m benchmarks.before_after --before COMMIT [--busy 0 1] [--only resnet34] [--out FILE] [--rounds 7]

The other commit is checked out into a folder for the time of the measurement. Each has a process of its own, which waits
while the other trains. A ratio is of two figures of one round, and told as the median over rounds. Busy processes are loops
at nice 10. Both use the Python that this command runs in, so the other commit must work with the packages of this one.
"""

import argparse
import json
import subprocess
import tempfile
from collections.abc import Iterator, Mapping
from contextlib import ExitStack, contextmanager
from pathlib import Path
from statistics import median
from typing import Any

import torch

from benchmarks.children import busy, child, turn
from benchmarks.measure import RESULTS, ROOT, foreign_share, machine, processor_time, table, write
from study.cli.arguments import Parser, positive, whole
from study.cli.command import run_command
from vicreg.errors import InputError

# What a child runs: it uses nothing that commits since a966d96 do not have, and not this module, which others lack.
CHILD = """
import json, os, sys, time
sys.path.insert(0, os.getcwd())
import study
import torch
from benchmarks.measure import ROOT, noise_images
from benchmarks.peers import OurLoop
from study.config.load import load_config
from vicreg.training.setup import set_deterministic
asked = json.loads(sys.argv[1])
settings = load_config(path=ROOT / "params.yaml", profile=asked["profile"], settings=asked["settings"]).pretrain
set_deterministic(settings)
count = asked["steps"] * settings.batch_size
images = noise_images(asked["side"], count=count, channels=asked["channels"])
train = OurLoop(settings, images, device=torch.device("cpu"))
train()
for _ in sys.stdin:
    started = time.perf_counter()
    train()
    print(count / (time.perf_counter() - started), flush=True)
"""
_CIFAR = {"profile": "cifar10", "side": 32, "channels": 3, "steps": 3}
CASES: Mapping[str, Mapping[str, Any]] = {
    "resnet18, one thread": {**_CIFAR, "settings": {"pretrain.backbone": "resnet18", "pretrain.threads": 1}},
    "resnet34, one thread": {**_CIFAR, "settings": {"pretrain.threads": 1}},
    "resnet34, two threads": {**_CIFAR, "settings": {"pretrain.threads": 2}},
    "resnet34, one thread, views together": {
        **_CIFAR, "settings": {"pretrain.threads": 1, "pretrain.view_passes": "together"},
    },
    "digits, one thread": {"profile": "digits", "side": 8, "channels": 1, "steps": 18, "settings": {}},
}  # fmt: skip


def main() -> int:
    parser = Parser("benchmarks.before_after", __doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--before", required=True, metavar="COMMIT", help="the other commit")
    parser.add_argument(
        "--busy", type=whole, nargs="+", default=[0, 1], metavar="N", help="busy processes beside it; default: 0 and 1"
    )
    parser.add_argument("--only", default="", metavar="TEXT", help="cases whose name has this")
    parser.add_argument("--out", type=Path, default=RESULTS / "before-after.json", help="JSON file")
    parser.add_argument("--rounds", type=positive, default=7, help="how often each is timed")
    arguments = parser.parse_args()
    cases = {name: case for name, case in CASES.items() if arguments.only in name}
    if not cases:
        raise InputError(f"--only must be part of one of {'; '.join(CASES)}, but got {arguments.only!r}.")
    with checkout(arguments.before) as (before, commit):
        results = compare(before, cases, loads=arguments.busy, rounds=arguments.rounds)
    results["before"] = commit
    write(arguments.out, results)
    print(table(rows_of(results["cases"])))
    print("others than the busy processes used " + ", ".join(f"{share:.0%}" for share in results["foreign_load"]))
    return 0


@contextmanager
def checkout(commit: str) -> Iterator[tuple[Path, str]]:
    """Check a commit out for a while; yield its folder and its whole name.

    Raises:
        InputError: where git has no such commit, or cannot check it out.
    """
    with tempfile.TemporaryDirectory(prefix="before-") as folder:
        where = Path(folder) / "checkout"
        try:
            name = _git("rev-parse", "--verify", f"{commit}^{{commit}}")
            _git("worktree", "add", "--detach", str(where), name)
        except subprocess.CalledProcessError as error:
            why = ((error.stderr or "").strip().splitlines() or ["git says nothing"])[-1]
            raise InputError(f"--before must be a commit that git can check out, but got {commit!r} ({why}).") from None
        try:
            yield where, name
        finally:
            _git("worktree", "remove", "--force", str(where))


def _git(*arguments: str) -> str:
    return subprocess.run(["git", *arguments], cwd=ROOT, check=True, capture_output=True, text=True).stdout.strip()


def compare(
    before: Path, cases: Mapping[str, Mapping[str, Any]], *, loads: list[int], rounds: int
) -> dict[str, Any]:  # fmt: skip
    """Return images a second of both checkouts by case and load, one a round, and what others used meanwhile."""
    found: dict[str, dict[str, dict[str, list[float]]]] = {}
    shares = []
    for name, case in cases.items():
        with ExitStack() as stack:
            both = {
                which: stack.enter_context(child(["-c", CHILD, json.dumps(dict(case))], folder=folder))
                for which, folder in (("before", before), ("now", ROOT))
            }
            for one in both.values():  # the first turn waits until both have loaded
                turn(one)
            for load in loads:
                started = processor_time()
                with busy(load):
                    paces: dict[str, list[float]] = {which: [] for which in both}
                    for _ in range(rounds):
                        for which, one in both.items():
                            paces[which].append(turn(one))
                found.setdefault(name, {})[str(load)] = paces
                shares.append(foreign_share(started, processor_time()))
    return {"machine": machine(torch.device("cpu")), "cases": found, "foreign_load": shares, "rounds": rounds}


def rows_of(found: Mapping[str, Mapping[str, Mapping[str, list[float]]]]) -> list[dict[str, str]]:
    """Return a row a case and load: medians of both, and the ratio of rounds."""
    rows = []
    for name, by_load in found.items():
        for load, paces in by_load.items():
            ratios = [now / before for before, now in zip(paces["before"], paces["now"], strict=True)]
            rows.append({
                "images a second": name, "busy beside it": load, "before": f"{median(paces['before']):,.0f}",
                "now": f"{median(paces['now']):,.0f}", "ratio": f"{median(ratios):.2f}",
                "over rounds": f"{min(ratios):.2f} to {max(ratios):.2f}",
            })  # fmt: skip
    return rows


if __name__ == "__main__":
    run_command(main)
