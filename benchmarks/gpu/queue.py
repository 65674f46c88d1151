"""The sections of the GPU script in their order, with the seconds that each may take."""

from dataclasses import dataclass

PACKAGES, IMAGES = "packages", "images"  # what is unpacked in the background, and waited for by name


@dataclass(frozen=True, kw_only=True)
class Section:
    """One part of the script, done in a process of its own.

    `limit` is in seconds, its start included; None is all that is left. It does not begin with less than `least` left.
    `needs` names what must have been unpacked.
    """

    name: str
    says: str
    limit: float | None
    least: float
    needs: tuple[str, ...] = ()
    default: bool = True


# 30, 25 and 30 s are meant for the first three, and about as much again is allowed. On an H200 the recipe's first arm took
# 480 s: 296 to train two seeds, about 160 for their linear evaluation, and the start. So a call of 590 s may end before the
# other arm is measured, and a second one goes on.
SECTIONS = {
    one.name: one
    for one in (
        Section(name="tests", says="the tests that need a GPU", limit=60, least=20, needs=(PACKAGES,)),
        Section(name="agreement", says="the device against the CPU, and shortcuts", limit=60, least=20),
        Section(name="steps", says="images a second of nine kinds of step", limit=75, least=20),
        Section(
            name="recipe", says="the source paper's recipe, two seeds, after 50 and 100 epochs", limit=None, least=90,
            needs=(PACKAGES, IMAGES),
        ),
        Section(
            name="looks", says="the recipe's other looks, and untrained networks", limit=None, least=90,
            needs=(PACKAGES, IMAGES), default=False,
        ),
        Section(
            name="batch-size", says="ResNet-18 at batch 128 and 256, two seeds", limit=None, least=90,
            needs=(PACKAGES, IMAGES), default=False,
        ),
        Section(
            name="open-claims", says="the recipe after 50 epochs, and ResNet-18 at both batch sizes, at once", limit=None,
            least=90, needs=(PACKAGES, IMAGES), default=False,
        ),
        Section(name="packing", says="1, 2 and 4 runs side by side", limit=180, least=60, needs=(PACKAGES,)),
        Section(name="ceilings", says="what products and copies reach on the device", limit=30, least=10, default=False),
        Section(name="parts", says="milliseconds of each part of a step", limit=60, least=20, default=False),
    )
}  # fmt: skip
