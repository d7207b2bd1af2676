"""Keys as terminals send them, whole, joined and in pieces; and a terminal left as it was."""

from __future__ import annotations

import os
import pty
import termios

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from scripts.top.keys import GONE, Keyboard


@pytest.mark.parametrize(
    ("came", "keys"),
    [(b"q", ["q"]), (b"12p", ["1", "2", "p"]), (b"\x1b[A\x1b[B", ["up", "down"]), (b"\x1bOA", ["up"]),
     (b"\x1b[5~\x1b[6~", ["page up", "page down"]), (b"\x1b[Hq", ["home", "q"]), (b" ", ["page down"]),
     (b"\x1b[1;5A", ["\x1b[1;5A"]), (b"\xff", ["\xff"]), (b"", [])],
)  # fmt: skip
def test_keys_have_names(came: bytes, keys: list[str]) -> None:
    assert Keyboard(None).split(came) == keys


def test_a_key_that_comes_in_pieces_is_one() -> None:
    keyboard = Keyboard(None)
    assert [keyboard.split(part) for part in (b"\x1b", b"[", b"6", b"~q")] == [[], [], [], ["page down", "q"]]


@settings(max_examples=100, deadline=None)
@given(st.lists(st.binary(max_size=6), max_size=8))
def test_any_bytes_are_some_keys(parts: list[bytes]) -> None:
    keyboard = Keyboard(None)
    for part in parts:
        assert all(isinstance(key, str) for key in keyboard.split(part))
    assert len(keyboard._rest) < 50


def test_the_terminal_is_left_as_it_was_and_its_end_is_noticed() -> None:
    controller, terminal = pty.openpty()
    before = termios.tcgetattr(terminal)
    with Keyboard(terminal) as keyboard:
        assert termios.tcgetattr(terminal) != before
        os.write(controller, b"\x1b")
        assert keyboard.wait(5) == []
        assert keyboard.wait(0.01) == ["escape"]
        assert keyboard.wait(0.0) == []
        os.close(controller)
        assert keyboard.wait(5) == [GONE]
    os.close(terminal)


def test_without_a_terminal_no_key_comes() -> None:
    with Keyboard(None) as keyboard:
        assert keyboard.wait(0.0) == []
