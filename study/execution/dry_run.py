"""`--dry-run`: what a study would run, and what that would cost here."""

import torch

from study.config.config import Config
from study.execution.progress import format_duration
from study.runs.outcomes import REPEATABLE
from study.runs.store import Store
from study.spec.plan import Cell, Plan
from vicreg.data.dataset import Dataset
from vicreg.training.settings import COST_FIELDS
from vicreg.training.setup import steps_per_epoch
from vicreg.training.throughput import measure_throughput

# Steps that are timed after two to warm up; what a run does besides training (its look at held-out images, checkpoints,
# probes) came to 5 to 10 % of its training on digits.
_TIMED_STEPS, _OVERHEAD = 3, 1.1


class Costs:
    """The wall time of runs on one device, from a few timed steps for each kind of run."""

    def __init__(self, dataset: Dataset, device: torch.device) -> None:
        self._dataset, self._device = dataset, device
        self._measured: dict[str, float] = {}

    def seconds(self, config: Config) -> float:
        """Return about how many seconds a run takes; none where nothing is trained."""
        if not config.pretrain.epochs:
            return 0.0
        key = repr([config.values["pretrain"][name] for name in COST_FIELDS])
        if key not in self._measured:
            self._measured[key] = seconds_per_step(config, self._dataset, self._device)
        steps = config.pretrain.trained_epochs * steps_per_epoch(config.pretrain, len(self._dataset.train.images))
        return self._measured[key] * steps * _OVERHEAD


def print_dry_run(plan: Plan, store: Store, dataset: Dataset, device: torch.device, *, workers: int) -> None:
    """Print every arm with how many of its runs are missing, then the time these would take."""
    costs = Costs(dataset, device)
    total = 0.0
    for line, cells in _lines(plan).items():
        missing = [cell for cell in cells if store.status(cell.run)[0] not in REPEATABLE]
        seconds = sum(costs.seconds(cell.run.config) for cell in missing)
        total += seconds
        print(f"{line}: {len(cells)} runs, {len(missing)} to run" + (f", {format_duration(seconds)}" if seconds else ""))
    for one in plan.pending:
        seconds = one.runs * costs.seconds(one.like)
        total += seconds
        print(f"{one.name}: {one.runs} runs at most, after {one.after}, {format_duration(seconds)}")
    each = f"with {workers} at a time on {device}, from {_TIMED_STEPS} timed steps"
    print(f"in all about {format_duration(total / workers)} {each}")


def seconds_per_step(config: Config, dataset: Dataset, device: torch.device) -> float:
    """Return the wall time of one training step, from a few of them."""
    return config.pretrain.batch_size / measure_throughput(config.pretrain, dataset, device=device, steps=_TIMED_STEPS)


def _lines(plan: Plan) -> dict[str, list[Cell]]:
    """Return what a line is printed for -> its cells: an arm, all trials of a search, or all tuning runs of an arm."""
    lines: dict[str, list[Cell]] = {}
    for arm, cells in plan.by_arm().items():
        first = cells[0]
        name = f"tuning of {first.tunes}" if first.tunes else "trials" if first.role == "trial" else arm
        lines.setdefault(name, []).extend(cells)
    return lines
