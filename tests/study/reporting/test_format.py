"""Numbers and settings as readers see them."""

from dataclasses import replace

import pytest

from study.reporting.format import (
    decision_text,
    duration,
    figure_of,
    is_finite,
    many,
    mean_and_sd,
    memory,
    objective_text,
    outcome_lines,
    p_value,
    paired,
    percent,
    points,
    quantity,
    settings_lines,
    short,
    signed,
    without_paths,
)
from study.results.comparisons import Adjusted, ColumnSummary, Difference, DifferenceDetail, Outcomes


def column(mean, sd=None, *, n=3):
    return ColumnSummary(n=n, mean=mean, sd=sd, difference=None, gain=None)


def difference(mean, low=None, high=None, *, n=3, p_holm=None, **detail):
    return Difference(
        n=n, mean=mean, low=low, high=high, p=None, adjusted=Adjusted(p_holm=p_holm),
        detail=DifferenceDetail(**detail) if detail else None,
    )  # fmt: skip


def test_accuracies_are_percentages_with_their_spread():
    assert mean_and_sd(column(0.9614, 0.0041), "knn_20") == "96.1 ± 0.4"
    assert mean_and_sd(column(0.9614, n=1), "knn_20") == "96.1"
    assert mean_and_sd(column(float("nan")), "knn_20") == "–"
    assert mean_and_sd(column(12.34, 1.0), "rankme_embeddings") == "12.3 ± 1"
    assert mean_and_sd(None, "knn_20") == "–"


def test_a_validation_accuracy_is_a_percentage_too():
    assert mean_and_sd(column(0.5, 0.01, n=2), "validation_linear_cached") == "50.0 ± 1.0"


def test_a_star_says_that_holms_p_is_below_a_twentieth_and_nothing_else_has_one():
    assert paired(difference(-0.02, -0.05, -0.01, p_holm=0.06), "knn_20") == {
        "text": "−2.0",
        "interval": "[−5.0, −1.0]",
        "is_significant": False,
    }
    assert paired(difference(-0.02, -0.05, 0.01, p_holm=0.04), "knn_20") == {
        "text": "−2.0 *",
        "interval": "[−5.0, +1.0]",
        "is_significant": True,
    }
    untested = paired(difference(-0.02, -0.05, -0.01), "knn_20")
    assert untested == {"text": "−2.0", "interval": "[−5.0, −1.0]", "is_significant": False}


def test_two_seeds_get_no_interval_and_no_decision():
    entry = difference(0.01, -0.2, 0.22, n=2, p_holm=0.01)
    assert paired(entry, "knn_20") == {"text": "+1.0", "interval": "no interval, n = 2", "is_significant": False}
    assert decision_text(entry) == ""


def test_a_difference_that_is_not_there_is_a_dash_and_decides_nothing():
    assert paired(None, "knn_20") == {"text": "–", "interval": "", "is_significant": False}
    assert decision_text(None) == "" == decision_text(difference(float("nan")))


@pytest.mark.parametrize(
    ("mean", "p_holm", "kept", "decision"),
    [(0.02, 0.04, None, "better"), (-0.02, 0.04, None, "worse"), (-0.02, 0.05, None, "undecided"),
     (0.02, None, None, "undecided"), (0.02, 0.04, "equivalent", "equivalent"), (0.02, 0.9, "worse", "worse")],
)  # fmt: skip
def test_results_say_what_is_decided_and_those_of_earlier_versions_decide_by_holms_p(mean, p_holm, kept, decision):
    entry = replace(difference(mean, -1, 1), adjusted=Adjusted(p_holm=p_holm, decision=kept))
    assert decision_text(entry) == decision


def test_a_formatted_number_knows_its_number_and_a_dash_has_none():
    assert (figure_of(0.12345, ".1f", 100), figure_of(0.12345, ".1f", 100).value) == ("12.3", pytest.approx(12.345))
    assert mean_and_sd(column(0.9614, 0.0041), "knn_20").value == pytest.approx(96.14)
    assert paired(difference(-0.02, -0.05, 0.01, p_holm=0.01), "knn_20")["text"].value == pytest.approx(-2)
    assert p_value(0.0004).value == 0.0004 and percent(0.5, 0.1).value == 50 and objective_text("knn_5", 0.5).value == 50
    assert figure_of(None).value is None is mean_and_sd(None, "knn_20").value


@pytest.mark.parametrize(
    ("p", "text"),
    [(0.0004, "< 0.001"), (0.001, "0.001"), (0.25, "0.250"), (1.0, "1.000"), (None, "–"), (0.0494, "0.049"),
     (0.0496, "0.0496"), (0.04996, "0.04996"), (0.049999, "0.049999"), (0.05, "0.050"), (0.0504, "0.050")],
)  # fmt: skip
def test_a_p_value_has_three_digits_or_as_many_as_tell_it_from_0_05(p, text):
    assert p_value(p) == text


def test_a_size_has_less_than_a_thousand_of_its_unit():
    assert [memory(size) for size in (0, 320, 999.6, 16_800_000, 999_600)] == [
        "none",
        "320 bytes",
        "1 kB",
        "16.8 MB",
        "1 MB",
    ]


def test_a_number_of_thousands_has_no_power_of_ten():
    assert [figure_of(value) for value in (999.4, 1024.2, 99_999, 123_456)] == ["999", "1024", "99999", "1.23e+05"]
    assert [figure_of(value, "#.3g") for value in (0.088, 2.1, 124.2, 1024.2)] == ["0.0880", "2.10", "124", "1024"]


def test_the_share_that_collapsed_is_of_all_runs_with_its_interval():
    outcomes = Outcomes(asked=3, counts={}, collapsed=1, low=0.0615, high=0.792)
    assert outcome_lines(outcomes) == "1 of 3 collapsed [6, 79] %"
    assert outcome_lines(Outcomes(asked=2, counts={"missing": 1, "partial": 1}, collapsed=0, low=0, high=0.66)) == "–"
    assert outcome_lines(Outcomes(asked=2, counts={"undetermined": 2}, collapsed=0, low=0, high=0.66)) == "–"
    assert outcome_lines(None) == "" == outcome_lines(Outcomes(asked=0, counts={}, collapsed=0, low=0, high=1))


def test_a_minus_is_a_minus_and_what_is_not_finite_is_a_dash():
    assert signed(-1.26) == "−1.3" and signed(0.0) == "+0.0"
    assert figure_of(-0.0123) == "−0.0123" and figure_of(float("inf")) == figure_of(None) == figure_of(True) == "–"


@pytest.mark.parametrize(
    ("value", "text"),
    [
        (660, "660"),
        (9_999, "9,999"),
        (718_080, "718 thousand"),
        (1_234_567, "1.2 million"),
        (3.1e13, "31.0 trillion"),
        (9_999.6, "10 thousand"),
        (999_600, "1.0 million"),
        (999_960_000, "1.0 billion"),
    ],
)
def test_a_large_count_is_one_a_reader_can_hold(value, text):
    assert quantity(value) == text


@pytest.mark.parametrize(("seconds", "text"), [(14.3, "14 s"), (673, "11 min"), (36000, "10.0 h")])
def test_a_time_is_in_the_unit_a_person_would_use(seconds, text):
    assert duration(seconds) == text


def test_no_absolute_path_is_left_in_a_text():
    assert without_paths("[Errno 28] '/home/someone/store/x.pt'") == "[Errno 28] '…/x.pt'"
    assert without_paths("Read from /home/someone/data/raw here.") == "Read from …/raw here."


def test_a_relative_path_and_a_fraction_are_left_alone():
    assert without_paths("data/raw and 1/2, https://host/a/b") == "data/raw and 1/2, https://host/a/b"


def test_a_digest_is_cut_and_a_dirty_commit_stays_dirty():
    assert short("sha256:" + "ab" * 32) == "abababababab" and short(None) == "–"
    assert short("0123456789abcdef-dirty") == "0123456789ab-dirty"


def test_an_objective_is_a_percentage_only_where_it_is_an_accuracy():
    assert objective_text("rankme_embeddings", 12.345) == "12.3"
    assert objective_text("cost", 3.1234e13) == "3.12e+13"
    assert objective_text("knn_5", 0.5).startswith("50.0")


def test_settings_drop_the_section_that_goes_without_saying():
    assert settings_lines({"pretrain.nu": 1, "prepare.dataset": "digits"}) == ["nu = 1", "prepare.dataset = digits"]


def test_a_share_is_a_percentage_and_a_difference_of_shares_is_in_points():
    assert percent(0.961) == "96.10" and percent(0.961, 0.004) == "96.10 ± 0.40" and percent(None) == "–"
    assert points(0.0028) == "+0.28" and points(-0.0028) == "−0.28" and points(0.0) == "0.00"


def test_words_beyond_the_first_few_are_counted():
    assert many(["a", "b"]) == "a, b" and many(["a", "b", "c", "d", "e"]) == "a, b, c and 2 more"


def test_a_whole_number_beyond_every_float_is_no_finite_number():
    assert not is_finite(10**400) and figure_of(10**400) == "–" and is_finite(10**30)
