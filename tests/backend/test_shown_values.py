"""Values as text: short, whatever they are, and none where secrets are."""

from __future__ import annotations

from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from backend.shown_values import LONGEST_ALL, handles_secrets, shown_values


@pytest.mark.parametrize(("values", "shown"), [
    ((5, "a"), "5, 'a'"), ({"id": 5}, "id=5"), ([b"\x00"], "b'\\x00'"), ((None,), "None"), (7, "7"),
    (("a\nb",), "'a\\nb'"),
])  # fmt: skip
def test_values_are_shown_as_python_writes_them(values: Any, shown: str) -> None:
    assert shown_values(values) == shown


class Broken:
    def __repr__(self) -> str:
        raise ValueError("broken")


def test_a_value_that_cannot_be_shown_is_no_error() -> None:
    assert "Broken" in shown_values((Broken(), 1))


def test_a_huge_value_is_not_written_out() -> None:
    for value in ("x" * 10_000_000, b"x" * 10_000_000, list(range(1_000_000)), 10**4000):
        assert len(shown_values((value,))) <= 100


@settings(max_examples=100, deadline=None)
@given(st.recursive(
    st.none() | st.integers() | st.text() | st.binary(),
    lambda inner: st.lists(inner) | st.dictionaries(st.text(), inner), max_leaves=50,
))  # fmt: skip
def test_it_is_one_short_line(values: Any) -> None:
    shown = shown_values(values)
    assert len(shown) <= LONGEST_ALL
    assert "\n" not in shown.replace("\\n", "") or isinstance(values, dict)  # a name of a parameter is the app's


@pytest.mark.parametrize(("text", "is_secret"), [
    ("ALTER ROLE x PASSWORD %s", True), (b"create user x encrypted password 'y'", True),
    ("UPDATE users SET password_hash = %s", True), ("SELECT crypt(%s, gen_salt('bf'))", True),
    ("SELECT * FROM api_keys WHERE key = %s", True), ("SELECT name FROM users WHERE id = %s", False),
    ("SELECT pass FROM ski_lifts", False),
])  # fmt: skip
def test_statements_about_secrets_are_known_by_their_names(text: str | bytes, is_secret: bool) -> None:
    assert handles_secrets(text) is is_secret
