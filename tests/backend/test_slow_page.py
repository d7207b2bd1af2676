"""docs/slow.md and docs/logs.md name everything that they are about, and say what the code says."""

from __future__ import annotations

from pathlib import Path

import pytest

from backend import explain, slow
from backend.settings import BY_NAME
from backend.slow_table import MOST_KEPT, SlowGroup
from backend.sql_comments import tag_for

DOCS = Path(__file__).resolve().parents[2] / "docs"
SLOW, LOGS = ((DOCS / name).read_text(encoding="utf-8") for name in ("slow.md", "logs.md"))


@pytest.mark.parametrize("name", ["DB_SLOW_QUERY_MS", "DB_EXPLAIN_SLOW", "DB_QUERY_VALUES", "DB_SQL_COMMENTS"])
def test_every_setting_is_on_the_page(name: str) -> None:
    default = BY_NAME[name].default
    shown = {True: "on", False: "off"}.get(default, f"{default:.0f}")
    assert f"| `{name}` | {shown} |" in SLOW


def test_every_field_that_a_program_gets_is_on_the_page() -> None:
    for name in set(SlowGroup.__dataclass_fields__) - {"quiet"}:
        assert f'"{name}":' in SLOW, name
    assert f"{MOST_KEPT} statements and {explain.MOST_KEPT} plans" in SLOW


def test_every_ending_is_on_the_page() -> None:
    for state, words in slow._ENDINGS.items():
        assert f"| `{words}` | {state} |" in SLOW
    assert "`statement_timeout ended a query after`" in SLOW


def test_the_comment_is_the_one_of_the_code() -> None:
    assert tag_for("/users/<id>", "views.profile") in SLOW


@pytest.mark.parametrize("name", [
    "HARDEN_LOG_FORMAT", "JsonLines", "TextLines", "RequestFilter", "`time`", "`level`, `logger`, `message`",
    "`request_id`, `route`", "`trace_id`", "`event`", "`exception`", "X-Request-ID",
])  # fmt: skip
def test_every_name_of_the_log_is_on_the_page(name: str) -> None:
    assert name in LOGS
