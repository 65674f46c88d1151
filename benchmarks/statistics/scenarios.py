"""Studies whose truth is known: spreads, skew, ties and labels as runs have them."""

import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace

import numpy as np
from numpy.random import Generator
from numpy.typing import NDArray

from study.analysis.moderated import ArmClass

STEP = 100 / 359  # accuracies come in steps of one test image, in points
FEWEST = 1 / 3  # of a collapsing arm's runs collapse
DEPTH = 20.0  # points that such a run loses

Values = NDArray[np.float64]
Classes = tuple[ArmClass, ...]
H: ArmClass = "healthy"
C: ArmClass = "collapsed"


@dataclass(frozen=True, kw_only=True)
class Drawn:
    """A spread that each study draws anew: scale sqrt(freedom / chi-square), as the spreads of committed runs scatter."""

    scale: float
    freedom: float = 4.0


HEALTHY, COLLAPSED, DEEP = Drawn(scale=0.85, freedom=6), Drawn(scale=2.2), Drawn(scale=7.5, freedom=6)
Spread = float | Drawn


@dataclass(frozen=True, kw_only=True)
class Scenario:
    """The truth of a study whose first arm is the baseline; means and spreads are in points of accuracy.

    A run is its arm's mean and spread times noise, of which the share `shared` of the variance is its seed's in all arms.
    Arms named in `collapsing` lose 20 points in one run of three, about a mean that is as stated where `level`. `labels` are
    the classes that the arms are told to be of; drawn at random where `blind`.
    """

    name: str
    means: Sequence[float]
    spreads: Sequence[Spread]
    labels: Sequence[ArmClass]
    shared: float = 0.1  # the correlation measured over ten seeds of committed runs
    noise: str = "normal"
    noise_of_collapsed: str | None = None
    collapsing: Sequence[int] = ()
    level: bool = False
    blind: bool = False

    @property
    def differences(self) -> Values:
        """The true differences from the baseline, (arms - 1,)."""
        means = np.array(self.means, float)
        if not self.level:
            means[list(self.collapsing)] -= DEPTH * FEWEST
        return means[1:] - means[0]

    def draw(self, rng: Generator, studies: int, n: int) -> tuple[Values, list[Classes]]:
        """Return accuracies (studies, arms, n) and each study's classes of its arms."""
        by_seed = rng.normal(size=(studies, n))
        values = np.empty((studies, len(self.means), n))
        for arm, (mean, spread, label) in enumerate(zip(self.means, self.spreads, self.labels, strict=True)):
            kind = self.noise_of_collapsed if label == C and self.noise_of_collapsed else self.noise
            own = _NOISES[kind](rng, (studies, n))
            scatter = math.sqrt(self.shared) * by_seed + math.sqrt(1 - self.shared) * own
            values[:, arm] = mean + _spread(rng, spread, studies) * scatter
        classes: list[Classes] = [tuple(self.labels)] * studies
        if self.collapsing:
            classes = self._collapse(rng, values)
        if self.blind:
            drawn = rng.random((studies, len(self.means))) < 0.5
            classes = [(H, *(C if one else H for one in row[1:])) for row in drawn.tolist()]
        return np.round(values / STEP) * STEP, classes

    def _collapse(self, rng: Generator, values: Values) -> list[Classes]:
        """Let runs of collapsing arms lose points, in place, and return what each arm is then."""
        studies, _, n = values.shape
        classes = [list(self.labels) for _ in range(studies)]
        for arm in self.collapsing:
            lost = rng.random((studies, n)) < FEWEST
            values[:, arm] -= DEPTH * lost - (DEPTH * FEWEST if self.level else 0)
            for own, count in zip(classes, lost.sum(axis=1).tolist(), strict=True):
                own[arm] = H if count == 0 else C if count == n else "mixed"
        return [tuple(own) for own in classes]


def _spread(rng: Generator, spread: Spread, studies: int) -> Values | float:
    if not isinstance(spread, Drawn):
        return spread
    return (spread.scale * np.sqrt(spread.freedom / rng.chisquare(spread.freedom, studies)))[:, None]


_NOISES: dict[str, Callable[[Generator, tuple[int, int]], Values]] = {  # of mean 0 and variance 1
    "normal": lambda rng, shape: rng.normal(size=shape),
    "left": lambda rng, shape: -(rng.gamma(2.0, size=shape) - 2) / math.sqrt(2),  # skewness -1.4
    "right": lambda rng, shape: rng.exponential(size=shape) - 1,  # skewness 2
    "t3": lambda rng, shape: rng.standard_t(3, size=shape) / math.sqrt(3),
}

_ALL, _HALF = (H,) * 11, (*(H,) * 5, *(C,) * 6)
_LIKE = Scenario(  # as the study of the loss terms came out
    name="as the study of the loss terms, spreads drawn", means=(*(97.5,) * 5, 60, 88, 87, 91, 91, 93), labels=_HALF,
    spreads=(*(HEALTHY,) * 5, DEEP, *(COLLAPSED,) * 5),
)  # fmt: skip
_SIZES = Scenario(
    name="differences of 1, 2, 5, 10 and 35 points", means=(97, 97, 97, 90, 85, 77, 96, 95, 92, 87, 62),
    labels=(*(H,) * 3, *(C,) * 3, *(H,) * 2, *(C,) * 3), spreads=(*(0.8,) * 3, 2, 4, 5, 0.8, 0.8, 3, 3, 10),
)  # fmt: skip
_TURNS = Scenario(
    name="2 arms collapse in 1 run of 3", means=(*(97,) * 8, *(90,) * 3), labels=(*(H,) * 8, *(C,) * 3),
    spreads=(*(HEALTHY,) * 8, *(COLLAPSED,) * 3), collapsing=(1, 2),
)  # fmt: skip
_DRAWN = (*(HEALTHY,) * 5, DEEP, *(COLLAPSED,) * 5)
POINTS = {1: 6, 2: 7, 5: 8, 10: 9, 35: 10}  # difference -> its arm in `P`


def _null(name: str, spreads: Sequence[Spread], labels: Sequence[ArmClass], mean: float = 90) -> Scenario:
    return Scenario(name=f"no effects, {name}", means=(mean,) * len(spreads), spreads=spreads, labels=labels)


def _wider(factor: float) -> tuple[Drawn, ...]:
    return tuple(replace(one, scale=factor * one.scale) for one in (*(HEALTHY,) * 5, *(COLLAPSED,) * 6))


_EVEN = replace(_null("all spread alike", (0.8,) * 11, _ALL, 97), shared=0.0)
SCENARIOS = {
    "A": _EVEN,
    "A8": replace(_EVEN, name="A, seeds correlate 0.8", shared=0.8),
    "B": _LIKE,
    "B8": replace(_LIKE, name="B, seeds correlate 0.8", shared=0.8),
    "C": _null("collapsed arms spread 1 to 10", (0.8, 0.5, 0.5, 1, 1, 3, 3, 5, 5, 10, 10), _HALF, 80),
    "C2": _null("arms that spread 3 to 5 called healthy", (0.8, 0.5, 0.5, 0.8, 0.8, 1, 1, 1, 3, 4, 5), _ALL, 80),
    "D": replace(_LIKE, name="B, skewed", noise="left", noise_of_collapsed="right"),
    "D0": replace(_null("skewed", _DRAWN, _HALF), noise="left", noise_of_collapsed="right"),
    "E": replace(_null("heavy tails (t with 3)", _DRAWN, _HALF), noise="t3"),
    "F": _TURNS,
    "F0": replace(_TURNS, name="F, those arms as good as the baseline on average", level=True),
    "H": replace(_null("all spread by one test image", (0.25,) * 11, _ALL, 97.2), shared=0.0),
    "I": _null("the baseline spreads three times as far", (2.0, *(0.7,) * 10), _ALL, 96),
    "I2": _null("the baseline spreads a quarter as far", (0.3, *(1.2,) * 10), _ALL, 96),
    "J2": _null("spreads drawn, twice as wide", _wider(2), _HALF, 80),
    "J3": _null("spreads drawn, three times as wide", _wider(3), _HALF, 80),
    "R": replace(_null("labels drawn at random", _DRAWN, _HALF), blind=True),
    "S3": _null("2 healthy arms and 1 collapsed", (HEALTHY, HEALTHY, COLLAPSED), (H, H, C)),
    "S6": _null("3 healthy arms and 3 collapsed", (*(HEALTHY,) * 3, *(COLLAPSED,) * 3), (*(H,) * 3, *(C,) * 3)),
    "P": _SIZES,
    "P8": replace(_SIZES, name="P, seeds correlate 0.8", shared=0.8),
    "Pd": replace(
        _SIZES, name="P, spreads drawn",
        spreads=(*(HEALTHY,) * 3, *(COLLAPSED,) * 3, HEALTHY, HEALTHY, COLLAPSED, COLLAPSED, DEEP),
    ),
}  # fmt: skip
# An arm that collapses in one run of three has two kinds of outcome, and no interval of three runs knows of both.
NOT_COVERED = ("F", "F0")
