"""The views and the screen: everything of the page's data is there, at any size, whatever was sent."""

from __future__ import annotations

from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from rich.console import Console

from scripts.top.screen import Screen, plain
from scripts.top.views import MOST_ROWS, VIEWS

from .test_figures import JSON

LISTS = ("workers", "pools", "routes", "queries", "incidents", "slow")
NAMES = (*LISTS, "service", "series", "pgbouncer", "note", "now")


def console(width: int = 140, height: int = 40, **options: Any) -> Console:
    return Console(width=width, height=height, markup=False, highlight=False, emoji=False, **options)


def drawn(screen: Screen, on: Console, data: dict[str, Any], note: str = "") -> list[str]:
    with on.capture() as captured:
        on.print(screen.render(on, data, note), end="")
    return captured.get().split("\n")


def test_plain_text_has_every_part_of_the_data(sample: dict[str, Any]) -> None:
    said = plain(console(), sample, "http://shop")
    for part in (
        "http://shop", "4 workers", "ok", "3 used, 5 idle of 32", "p95 41 ms", "requests", "DATABASE_URL",
        "gthread-3", "running a query", "/users/<int:id>", "54 ms", "shop/views.py:31 in show",
        "SELECT * FROM users", "shop/reports.py:9", "2.31 s", "/appointments",
        "shop/views.py:52 in list_all", "72%", "one row by key", "4242", "2 have ended",
    ):  # fmt: skip
        assert part in said, part
    assert "\x1b" not in said
    assert not any(line.endswith(" ") for line in said.splitlines())


def test_pgbouncer_s_tables_or_its_silence_are_shown(sample: dict[str, Any]) -> None:
    row = {"database": "app", "user": "app", "cl_active": 3, "cl_waiting": 1, "sv_idle": 2, "maxwait": 0}
    said = plain(console(), {**sample, "pgbouncer": {"pools": [row], "stats": []}}, "x")
    assert "PgBouncer: pools" in said and "cl_waiting" in said and "PgBouncer: stats" not in said
    assert "does not answer" in plain(console(), {**sample, "pgbouncer": {"error": "it does not answer"}}, "x")


def test_an_unhealthy_worker_is_named_at_the_top(sample: dict[str, Any]) -> None:
    sample["workers"][0]["health"] = "no database for 9 s"
    assert "! worker 4242: no database for 9 s" in plain(console(), sample, "x")
    many = [{"pid": pid, "is_stale": True} for pid in range(10)]
    assert "! and 7 more" in plain(console(), {**sample, "workers": many}, "x")


def test_long_tables_are_cut_in_plain_text_and_say_so(sample: dict[str, Any]) -> None:
    sample["queries"] = sample["queries"] * 500
    said = plain(console(), sample, "x")
    assert "Queries, the most time first, the first 10 of 500" in said
    assert len(said.splitlines()) < 100


@settings(max_examples=25, deadline=None)
@given(st.fixed_dictionaries({}, optional={name: JSON | st.lists(JSON, max_size=3) for name in NAMES}))
def test_whatever_was_sent_is_drawn(data: dict[str, Any]) -> None:
    on = console(80, 24)
    assert plain(on, data, "x").replace("\n", "").isprintable()
    screen = Screen("x")
    for view in range(len(VIEWS)):
        screen.show(view)
        assert len(drawn(screen, on, data)) == 24


def test_what_would_steer_the_terminal_or_rich_is_shown_as_it_is(sample: dict[str, Any]) -> None:
    sample["queries"][0]["text"] = "\x1b]0;owned\x07[bold red]x[/] :smile: \x1b[2J"
    sample["note"] = "\x1b[31mnote"
    said = plain(console(), sample, "x")
    assert "\x1b" not in said and "\x07" not in said
    assert "[bold red]x[/] :smile:" in said


@pytest.mark.parametrize(("width", "height"), [(1, 1), (10, 3), (40, 10), (80, 24), (300, 100)])
def test_every_view_fills_the_screen_at_any_size(sample: dict[str, Any], width: int, height: int) -> None:
    screen, on = Screen("http://shop"), console(width, height)
    for view in range(len(VIEWS)):
        screen.show(view)
        lines = drawn(screen, on, sample)
        assert len(lines) == max(2, height)
        assert all(len(line) <= width for line in lines)


def test_a_narrow_screen_keeps_the_first_columns_and_wraps_the_head(sample: dict[str, Any]) -> None:
    sample["incidents"][0]["advice"] = "word " * 40
    screen = Screen("http://shop")
    shown = " ".join(" ".join(drawn(screen, console(60, 40), sample)).split())
    assert "0 waiting" in shown and "threads 44" in shown
    assert "requests" in shown and "queries each" not in shown
    screen.show(3)
    assert "\n".join(drawn(screen, console(60, 40), sample)).count("word") == 40


def test_scrolling_stops_at_both_ends_and_says_what_is_below(sample: dict[str, Any]) -> None:
    sample["queries"] = [{**sample["queries"][0], "seconds": 1000 - number} for number in range(10_000)]
    screen, on = Screen("x"), console(140, 24)
    screen.show(1)
    first = drawn(screen, on, sample)
    assert f"the first {MOST_ROWS} of 10000" in "\n".join(first)
    assert "lines below" in first[-1]
    screen.scroll(screen.page)
    assert drawn(screen, on, sample) != first
    screen.scroll(10**6)
    assert "lines below" not in drawn(screen, on, sample)[-1]
    screen.scroll(-(10**6))
    assert drawn(screen, on, sample) == first


def test_a_view_is_chosen_from_its_beginning_and_round_the_ends() -> None:
    screen = Screen("x")
    screen.offset = 9
    screen.show(-1)
    assert (screen.view, screen.offset) == (len(VIEWS) - 1, 0)
    screen.show(len(VIEWS))
    assert screen.view == 0


def test_without_unicode_there_are_no_bars(sample: dict[str, Any], monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(Console, "encoding", "ascii")
    assert "▁" not in plain(console(), sample, "x")
