"""Any value that SQLite takes arrives bit by bit, whatever it is."""

from __future__ import annotations

import sqlite3
from contextlib import closing
from pathlib import Path
from typing import Any

from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from .conftest import Target

TEXTS = st.text(st.characters(blacklist_categories=("Cs",), blacklist_characters="\0"))
ROWS = st.lists(st.tuples(
    st.none() | st.integers(-(2**63), 2**63 - 1), st.none() | st.floats(allow_nan=False), st.none() | TEXTS,
    st.none() | st.binary(), st.none() | st.datetimes().map(lambda value: value.isoformat(" ")),
    st.none() | st.integers(-(2**63), 2**63 - 1) | st.floats(allow_nan=False, allow_infinity=False),
), max_size=30)  # fmt: skip


@settings(max_examples=15, deadline=None, suppress_health_check=list(HealthCheck))
@given(rows=ROWS)
def test_any_row_arrives(tmp_path: Path, target: Target, rows: list[tuple[Any, ...]]) -> None:
    file = tmp_path / "any.db"
    file.unlink(missing_ok=True)
    with closing(sqlite3.connect(file)) as conn:
        conn.execute("CREATE TABLE t (i INT, r REAL, s TEXT, b BLOB, d DATETIME, n NUMERIC)")
        conn.executemany("INSERT INTO t VALUES (?, ?, ?, ?, ?, ?)", rows)
        conn.commit()
        stored = conn.execute("SELECT i, r, s, b FROM t").fetchall()  # -0.0 in a REAL column is 0.0 to SQLite
    target.ask("DROP TABLE IF EXISTS t, harden_sqlite_import")  # of an example that failed
    assert target.move(file) == 0
    found = [(i, r, s, None if b is None else bytes(b)) for i, r, s, b in target.ask("SELECT i, r, s, b FROM t")]
    assert sorted(map(repr, found)) == sorted(map(repr, stored))
    assert target.move(file, "--rollback") == 0
