"""Settings and a network of a tiny run, as several test files change them."""

from collections.abc import Callable, Iterator

import pytest

from vicreg.models import resnet as backbones
from vicreg.training.settings import PretrainSettings


@pytest.fixture
def settings(tiny_config) -> Callable[..., PretrainSettings]:
    """`settings(nu=2, ...)`: tiny settings with some changed; `lambda_` is params.yaml's `lambda`."""

    def build(**changes) -> PretrainSettings:
        return tiny_config({f"pretrain.{name.rstrip('_')}": value for name, value in changes.items()}).pretrain

    return build


@pytest.fixture(scope="module")
def shallow() -> Iterator[None]:
    """A ResNet-18 with one block a stage, which takes half the time, for tests of what no depth changes."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setitem(backbones.ARCHITECTURES, "resnet18", (backbones.BasicBlock, (1, 1, 1, 1)))
        yield
