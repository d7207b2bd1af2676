"""The query cache of a request: the same SELECT once, and never an answer that a write has made old."""

from __future__ import annotations

import contextvars
import io
from collections.abc import Callable, Iterator
from contextlib import closing
from decimal import Decimal
from typing import Any

import flask
import psycopg2
import psycopg2.extras
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from psycopg2.extensions import AsIs, TransactionRollbackError
from psycopg2.sql import SQL, Identifier

from backend import (
    BatchError,
    CachingConnection,
    Hardening,
    cache_queries,
    cached_cursor,
    fetch_by_ids,
    get_db_connection,
    install,
    one,
    query_cache,
    transaction,
    uncached,
)  # fmt: skip
from backend import connection as connections
from backend.database_helper import SharedPool
from backend.query_store import LONGEST
from backend.read_only import effect
from tests.support.threads import Running

FACTORIES = [
    psycopg2.extensions.cursor, psycopg2.extras.RealDictCursor, psycopg2.extras.DictCursor,
    psycopg2.extras.NamedTupleCursor,
]  # fmt: skip
TABLE = """
CREATE TEMP TABLE notes (id serial PRIMARY KEY, text text, tags text[], extra jsonb);
INSERT INTO notes (text, tags, extra)
SELECT 'note ' || n, '{a,b}', '{"x": [1]}' FROM generate_series(1, 5) n"""
WIPE = "CREATE FUNCTION pg_temp.wipe() RETURNS int LANGUAGE sql AS 'DELETE FROM notes; SELECT 1'; SELECT 1"
COUNT = "SELECT count(*) AS n FROM notes"


@pytest.fixture(autouse=True)
def _undressed() -> Iterator[None]:
    yield
    connections.dress = connections.overheard = None


@pytest.fixture
def connect(dsn: str) -> Iterator[Callable[..., Any]]:
    """A function that connects, through `CachingConnection`, and makes a table of its own."""
    made: list[Any] = []

    def make(factory: Any = CachingConnection, table: bool = True, **kwargs: Any) -> Any:
        conn = psycopg2.connect(dsn, connection_factory=factory, **kwargs)
        made.append(conn)
        if table:
            with conn, conn.cursor() as cursor:
                cursor.execute(TABLE)
        return conn

    yield make
    for conn in made:
        conn.close()


def rows(conn: Any, sql: Any, vars: Any = None, **kwargs: Any) -> Any:
    with conn.cursor(**kwargs) as cursor:
        cursor.execute(sql, vars)
        return cursor.fetchall()


def test_the_same_select_with_the_same_values_is_sent_once(connect: Any) -> None:
    conn = connect()
    with query_cache() as cache:
        answers = [rows(conn, "SELECT text FROM notes WHERE id = %s", (n,)) for n in (1, 2, 1, 1)]
        assert answers == [[("note 1",)], [("note 2",)], [("note 1",)], [("note 1",)]]
        assert (cache.hits, cache.misses, len(cache)) == (2, 2, 2)
        assert rows(conn, SQL("SELECT text FROM {} WHERE id = %(id)s").format(Identifier("notes")), {"id": 1})
        assert rows(conn, b"SELECT text FROM notes WHERE id = 2")
        assert cache.hits == 3  # bytes with the values written in are the same statement
    assert len(cache) == 0


def test_outside_of_a_block_nothing_is_kept(connect: Any) -> None:
    conn = connect()
    with query_cache() as cache:
        rows(conn, COUNT)
    rows(conn, COUNT)
    with query_cache() as again:
        rows(conn, COUNT)
    assert (cache.hits, cache.misses, again.hits, again.misses) == (0, 1, 0, 1)


def _seen(cursor: Any, size: int) -> list[Any]:
    """Return all that an app can see of a result, read in every way that a cursor has."""
    sql = "SELECT id, text, tags, extra FROM notes ORDER BY id"
    said: list[Any] = []
    cursor.execute(sql)
    said += [cursor.rowcount, cursor.rownumber, cursor.fetchone(), cursor.rownumber, cursor.fetchmany(size)]
    said += [cursor.fetchall(), cursor.fetchone(), cursor.fetchmany(2), cursor.fetchall(), cursor.rownumber]
    cursor.execute(sql)
    said += [list(cursor), list(cursor), [column.name for column in cursor.description], cursor.statusmessage]
    cursor.execute(sql)
    has_own_rows = isinstance(cursor, (psycopg2.extras.DictCursorBase, psycopg2.extras.NamedTupleCursor))
    said.append(cursor.fetchone() if has_own_rows else next(cursor))  # psycopg2 has no next() for these
    cursor.scroll(2)
    said += [cursor.fetchone(), cursor.query]
    cursor.scroll(0, "absolute")
    said.append(cursor.fetchmany())
    for bad in ((9, "absolute"), (-9,), (1, "sideways")):
        with pytest.raises(psycopg2.ProgrammingError):
            cursor.scroll(*bad)
    cursor.arraysize = 2
    said += [cursor.fetchmany(), [type(row).__name__ for row in cursor.fetchall()]]
    cursor.execute("SELECT id FROM notes WHERE false")
    said += [cursor.rowcount, cursor.fetchone(), cursor.fetchall(), cursor.fetchmany(5), list(cursor)]
    return said


@pytest.mark.parametrize("factory", FACTORIES)
def test_a_cursor_behaves_the_same_with_kept_answers_fresh_ones_and_without(connect: Any, factory: Any) -> None:
    conn = connect()
    conn.autocommit = True
    with psycopg2.extensions.connection.cursor(conn, cursor_factory=factory) as plain:
        expected = _seen(plain, 2)
    with query_cache() as cache:
        for _ in range(2):
            with conn.cursor(cursor_factory=factory) as cursor:
                assert _seen(cursor, 2) == expected
                assert isinstance(cursor, factory)
        assert (cache.misses, cache.hits, cache.writes) == (2, 6, 0)


@pytest.mark.parametrize("factory", FACTORIES)
def test_a_row_that_is_changed_changes_nobody_else_s(connect: Any, factory: Any) -> None:
    conn = connect(cursor_factory=factory)
    sql = "SELECT tags, extra, text FROM notes WHERE id = 1"
    with query_cache() as cache:
        for _ in range(3):
            (row,) = rows(conn, sql)
            tags, extra = (row["tags"], row["extra"]) if hasattr(row, "keys") else (row[0], row[1])
            assert (tags, extra) == (["a", "b"], {"x": [1]})
            tags.append("changed")
            extra["x"].append("changed")
            if hasattr(row, "keys"):
                row["text"] = "changed"
        assert cache.hits == 2


WRITES = [
    "INSERT INTO notes (text) VALUES ('x')",
    "UPDATE notes SET text = 'x' WHERE id = 99",
    "WITH gone AS (DELETE FROM notes WHERE id = 5 RETURNING id) SELECT * FROM gone",
    "SELECT * FROM notes FOR UPDATE",
    "select id from notes where id = 1 for no key update",
    "SELECT setval('notes_id_seq', 50)",
    "SELECT * INTO TEMP other FROM notes",
    "SELECT 1; DELETE FROM notes",
    "SET LOCAL search_path = pg_temp",
    "TRUNCATE notes",
    "/* SELECT */ DELETE FROM notes",
    "EXPLAIN ANALYZE DELETE FROM notes",
    "DO $$ BEGIN DELETE FROM notes; END $$",
    "SELECT pg_temp.wipe()",
    "SELECT pg_temp.\"wipe\" ()",
    "SELECT * FROM pg_advisory_xact_lock(5)",
]  # fmt: skip


@pytest.mark.parametrize("write", WRITES)
@pytest.mark.parametrize("autocommit", [True, False])
def test_every_write_makes_the_cache_forget(connect: Any, write: str, autocommit: bool) -> None:
    conn = connect()
    rows(conn, WIPE)
    conn.commit()
    conn.autocommit = autocommit
    with query_cache() as cache:
        rows(conn, "SELECT * FROM notes ORDER BY id")
        with conn.cursor() as cursor:
            cursor.execute(write)
        assert (cache.writes, len(cache)) == (1, 0)
        now = rows(conn, "SELECT * FROM notes ORDER BY id")
        with psycopg2.extensions.connection.cursor(conn) as plain:
            plain.execute("SELECT * FROM notes ORDER BY id")
            assert now == plain.fetchall()
        assert cache.hits == 0


def test_calls_and_copies_are_writes_too(connect: Any) -> None:
    conn = connect()
    insert = "INSERT INTO notes (text) VALUES (%s)"
    doings: list[Callable[[Any], Any]] = [
        lambda cursor: cursor.executemany(insert, [("x",), ("y",)]),
        lambda cursor: cursor.callproc("length", ("abc",)),
        lambda cursor: cursor.copy_expert("COPY notes (text) FROM STDIN", io.StringIO("z\n")),
        lambda cursor: cursor.copy_from(io.StringIO("z\n"), "notes", columns=("text",)),
        lambda cursor: cursor.copy_to(io.StringIO(), "notes"),
        lambda cursor: psycopg2.extras.execute_values(cursor, "INSERT INTO notes (text) VALUES %s", [("v",)]),
        lambda cursor: cursor.execute("SELECT %s", (AsIs("setval('notes_id_seq', 90)"),)),
    ]
    conn.autocommit = True
    with query_cache() as cache:
        for doing in doings:
            rows(conn, COUNT)
            assert len(cache) == 1
            with conn.cursor() as cursor:
                doing(cursor)
            assert len(cache) == 0, doing
        assert rows(conn, COUNT) == [(10,)]
        assert (cache.hits, cache.writes) == (0, len(doings))


def test_what_is_read_after_a_write_is_not_kept_until_its_transaction_has_ended(connect: Any) -> None:
    """A rollback would undo what was read; psycopg2's own `rollback` tells nobody."""
    conn = connect()
    with query_cache() as cache:
        rows(conn, "INSERT INTO notes (text) VALUES ('x') RETURNING id")
        assert [rows(conn, COUNT) for _ in range(2)] == [[(6,)]] * 2
        conn.rollback()
        assert [rows(conn, COUNT) for _ in range(2)] == [[(5,)]] * 2
        assert (cache.hits, cache.misses) == (1, 1)
        with conn.cursor() as cursor:
            cursor.execute("SAVEPOINT a")
            assert cache.writes == 1
            cursor.execute("DELETE FROM notes")
            cursor.execute(COUNT)
            cursor.execute("ROLLBACK TO SAVEPOINT a")
        assert rows(conn, COUNT) == [(5,)]
        conn.commit()


def test_answers_outlive_a_commit_that_wrote_nothing(connect: Any) -> None:
    """Helpers with `with conn:` around each SELECT are what the cache is for."""
    conn = connect()
    with query_cache() as cache:
        for _ in range(3):
            with conn:
                rows(conn, COUNT)
        assert (cache.hits, cache.misses) == (2, 1)


def test_a_write_of_one_connection_is_a_write_for_all_of_the_request(dsn: str, connect: Any) -> None:
    one_, other = connect(), connect(table=False)
    with closing(psycopg2.connect(dsn)) as third, query_cache() as cache:
        rows(one_, COUNT)
        with other.cursor() as cursor:
            cursor.execute("CREATE TEMP TABLE x ()")
        assert len(cache) == 0
        rows(one_, COUNT)  # the other's transaction is open: its commit may change this
        assert len(cache) == 0
        other.commit()
        rows(one_, COUNT)
        assert len(cache) == 1
        assert third.closed == 0


def test_connections_cursor_classes_and_types_do_not_share_answers(connect: Any) -> None:
    first, second = connect(), connect()
    with query_cache() as cache:
        for conn in (first, second):
            for factory in FACTORIES:
                rows(conn, "SELECT 1.5 AS n", cursor_factory=factory)
        assert (cache.hits, cache.misses) == (0, 8)
        with first.cursor() as cursor:
            as_float = psycopg2.extensions.new_type((1700,), "F", lambda value, _: float(value))
            psycopg2.extensions.register_type(as_float, cursor)
            cursor.execute("SELECT 1.5 AS n")
            assert type(cursor.fetchone()[0]) is float
        assert type(rows(first, "SELECT 1.5 AS n")[0][0]) is Decimal
        document = one("SELECT count(*) AS n FROM notes")
        assert document.json(first) == document.json(first) == b'{"n":5}'
        assert cache.hits == 2


@pytest.mark.parametrize("sql", [
    "SELECT now()", "SELECT random()", "SELECT clock_timestamp()", "SELECT CURRENT_TIMESTAMP",
    "SELECT 'now'::timestamptz", "SELECT * FROM notes TABLESAMPLE BERNOULLI (50)", "SELECT gen_random_uuid()",
    "SELECT date_trunc('day', now())",
])  # fmt: skip
def test_what_differs_each_time_is_asked_each_time_and_forgets_nothing(connect: Any, sql: str) -> None:
    conn = connect()
    with query_cache() as cache:
        rows(conn, COUNT)
        for _ in range(2):
            rows(conn, sql)
        assert (cache.hits, cache.misses, cache.writes, len(cache)) == (0, 1, 0, 1)
        rows(conn, "SELECT %s::text", ("now",))  # as a value, too
        assert len(cache) == 1


def test_uncached_asks_anew_and_its_writes_are_noticed(connect: Any) -> None:
    conn = connect()
    conn.autocommit = True
    with query_cache() as cache:
        rows(conn, COUNT)
        with uncached():
            rows(conn, COUNT)
            assert (cache.hits, cache.misses) == (0, 1)
            with query_cache() as inner:
                rows(conn, COUNT)
                assert inner is cache and cache.hits == 1
            rows(conn, "INSERT INTO notes (text) VALUES ('x') RETURNING id")
        assert rows(conn, COUNT) == [(6,)]


def test_the_cache_has_bounds(connect: Any) -> None:
    conn = connect()
    with query_cache(2, most_rows=3) as cache:
        for n in (1, 2, 1, 3, 1, 2):
            rows(conn, "SELECT %s", (n,))
        assert (cache.hits, cache.misses, len(cache)) == (2, 4, 2)
        for _ in range(2):
            assert len(rows(conn, "SELECT id FROM notes")) == 5
        rows(conn, "SELECT length(%s)", ("x" * LONGEST,))
        assert cache.misses == 4


@pytest.mark.parametrize(("arguments", "said"), [
    ({"size": 0}, "size=0"), ({"most_rows": True}, "most_rows=True"),
    ({"functions": "f"}, "functions must be a list"), ({"functions": [1]}, "functions must be a list"),
])  # fmt: skip
def test_a_cache_that_cannot_be_is_refused(arguments: dict[str, Any], said: str) -> None:
    with pytest.raises(BatchError, match=said), query_cache(**arguments):
        pass
    with pytest.raises(BatchError, match=said):
        cache_queries(flask.Flask("x"), **arguments)


def test_functions_of_the_app_s_own_are_writes_until_it_says_that_they_only_read(connect: Any) -> None:
    conn = connect()
    rows(conn, "CREATE FUNCTION pg_temp.twice(n int) RETURNS int LANGUAGE sql STABLE AS 'SELECT n * 2'; SELECT 1")
    conn.commit()
    with query_cache(functions=["PG_TEMP.twice"]) as cache:
        assert [rows(conn, "SELECT pg_temp.twice(2)") for _ in range(2)] == [[(4,)]] * 2
        assert (cache.hits, cache.writes) == (1, 0)


def test_named_cursors_are_never_answered_from_the_cache(connect: Any) -> None:
    conn = connect()
    with query_cache() as cache:
        for _ in range(2):
            for kwargs in ({"name": "x"}, {"name": "y", "cursor_factory": psycopg2.extras.RealDictCursor}):
                with conn.cursor(**kwargs) as cursor:
                    cursor.execute("SELECT id FROM notes ORDER BY id")
                    cursor.fetchone()
                    assert len(list(cursor)) == 4
        assert (cache.hits, cache.misses, cache.writes) == (0, 0, 0)


def test_a_failed_transaction_and_closed_things_fail_as_ever(connect: Any) -> None:
    conn = connect()
    with query_cache():
        rows(conn, COUNT)
        with pytest.raises(psycopg2.errors.UndefinedColumn):
            rows(conn, "SELECT nothing FROM notes")
        with pytest.raises(psycopg2.errors.InFailedSqlTransaction):
            rows(conn, COUNT)
        conn.rollback()
        cursor = conn.cursor()
        cursor.execute(COUNT)
        with pytest.raises((TypeError, IndexError)):
            cursor.execute("SELECT %s, %s", (1,))
        with pytest.raises(psycopg2.ProgrammingError, match="no results to fetch"):
            cursor.fetchone()
        cursor.execute(COUNT)
        cursor.close()
        for use in (cursor.fetchone, cursor.fetchall, lambda: cursor.execute(COUNT), lambda: next(cursor)):
            with pytest.raises(psycopg2.InterfaceError, match="cursor already closed"):
                use()
        cursor = conn.cursor()
        cursor.execute(COUNT)
        conn.close()
        with pytest.raises(psycopg2.InterfaceError):
            cursor.fetchall()
        with pytest.raises(psycopg2.InterfaceError):
            rows(conn, COUNT)


@pytest.mark.parametrize("level", ["REPEATABLE READ", "SERIALIZABLE"])
def test_a_transaction_with_a_snapshot_of_its_own_asks_for_itself(connect: Any, level: str) -> None:
    conn = connect()
    with query_cache() as cache:
        rows(conn, COUNT)
        conn.rollback()
        conn.isolation_level = level
        rows(conn, COUNT)
        conn.rollback()
        conn.isolation_level = None
        rows(conn, f"BEGIN ISOLATION LEVEL {level}; SELECT 1")
        rows(conn, COUNT)
        assert cache.hits == 0
    assert issubclass(TransactionRollbackError, psycopg2.Error)


class Shouting(psycopg2.extras.RealDictCursor):
    """An app's cursor that makes rows of its own."""

    def fetchone(self) -> Any:
        row = super().fetchone()
        return row and {key.upper(): value for key, value in row.items()}


class Noting(psycopg2.extensions.cursor):
    """An app's cursor that looks at statements."""

    caches_queries = True
    sent: list[Any] = []

    def execute(self, query: Any, vars: Any = None) -> None:
        self.sent.append(query)
        super().execute(query, vars)


@pytest.mark.parametrize("factory", FACTORIES)
def test_a_fetchmany_below_zero_is_all_that_is_left_as_in_psycopg2(connect: Any, factory: Any) -> None:
    conn = connect()
    with query_cache() as cache, conn.cursor(cursor_factory=factory) as cursor:
        for _ in range(2):
            cursor.execute("SELECT id FROM notes ORDER BY id")
            cursor.fetchone()
            assert len(cursor.fetchmany(0)) == 0 and len(cursor.fetchmany(-1)) == 4 and cursor.fetchone() is None
        assert cache.hits == 1


def test_what_a_connection_does_without_a_cursor_is_forgotten_for_as_well(connect: Any, make_pool: Any) -> None:
    pooled = make_pool(1, 1).getconn()
    for conn in (connect(), pooled):
        conn.autocommit = True
        path = "SELECT count(*) FROM pg_settings WHERE name = 'search_path' AND setting = 'pg_temp'"
        with query_cache():
            rows(conn, "SET search_path = pg_temp; SELECT 1")
            assert rows(conn, path) == [(1,)]
            conn.reset()
            assert rows(conn, path) == [(0,)]


def test_the_second_half_of_a_two_phase_commit_is_a_write(own: Any, connect: Any) -> None:
    with (
        closing(psycopg2.connect(own.dsn("app", "app"), connection_factory=CachingConnection)) as writer,
        closing(psycopg2.connect(own.dsn("app", "app"), connection_factory=CachingConnection)) as reader,
    ):
        rows(writer, "CREATE TABLE two_phase (n int); SELECT 1")
        writer.commit()
        reader.autocommit = True
        with query_cache():
            writer.tpc_begin(writer.xid(1, "cache", "half"))
            rows(writer, "INSERT INTO two_phase VALUES (1) RETURNING n")
            writer.tpc_prepare()
            assert rows(reader, "SELECT n FROM two_phase") == []
            writer.tpc_commit()
            assert rows(reader, "SELECT n FROM two_phase") == [(1,)]
        rows(writer, "DROP TABLE two_phase; SELECT 1")
        writer.commit()


def test_an_app_s_own_cursor_class_keeps_its_say(connect: Any) -> None:
    conn = connect()
    Noting.sent = []
    with query_cache() as cache:
        for _ in range(2):
            with conn.cursor(cursor_factory=Shouting) as cursor:
                cursor.execute(COUNT)
                assert cursor.fetchone() == {"N": 5}
        assert cache.misses == 0
        for _ in range(2):
            rows(conn, COUNT, cursor_factory=Noting)
        assert Noting.sent == [COUNT] and cache.hits == 1
        rewriting = type("Rewriting", (Noting,), {"caches_queries": False})  # as if it added the tenant's id
        for _ in range(2):
            rows(conn, COUNT, cursor_factory=rewriting)
        assert Noting.sent == [COUNT] * 3 and cache.hits == 1


def test_a_value_that_python_cannot_hold_fails_where_it_is_fetched(connect: Any) -> None:
    conn = connect()
    with query_cache() as cache, conn.cursor() as cursor:
        cursor.execute("SELECT '2000-01-01'::date + n * 10000000 FROM generate_series(0, 1) n")
        assert cursor.fetchone()[0].year == 2000
        with pytest.raises((ValueError, psycopg2.Error)):
            cursor.fetchone()
        assert cache.misses == 0


def test_a_plain_connection_takes_a_caching_cursor_class(connect: Any) -> None:
    conn = connect(psycopg2.extensions.connection, cursor_factory=cached_cursor(psycopg2.extras.RealDictCursor))
    assert cached_cursor(cached_cursor()) is cached_cursor()
    with query_cache() as cache:
        assert rows(conn, COUNT) == rows(conn, COUNT) == [{"n": 5}]
        assert cache.hits == 1
    class Both(CachingConnection, psycopg2.extras.DictConnection):
        """As an app with a connection class of its own would."""
    both = connect(Both)
    with query_cache() as cache:
        assert rows(both, COUNT)[0]["n"] == rows(both, COUNT)[0]["n"] == 5
        assert cache.hits == 1


@pytest.mark.parametrize("factory", [None, psycopg2.extras.RealDictCursor])
@pytest.mark.parametrize("reset", ["rollback", "watch", "pgbouncer"])
def test_pooled_connections_use_the_cache_without_being_told(make_pool: Any, factory: Any, reset: str) -> None:
    pool = make_pool(1, 1, reset=reset)
    sql = "SELECT count(*) AS n FROM generate_series(1, 3)"
    with query_cache() as cache, pool.connection() as conn:
        more = {"cursor_factory": factory} if factory else {}
        assert rows(conn, sql, **more) == rows(conn, sql, **more)
        assert fetch_by_ids(conn, "SELECT n AS id FROM unnest(%(ids)s) n WHERE n = ANY(%(ids)s)", [2]) == [(2,)]
        assert (cache.hits, cache.misses) == (1, 2)
        kept = conn.cursor()
        kept.execute(sql)
    with pytest.raises(psycopg2.InterfaceError):
        kept.fetchone()
    with query_cache() as cache:
        for _ in range(2):
            with pool.connection() as conn:
                rows(conn, sql)
        assert cache.hits == 0  # of psycopg2's kind of pool, each lease is for itself


@pytest.mark.parametrize("change", ["SET search_path = pg_catalog", "SELECT set_config('a.b', 'c', false)"])
def test_leases_share_no_answers_once_a_session_was_changed(make_pool: Any, change: str) -> None:
    pool = make_pool(2, 2, kind=SharedPool)
    sql = "SELECT current_setting('search_path') || count(*) FROM generate_series(1, 3)"
    plain = "SELECT count(*) FROM generate_series(1, 3)"
    with query_cache() as cache, pool.connection() as one_, pool.connection() as other:
        one_.autocommit = other.autocommit = True
        for _ in range(2):
            assert rows(one_, plain) == rows(other, plain)
        assert cache.hits == 3
        with one_.cursor() as cursor:
            cursor.execute(change)
        assert rows(one_, plain) == rows(other, plain)
        assert (cache.hits, cache.misses) == (3, 3)
        assert (rows(one_, sql) != rows(other, sql)) is change.startswith("SET")
        with one_.cursor() as cursor:
            cursor.execute("RESET ALL")


def test_a_lease_with_a_cursor_from_before_the_cache_is_not_trusted(make_pool: Any) -> None:
    """That cursor could write unseen."""
    pool = make_pool(1, 1)
    with pool.connection() as conn, conn.cursor() as old:
        old.execute("CREATE TEMP TABLE t (n int) ON COMMIT DROP")
        with query_cache() as cache:
            for n in range(3):
                old.execute("INSERT INTO t VALUES (1)")
                assert rows(conn, "SELECT count(*) FROM t") == [(n + 1,)]
            assert (cache.hits, cache.misses) == (0, 0)


def test_threads_do_not_read_each_other_s_answers_but_their_writes_count(connect: Any) -> None:
    conn = connect()
    conn.autocommit = True
    with query_cache() as cache:
        rows(conn, COUNT)
        context = contextvars.copy_context()
        assert Running(context.run, rows, conn, COUNT).result() == [(5,)]
        assert cache.hits == 0
        Running(context.run, rows, conn, "INSERT INTO notes (text) VALUES ('x') RETURNING id").result()
        assert rows(conn, COUNT) == [(6,)]
        assert Running(rows, conn, COUNT).result() == [(6,)]  # knows nothing of the cache
        assert cache.hits == 0


@pytest.fixture
def app(url: str) -> Any:
    """An app whose helpers ask the same again and again."""
    made = flask.Flask("asks")
    Hardening(made, DATABASE_URL=url)

    def ask() -> Any:
        with get_db_connection() as conn:
            return rows(conn, "SELECT count(*), 'x' AS x FROM generate_series(1, 4)")

    @made.get("/")
    def answer() -> Any:
        ask()
        with query_cache() as cache:  # joins the request's, when there is one
            ask()
            ask()
            with transaction() as conn:
                rows(conn, "SELECT 1")
            return [cache.hits, cache.misses, cache.writes]

    return made


def test_every_request_of_an_app_has_a_cache_of_its_own(app: Any) -> None:
    cache_queries(app)
    client = app.test_client()
    assert [client.get("/").json for _ in range(2)] == [[2, 2, 0]] * 2


def test_a_request_without_the_opt_in_has_none(app: Any) -> None:
    client = app.test_client()
    assert [client.get("/").json for _ in range(2)] == [[1, 2, 0]] * 2  # of the view's own block
    with app.app_context(), get_db_connection() as conn:
        assert rows(conn, COUNT.replace("notes", "pg_class")) and rows(conn, "SELECT 1")


def test_a_replaced_connect_leases_cached_connections(url: str) -> None:
    install()
    with closing(psycopg2.connect(url)) as conn, query_cache() as cache:
        rows(conn, "SELECT 1")
        rows(conn, "SELECT 1")
        assert cache.hits == 1


@pytest.mark.parametrize(("sql", "does"), [
    ("SELECT 1", "read"), ("  ( select 1 )", "read"), ("-- why\nSELECT 1 ;", "read"),
    ("/* a /* b */ */ SELECT 1", "read"),
    ("SELECT 'INSERT INTO x; FOR UPDATE', \"delete\" FROM t", "read"), ("SELECT $$ f() $$, E'\\' f()'", "read"),
    ("SELECT count(*) FILTER (WHERE a IN (1)), x::numeric(10,2), CAST(y AS char(5)) FROM t AS u (a, b)", "read"),
    ("WITH p AS (SELECT 1) SELECT coalesce((SELECT max(n) FROM p), 0) WHERE EXISTS (SELECT 1)", "read"),
    ("SELECT row_to_json(r) FROM (SELECT a.id, ARRAY(SELECT r FROM (SELECT 1) r) AS kids FROM a) r", "read"),
    ("SELECT pg_catalog.lower('A')", "read"), ("SELECT my.lower('A')", "write"), ("SELECT mine(1)", "write"),
    ("SELECT \"Mine\"(1)", "write"), ("SELECT nextval('s')", "write"), ("SELECT lo_unlink(1)", "write"),
    ("SELECT * FROM t FOR SHARE", "write"), ("SELECT now() + mine(1)", "write"), ("SELECT now()", "moment"),
    ("BEGIN", "control"), ("COMMIT;", "control"), ("SAVEPOINT a", "control"), ("RELEASE SAVEPOINT a", "control"),
    ("SHOW timezone", "control"), ("BEGIN ISOLATION LEVEL SERIALIZABLE", "write"), ("ROLLBACK", "write"),
    ("COMMIT AND CHAIN", "write"), ("LOCK t", "write"), ("CALL p()", "write"), ("TABLE t", "write"), ("", "write"),
    ("SELECT 'unfinished", "read"), ("SELECT 1 /* ; */ ; SELECT 2", "write"), ("SET x = 1", "write"),
    ("FETCH 5 FROM c", "write"), ("EXECUTE plan", "write"), ("DECLARE c CURSOR FOR SELECT 1", "write"),
])  # fmt: skip
def test_what_a_statement_does_is_told_from_its_text(sql: str, does: str) -> None:
    assert effect(sql) == does
    assert effect(sql + " " * 5000) == does


def test_a_long_statement_is_read_in_linear_time() -> None:
    for piece in ("(", "'", "a.", "\"", "as ", "/*", "f (", "$a$", "E'\\"):
        assert effect("SELECT " + piece * 50_000) in ("read", "write")


STEPS = st.lists(st.sampled_from([
    "read", "other", "insert", "delete", "commit", "rollback", "savepoint", "back", "lock", "uncached",
    "autocommit",
]), max_size=25)  # fmt: skip


@settings(max_examples=60, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(steps=STEPS)
def test_any_order_of_reads_and_writes_gives_what_the_server_has(connect: Any, steps: list[str]) -> None:
    """Alone on its tables, a request must see no difference."""
    conn = connect()
    try:
        with query_cache() as cache:
            for step in steps:
                _take(conn, step)
                for sql in (COUNT, "SELECT id FROM notes ORDER BY id"):
                    with psycopg2.extensions.connection.cursor(conn) as plain:
                        plain.execute(sql)
                        expected = plain.fetchall()
                    assert rows(conn, sql) == expected, (step, cache.hits)
    finally:
        conn.close()


def _take(conn: Any, step: str) -> None:
    statements = {
        "read": COUNT, "other": "SELECT 1", "insert": "INSERT INTO notes (text) VALUES ('x')",
        "delete": "DELETE FROM notes WHERE id = (SELECT min(id) FROM notes)",
        "lock": "SELECT 1 FROM notes FOR UPDATE",
    }  # fmt: skip
    if step in statements:
        with conn.cursor() as cursor:
            cursor.execute(statements[step])
    elif step in ("commit", "rollback"):
        getattr(conn, step)()
    elif step == "autocommit":
        conn.commit()
        conn.autocommit = not conn.autocommit
    elif step == "uncached":
        with uncached():
            rows(conn, COUNT)
    elif not conn.autocommit:
        with conn.cursor() as cursor:
            cursor.execute("SAVEPOINT s")
            if step == "back":
                cursor.execute("DELETE FROM notes")
                cursor.execute("ROLLBACK TO SAVEPOINT s")


def test_it_works_through_pgbouncer_in_transaction_mode(bouncer: Any, database: str, make_pool: Any) -> None:
    pool = make_pool(1, 2, connect={"dsn": bouncer.url(database, "app")}, reset="pgbouncer", kind=SharedPool)
    with query_cache() as cache:
        for _ in range(3):
            with pool.connection() as conn:
                assert rows(conn, "SELECT count(*) FROM generate_series(1, 3)") == [(3,)]
        assert (cache.hits, cache.misses) == (2, 1)


def test_documents_of_nested_queries_are_never_older_than_the_last_write(make_pool: Any) -> None:
    """Nor counted as a write, as they would be if they were sent by the name of a kept plan."""
    pool = make_pool(1, 1)
    node = one("SELECT count(*) AS n FROM pg_temp.visits")
    with query_cache() as cache, pool.connection() as conn:
        conn.autocommit = True
        with conn.cursor() as cursor:
            cursor.execute("CREATE TEMP TABLE visits ()")
            for visits in range(1, 5):
                cursor.execute("INSERT INTO visits DEFAULT VALUES")
                assert [node.fetch(conn)["n"] for _ in range(3)] == [visits] * 3
            cursor.execute("DISCARD TEMP")
        assert (cache.writes, cache.hits) == (6, 8)
