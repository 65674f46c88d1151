"""The interface of an executor, which brings runs to their end."""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from types import TracebackType
from typing import Any, Literal, Protocol, Self

from study.runs.run import Run


@dataclass(frozen=True, kw_only=True)
class Event:
    """What became known of a run: an `epoch` with its log record, or its `end` with status and reason."""

    run: Run
    kind: Literal["epoch", "end"]
    record: Mapping[str, Any] = field(default_factory=dict)
    status: str = ""
    reason: str | None = None


class Executor(Protocol):
    """A place with room for a number of runs at a time.

    It is a context manager: on leaving it, for whatever reason, nothing is left running. An executor knows runs and their
    store alone. Every run that is submitted has one `end`, which the store holds when the event is yielded.
    """

    @property
    def free(self) -> int:
        """How many more runs can be submitted now."""

    @property
    def active(self) -> Sequence[Run]:
        """The runs that were submitted and have not ended."""

    def submit(self, run: Run, *, prune_after: int | None = None, keep: Sequence[int] = ()) -> None:
        """Begin a run; call it only while `free` is positive.

        Args:
            run: what is trained and measured.
            prune_after: end it once it has been collapsed completely for so many epochs in a row; None for never.
            keep: epochs at which other runs stop that are the beginning of this one, and are given its checkpoint.
        """

    def events(self) -> Iterator[Event]:
        """Yield what becomes known of runs, and end when none is active; more may be submitted in between."""

    def __enter__(self) -> Self: ...

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None: ...
