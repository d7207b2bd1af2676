import pytest
from hypothesis import given
from hypothesis import strategies as st

from scripts.demo.report.figures import (
    counted,
    duration,
    long_date,
    measured,
    people,
    percent,
    ratio,
    typeset,
)


@pytest.mark.parametrize(
    ("value", "text"),
    [
        (47.04, "47.0"),
        (544.3, "544"),
        (1411.9, "1,410"),
        (12345.6, "12,300"),
        (1.0, "1.00"),
        (0.98123, "0.981"),
        (0.012345, "0.0123"),
        (99.96, "100"),
        (9.996, "10.0"),
        (999.6, "1,000"),
        (0, "0"),
        (None, "-"),
    ],
)
def test_measured_has_three_significant_digits(value: float | None, text: str) -> None:
    assert measured(value) == text


@given(st.floats(1e-4, 1e9))
def test_measured_is_within_half_a_percent(value: float) -> None:
    assert float(measured(value).replace(",", "")) == pytest.approx(value, rel=0.00501)


@pytest.mark.parametrize(
    ("value", "text"), [(14312, "14,312"), (61.0, "61"), (1.37, "1.37"), (0, "0"), (None, "-")]
)
def test_counted_is_exact(value: float | None, text: str) -> None:
    assert counted(value) == text


def test_small_words() -> None:
    assert (ratio(14.23), ratio(None)) == ("x 14.2", "-")
    assert (percent(0.1906), percent(0), percent(0.00004)) == ("19.1 %", "0 %", "0.00400 %")
    assert (duration(10), duration(1000), duration(0.1)) == ("10 ms", "1 s", "0.1 ms")
    assert (people(1), people(1000)) == ("1 user", "1,000 users")
    assert long_date("2026-11-02") == "2 November 2026"


def test_typeset_keeps_signs_with_their_numbers_and_leaves_words_alone() -> None:
    assert typeset("61 -> 1, http 500 x 12") == "61\u00a0→\u00a01, http 500 \u00d7\u00a012"
    assert typeset("x 11.6") == "\u00d7\u00a011.6"
    assert typeset("max x min -> ") == "max x min\u00a0→\u00a0"
