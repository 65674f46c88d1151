"""The collapse type of each seed, in rows of methods and what is changed in them."""

from study.reporting.figures.collapse_rows import collapse_rows

WHOLE = {"label": "SimCLR", "is_unchanged": True, "is_open": False, "types": ["healthy", "healthy"], "text": "healthy"}
CHANGED = {
    **WHOLE,
    "label": "τ 10",
    "is_unchanged": False,
    "types": ["informational", None],
    "text": "informational, 1 of 2",
}


def test_each_seed_has_a_mark_that_names_the_arm_and_the_type():
    svg = collapse_rows([WHOLE, CHANGED], [0, 3])
    for tip in (
        "SimCLR, seed 0: healthy",
        "SimCLR, seed 3: healthy",
        "τ 10, seed 0: informational",
        "τ 10, seed 3: no result",
    ):
        assert svg.count(f"<title>{tip}</title>") == 1
    assert ">seed 0</text>" in svg and ">3</text>" in svg and ">informational, 1 of 2</text>" in svg
    assert 'data-series="healthy"' in svg and 'data-series="no type"' in svg


def test_what_nothing_follows_from_is_faint():
    assert "opacity: 0.5" not in collapse_rows([WHOLE, CHANGED], [0, 1])
    assert collapse_rows([WHOLE, {**CHANGED, "is_open": True}], [0, 1]).count("opacity: 0.5") >= 2


def test_only_methods_as_they_are_stand_out():
    svg = collapse_rows([WHOLE, CHANGED], [0, 1])
    (bold,) = [line for line in svg.splitlines() if "font-weight: 700" in line]
    assert ">SimCLR</text>" in bold
