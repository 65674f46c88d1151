"""The forest plot."""

import re

from study.reporting.figures.forest import forest_plot


def test_an_arm_beyond_the_axis_of_differences_is_an_arrow_with_its_number():
    near = {
        "label": "near",
        "type": "healthy",
        "text": "+0.1",
        "mean": 0.001,
        "low": -0.01,
        "high": 0.012,
        "values": [0.0, 0.002],
    }
    far = {"label": "far", "type": "complete", "text": "−60.0", "mean": -0.6, "low": -0.7, "high": -0.5, "values": [-0.6]}
    svg = forest_plot([near, far, {**near, "label": "none", "mean": None, "values": [], "text": "no result"}], margin=0.01)
    assert "−60.0" in svg and "no result" in svg and "far: −60.0" in svg
    labels = [float(text.replace("−", "-")) for text in re.findall(r">([+−]\d+)</text>", svg)]
    assert labels and min(labels) > -10  # the collapsed arm does not stretch the axis
