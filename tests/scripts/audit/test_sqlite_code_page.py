"""docs/sqlite-code.md: both sides of each row and each pair are executed, and return the same."""

from __future__ import annotations

import re
import sqlite3
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import psycopg2
import pytest

from scripts.stack.postgres import Cluster

PAGE = (Path(__file__).resolve().parents[3] / "docs" / "sqlite-code.md").read_text(encoding="utf-8")
SCHEMA = re.search(r"^```sql\n(.*?)^```$", PAGE, re.MULTILINE | re.DOTALL)[1]  # type: ignore[index]
ROWS = re.findall(r"^\| `([^`]+)` \| `([^`]+)` \|", PAGE, re.MULTILINE)
PAIRS = re.findall(
    r"^```python\n# sqlite3\n(.*?)^```\n\n```python\n# psycopg2\n(.*?)^```$", PAGE, re.MULTILINE | re.DOTALL
)


@pytest.fixture
def old(tmp_path: Path) -> Iterator[sqlite3.Connection]:
    conn = sqlite3.connect(tmp_path / "app.db")
    conn.executescript(SCHEMA)
    yield conn
    conn.close()


@pytest.fixture(scope="module")
def made(cluster: Cluster) -> str:
    """A database of its own, for the page asks for the tables of `public`."""
    cluster.create_role("sqlite_code")
    cluster.create_database("sqlite_code", "sqlite_code")
    dsn = cluster.dsn("sqlite_code", "sqlite_code")
    conn = psycopg2.connect(dsn)
    with conn, conn.cursor() as cursor:
        cursor.execute(SCHEMA)
    conn.close()
    return dsn


@pytest.fixture
def new(made: str) -> Iterator[Any]:
    conn = psycopg2.connect(made)
    yield conn
    conn.close()  # nothing was committed


@pytest.mark.parametrize(("left", "right"), ROWS, ids=[left for left, _ in ROWS])
def test_both_statements_of_a_row_return_the_same(old: Any, new: Any, left: str, right: str) -> None:
    values: Any = {"id": 2} if ":id" in left else (2,) if "?" in left else None
    before = old.execute(left, values or ()).fetchall()
    with new.cursor() as cursor:
        cursor.execute(right, values)
        after = cursor.fetchall() if cursor.description else []
    assert after == before
    assert before or left.startswith(("INSERT", "CREATE"))


@pytest.mark.parametrize(("left", "right"), PAIRS)
def test_both_sides_of_a_pair_return_the_same(old: Any, new: Any, left: str, right: str) -> None:
    sides: list[dict[str, Any]] = [{}, {}]
    exec(left, sides[0])
    exec(right, sides[1])
    assert sides[1]["run"](new) == sides[0]["run"](old)


def test_the_page_is_read_whole() -> None:
    assert len(ROWS) >= 26 and len(PAIRS) == PAGE.count("# sqlite3\n") == PAGE.count("# psycopg2\n") >= 9


def test_lastrowid_fails_silently_as_the_page_says(new: Any) -> None:
    with new.cursor() as cursor:
        cursor.execute("INSERT INTO users (id, name) VALUES (40, 'n')")
        assert cursor.lastrowid == 0


def test_an_error_ends_the_transaction_as_the_page_says(new: Any) -> None:
    with new.cursor() as cursor:
        with pytest.raises(psycopg2.ProgrammingError):
            cursor.execute("SELECT 1 FROM missing")
        with pytest.raises(psycopg2.errors.InFailedSqlTransaction):
            cursor.execute("SELECT 1")
