"""Loops of queries are reported with their lines and counts; what only looks like one is left alone."""

from __future__ import annotations

import re
import sys
import textwrap
from collections.abc import Callable, Iterator
from contextlib import closing
from datetime import date, timedelta
from pathlib import Path
from types import ModuleType
from typing import Any

import psycopg2
import pytest

from backend import (
    events,
    install,
    monitor,
    settings,
    uninstall,
    watch,
)
from backend.close_log import CloseLog
from backend.events import Repeats, RequestEnded
from backend.repeats import message, repeats_of
from backend.serving import harden
from scripts.demo.seed import create_schema, seed
from scripts.stack.postgres import Cluster
from tests.shop.walk import Ask, hostile_requests

ROOT = Path(__file__).resolve().parents[2]
LIMIT = 5
Module = Callable[..., ModuleType]
Found = Callable[..., list[Repeats]]


@pytest.fixture
def module(tmp_path: Path) -> Iterator[Module]:
    """A function that writes a module of an app and imports it."""
    made: list[str] = []

    def make(text: str, name: str = "views") -> ModuleType:
        path = tmp_path / f"{name}.py"
        path.write_text(textwrap.dedent(text))
        found = ModuleType(name)
        found.__file__ = str(path)
        sys.modules[name] = found
        made.append(name)
        exec(compile(path.read_text(), str(path), "exec"), vars(found))
        return found

    yield make
    for name in made:
        sys.modules.pop(name, None)


@pytest.fixture
def found(dsn: str) -> Iterator[Found]:
    """A function that calls another with a cursor, as in a request: `found(function, *args)`; its repeats."""
    install(0)
    watch.watch_cursors()

    def run(function: Any, *args: Any, log: Any = None, limit: int = LIMIT) -> list[Repeats]:
        ended: list[RequestEnded] = []
        with closing(psycopg2.connect(dsn)) as conn, conn.cursor() as cursor:
            cursor.execute("CREATE TEMP TABLE items (id int PRIMARY KEY, parent_id int, name text)")
            cursor.execute("INSERT INTO items SELECT n, n % 10, 'x' FROM generate_series(1, 2000) n")
            events.listen(RequestEnded, ended.append)
            watched = monitor.begin((log or watching_log)())
            try:
                function(cursor, *args)
            finally:
                monitor.end(watched)
                events.unlisten(RequestEnded, ended.append)
        return repeats_of(ended[-1], limit)

    yield run
    watch.stop()
    uninstall()


def watching_log() -> Any:
    """Return the log of a request."""
    from backend.query_log import QueryLog

    return QueryLog("request", "GET", "/profile")


LOOP = """
    def profile(cur):
        for n in range(20):
            cur.execute("SELECT id, name FROM items WHERE id = %s", (n,))
"""


def test_a_loop_is_reported_with_its_line_count_and_rewrite(found: Found, module: Module) -> None:
    (report,) = found(module(LOOP).profile)
    assert [(line.count, line.site.rpartition("/")[2], line.caller) for line in report.lines] == [
        (20, "views.py:4 in profile", "")
    ]
    assert (report.count, report.route) == (20, "/profile")
    assert report.rewrite == "found = fetch_by_ids(conn, 'items', ids)"
    assert report.seconds > 0
    assert 0 < report.share <= 1
    assert re.fullmatch(
        r"20 repeated queries in /profile, \d+ ms \(\d+% of it\): \S*views.py:4 in profile: "
        r"20 x select id, name from items where id = \?; "
        r"one row by key each time: fetch_by_ids\(\) gets them all at once",
        message(report),
    )


@pytest.mark.parametrize("times", [0, 1, 5])
def test_up_to_the_limit_is_no_loop(found: Found, module: Module, times: int) -> None:
    assert not found(module(LOOP.replace("20", str(times))).profile)


TRUE = {
    "f-strings with other values": 'for n in range(9): cur.execute(f"SELECT name FROM items WHERE id = {n}")',
    "an f-string of text": "for n in range(9): cur.execute(f\"SELECT name FROM items WHERE name = 'x{n}'\")",
    "callproc": 'for n in range(9): cur.callproc("abs", (n,))',
    "inserts": 'for n in range(9): cur.execute("INSERT INTO items VALUES (%s)", (5000 + n,))',
    "updates": 'for n in range(9): cur.execute("UPDATE items SET name = %s WHERE id = %s", ("y", n))',
    "deletes": 'for n in range(9): cur.execute("DELETE FROM items WHERE id = %s", (n,))',
    "a list comprehension": '[cur.execute("SELECT name FROM items WHERE id = %s", (n,)) for n in range(9)]',
    "a generator": 'list(cur.execute("SELECT name FROM items WHERE id = %s", (n,)) for n in range(9))',
    "a lambda": 'list(map(lambda n: cur.execute("SELECT name FROM items WHERE id = %s", (n,)), range(9)))',
    "while": "n = 0\n    while n < 9: cur.execute('SELECT name FROM items WHERE id = %s', (n,)); n += 1",
    "execute_values of one row each": (
        "for n in range(9): extras.execute_values(cur, 'INSERT INTO items (id) VALUES %s', [(5000 + n,)])"
    ),
    "the kit's own batch of one id each": "for n in range(9): fetch_by_ids(cur.connection, 'items', [n + 1])",
    "executemany of many rows": 'cur.executemany("INSERT INTO items VALUES (%s)", list(zip(range(5000, 5030))))',
    "executemany in a loop": 'for n in range(9): cur.executemany("UPDATE items SET name = %s", [("y",)])',
    "code made at run time": "exec('for n in range(9): cur.execute(\"SELECT name FROM items\")')",
    "a function called by name": 'for n in range(9): getattr(cur, "execute")("SELECT name FROM items")',
    "recursion": """
    def load(n):
        cur.execute("SELECT name FROM items WHERE id = %s", (n,))
        if n < 9: load(n + 1)
    load(1)""",
    "a composed statement": 'for n in range(9): cur.execute(sql.SQL("SELECT {}").format(sql.Literal(n)))',
    "bytes": 'for n in range(9): cur.execute(b"SELECT name FROM items")',
}
FALSE = {
    "transaction control": 'for n in range(9): cur.execute("SAVEPOINT s"); cur.execute("RELEASE SAVEPOINT s")',
    "settings": "for n in range(9): cur.execute(\"SET work_mem = '4MB'\")",
    "settings by function": "for n in range(9): cur.execute(\"SELECT set_config('work_mem', '4MB', true)\")",
    "locks": 'for n in range(9): cur.execute("SELECT pg_advisory_xact_lock(%s)", (n,))',
    "COPY": 'for n in range(9): cur.copy_expert("COPY items TO STDOUT", io.StringIO())',
    "execute_values in pages": (
        "extras.execute_values(cur, 'INSERT INTO items (id) VALUES %s', [(n,) for n in range(5000, 7000)])"
    ),
    "execute_values in pages that hit nothing": (
        "extras.execute_values(cur, 'UPDATE items SET name = v.name FROM (VALUES %s) AS v (id, name) "
        "WHERE items.id = v.id', [(n, 'z') for n in range(5000, 7000)])"
    ),
    "execute_batch in pages": (
        "extras.execute_batch(cur, 'UPDATE items SET name = %s WHERE id = %s', [('y', n) for n in range(2000)])"
    ),
    "execute_batch in pages within a loop": (
        "for k in range(3): extras.execute_batch(cur, 'UPDATE items SET name = %s WHERE id = %s', "
        "[('y', n) for n in range(500)])"
    ),
    "the kit's pages": (
        "insert_many(cur.connection, 'items', [{'id': n} for n in range(5000, 8000)], page_size=100); "
        "fetch_by_ids(cur.connection, 'items', range(1, 2001), chunk=100)"
    ),
    "the kit's pages that find nothing": "fetch_by_ids(cur.connection, 'items', range(9001, 11001), chunk=100)",
    "a walk page by page": """
    last = 0
    while last < 2000:
        cur.execute("SELECT id FROM items WHERE id > %s ORDER BY id LIMIT 200", (last,))
        last = cur.fetchall()[-1][0]""",
    "a few rows by executemany": 'cur.executemany("INSERT INTO items VALUES (%s)", list(zip(range(5000, 5010))))',
    "executemany of an update that changes many": 'cur.executemany("UPDATE items SET name = %s", [("y",)] * 2)',
    "different statements on one line": (
        'for column in ("id", "name", "parent_id") * 2: cur.execute(f"SELECT {column} FROM items")'
    ),
    "a big named cursor": """
    with cur.connection.cursor("big") as named:
        named.itersize = 50
        named.execute("SELECT * FROM items")
        while named.fetchmany(50): pass""",
}  # fmt: skip
HEAD = """
import io
from psycopg2 import extras, sql
from backend import fetch_by_ids, insert_many

def run(cur):
    {}
"""


@pytest.mark.parametrize("code", TRUE.values(), ids=TRUE)
def test_loops_are_reported(found: Found, module: Module, code: str) -> None:
    (report,) = found(module(HEAD.format(code)).run)
    assert report.count in (9, 30)
    assert len(report.lines) == 1
    assert "views.py:" in report.lines[0].site


@pytest.mark.parametrize("code", FALSE.values(), ids=FALSE)
def test_what_is_no_loop_of_queries_is_left_alone(found: Found, module: Module, code: str) -> None:
    assert not found(module(HEAD.format(code)).run)


def test_lines_of_one_function_are_one_report(found: Found, module: Module) -> None:
    views = module(
        """
        def profile(cur):
            for n in range(10):
                cur.execute("SELECT name FROM items WHERE id = %s", (n,))
                cur.execute("SELECT id FROM items WHERE parent_id = %s", (n,))

        def other(cur):
            for n in range(7):
                cur.execute("SELECT name FROM items WHERE id = %s", (n,))

        def both(cur):
            profile(cur)
            other(cur)
        """
    )
    reports = found(views.both)
    assert sorted((report.count, len(report.lines)) for report in reports) == [(7, 1), (20, 2)]


HELPERS = """
def query(cur, sql, args):
    for attempt in range(3):
        try:
            cur.execute(sql, args)
            return
        except KeyError:
            pass
"""
CALLERS = """
from db import query

def profile(cur):
    for n in range(8):
        query(cur, "SELECT name FROM items WHERE id = %s", (n,))

def orders(cur):
    for n in range(9):
        query(cur, "SELECT name FROM items WHERE id = %s", (n,))

def both(cur):
    profile(cur)
    orders(cur)
"""


def test_a_helper_s_report_names_the_line_that_loops(found: Found, module: Module) -> None:
    module(HELPERS, "db")
    (report,) = found(module(CALLERS).profile)
    assert "db.py:5 in query" in report.lines[0].site
    assert "views.py:6 in profile" in report.lines[0].caller
    assert re.search(r"db.py:5 in query, called from \S*views.py:6 in profile: 8 x select", message(report))
    assert [site.rpartition("/")[2] for site in report.stack[:2]] == ["db.py:5 in query", "views.py:6 in profile"]


def test_two_loops_over_one_helper_are_told_apart_where_each_query_is_looked_at(
    found: Found, module: Module
) -> None:
    module(HELPERS, "db")
    views = module(CALLERS)
    reports = found(views.both, log=CloseLog)
    assert sorted(line.count for report in reports for line in report.lines) == [8, 9]
    joined = found(views.both)
    assert [report.count for report in joined] == [17]  # a request's own log looks at the first loop alone


def test_a_comment_where_the_helper_is_called_counts(found: Found, module: Module) -> None:
    module(HELPERS, "db")
    allowed = CALLERS.replace("(n,))\n\ndef orders", "(n,))  # harden: allow-repeats: eight\n\ndef orders")
    views = module(allowed)
    assert not found(views.profile)
    assert found(views.orders)


def _commented(comment: str, above: str = "") -> str:
    return f"""
def run(cur):
    for n in range(9):
        {above or "pass"}
        cur.execute(
            "SELECT name FROM items "
            "WHERE id = %s",
            (n,),  {comment}
        )
"""


TOMORROW, YESTERDAY = date.today() + timedelta(1), date.today() - timedelta(1)


@pytest.mark.parametrize(
    ("comment", "above"),
    [
        ("# harden: allow-repeats: nine at most", ""),
        ("#harden:allow-repeats:nine at most", ""),
        (f"# harden: allow-repeats until {TOMORROW}: nine at most", ""),
        ("# noqa: E501  # harden: allow-repeats: nine at most", ""),
        ("", "# harden: allow-repeats: nine at most"),
        ("", "# harden: allow-repeats: nine at most\n        # and more is said here"),
    ],
)
def test_a_comment_with_a_reason_on_any_line_of_the_statement_counts(
    found: Found, module: Module, comment: str, above: str
) -> None:
    assert not found(module(_commented(comment, above)).run)


@pytest.mark.parametrize(
    ("comment", "said"),
    [
        ("# harden: allow-repeats", "gives no reason"),
        ("# harden: allow-repeats:  ", "gives no reason"),
        ("# harden: allow_repeats: spelt wrong", "gives no reason, as in `# harden: allow-repeats: "),
        (f"# harden: allow-repeats until {YESTERDAY}: nine", f"was valid until {YESTERDAY}"),
        ("# harden: allow-repeats until 2027-02-30: nine", "'2027-02-30' is no date such as"),
        ("# harden: allow-repeats until soon: nine", "'soon' is no date such as"),
    ],
)
def test_a_comment_that_does_not_count_is_named_in_the_report(
    found: Found, module: Module, comment: str, said: str
) -> None:
    (report,) = found(module(_commented(comment)).run)
    assert said in report.advice
    assert re.search(r"the comment at \S*views.py:5 does not count: ", message(report))


@pytest.mark.parametrize(
    "text",
    [
        'NOTE = "# harden: allow-repeats: in a text"; cur.execute("SELECT name FROM items WHERE id = %s", (n,))',
        'pass  # harden: allow-repeats: another statement\n        cur.execute("SELECT name FROM items")',
        'cur.execute("SELECT name FROM items")\n        pass  # harden: allow-repeats: another statement',
    ],
)
def test_a_comment_elsewhere_does_not_count(found: Found, module: Module, text: str) -> None:
    assert found(module(f"\ndef run(cur):\n    for n in range(9):\n        {text}\n").run)


def test_a_file_that_is_gone_allows_nothing_and_is_reported(found: Found, module: Module) -> None:
    views = module(LOOP.replace("(n,))", "(n,))  # harden: allow-repeats: nobody can read this"))
    Path(str(views.__file__)).unlink()
    (report,) = found(views.profile)
    assert report.count == 20


def test_the_same_values_each_time_are_asked_for_once(found: Found, module: Module) -> None:
    (report,) = found(module(LOOP.replace("(n,))", "(7,))")).profile)
    assert "ask once before the loop" in report.advice


def test_values_are_in_no_report(found: Found, module: Module) -> None:
    text = "SELECT name FROM items WHERE name = 'secret{n}' AND id = {7654321 + n}"
    code = f'for n in range(9): cur.execute(f"{text}")'
    (report,) = found(module(HEAD.format(code)).run)
    assert "secret" not in repr(report)
    assert "76543" not in repr(report)


@pytest.fixture(scope="module")
def shop_url(cluster: Cluster) -> str:
    """A seeded copy of the shop's database."""
    cluster.create_role("repeats")
    cluster.create_database("shop_repeats", "repeats")
    create_schema(cluster.dsn("shop_repeats", "repeats"))
    seed(cluster.dsn("shop_repeats", "repeats"), "small", 20)
    return cluster.url("shop_repeats", "repeats")


@pytest.fixture
def reports(shop_url: str, monkeypatch: pytest.MonkeyPatch) -> Iterator[list[Repeats]]:
    """What was reported while the shop's environment is set."""
    monkeypatch.setenv("DATABASE_URL", shop_url)
    monkeypatch.chdir(ROOT)
    found: list[Repeats] = []
    events.listen(Repeats, found.append)
    yield found
    events.unlisten(Repeats, found.append)
    watch.stop()


def test_the_unedited_twin_s_profile_is_reported_with_file_lines_and_count(reports: list[Repeats]) -> None:
    app = harden("scripts/demo/legacy_shop.py:app", settings.load(keywords={"THREADS": 2}))
    client = app.test_client()
    assert client.get("/api/admin/customers/1?include=appointmentDetails").status_code == 200
    (report,) = reports
    source = (ROOT / "scripts" / "demo" / "legacy_shop.py").read_text().splitlines()
    numbers = [int(re.search(r":(\d+) in get_customer$", line.site)[1]) for line in report.lines]  # type: ignore[index]
    assert report.count == 60
    assert [line.count for line in report.lines] == [20, 20, 20]
    assert all(line.site.startswith("scripts/demo/legacy_shop.py:") for line in report.lines)
    assert all("cur.execute(" in source[number - 1] for number in numbers)
    assert len(set(numbers)) == 3
    assert report.route == "/api/admin/customers/<int:customer_id>"
    reports.clear()
    client.get("/api/appointments?limit=20")
    assert [found.count for found in reports] == [20]


def test_the_hardened_shop_s_walk_is_without_a_report(reports: list[Repeats]) -> None:
    from backend.shop import create_app

    client = create_app().test_client()
    seen = 0
    paths = [
        "/api/admin/customers/1?include=appointmentDetails",
        "/api/customers/1/history",
        "/api/appointments?limit=50",
    ]
    for ask in [*(Ask("GET", path) for path in paths * 2), *hostile_requests()]:
        client.open(ask.path, method=ask.method, json=ask.body).get_data()
        seen += 1
    assert seen > 500
    assert not reports
