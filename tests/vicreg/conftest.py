"""Settings of a tiny run, as several test files change them."""

from collections.abc import Callable

import pytest

from vicreg.training.settings import PretrainSettings


@pytest.fixture
def settings(tiny_config) -> Callable[..., PretrainSettings]:
    """`settings(nu=2, ...)`: tiny settings with some changed; `lambda_` is params.yaml's `lambda`."""

    def build(**changes) -> PretrainSettings:
        return tiny_config({f"pretrain.{name.rstrip('_')}": value for name, value in changes.items()}).pretrain

    return build
