"""A nested query that was slow says in the log which index it lacks; once, and only when there is one."""

from __future__ import annotations

import logging
from collections.abc import Iterator
from contextlib import closing
from typing import Any

import psycopg2
import pytest

from backend import many, slowness
from tests.support.sql import run

SCHEMA = """
    CREATE SCHEMA slow_tests;
    CREATE TABLE slow_tests.parents (id int PRIMARY KEY);
    CREATE TABLE slow_tests.kids (id int PRIMARY KEY, parent_id int REFERENCES slow_tests.parents);
    INSERT INTO slow_tests.parents VALUES (1)"""


def tree() -> Any:
    return many(
        "SELECT p.id, {kids} FROM slow_tests.parents p",
        kids=many("SELECT k.id FROM slow_tests.kids k WHERE k.parent_id = p.id"),
    )


@pytest.fixture
def conn(dsn: str) -> Iterator[Any]:
    with closing(psycopg2.connect(dsn)) as connection:
        connection.autocommit = True
        run(connection, SCHEMA)
        yield connection
        connection.rollback()
        connection.autocommit = True
        run(connection, "DROP SCHEMA slow_tests CASCADE")


@pytest.fixture
def always_slow(monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture) -> None:
    monkeypatch.setattr(slowness, "SLOW", 0.0)
    caplog.set_level(logging.WARNING, slowness.__name__)


@pytest.mark.usefixtures("always_slow")
def test_the_missing_index_is_named_once_with_what_makes_it(conn: Any, caplog: pytest.LogCaptureFixture) -> None:
    node = tree()
    for _ in range(3):
        assert node.fetch(conn) == [{"id": 1, "kids": []}]
    (said,) = [record.getMessage() for record in caplog.records]
    assert "kids" in said and "took 0." in said
    run(conn, said.rpartition("; ")[2].replace(" CONCURRENTLY", ""))
    caplog.clear()
    assert tree().fetch(conn) == [{"id": 1, "kids": []}]
    assert not caplog.records


@pytest.mark.usefixtures("always_slow")
def test_inside_a_transaction_it_waits_for_a_better_time(conn: Any, caplog: pytest.LogCaptureFixture) -> None:
    node = tree()
    conn.autocommit = False
    node.fetch(conn)
    assert not caplog.records
    conn.rollback()
    conn.autocommit = True
    node.fetch(conn)
    assert len(caplog.records) == 1


def test_what_is_not_slow_is_not_asked_about(conn: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(slowness, "say_why", lambda *_: pytest.fail("asked"))
    tree().fetch(conn)


@pytest.mark.usefixtures("always_slow")
def test_the_document_is_not_lost_when_why_cannot_be_told(conn: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    def fail(*_: Any) -> None:
        raise LookupError("a form of plan that nobody knows")

    monkeypatch.setattr(slowness, "check", fail)
    assert tree().fetch(conn) == [{"id": 1, "kids": []}]
