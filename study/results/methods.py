"""What results say of a study whose arms are methods."""

from collections.abc import Mapping
from dataclasses import dataclass, field

from study.results.json_values import json_field

METHOD, VICREG = "pretrain.method", "vicreg"  # the setting, and the method of results that do not name theirs
WITH_LABELS = "takes labels"  # said of a control wherever it is named


@dataclass(frozen=True, kw_only=True)
class TermDescription:
    """How a number that a method logs each epoch is shown: its title, whether its axis is logarithmic, and its unit."""

    title: str
    log_axis: bool = False
    unit: str = ""


@dataclass(frozen=True, kw_only=True)
class MethodDescription:
    """What a method says of itself.

    `family` is its kind, `source` where it is from, and `probed` which network is encoded for probes and which embedding is
    judged. `terms` are those of its loss. A method that `takes_labels` is a control: it is no self-supervised method.
    """

    title: str
    source: str = ""
    family: str = ""
    probed: str = ""
    takes_labels: bool = False
    terms: Mapping[str, TermDescription] = field(default_factory=dict)

    @property
    def called(self) -> str:
        """The title, and that it takes labels where it does: what pages call it."""
        return f"{self.title} ({WITH_LABELS})" if self.takes_labels else self.title


@dataclass(frozen=True, kw_only=True)
class EmbeddingScale:
    """The standard deviation to which a loss drives each embedding dimension; None where it leaves the scale free."""

    target_std: float | None = None


@dataclass(frozen=True, kw_only=True)
class ComparedMethod:
    """The method of one arm, and what it costs.

    `step_operations` are floating-point operations of a whole step, its loss among them, `run_operations` those of all steps
    of a run; None where they could not be counted. `state_bytes` is what the method keeps beyond its networks. `tuning_runs`
    is how many runs chose the arm's tuned settings. `on_front` says that no other method without labels is at least as
    accurate for at most as many operations.
    """

    arm: str
    method: str
    step_operations: float | None = None
    run_operations: float | None = None
    state_bytes: int = 0
    tuning_runs: int = 0
    on_front: bool = False


@dataclass(frozen=True, kw_only=True)
class Similarity:
    """Linear CKA of the representations of each pair of `arms`, debiased, at one seed on so many test images.

    `values` (m, m) has None where the weights of one are not there, and where features are constant.
    """

    arms: tuple[str, ...]
    seed: int
    images: int
    values: tuple[tuple[float | None, ...], ...]


@dataclass(frozen=True, kw_only=True)
class MethodFindings:
    """The methods of a study by name, what each arm's costs, and how alike their representations are."""

    described: Mapping[str, MethodDescription]
    compared: tuple[ComparedMethod, ...]
    similarity: Similarity | None = json_field(omitted=True)

    def of_arm(self, name: str) -> ComparedMethod | None:
        """Return what is said of the method of an arm, or None where nothing is: of a control."""
        return next((one for one in self.compared if one.arm == name), None)

    def description(self, name: str) -> MethodDescription | None:
        """Return how the method of an arm describes itself, or None for a control."""
        found = self.of_arm(name)
        return self.described[found.method] if found else None

    @property
    def is_one_an_arm(self) -> bool:
        """Whether each arm is another method, so that its settings may be called methods."""
        return len({one.method for one in self.compared}) == len(self.compared)

    def takes_labels(self, name: str) -> bool:
        """Return whether an arm's method takes labels."""
        found = self.description(name)
        return found is not None and found.takes_labels
