"""`--dry-run`: what a study would run, and what that would cost here."""

from collections.abc import Iterable

import torch

from study.analysis.wording import count_of
from study.config.config import Config
from study.execution.packing import cost_of
from study.execution.progress import format_duration
from study.results.training_images import training_text
from study.runs.beginnings import has_last_epoch, shared_trainings
from study.runs.outcomes import REPEATABLE, is_out_of_memory
from study.runs.store import Store
from study.spec.plan import Cell, Plan
from vicreg.data.dataset import Dataset
from vicreg.training.setup import steps_per_epoch, training_count
from vicreg.training.throughput import measure_throughput

# Steps that are timed after two to warm up; what a run does besides training (its look at held-out images, checkpoints,
# probes) came to 5 to 10 % of its training on digits.
_TIMED_STEPS, _OVERHEAD = 3, 1.1


class Costs:
    """The wall time of runs on one device, from a few timed steps for each kind of run."""

    def __init__(self, dataset: Dataset, device: torch.device) -> None:
        self._dataset, self._device = dataset, device
        self._measured: dict[str, float | None] = {}

    def seconds(self, config: Config) -> float | None:
        """Return about how many seconds a run takes: 0 where nothing is trained, None where it has too little memory."""
        if not config.pretrain.epochs:
            return 0.0
        key = repr(cost_of(config.pretrain))
        if key not in self._measured:
            self._measured[key] = self._measure(config)
        step = self._measured[key]
        steps = config.pretrain.trained_epochs * steps_per_epoch(
            config.pretrain, training_count(config.pretrain, self._dataset)
        )  # fmt: skip
        return None if step is None else step * steps * _OVERHEAD

    def _measure(self, config: Config) -> float | None:
        try:
            return seconds_per_step(config, self._dataset, self._device)
        except (MemoryError, RuntimeError) as error:
            if not is_out_of_memory(error):
                raise
            return None


def print_dry_run(plan: Plan, store: Store, dataset: Dataset, device: torch.device, *, workers: int) -> None:
    """Print which images are trained on, every arm with how many of its runs are missing, then the time these would take."""
    costs = Costs(dataset, device)
    print(f"{dataset.name}: {_training_images(plan, dataset)}")
    total, later = 0.0, 0.0
    left = {cell.run.digest: cell for cell in plan.cells if store.status(cell.run)[0] not in REPEATABLE}
    shared = shared_trainings([cell.run for cell in left.values()], store)
    for line, cells in _lines(plan).items():
        missing = [cell for cell in cells if cell.run.digest in left]
        trained = [cell for cell in missing if cell.run.digest not in shared and not has_last_epoch(cell.run, store)]
        seconds, said = _sum(costs.seconds(cell.run.config) for cell in trained)
        total += seconds
        within = list(
            dict.fromkeys(left[shared[cell.run.digest].digest].arm for cell in missing if cell.run.digest in shared)
        )
        words = [f"{len(missing)} to run", *([said] if said else []), *(f"trained with {arm}" for arm in within)]
        print(f"{line}: {count_of(len(cells), 'run')}, {', '.join(words)}")
    for one in plan.pending:
        each_takes = costs.seconds(one.like)
        seconds, said = _sum(each_takes for _ in range(one.runs))
        later += seconds
        print(f"{one.name}: {count_of(one.runs, 'run')} at most, after {one.after}, {said or format_duration(0)}")
    if total + later == 0:
        print("nothing is left to train")
        return
    each = f"with {workers} at a time on {device}, from {_TIMED_STEPS} timed steps"
    if later:
        worst = format_duration((total + later) / workers)
        now = format_duration(total / workers)
        print(f"in all about {now} for what is known, at most {worst} with what follows, {each}")
    else:
        print(f"in all about {format_duration(total / workers)} {each}")


def _training_images(plan: Plan, dataset: Dataset) -> str:
    """Return which training images runs are trained on, for each of the two choices that a run of the plan makes."""
    counts = {"train": len(dataset.train.labels), "validation": len(dataset.validation.labels)}
    asked = sorted({cell.run.config.pretrain.train_on for cell in plan.cells if not cell.is_control})
    return "; ".join(training_text(**counts, train_on=one) for one in asked) or "nothing is trained"


def _sum(seconds: Iterable[float | None]) -> tuple[float, str]:
    """Return the sum of what runs take, and in words what they take: nothing where nothing is trained."""
    each = list(seconds)
    total = sum(one for one in each if one is not None)
    parts = [format_duration(total)] if total else []
    parts += [f"{each.count(None)} of them with too little memory"] if None in each else []
    return total, ", ".join(parts)


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
