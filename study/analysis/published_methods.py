"""Published accuracies of methods, and the runs that follow their protocols."""

import functools
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from study.config.config import Config
from study.config.read_yaml import read_yaml
from study.results.json_values import from_values
from vicreg.errors import InputError

FILE = Path(__file__).parent / "published_methods.yaml"
MOST_HELD_OUT = (
    0.1  # of the training images; the protocols train on all, and this project holds some out for what it chooses
)


@dataclass(frozen=True, kw_only=True)
class MethodProtocol:
    """How accuracies of methods were measured: in words, by which probe, and by which settings where all are known.

    `settings` are those of every method, `methods` those of each by its name. A method that is not there has none.
    """

    source: str
    says: str
    probe: str
    settings: Mapping[str, Any] = field(default_factory=dict)
    methods: Mapping[str, Mapping[str, Any]] = field(default_factory=dict)

    @property
    def text(self) -> str:
        """Where it is from and what it says, in a sentence without its full stop."""
        return f"{self.source}; {self.says.strip().rstrip('.')}"


@dataclass(frozen=True, kw_only=True)
class MethodAccuracy:
    """Top-1 test accuracies of a method by one protocol, in percent; None where none is known."""

    method: str
    protocol: str
    cifar10: float | None = None
    cifar100: float | None = None

    def on(self, dataset: str) -> float | None:
        """Return the accuracy on a data set, None where it is another than the two."""
        return {"cifar10": self.cifar10, "cifar100": self.cifar100}.get(dataset)


@dataclass(frozen=True, kw_only=True)
class PublishedMethods:
    """What others report of methods on CIFAR-10 and CIFAR-100."""

    protocols: Mapping[str, MethodProtocol]
    numbers: tuple[MethodAccuracy, ...]

    def protocol(self, name: str) -> MethodProtocol:
        """Return a protocol by its name.

        Raises:
            InputError: for one that there is not.
        """
        if name not in self.protocols:
            raise InputError(f"published.protocol must be one of {', '.join(self.protocols)}, but got {name!r}.")
        return self.protocols[name]


@functools.cache
def read_published_methods(path: Path = FILE) -> PublishedMethods:
    """Read the published accuracies of methods.

    Raises:
        InputError: if the file lacks a key or has a value of another kind.
    """
    return from_values(PublishedMethods, read_yaml(path), where=str(path), remedy="restore it from git")


def published_outcome(config: Config, protocol: str) -> dict[str, float] | None:
    """Return probe -> the percentage published of the method of a run; None for a run that does not follow the protocol.

    Raises:
        InputError: for a protocol that there is not.
    """
    known = read_published_methods()
    found = known.protocol(protocol)
    if not follows(config, found):
        return None
    values = [
        one.on(config.prepare.dataset)
        for one in known.numbers
        if (one.method, one.protocol) == (config.pretrain.method, protocol)
    ]
    return next(({found.probe: value} for value in values if value is not None), None)


def follows(config: Config, protocol: MethodProtocol) -> bool:
    """Return whether a run trains as a protocol says: on the whole data, and with each of its settings.

    Precision and the kernel that resizes crops are not compared: float16 and bicubic kernels are not offered here.
    """
    own = protocol.methods.get(config.pretrain.method)
    data = config.prepare
    held_out = 0.0 if config.pretrain.trains_on_all else data.validation
    if own is None or data.per_class is not None or data.image_size is not None or held_out > MOST_HELD_OUT:
        return False
    wanted = config.with_settings({**protocol.settings, **own})
    return wanted.pretrain == config.pretrain
