"""Settings of evaluation, the section `evaluate` of `params.yaml`, checked."""

from dataclasses import dataclass

from vicreg.errors import InputError
from vicreg.evaluation.linear_evaluation import LinearSettings

PROBES = ("knn", "linear", "linear_cached")

# Beyond these a setting cannot mean what it says, and a probe would give chance for any features. Cosines differ by 2 at
# most: at 0.001 the nearest neighbour alone decides, and at 100 the largest vote is 1.02 times the smallest.
KNN_TEMPERATURES = (0.001, 100.0)
# Of features of root mean square 1: below, separable classes have no minimum that L-BFGS finds; above, all weights are 0.
CACHED_WEIGHT_DECAYS = (1e-9, 100.0)


@dataclass(frozen=True, kw_only=True)
class EvaluateSettings:
    """The section `evaluate` of `params.yaml`.

    Attributes:
        batch_size: images that are encoded at a time. Views for collapse metrics are drawn of 512 at a time.
        knn: numbers of neighbours; the first is that of the diagnosis.
        knn_temperature: of the neighbours' votes.
        linear: settings of the source paper's linear evaluation.
        linear_cached_weight_decay: strengths that the cached probe chooses from on validation.

    Raises:
        InputError: for a value outside its range.
    """

    batch_size: int
    knn: tuple[int, ...]
    knn_temperature: float
    linear: LinearSettings
    linear_cached_weight_decay: tuple[float, ...]

    def __post_init__(self) -> None:
        if self.batch_size < 1:
            raise InputError(f"evaluate.batch_size must be at least 1, but got {self.batch_size}.")
        if not self.knn or min(self.knn) < 1 or len(set(self.knn)) < len(self.knn):
            raise InputError(f"evaluate.knn must list different neighbour counts of at least 1, but got {list(self.knn)}.")
        low, high = KNN_TEMPERATURES
        if not low <= self.knn_temperature <= high:
            raise InputError(
                f"evaluate.knn_temperature must be from {low:g} to {high:g}, but got {self.knn_temperature:g}; 0.07 is "
                "usual. Below, the nearest neighbour alone decides (evaluate.knn [1]); above, all votes are equal."
            )
        strengths, (low, high) = self.linear_cached_weight_decay, CACHED_WEIGHT_DECAYS
        if not strengths or len(set(strengths)) < len(strengths) or not all(low <= one <= high for one in strengths):
            raise InputError(
                f"evaluate.linear_cached.weight_decay must list different numbers from {low:g} to {high:g}, but got "
                f"{list(strengths)}."
            )
