"""The status of a claim, from the verdicts of its measurements."""

import re
from pathlib import Path

import pytest

import study.reporting
from study.paper.judged import (
    HOLDS,
    NOT_REPRODUCED,
    NOT_RUN,
    OPEN,
    OTHER_PROTOCOL,
    REPRODUCED,
    SMALLER,
    UNDETERMINED,
    Judged,
    on_copy,
)
from study.paper.page.status import DEPENDS, in_order, mark_of, note_of, status_of
from study.results.comparisons import Interval

OURS = Interval(n=3, mean=0.5, low=0.4, high=0.6, p=None)
COPY = on_copy(REPRODUCED, "JPEG copy"), on_copy(NOT_REPRODUCED, "JPEG copy")
STATUSES = (REPRODUCED, NOT_REPRODUCED, *COPY, DEPENDS, UNDETERMINED, SMALLER, OTHER_PROTOCOL, NOT_RUN)


def judged(verdict, *, dataset="cifar10", **changes):
    ours = None if verdict == NOT_RUN else OURS
    return Judged(
        claim="c", says="", study="s", dataset=dataset, ours=ours, verdict=verdict, outcome=OPEN if ours else None, **changes
    )


YES, NO, LEFT, SMALL, ABSENT = map(judged, (REPRODUCED, NOT_REPRODUCED, UNDETERMINED, SMALLER, NOT_RUN))
ELSEWHERE = {verdict: judged(verdict, dataset="cifar100") for verdict in (REPRODUCED, NOT_REPRODUCED, NOT_RUN, SMALLER)}


@pytest.mark.parametrize(
    ("rows", "status"),
    [
        ([YES, YES], REPRODUCED),
        ([NO], NOT_REPRODUCED),
        ([judged(COPY[0])] * 2, COPY[0]),
        ([YES, judged(COPY[0])], COPY[0]),  # the weaker of the two
        ([YES, NO], DEPENDS),
        ([YES, LEFT], UNDETERMINED),
        ([YES, ABSENT], REPRODUCED),  # another reading of it, which was not run
        ([YES, SMALL], REPRODUCED),
        ([SMALL, ABSENT], SMALLER),
        ([judged(OTHER_PROTOCOL)], OTHER_PROTOCOL),
        ([ABSENT, ABSENT], NOT_RUN),
    ],
)
def test_rows_on_one_data_set_are_readings_and_what_has_a_verdict_comes_before_what_was_tried(rows, status):
    assert status_of(rows) == status_of(rows[::-1]) == status


@pytest.mark.parametrize(
    ("rows", "status"),
    [
        ([YES, ELSEWHERE[REPRODUCED]], REPRODUCED),
        ([YES, ELSEWHERE[NOT_REPRODUCED]], NOT_REPRODUCED),
        ([YES, ELSEWHERE[NOT_RUN]], NOT_RUN),
        ([YES, ELSEWHERE[SMALLER]], SMALLER),
        ([NO, ELSEWHERE[NOT_RUN]], NOT_REPRODUCED),
    ],
)
def test_a_claim_about_two_data_sets_has_to_hold_on_both(rows, status):
    assert status_of(rows) == status


def test_a_measurement_that_holds_without_a_number_of_ours_is_one():
    assert (
        status_of([Judged(claim="c", says="", study="s", dataset="cifar10", outcome=HOLDS, verdict=REPRODUCED)])
        == REPRODUCED
    )


@pytest.mark.parametrize(
    ("rows", "said"),
    [
        ([YES, NO], "Its measurements disagree, and the paper does not say which of them it means."),
        ([YES, ELSEWHERE[NOT_RUN]], "On CIFAR-10: reproduced. On CIFAR-100: not run."),
        ([SMALL], "Nothing here is held against the paper: it was not measured by the paper's protocol."),
        ([LEFT], "Too few seeds, or too wide an interval."),
        ([YES, LEFT], "1 of its 2 measurements decided, the others did not: too few seeds, or too wide an interval."),
        ([YES, judged(NOT_RUN, arm="half")], "By one reading of the claim. half: not run."),
        ([YES], ""),
        ([ABSENT], ""),
    ],
)
def test_a_note_says_what_a_status_leaves_out(rows, said):
    assert note_of(rows) == said


def test_what_is_decided_comes_first_and_what_was_not_run_last():
    order = (REPRODUCED, COPY[0], NOT_REPRODUCED, COPY[1], DEPENDS, UNDETERMINED, SMALLER, OTHER_PROTOCOL, NOT_RUN)
    assert in_order([*STATUSES, *STATUSES]) == list(order)


def test_each_status_has_a_sign_of_its_own_and_a_copy_has_its_verdicts_with_another_style():
    plain = [status for status in STATUSES if status not in COPY]
    assert len({mark_of(status)[0] for status in plain}) == len(plain)
    assert len({mark_of(status)[1] for status in STATUSES}) == len(STATUSES)
    assert [mark_of(status)[0] for status in COPY] == [mark_of(status)[0] for status in (REPRODUCED, NOT_REPRODUCED)]


# ---- colours

CSS = "\n".join(
    (Path(study.reporting.__file__).parent / "templates" / name).read_text(encoding="utf-8")
    for name in ("style.css.j2", "overview.css.j2")
)


def tones(scheme):
    """The colour of each family of statuses, and the paper's."""
    dark = re.findall(r"prefers-color-scheme: dark\) \{ :root \{([^}]*)\}", CSS)
    light = [rule for rule in re.findall(r":root \{([^}]*)", CSS) if rule not in dark]
    found = dict(re.findall(r"--([a-z]+): (#[0-9a-f]{6})", " ".join([*light, *(dark if scheme == "dark" else [])])))
    return {name: found[name] for name in ("yes", "no", "open", "tried", "idle", "paper")}


def luminance(colour):
    """Relative luminance of an sRGB colour (WCAG 2.2)."""
    channels = [int(colour[place : place + 2], 16) / 255 for place in (1, 3, 5)]
    linear = [c / 12.92 if c <= 0.04045 else ((c + 0.055) / 1.055) ** 2.4 for c in channels]
    return sum(weight * c for weight, c in zip((0.2126, 0.7152, 0.0722), linear, strict=True))


@pytest.mark.parametrize("scheme", ["light", "dark"])
def test_every_colour_of_a_status_is_another_and_stands_out_from_the_page(scheme):
    own = tones(scheme)
    paper = luminance(own.pop("paper"))
    assert (paper > 0.5) == (scheme == "light") and len(set(own.values())) == 5
    for name, colour in own.items():
        lighter, darker = sorted((luminance(colour), paper), reverse=True)
        assert (lighter + 0.05) / (darker + 0.05) >= 4.5, name  # WCAG asks 3 of signs, 4.5 of text


def test_every_style_of_a_status_has_a_colour():
    for status in STATUSES:
        for style in mark_of(status)[1].split():
            assert f".{style}" in CSS, status
