"""Parameters that a route declares: read strictly, refused in one sentence that repeats no value."""

from __future__ import annotations

from datetime import date
from typing import Any

import pytest

from backend import ParameterError
from backend.declared import Kind, day, flag, one_of, optional, read_parameters, text, whole, wholes


@pytest.mark.parametrize(
    ("kind", "sent", "value"),
    [
        (whole(), "7", 7), (whole(), 7, 7), (whole(-3, 3), "-3", -3), (text(), "", ""), (text(3), "äöü", "äöü"),
        (one_of("open", "paid"), "paid", "paid"), (day(), "2024-02-29", date(2024, 2, 29)), (flag(), "1", True),
        (flag(), False, False), (flag(), "false", False), (wholes(), "1,2,3", [1, 2, 3]),
        (wholes(), [1, "2"], [1, 2]),
        (wholes(1), [], []), (float, "1.5", 1.5),
    ],
)  # fmt: skip
def test_what_fits_is_read_from_a_query_string_and_from_json(kind: Any, sent: Any, value: Any) -> None:
    assert read_parameters({"it": kind}, {"it": sent}) == {"it": value}


@pytest.mark.parametrize(
    ("kind", "sent"),
    [
        (whole(), ""), (whole(), "1.0"), (whole(), 1.0), (whole(), True), (whole(), None),
        (whole(), "\u0661"), (whole(), "1_000"), (whole(), " 1"), (whole(1, 9), 0), (whole(1, 9), "10"),
        (whole(), "9" * 30),
        (whole(), 10**40), (text(), 1), (text(2), "abc"), (text(), "a\0b"), (text(), "\ud800"), (text(), None),
        (one_of("a"), "b"), (one_of("a"), ["a"]), (day(), "2024-02-30"), (day(), "20240229"), (day(), 20240229),
        (flag(), "yes"), (flag(), 1), (flag(), []), (wholes(2), "1,2,3"), (wholes(), "1,,2"), (wholes(), {"a": 1}),
        (wholes(), [True]), (wholes(), [2**63]), (float, "x"), (float, []),
    ],
)  # fmt: skip
def test_what_does_not_fit_is_refused_in_a_sentence_without_the_value(kind: Any, sent: Any) -> None:
    with pytest.raises(ParameterError, match=r"^parameter it must be ") as caught:
        read_parameters({"it": kind}, {"it": sent})
    assert caught.value.__cause__ is None and caught.value.__context__ is None
    assert caught.value.status == 400


def test_what_is_missing_or_unknown_is_refused_and_an_optional_one_has_its_default() -> None:
    takes = {"days": optional(whole(1, 9), 3), "name": text()}
    assert read_parameters(takes, {"name": "x"}) == {"days": 3, "name": "x"}
    with pytest.raises(ParameterError, match="parameter name is missing; it must be a text of at most 200"):
        read_parameters(takes, {})
    with pytest.raises(ParameterError, match="unknown parameter 'dayz'; there is days, name"):
        read_parameters(takes, {"name": "x", "dayz": 1})
    with pytest.raises(ParameterError, match="unknown parameter with control characters"):
        read_parameters({}, {"a\nb": 1})


def test_a_kind_of_one_s_own_says_what_it_must_be() -> None:
    kind = Kind({"a": 1}.__getitem__, "the letter a")
    assert read_parameters({"it": kind}, {"it": "a"}) == {"it": 1}
    with pytest.raises(ParameterError, match="it must be the letter a"):
        read_parameters({"it": kind}, {"it": "b"})
