"""Tiles of a phase diagram."""

import pytest

from study.reporting.figures import phase_diagram as figures
from study.reporting.panels.phase_diagram import phase_panels
from study.reporting.selection import trained_arms
from tests.study.made_up import GRID, Plans, by_seed, study


@pytest.fixture(scope="module")
def plans(tiny_config, digits):
    return Plans(tiny_config, digits)


def test_a_tile_has_the_collapse_type_that_the_table_has(plans, monkeypatch):
    """Two of four seeds collapsed: most seeds of one name are healthy, and the setting counts as collapsed."""
    runs = by_seed("untrained", [0.4] * 4)
    for arm in GRID:
        runs |= by_seed(arm.name, [0.7, 0.71, 0.69, 0.7])
    mixed = GRID[0].name
    for seed, name in enumerate(("healthy", "complete", "healthy", "informational")):
        runs[mixed, seed]["verdict"] = {"name": name, "reason": f"Because it is {name}."}
    results = plans.results(runs, asked=study(GRID, mode="grid"), seeds=(0, 1, 2, 3))
    (arm,) = [one for one in results.arms if one.name == mixed]
    drawn = []
    monkeypatch.setattr(figures, "phase_diagram", lambda cells, **_: drawn.append(cells) or "<svg></svg>")
    phase_panels(results, trained_arms(results.arms))
    (tile,) = [cell for cell in drawn[0] if "1 complete, 2 healthy, 1 informational" in cell["tip"]]
    assert tile["type"] == arm.collapse_type.name != "healthy"
