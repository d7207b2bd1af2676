"""Files that are no SQLite, damaged, locked, or changed meanwhile: said clearly, and nothing written."""

from __future__ import annotations

import sqlite3
from collections.abc import Callable
from contextlib import closing
from pathlib import Path

import pytest

from scripts.sqlite_to_postgres import source as module
from scripts.sqlite_to_postgres.source import Source

from .conftest import Target

Make = Callable[..., Path]
ROWS = "WITH RECURSIVE n(i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM n WHERE i < 2000) "
TWO = (
    "CREATE TABLE good (a TEXT); CREATE TABLE bad (a TEXT);"
    f"{ROWS} INSERT INTO good SELECT 'x' || i FROM n; {ROWS} INSERT INTO bad SELECT hex(zeroblob(200)) FROM n;"
)


@pytest.mark.parametrize(("data", "words"), [(b"", "is empty (0 bytes)"), (b"PGDMP" * 40, "is no SQLite 3 file")])
def test_what_is_no_database_is_said(
    tmp_path: Path, target: Target, capsys: pytest.CaptureFixture[str], data: bytes, words: str
) -> None:
    (tmp_path / "app.db").write_bytes(data)
    assert target.move(tmp_path / "app.db") == 2
    assert words in capsys.readouterr().err


def test_a_missing_file_is_not_made(tmp_path: Path, target: Target) -> None:
    assert target.move(tmp_path / "app.db") == 2
    assert not (tmp_path / "app.db").exists()


def test_a_damaged_file_names_the_tables_that_can_be_read(
    make_file: Make, target: Target, capsys: pytest.CaptureFixture[str]
) -> None:
    file = make_file(TWO)
    data = bytearray(file.read_bytes())
    data[-4096 * 5 : -4096 * 4] = b"\xaa" * 4096
    file.write_bytes(data)
    assert target.move(file) == 1
    out = capsys.readouterr().out
    assert "the file is damaged" in out and "readable to their end: good" in out
    assert "bad cannot be read to its end" in out


def test_a_locked_file_is_said(
    make_file: Make, target: Target, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(module, "LOCK_TIMEOUT", 0.1)
    file = make_file(TWO)
    with closing(sqlite3.connect(file)) as conn:
        conn.execute("BEGIN EXCLUSIVE")
        assert target.move(file) == 2
    assert "is locked by another process" in capsys.readouterr().err


def test_a_write_ahead_log_is_read_too(make_file: Make, target: Target) -> None:
    file = make_file("PRAGMA journal_mode = wal; CREATE TABLE t (a INT);")
    with closing(sqlite3.connect(file)) as conn:
        conn.execute("INSERT INTO t VALUES (1)")
        conn.commit()
        assert target.move(file) == 0
    assert target.ask("SELECT a FROM t") == [(1,)]


def test_a_write_meanwhile_is_noticed_in_wal_mode(make_file: Make) -> None:
    file = make_file("PRAGMA journal_mode = wal; CREATE TABLE t (a INT);")
    with closing(sqlite3.connect(file)) as conn, closing(Source(file)) as source:
        conn.execute("INSERT INTO t VALUES (1)")
        conn.commit()
        assert source.connection.execute("SELECT count(*) FROM t").fetchone() == (0,)
        assert source.changed()


def test_a_file_left_alone_has_not_changed(make_file: Make) -> None:
    with closing(Source(make_file(TWO))) as source:
        assert not source.changed()


@pytest.mark.parametrize("encoding", ["UTF-16le", "UTF-16be"])
def test_a_file_in_utf_16_arrives(make_file: Make, target: Target, encoding: str) -> None:
    file = make_file(f"PRAGMA encoding = '{encoding}'; CREATE TABLE t (a TEXT, b DATE);"
                     "INSERT INTO t VALUES ('é😀', '2020-01-01'), ('', NULL)")  # fmt: skip
    assert target.move(file) == 0
    assert target.ask("SELECT a FROM t WHERE b IS NOT NULL") == [("é😀",)]


def test_a_full_text_index_with_its_own_data_has_to_be_excluded(
    make_file: Make, target: Target, capsys: pytest.CaptureFixture[str]
) -> None:
    file = make_file("CREATE VIRTUAL TABLE docs USING fts5(body); CREATE TABLE t (a INT)")
    assert target.move(file) == 1
    assert "virtual table docs holds data of its own" in capsys.readouterr().out
    assert target.move(file, "--exclude", "docs") == 0


def test_a_write_that_was_cut_off_is_not_rolled_back_here(
    make_file: Make, target: Target, capsys: pytest.CaptureFixture[str]
) -> None:
    file = make_file(TWO)
    with closing(sqlite3.connect(file)) as conn:
        conn.execute("PRAGMA cache_size = 1")
        conn.execute("PRAGMA cache_spill = 1")
        conn.execute("UPDATE bad SET a = a || 'y'")
        crashed = file.with_name("crashed.db")
        journal = file.with_name("app.db-journal")
        crashed.write_bytes(file.read_bytes())
        crashed.with_name("crashed.db-journal").write_bytes(journal.read_bytes())
    before = crashed.read_bytes()
    assert target.move(crashed) == 2
    assert "has a journal of a write that was cut off (crashed.db-journal)" in capsys.readouterr().err
    assert crashed.read_bytes() == before


def test_a_file_cut_short_is_said(make_file: Make, target: Target, capsys: pytest.CaptureFixture[str]) -> None:
    file = make_file(TWO)
    file.write_bytes(file.read_bytes()[:5000])
    assert target.move(file) == 2
    assert "database disk image is malformed; try: sqlite3" in capsys.readouterr().err
