"""The five views: each turns the service's data into titled tables, for the live screen and for plain text."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, NamedTuple

from rich.table import Table
from rich.text import Text

from .figures import count, number, part, place, rows, seconds, size, text

MOST_ROWS = 300
NARROWEST = 20  # signs of a column that takes what room is left, the space after it included
Row = dict[str, Any]
Show = Callable[[Any], str]


class Column(NamedTuple):
    """One column: its heading, the field of a row that it shows, and how; a wide one takes what room is left.

    `wraps` lets a cell be several lines instead of one that is cut.
    """

    heading: str
    field: str
    show: Show = text
    is_wide: bool = False
    wraps: bool = False

    def cells(self, shown: list[Row]) -> list[str]:
        """Return all that stands in it, its heading first."""
        return [self.heading, *(self.show(row.get(self.field)) for row in shown)]

    @property
    def justify(self) -> Any:
        """Numbers stand right."""
        return "left" if self.show in (text, place) else "right"


class Block(NamedTuple):
    """One table: its title, columns and rows, and what stands there when there is no row."""

    title: str
    columns: tuple[Column, ...]
    rows: list[Row]
    nothing: str = ""

    def table(self, width: int, most: int = MOST_ROWS) -> Table:
        """Return it for rich, so many signs wide, with so many rows at most."""
        more = f", the first {most} of {len(self.rows)}" if len(self.rows) > most else ""
        title = Text(self.title + more, style="bold")
        table = Table(title=title, title_justify="left", box=None, pad_edge=False, expand=True,
                      header_style="dim", padding=(0, 2, 0, 0))  # fmt: skip
        if not self.rows:
            table.show_header = False
            table.add_column("")
            table.add_row(Text(self.nothing, style="dim"))
            return table
        columns = self._fitting(width, self.rows[:most])
        for column in columns:
            table.add_column(column.heading, justify=column.justify, no_wrap=not column.wraps, overflow="ellipsis",
                             ratio=1 if column.is_wide else None)  # fmt: skip
        for row in self.rows[:most]:
            table.add_row(*(Text(column.show(row.get(column.field))) for column in columns))
        return table

    def _fitting(self, width: int, shown: list[Row]) -> list[Column]:
        """Return the columns that there is room for: the last narrow ones give way to the wide ones."""
        kept = list(self.columns)
        room = {
            column: NARROWEST if column.is_wide
            else 2 + max(len(cell) for cell in column.cells(shown))
            for column in kept
        }  # fmt: skip
        for column in reversed(self.columns):
            if not column.is_wide and sum(room[each] for each in kept) > width:
                kept.remove(column)
        return kept or list(self.columns)


def _plain(value: Any) -> str:
    return f"{number(value):.0f}"  # a process id has no thousands


def _tenths(value: Any) -> str:
    return f"{number(value):.1f}"


def _share(value: Any) -> str:
    return f"{number(value):.0%}"


WORKER = Column("worker", "pid", _plain)
WHERE = Column("where", "site", place, is_wide=True)
QUERY = Column("query", "text", is_wide=True)
ROUTE = Column("route", "route", is_wide=True)
TIME = Column("time", "seconds", seconds)
MEAN = Column("mean", "mean", seconds)
SLOWEST = Column("slowest", "slowest", seconds)
CALLS = Column("calls", "count", count)
ERRORS = Column("errors", "errors", count)
TIMES = Column("times", "times", count)
POOLS = (
    WORKER, Column("pool", "name", is_wide=True), Column("used", "used", count), Column("idle", "idle", count),
    Column("max", "maxconn", count), Column("waiting", "waiting", count),
    Column("longest lease", "longest_lease", seconds),
)  # fmt: skip
PEOPLE = (
    WORKER, Column("thread", "thread"), Column("for", "seconds", seconds), Column("state", "state"), WHERE,
)  # fmt: skip
ROUTES = (
    Column("method", "method"), ROUTE, Column("requests", "count", count), ERRORS, MEAN,
    Column("p95", "p95", seconds), SLOWEST, Column("queries each", "queries_per_request", _tenths),
)  # fmt: skip
LOOPS = (
    Column("queries", "count", count), TIME, Column("share", "share", _share), TIMES, ROUTE, WHERE,
)  # fmt: skip
WORKERS = (
    Column("pid", "pid", _plain), Column("up", "uptime", seconds), Column("requests", "requests", count), ERRORS,
    Column("in flight", "in_flight", count), Column("used", "used", count), Column("max", "maxconn", count),
    Column("waiting", "waiting", count), Column("threads", "threads", count), Column("files", "open_files", count),
    Column("memory", "rss_bytes", size), Column("cpu", "cpu_seconds", seconds),
    Column("health", "health", is_wide=True),
)  # fmt: skip
BOUNCER = {
    "pools": ("database", "user", "cl_active", "cl_waiting", "sv_active", "sv_idle", "sv_used", "maxwait"),
    "stats": ("database", "total_query_count", "avg_query_count", "avg_query_time", "avg_wait_time"),
}


def _most(found: list[Row], by: str) -> list[Row]:
    return sorted(found, key=lambda row: number(row.get(by)), reverse=True)


def routes(data: Row) -> list[Block]:
    """Return the pools, who holds and waits there, and the routes."""
    pools = rows(data, "pools")
    blocks = [Block("Pools", POOLS, pools, "no pool was used yet")]
    people = [_person(pool, who) for pool in pools for kind in ("holders", "waiters") for who in rows(pool, kind)]
    if people:
        blocks.append(Block("Who holds and who waits", PEOPLE, _most(people, "seconds")))
    found = _most(rows(data, "routes"), "seconds")
    return [*blocks, Block("Routes, the most time first", ROUTES, found, "no request yet")]


def _person(pool: Row, who: Row) -> Row:
    place = who.get("taken_at") or who.get("now_at")
    return {**who, "pid": pool.get("pid"), "state": who.get("state") or "waits", "site": place}


def queries(data: Row) -> list[Block]:
    """Return the queries with the most time, and the slow ones."""
    found, slow = _most(rows(data, "queries"), "seconds"), _most(rows(data, "slow"), "slowest")
    timeouts = Column("timeouts", "timeouts", count)
    return [
        Block("Queries, the most time first", (TIME, CALLS, MEAN, SLOWEST, ERRORS, WHERE, QUERY), found,
              "no query yet"),
        Block("Slow queries", (SLOWEST, TIMES, timeouts, WHERE, QUERY), slow, "none above DB_SLOW_QUERY_MS"),
    ]  # fmt: skip


def repeated(data: Row) -> list[Block]:
    """Return the queries that one request runs most often."""
    found = [row for row in rows(data, "queries") if number(row.get("most_per_request")) > 1]
    columns = Column("runs", "most_per_request", count), ROUTE, CALLS, TIME, WHERE, QUERY
    title, nothing = "Queries, the most runs in one request first", "no query ran twice in one request"
    return [Block(title, columns, _most(found, "most_per_request"), nothing)]


def incidents(data: Row) -> list[Block]:
    """Return the requests that ran the same query again and again, and what to do about each."""
    found = [
        {**row, "site": line.get("site")}
        for row in _most(rows(data, "incidents"), "total_seconds")
        for line in rows(row, "lines")[:1] or [{}]
    ]
    blocks = [Block("Loops of queries (N+1), the most time first", LOOPS, found, "none")]
    advised = [row for row in found if row.get("advice")]
    columns = WHERE, Column("advice", "advice", is_wide=True, wraps=True)
    return [*blocks, Block("What to do", columns, advised)] if advised else blocks


def workers(data: Row) -> list[Block]:
    """Return the workers and PgBouncer's pools."""
    found = [
        {**row, "health": "no word lately"} if row.get("is_stale") is True else row
        for row in rows(data, "workers")
    ]
    ended = number(data.get("ended_workers"))
    title = f"Workers ({ended:.0f} have ended within the hour)" if ended else "Workers"
    return [Block(title, WORKERS, found, "none answers"), *bouncer(data)]


def bouncer(data: Row) -> list[Block]:
    """Return PgBouncer's tables, with the columns that it sent."""
    told = part(data, "pgbouncer")
    if told.get("error"):
        return [Block("PgBouncer", (), [], text(told["error"]))]
    blocks = []
    for name, wanted in BOUNCER.items():
        found = rows(told, name)
        columns = tuple(Column(each, each) for each in wanted if any(each in row for row in found))
        if columns:
            blocks.append(Block(f"PgBouncer: {name}", columns, found))
    return blocks


VIEWS: dict[str, Callable[[Row], list[Block]]] = {
    "pools and routes": routes,
    "queries": queries,
    "repeated": repeated,
    "N+1": incidents,
    "workers": workers,
}
