"""Cursors: what was written can be read, by this list alone; whatever else is refused by one sentence."""

from __future__ import annotations

import string
from base64 import urlsafe_b64encode
from collections.abc import Iterator
from decimal import Decimal
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from backend import CursorError, NodeError, SettingsError, cursors
from backend.cursors import END, LONGEST, START, Position, Signer, bound_text
from backend.settings import load

KEY = "a key of sixteen"
SIGNER = Signer("a list", 2, KEY)
VALUES = ("2024-01-01 00:00:00.123456+00", None)
TEXT = st.text(st.characters(blacklist_categories=["Cs"], blacklist_characters="\0"), max_size=50)


@pytest.fixture(autouse=True)
def _no_keys_from_elsewhere(monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    monkeypatch.delenv("HARDEN_CURSOR_KEY", raising=False)
    monkeypatch.setattr(cursors, "_from_app", lambda: (None, ()))
    cursors._key_of_environment.cache_clear()
    yield
    cursors._key_of_environment.cache_clear()


def refused(text: Any, signer: Signer = SIGNER, **parameters: Any) -> bool:
    try:
        signer.read(text, parameters)
    except CursorError as error:
        assert (error.status, error.code) == (400, "H322")
        assert str(error) == "cursor must be one that an earlier page of this very list gave"
        return True
    return False


@settings(max_examples=200, deadline=None)
@given(values=st.tuples(st.none() | TEXT, st.none() | TEXT), side=st.sampled_from(["after", "before"]), size=TEXT)
def test_what_was_written_is_read_and_fits_a_url(values: Any, side: str, size: str) -> None:
    position = Position(side, values)
    text = SIGNER.write(position, {"size": size})
    assert SIGNER.read(text, {"size": size}) == position
    assert set(text) <= set(string.ascii_letters + string.digits + "-_")


def test_the_two_ends_need_no_signature() -> None:
    assert SIGNER.read(None, {}) == SIGNER.read("first", {}) == START
    assert SIGNER.read("last", {}) == END
    assert (SIGNER.write(START, {}), SIGNER.write(END, {})) == ("first", "last")


def test_a_usual_cursor_is_short() -> None:
    assert len(SIGNER.write(Position("after", ("2024-01-01 00:00:00+00", "123456789")), {})) < 90


def test_every_changed_character_is_refused() -> None:
    text = SIGNER.write(Position("after", VALUES), {})
    alphabet = string.ascii_letters + string.digits + "-_"
    for place, was in enumerate(text):
        assert all(refused(text[:place] + other + text[place + 1 :]) for other in alphabet if other != was)


def test_every_flipped_bit_is_refused() -> None:
    text = SIGNER.write(Position("after", VALUES), {})
    body = cursors._decoded(text)
    for place in range(len(body)):
        for bit in range(8):
            flipped = bytearray(body)
            flipped[place] ^= 1 << bit
            assert refused(urlsafe_b64encode(bytes(flipped)).rstrip(b"=").decode())


def test_every_shorter_or_longer_one_is_refused() -> None:
    text = SIGNER.write(Position("after", VALUES), {})
    assert all(refused(text[:length]) for length in range(len(text)))
    assert all(refused(text + tail) for tail in ("A", "=", "==", " ", "\n", text))
    assert refused(text[1:]) and refused(" " + text)


@pytest.mark.parametrize(
    "text",
    ["", "x", "====", "\0", "é", "٣٤", "LAST", "first ", "a" * LONGEST, "a" * 10**7, "%00", "'; DROP TABLE x--", 7,
     b"last", ["last"], True, "{}", "WzBd"],
)  # fmt: skip
def test_what_never_was_a_cursor_is_refused(text: Any) -> None:
    assert refused(text)


@settings(max_examples=200, deadline=None)
@given(text=st.text(max_size=100))
def test_any_text_is_refused_and_nothing_else_is_raised(text: str) -> None:
    assert text in ("first", "last") or refused(text)


def test_a_cursor_of_another_list_order_or_parameter_is_refused() -> None:
    text = SIGNER.write(Position("after", VALUES), {"customer_id": 7})
    assert not refused(text, customer_id=7)
    assert refused(text, customer_id=8) and refused(text) and refused(text, customer_id=7, status="x")
    assert refused(text, customer=7) and refused(text, customer_id=None)
    assert refused(text, Signer("another list", 2, KEY), customer_id=7)
    assert refused(text, Signer("a list", 3, KEY), customer_id=7)
    assert refused(text, Signer("a list", 2, "another key of it"), customer_id=7)


def test_a_parameter_from_a_path_and_from_a_query_string_is_one() -> None:
    text = SIGNER.write(Position("after", VALUES), {"customer_id": 7})
    assert not refused(text, customer_id="7")


def test_parameters_that_differ_have_texts_that_differ() -> None:
    several: list[dict[str, Any]] = [
        {}, {"a": None}, {"a": ""}, {"a": "None"}, {"a": [1, 2]}, {"a": ["1,2"]}, {"a": [[1], 2]}, {"a": True},
        {"a": {"b": 1}}, {"a": "1", "b": "2"}, {"a": '1","b":"2'}, {"a": Decimal("1.50")}, {"b": None},
    ]  # fmt: skip
    assert len({bound_text(each) for each in several}) == len(several)
    assert bound_text({"a": 1, "b": 2}) == bound_text({"b": 2, "a": 1})
    assert bound_text({"a": (1, 2)}) == bound_text({"a": [1, 2]})


def test_keys_are_changed_without_a_refusal() -> None:
    old, new = "the old key of it", "the new key of it"
    before = Signer("a list", 2, old).write(Position("after", VALUES), {})
    both = Signer("a list", 2, [new, old])
    assert not refused(before, both)
    after = both.write(Position("after", VALUES), {})
    assert not refused(after, Signer("a list", 2, new.encode()))
    assert refused(after, Signer("a list", 2, old))


@pytest.mark.parametrize("keys", ["", "short", [], ["a key of sixteen", "short"], [7], b""])
def test_a_key_that_can_be_guessed_is_refused(keys: Any) -> None:
    with pytest.raises(NodeError, match="at least 16"):
        Signer("a list", 1, keys)


def test_a_value_too_long_for_a_url_says_what_to_sort_by() -> None:
    with pytest.raises(NodeError, match=r"2000 at most.*left\(column, 100\)"):
        SIGNER.write(Position("after", ("x" * 2000, "1")), {})


def test_without_any_key_the_error_says_what_to_set() -> None:
    with pytest.raises(SettingsError, match=r"set HARDEN_CURSOR_KEY .*app\.secret_key"):
        Signer("a list", 2).write(Position("after", VALUES), {})


def test_the_setting_comes_before_the_app_s_secret(monkeypatch: pytest.MonkeyPatch) -> None:
    cursors.set_app_keys(lambda: (None, ["secret", "older"]))
    assert cursors.app_keys() == (b"secret", b"older")
    monkeypatch.setenv("HARDEN_CURSOR_KEY", "0123456789abcdef")
    cursors._key_of_environment.cache_clear()
    assert cursors.app_keys() == (b"0123456789abcdef",)


def test_a_setting_of_several_words_is_several_keys() -> None:
    cursors.set_app_keys(lambda: ("0123456789abcdef, fedcba9876543210\nffffffffffffffff", ()))
    assert cursors.app_keys() == (b"0123456789abcdef", b"fedcba9876543210", b"ffffffffffffffff")


def test_the_setting_is_checked_and_never_shown() -> None:
    with pytest.raises(SettingsError, match=r"HARDEN_CURSOR_KEY .* has a key shorter than 16") as caught:
        load(environ={"HARDEN_CURSOR_KEY": "0123456789abcdef,hunter2"})
    assert "hunter2" not in str(caught.value)
    assert "0123456789abcdef" not in repr(load(environ={"HARDEN_CURSOR_KEY": "0123456789abcdef"}))
