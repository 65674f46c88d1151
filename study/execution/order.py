"""The order in which cells are started: a run that is the beginning of another waits for it."""

from collections import deque
from collections.abc import Callable, Mapping, Sequence

from study.runs.beginnings import epochs_done, is_trained, shared_trainings
from study.runs.run import Run
from study.runs.store import Store
from study.spec.early_stops import stops_within
from study.spec.plan import Cell
from vicreg.training.settings import PretrainSettings


class Order:
    """Gives cells out one after the other, as they are asked for, but holds back those that another cell's run trains.

    `keep` maps the digest of a run to the epochs at which shorter runs stop that it trains, of this study or another.
    """

    def __init__(
        self,
        cells: Sequence[Cell],
        store: Store,
        *,
        next_cell: Callable[[], Cell],
        early: Sequence[PretrainSettings] = (),
        is_shared: bool = True,
    ) -> None:
        """Take the cells that `next_cell` gives out, one a call.

        Args:
            cells: all of them, of different runs.
            store: which knows how far each has come.
            next_cell: returns the next of them, in whatever order.
            early: settings of runs of other studies that stop early.
            is_shared: whether a run may be trained by a longer one.
        """
        self._next_cell, self._asked, self._count, self._store = next_cell, 0, len(cells), store
        runs = [cell.run for cell in cells]
        self._trained_by: Mapping[str, Run] = shared_trainings(runs, store) if is_shared else {}
        self._ready: deque[Cell] = deque()
        self._held: list[Cell] = []
        self._ended: set[str] = set()
        self.keep: dict[str, tuple[int, ...]] = {}
        for run in runs if is_shared else ():
            own = {one.config.pretrain.trained_epochs for one in runs if self._trained_by.get(one.digest) == run}
            self.keep[run.digest] = tuple(sorted({*own, *stops_within(run.config.pretrain, early)}))

    def epochs_of(self, cell: Cell) -> int:
        """Return how many epochs its run has yet to train by itself."""
        if cell.run.digest in self._trained_by or is_trained(cell.run, self._store):
            return 0
        return max(0, cell.run.config.pretrain.trained_epochs - epochs_done(cell.run, self._store))

    def is_ready(self) -> bool:
        """Return whether a cell may be started now."""
        while not self._ready and self._asked < self._count:
            self._asked += 1
            cell = self._next_cell()
            longer = self._trained_by.get(cell.run.digest)
            (self._ready if longer is None or longer.digest in self._ended else self._held).append(cell)
        return bool(self._ready)

    def take(self) -> Cell:
        """Return the next cell; call it only where one is ready."""
        return self._ready.popleft()

    def end(self, cell: Cell) -> None:
        """Note that a cell's run has ended, however: those that waited for it are next."""
        digest = cell.run.digest
        self._ended.add(digest)
        free = [one for one in self._held if self._trained_by[one.run.digest].digest == digest]
        self._held = [one for one in self._held if one not in free]
        self._ready.extendleft(reversed(free))
