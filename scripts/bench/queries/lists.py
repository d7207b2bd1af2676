"""Long lists, measured in a process of their own: a page deep in one, and all of one as CSV.

    python -m scripts.bench.queries.lists pages|export

Reads jobs from stdin, one JSON object a line, and answers each by one line on stdout; ends with its input. An
export is asked of a fresh process: memory that one has grown by stays with it.
"""

from __future__ import annotations

import csv
import json
import logging
import sys
import time
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

import psycopg2

from backend import CursorPages, PoolOptions, ThreadedConnectionPool, stream_csv

from .worker import drawn, serve

SIZE = 50  # rows of a page
WALK = 10_000  # rows of the steps to the deep page, not timed
ITEMS = "SELECT id, customer_id, starts_at, status, notes FROM bench_items"
ORDER = "starts_at DESC, id DESC"
PAGES = CursorPages(
    ITEMS, order="-starts_at, -id", size=SIZE, largest=WALK, not_null=("starts_at", "id"), keys="bench " * 6
)
OFFSET = f"SELECT to_json(ARRAY(SELECT r FROM ({ITEMS} ORDER BY {ORDER} LIMIT {SIZE} OFFSET %s) r))::text"
ROWS = "SELECT id, appointment_id, sender, body, sent_at FROM {}"
SMALL = 1000  # rows that are exported beforehand, so that what is made once is made


class Pages:
    """A first page and a deep one, by cursor and by OFFSET.

    Args:
        dsn: straight to the server.
        depth: rows before the deep page.
    """

    def __init__(self, dsn: str, depth: int) -> None:
        self._conn = psycopg2.connect(dsn)
        self._conn.autocommit = True
        self._depth = depth
        self._cursor = self._walk()
        self._check()
        self.jobs: dict[str, Callable[..., Mapping[str, Any]]] = {"rounds": self._rounds}

    def _walk(self) -> str | None:
        cursor, left = None, self._depth
        while left:
            page = PAGES.fetch(self._conn, cursor, min(left, WALK))
            cursor, left = page.next, left - page.size
        return cursor

    def _check(self) -> None:
        """Refuse to compare pages that are not the same one."""
        ours = PAGES.fetch(self._conn, self._cursor).items
        theirs = json.loads(self._by_offset(self._depth))
        if ours != theirs or len(ours) != SIZE:
            raise ValueError(f"the page at row {self._depth:,}: {ours[:1]} by cursor, {theirs[:1]} by OFFSET")

    def _by_offset(self, rows: int) -> str:
        with self._conn.cursor() as cursor:
            cursor.execute(OFFSET, (rows,))
            return str(cursor.fetchone()[0])

    def _rounds(self, rounds: int) -> Mapping[str, Any]:
        """Read each page in turn; returns the milliseconds of each call."""
        ways: dict[str, Callable[[], object]] = {
            "cursor-first": lambda: PAGES.json(self._conn),
            "cursor-deep": lambda: PAGES.json(self._conn, self._cursor),
            "offset-first": lambda: self._by_offset(0),
            "offset-deep": lambda: self._by_offset(self._depth),
        }
        calls: dict[str, list[float]] = {key: [] for key in ways}
        for number in range(rounds):
            for key in drawn(list(ways), number):
                begun = time.perf_counter()
                ways[key]()
                calls[key].append((time.perf_counter() - begun) * 1000)
        return {"ms": calls}


class Sink:
    """Takes a CSV and keeps nothing but its size and when its first byte came."""

    def __init__(self) -> None:
        self.lines = 0
        self.first: float | None = None

    def write(self, data: Any) -> int:
        """Take a piece: text or bytes."""
        if self.first is None and data:
            self.first = time.perf_counter()
        self.lines += data.count("\n" if isinstance(data, str) else b"\n")
        return len(data)


class Export:
    """A table as CSV, in one of three ways; one way per process.

    Args:
        dsn: straight to the server.
    """

    def __init__(self, dsn: str) -> None:
        self._dsn = dsn
        self._pool = ThreadedConnectionPool(1, 4, dsn, pool_options=PoolOptions())
        self._ways = {"copy": self._copy, "ours": self._ours, "fetchall": self._fetchall}
        self.jobs: dict[str, Callable[..., Mapping[str, Any]]] = {"export": self._export}

    def _export(self, way: str, table: str) -> Mapping[str, Any]:
        """Export a table; returns seconds, milliseconds to the first byte, lines, and MiB beyond idle."""
        self._ways[way](f"{ROWS.format(table)} LIMIT {SMALL}", Sink())
        before, sink = _forget_peak(), Sink()
        begun = time.perf_counter()
        self._ways[way](ROWS.format(table), sink)
        seconds = time.perf_counter() - begun
        first = (sink.first or begun) - begun
        return {
            "seconds": seconds, "first_ms": first * 1000, "mib": (_memory("VmHWM") - before) / 1024,
            "lines": sink.lines,
        }  # fmt: skip

    def _copy(self, statement: str, sink: Sink) -> None:
        conn = self._pool.getconn()
        try:
            with conn.cursor() as cursor:
                cursor.copy_expert(f"COPY ({statement}) TO STDOUT (FORMAT csv, HEADER)", sink)
        finally:
            self._pool.putconn(conn)

    def _ours(self, statement: str, sink: Sink) -> None:
        response = stream_csv(statement, pool=self._pool)
        try:
            for piece in response.response:
                sink.write(piece)
        finally:
            response.close()

    def _fetchall(self, statement: str, sink: Sink) -> None:
        conn = self._pool.getconn()
        try:
            with conn.cursor() as cursor:
                cursor.execute(statement)
                rows = cursor.fetchall()
                writer = csv.writer(sink, lineterminator="\n")  # type: ignore[arg-type]
                writer.writerow([column.name for column in cursor.description])
                writer.writerows(rows)
        finally:
            self._pool.putconn(conn)


def _forget_peak() -> float:
    """Have Linux count the peak anew, and return the KiB that are in memory now."""
    Path("/proc/self/clear_refs").write_text("5", encoding="ascii")
    return _memory("VmRSS")


def _memory(name: str) -> float:
    """Return a figure of this process in KiB."""
    lines = Path("/proc/self/status").read_text(encoding="ascii").splitlines()
    return float(next(line.split()[1] for line in lines if line.startswith(f"{name}:")))


def main(what: str) -> None:
    """Serve until the input ends."""
    logging.disable(logging.CRITICAL)
    setup = json.loads(sys.stdin.readline())
    bench: Pages | Export = Pages(**setup) if what == "pages" else Export(**setup)
    serve(bench.jobs)


if __name__ == "__main__":
    main(sys.argv[1])
