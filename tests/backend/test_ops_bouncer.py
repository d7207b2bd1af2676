"""PgBouncer's own tables on the ops page: the real console, and none that answers."""

from __future__ import annotations

import json
import time
from typing import Any

import pytest

from backend import ops_bouncer
from backend.ops_bouncer import COLUMNS, Bouncer
from scripts.stack import Stack
from scripts.stack.postgres import Cluster


@pytest.fixture(scope="module")
def console(own_stack: Stack, own: Cluster) -> str:
    """The DSN of a console that the role `app` may read."""
    running = own_stack.pgbouncer(own, ["app"], ["app"], name="pgbouncer-ops")
    if running is None:
        pytest.skip("pgbouncer is not installed (apt-get install pgbouncer)")
    config = own_stack.run.path / "pgbouncer-ops" / "pgbouncer.ini"
    config.write_text(config.read_text().replace("stats_users = \n", "stats_users = app\n"))
    running.restart()
    return str(running.url("pgbouncer", "app"))


def test_the_real_console_s_tables_have_the_columns_that_help(console: str) -> None:
    found = Bouncer(console)()
    assert set(found) == set(COLUMNS)
    for name, rows in found.items():
        assert rows, name
        assert set(rows[0]) == set(COLUMNS[name]), name
    assert {"app", "pgbouncer"} & {row["database"] for row in found["pools"]}
    assert "pass word" not in json.dumps(found)


def test_a_console_that_does_not_answer_is_said_and_asked_again_later(monkeypatch: pytest.MonkeyPatch) -> None:
    asked: list[Any] = []
    real = ops_bouncer.pgbouncer_stats.ask
    monkeypatch.setattr(ops_bouncer.pgbouncer_stats, "ask", lambda *args: asked.append(args) or real(*args))
    monkeypatch.setattr(ops_bouncer, "KEEP_ANSWER", 60.0)
    console = Bouncer("postgresql://stats:a-secret@127.0.0.1:1/pgbouncer")
    started = time.monotonic()
    for _ in range(5):
        answer = console()
        assert answer["error"].startswith("PgBouncer does not answer: ")
        assert "a-secret" not in answer["error"]
    assert len(asked) == 1
    assert time.monotonic() - started < 30
