"""Settings of a tiny run of any method, whatever settings it has of its own."""

import dataclasses
from collections.abc import Callable

import pytest

from vicreg.methods import method_class
from vicreg.training.settings import PretrainSettings

# By a setting's name: what images of 8 x 8 pixels, batches of 32 and embeddings of 16 dimensions need, and values that leave
# no state unused. Queues are filled within an epoch.
SMALL = {
    "patch": 4, "stride": 2, "masked_patch": 2, "masked_share": 0.25, "local_views": 1, "local_size": 6,
    "dimension": 4, "w_size": 8, "groups": 4, "slices": 8, "prototypes": 6, "clusters": 6,
    "queue_length": 40, "bank_length": 40, "freeze": 0.3, "la": 0.3, "bias_rate": 0.5,
}  # fmt: skip


@pytest.fixture
def tiny(settings) -> Callable[..., PretrainSettings]:
    """`tiny(name, ...)`: settings of a tiny run of a method; a changed setting of its own is `simclr.scale`, say."""

    def build(name: str, **changes) -> PretrainSettings:
        fields = [field.name for field in dataclasses.fields(method_class(name).Settings)]
        own = {f"{name}.{field}": SMALL[field] for field in fields if field in SMALL}
        return settings(method=name, **(own | changes))

    return build


@pytest.fixture(scope="module", autouse=True)
def shallow_networks(shallow) -> None:
    """What a method computes of a network's outputs, and what it learns, needs no depth."""
