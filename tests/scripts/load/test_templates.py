"""Texts with holes: what fills them, and what a value cannot do to the text around it."""

from __future__ import annotations

import pytest

from scripts.load.templates import fill, fill_json, fill_path, names_in


def test_names_are_found_in_texts_and_in_json() -> None:
    assert list(names_in({"a{x}": ["{y}", {"b": "{z} {{no}}"}], "c": 3})) == ["x", "y", "z"]


def test_doubled_braces_are_braces() -> None:
    assert fill("{{{name}}} {{}}", {"name": "x"}) == "{x} {}"


def test_a_value_in_a_path_cannot_leave_its_place() -> None:
    assert fill_path("/a/{v}?q={v}", {"v": "../b?c&d#é {x}"}) == (
        "/a/..%2Fb%3Fc%26d%23%C3%A9%20%7Bx%7D?q=..%2Fb%3Fc%26d%23%C3%A9%20%7Bx%7D"
    )


def test_a_text_that_is_one_hole_keeps_the_type() -> None:
    assert fill_json({"id": "{n}", "ids": ["{n}", 2], "text": "no. {n}", "none": None}, {"n": 7}) == {
        "id": 7, "ids": [7, 2], "text": "no. 7", "none": None,
    }  # fmt: skip


def test_values_are_not_filled_again() -> None:
    assert fill("{a}", {"a": "{b}", "b": "never"}) == "{b}"


def test_an_unknown_name_is_an_error() -> None:
    with pytest.raises(KeyError):
        fill("{a}", {})
