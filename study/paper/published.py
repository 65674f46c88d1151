"""Published numbers and claims, as `published.yaml` holds them."""

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from study.config.read_yaml import read_yaml
from study.results.json_values import from_values

FILE = Path(__file__).parent / "published.yaml"
RECIPE = "source-recipe"  # the study of the paper's recipe alone, and of looks at its training


@dataclass(frozen=True, kw_only=True)
class PublishedProtocol:
    """How published numbers were measured, by dotted settings.

    `filled` and `filled_probe` are what this project takes where the paper is silent. `given_settings` are of weights that
    the paper did not train itself.
    """

    settings: Mapping[str, Any]
    crop_scale: tuple[float, ...] | None
    filled: Mapping[str, Any]
    given_settings: Mapping[str, Any]
    probe_settings: Mapping[str, Any]
    filled_probe: Mapping[str, Any]


@dataclass(frozen=True, kw_only=True)
class PublishedNumber:
    """A linear accuracy in percent, and the studies that measure it here, the cheapest first."""

    id: str
    dataset: str
    studies: tuple[str, ...]
    linear: float
    says: str

    @property
    def study(self) -> str:
        """The cheapest study that measures it."""
        return self.studies[0]

    @property
    def share(self) -> float:
        """The accuracy as a share."""
        return self.linear / 100


@dataclass(frozen=True, kw_only=True)
class Silence:
    """What the paper does not say, and the study that makes it an arm."""

    about: str
    study: str


@dataclass(frozen=True, kw_only=True)
class SourcePaper(PublishedProtocol):
    """The paper that is reproduced here: its protocol, its numbers, its claims by name, and what it does not say.

    `places` says where in it a number or claim stands, by id, as far as that is recorded.
    """

    source: str
    probe: str
    numbers: tuple[PublishedNumber, ...]
    claims: Mapping[str, str]
    places: Mapping[str, str]
    silent: tuple[Silence, ...]


@dataclass(frozen=True, kw_only=True)
class Series:
    """Accuracies in percent that others report, by the value of the setting that `varies`.

    `settings` and `probe` say how they were measured, where that is known in full.
    """

    source: str
    protocol: str
    varies: str
    rows: Mapping[Any, float]
    dataset: str | None = None
    settings: Mapping[str, Any] | None = None
    probe: str | None = None


@dataclass(frozen=True, kw_only=True)
class Published:
    """The source paper, and what others report."""

    source_paper: SourcePaper
    field: tuple[Series, ...]


def read_published(path: Path = FILE) -> Published:
    """Read the published numbers.

    Raises:
        InputError: where the file lacks a key or has a value of another kind.
    """
    values = read_yaml(path)
    return from_values(Published, values, where=str(path), remedy="restore it from git")
