"""`psycopg2.connect`, replaced: existing code cannot tell, and nothing it does crosses over to the next user."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable, Iterator
from contextlib import closing
from typing import Any

import psycopg2
import psycopg2.extras
import psycopg2.pool
import pytest
from flask import Flask, Response, g, stream_with_context
from psycopg2 import connect as imported_before
from psycopg2.extensions import connection, parse_dsn

from backend import PoolOptions, PoolTimeout, SettingsError, ThreadedConnectionPool, dropin, install, uninstall
from backend.connection import Returning
from backend.dropin import MOST_POOLS, installed
from backend.extension import harden_app
from backend.settings import load
from tests.support.threads import together

Pools = Callable[[], list[dict[str, Any]]]


@pytest.fixture
def pools() -> Pools:
    """The figures of the drop-in's pools."""
    return lambda: dropin.installed().stats()  # type: ignore[union-attr]


@pytest.fixture(autouse=True)
def _installed() -> Iterator[None]:
    install(1, 4)
    yield
    uninstall()


def backend_of(conn: Any) -> int:
    with conn.cursor() as cursor:
        cursor.execute("SELECT pg_backend_pid()")
        return int(cursor.fetchone()[0])


def test_public_function_is_the_very_same_before_and_after() -> None:
    before = psycopg2.connect
    uninstall()
    assert psycopg2.connect is before is imported_before
    install()
    assert psycopg2.connect is before


def test_close_gives_back_and_the_next_connect_gets_the_same_backend(dsn: str) -> None:
    first = psycopg2.connect(dsn)
    backend = backend_of(first)
    first.close()
    assert first.closed
    with closing(imported_before(dsn)) as second:
        assert isinstance(second, connection)
        assert backend_of(second) == backend


def test_with_block_commits_and_does_not_close(dsn: str) -> None:
    with closing(psycopg2.connect(dsn)) as conn:
        with conn, conn.cursor() as cursor:
            cursor.execute("SELECT 1")
        assert not conn.closed
        assert conn.info.transaction_status == psycopg2.extensions.TRANSACTION_STATUS_IDLE


def test_distinct_parameters_have_distinct_pools(cluster: Any, dsn: str, pools: Pools) -> None:
    psycopg2.connect(dsn).close()
    psycopg2.connect(dsn, application_name="other").close()
    psycopg2.connect(dsn, connection_factory=psycopg2.extras.RealDictConnection).close()
    assert len(pools()) == 3


def test_cursor_factory_is_this_call_s_alone(dsn: str) -> None:
    by_name = psycopg2.extras.RealDictCursor
    with closing(psycopg2.connect(dsn, cursor_factory=by_name)) as conn, conn.cursor() as cur:
        cur.execute("SELECT 1 AS x")
        assert cur.fetchone() == {"x": 1}
    with closing(psycopg2.connect(dsn)) as conn, conn.cursor() as cur:
        cur.execute("SELECT 1 AS x")
        assert cur.fetchone() == (1,)


class Own(connection):
    """A connection class of the app's own; it may keep state."""


def test_what_cannot_be_pooled_passes_through_untouched(dsn: str, pools: Pools) -> None:
    asynchronous = psycopg2.connect(dsn, async_=True)
    psycopg2.extras.wait_select(asynchronous)
    own = psycopg2.connect(dsn, connection_factory=Own)
    made = psycopg2.connect(dsn, connection_factory=lambda *args, **kwargs: Own(*args, **kwargs))
    try:
        assert (type(own), type(made), type(asynchronous)) == (Own, Own, connection)
        assert pools() == []
    finally:
        for conn in (own, made, asynchronous):
            conn.close()


def test_callers_that_pool_themselves_pass_through(dsn: str, pools: Pools) -> None:
    module: dict[str, Any] = {"__name__": "sqlalchemy.engine.default", "psycopg2": psycopg2, "dsn": dsn}
    exec("conn = psycopg2.connect(dsn)", module)
    assert type(module["conn"]) is connection
    module["conn"].close()
    assert pools() == []


def test_wrong_parameters_fail_as_they_do_without_us(dsn: str) -> None:
    messages = []
    for again in (True, False):
        with pytest.raises(psycopg2.ProgrammingError) as caught:
            psycopg2.connect("postgresql://[", connect_timeout=2)
        with pytest.raises(psycopg2.OperationalError) as refused:
            psycopg2.connect(dsn, dbname="no such database")
        messages.append((str(caught.value), str(refused.value)))
        if again:
            uninstall()
    assert messages[0] == messages[1]


def test_redirect_changes_where_and_keeps_the_rest(dsn: str) -> None:
    uninstall()
    install(redirect=dsn)
    elsewhere = "host=nowhere.invalid dbname=x user=y password=z application_name=mine"
    with closing(psycopg2.connect(elsewhere)) as conn:
        parameters = conn.get_dsn_parameters()
    assert parameters["application_name"] == "mine"
    assert parameters["dbname"] == parse_dsn(dsn)["dbname"]


def test_install_twice_is_once_and_other_arguments_are_refused() -> None:
    install()
    install(1, 4)
    with pytest.raises(SettingsError, match="uninstall"):
        install(2, 8)
    uninstall()
    uninstall()
    with pytest.raises(SettingsError, match="minconn <= maxconn"):
        install(5, 2)
    assert dropin.installed() is None


def test_a_thread_that_needs_two_connections_does_not_wait_for_itself(dsn: str, pools: Pools) -> None:
    uninstall()
    install(1, 1, PoolOptions(timeout=5, reset="reset", nested_overflow=1))
    outer, inner = psycopg2.connect(dsn), psycopg2.connect(dsn)
    assert backend_of(outer) != backend_of(inner)
    inner.close()
    outer.close()
    assert (pools()[0]["size"], pools()[0]["nested"]) == (1, 1)


def test_number_of_pools_is_bounded(dsn: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(dropin, "MOST_POOLS", 3)
    for number in range(8):
        psycopg2.connect(dsn, application_name=f"app{number}").close()
    assert len(dropin.installed().pools) == 3  # type: ignore[union-attr]


def test_what_one_user_set_does_not_reach_the_next(dsn: str) -> None:
    conn = psycopg2.connect(dsn)
    conn.autocommit = True
    with conn.cursor() as cursor:
        cursor.execute("CREATE TEMP TABLE left_over (x int)")
        cursor.execute("SET search_path TO nowhere")
        cursor.execute("SELECT pg_advisory_lock(7)")
    conn.set_session(readonly=True)
    conn.close()
    with closing(psycopg2.connect(dsn)) as fresh, fresh.cursor() as cursor:
        cursor.execute(
            "SELECT current_setting('search_path'), to_regclass('left_over'),"
            " current_setting('transaction_read_only'),"
            " (SELECT count(*) FROM pg_locks WHERE locktype = 'advisory' AND pid = pg_backend_pid())"
        )
        assert cursor.fetchone() == ('"$user", public', None, "off", 0)
        assert not fresh.autocommit


def served(view: Callable[[], Any], **hooks: Any) -> Any:
    app = Flask(__name__)
    app.add_url_rule("/", "view", view)
    for name, hook in hooks.items():
        getattr(app, name)(hook)
    harden_app(app, load(environ={}))
    return app.test_client()


def test_what_a_request_never_closes_goes_back_when_it_ends(dsn: str, pools: Pools) -> None:
    def view() -> str:
        g.db = psycopg2.connect(dsn)
        return str(backend_of(g.db))

    client = served(view)
    answers = {client.get("/").text for _ in range(5)}
    assert len(answers) == 1
    assert (pools()[0]["used"], pools()[0]["opened"]) == (0, 1)


def test_what_hangs_on_an_object_in_g_goes_back_as_well(dsn: str, pools: Pools) -> None:
    class Repository:
        def __init__(self) -> None:
            self.conn = psycopg2.connect(dsn)
            self.cursor = self.conn.cursor()

    def view() -> str:
        g.repository = Repository()
        return str(backend_of(g.repository.conn))

    client = served(view)
    assert len({client.get("/").text for _ in range(5)}) == 1
    assert (pools()[0]["used"], pools()[0]["opened"]) == (0, 1)


def test_the_app_s_own_teardown_still_has_its_connection(dsn: str, pools: Pools) -> None:
    seen = []

    def view() -> str:
        g.db = psycopg2.connect(dsn)
        return "ok"

    def teardown(_: Any) -> None:
        seen.append(g.db.closed)
        g.db.commit()
        g.pop("db").close()

    assert served(view, teardown_appcontext=teardown).get("/").text == "ok"
    assert (seen, pools()[0]["used"]) == ([0], 0)


def test_thirty_calls_of_a_helper_that_never_closes_need_one_connection(dsn: str, pools: Pools) -> None:
    def ask() -> int:
        conn = psycopg2.connect(dsn)
        return backend_of(conn)

    assert len(set(served(lambda: " ".join(str(ask()) for _ in range(30))).get("/").text.split())) == 1
    assert pools()[0]["opened"] == 1


kept: Any = None


def test_a_connection_that_a_global_or_thread_still_has_is_not_taken_away(dsn: str) -> None:
    """Without a pool it would live as long as somebody refers to it; so it does with one."""
    results: list[int] = []

    def view() -> str:
        global kept
        kept = psycopg2.connect(dsn)
        mine = psycopg2.connect(dsn)

        def later() -> None:
            ended.wait(10)
            results.append(backend_of(mine))
            mine.close()

        thread = threading.Thread(target=later)
        threads.append(thread)
        thread.start()
        return "ok"

    global kept
    ended, threads = threading.Event(), []
    assert served(view).get("/").text == "ok"
    ended.set()
    threads[0].join(10)
    assert results and backend_of(kept)
    kept = None


def test_a_streamed_body_keeps_its_connection_until_it_was_sent(dsn: str, pools: Pools) -> None:
    def view() -> Response:
        conn = psycopg2.connect(dsn)
        cursor = conn.cursor()
        cursor.execute("SELECT n::text FROM generate_series(1, 3) n")
        return Response(stream_with_context(row[0] for row in cursor))

    assert served(view).get("/").text == "123"
    deadline = time.monotonic() + 5
    while pools()[0]["used"] and time.monotonic() < deadline:
        time.sleep(0.01)
    assert pools()[0]["used"] == 0


@pytest.mark.parametrize("dsn", ["no dsn at all", "host=127.0.0.1 nonsense=1", "postgresql://u:p%w@h/d", "port=x"])
def test_a_malformed_dsn_raises_what_psycopg2_raises(dsn: str) -> None:
    """Code that catches OperationalError must not meet a ProgrammingError because of us."""
    raised = []
    for again in (True, False):
        with pytest.raises(psycopg2.Error) as caught:
            psycopg2.connect(dsn)
        raised.append((type(caught.value), str(caught.value)))
        if again:
            uninstall()
    assert raised[0] == raised[1]


def test_a_replication_connection_passes_through(cluster: Any, pools: Pools) -> None:
    dsn = cluster.dsn("postgres")
    physical = psycopg2.connect(dsn, connection_factory=psycopg2.extras.PhysicalReplicationConnection)
    by_parameter = psycopg2.connect(dsn, replication="database")
    assert not {type(physical), type(by_parameter)} & {Returning}
    assert pools() == []
    for conn in (physical, by_parameter):
        conn.close()


@pytest.mark.parametrize(
    "name", ["sqlalchemy.pool", "django.db.backends", "dbutils.pooled_db", "peewee", "playhouse.pool"]
)
def test_each_library_that_pools_by_itself_passes_through(dsn: str, pools: Pools, name: str) -> None:
    module: dict[str, Any] = {"__name__": name, "connect": imported_before, "dsn": dsn}
    exec("conn = connect(dsn)", module)
    assert type(module["conn"]) is connection
    module["conn"].close()
    assert pools() == []


def test_redirect_holds_for_pools_that_the_app_makes_itself(dsn: str) -> None:
    uninstall()
    install(redirect=dsn)
    for kind in (psycopg2.pool.ThreadedConnectionPool, ThreadedConnectionPool):
        pool = kind(1, 1, "host=nowhere.invalid user=y")
        assert pool.getconn("key").info.dbname == parse_dsn(dsn)["dbname"]
        pool.closeall()


def test_redirect_has_the_last_word_on_where_and_who(dsn: str, pools: Pools) -> None:
    uninstall()
    install(redirect=dsn)
    psycopg2.connect("host=one.invalid port=1 user=a password=b sslmode=require options='-c geqo=off'").close()
    psycopg2.connect(host="two.invalid", dbname="c", user="d", options="-c geqo=off").close()
    assert len(pools()) == 1


def test_the_pool_that_makes_room_cuts_nobody_off(dsn: str, monkeypatch: pytest.MonkeyPatch) -> None:
    """A caller may have got hold of the pool the moment before it was dropped."""
    monkeypatch.setattr(dropin, "MOST_POOLS", 2)
    drop_in = dropin.installed()
    assert drop_in is not None
    psycopg2.connect(dsn, application_name="oldest").close()
    (oldest,) = drop_in.pools.values()
    for number in range(3):
        psycopg2.connect(dsn, application_name=f"app{number}").close()
    assert oldest not in drop_in.pools.values()
    with closing(oldest.getconn()) as conn:
        assert backend_of(conn)


def test_pools_in_use_are_not_dropped_to_make_room(dsn: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(dropin, "MOST_POOLS", 2)
    held = [psycopg2.connect(dsn, application_name=f"app{number}") for number in range(4)]
    assert all(backend_of(conn) for conn in held)
    for conn in held:
        conn.close()


def test_a_pool_that_somebody_closed_is_replaced(dsn: str) -> None:
    drop_in = dropin.installed()
    assert drop_in is not None
    psycopg2.connect(dsn).close()
    (pool,) = drop_in.pools.values()
    pool.closeall()
    with closing(psycopg2.connect(dsn)) as conn:
        assert backend_of(conn)


def test_uninstall_lets_leases_go_on_and_closes_them_at_their_return(
    dsn: str, backends: Callable[[], int]
) -> None:
    before = backends()
    used, idle = psycopg2.connect(dsn), psycopg2.connect(dsn)
    idle.close()
    uninstall()
    assert backends() == before + 1
    assert backend_of(used)
    used.close()
    assert backends() == before


def test_first_connects_from_many_threads_make_one_pool(dsn: str, pools: Pools) -> None:
    def ask(_: int) -> int:
        with closing(psycopg2.connect(dsn)) as conn:
            return backend_of(conn)

    assert len(set(together(8, ask))) <= 4
    assert len(pools()) == 1


def test_figures_name_the_database_and_no_secret(dsn: str, pools: Pools) -> None:
    psycopg2.connect(dsn).close()
    (figures,) = pools()
    assert (figures["dbname"], figures["user"], figures["idle"]) == ("app", "app", 1)
    assert parse_dsn(dsn)["password"] not in repr(figures)


def test_close_and_once_more_in_finally_is_one_return(dsn: str, pools: Pools) -> None:
    conn = psycopg2.connect(dsn)
    try:
        assert backend_of(conn)
        conn.close()
    finally:
        conn.close()
    assert (pools()[0]["idle"], pools()[0]["used"]) == (1, 0)


def test_a_tracer_that_wraps_connect_goes_on_working(dsn: str, monkeypatch: pytest.MonkeyPatch) -> None:
    calls = []
    original = psycopg2.connect

    def traced(*args: Any, **kwargs: Any) -> Any:
        calls.append(args)
        return original(*args, **kwargs)

    monkeypatch.setattr(psycopg2, "connect", traced)
    with closing(psycopg2.connect(dsn)) as conn:
        assert isinstance(conn, Returning)
    assert calls


def test_parameters_known_already_are_not_worked_out_again(dsn: str, monkeypatch: pytest.MonkeyPatch) -> None:
    """Parsing a DSN takes longer than the checkout itself."""
    psycopg2.connect(dsn).close()
    monkeypatch.setattr("backend.dropin.parse_dsn", None)
    psycopg2.connect(dsn).close()


def test_parameters_that_differ_per_call_cost_no_memory(dsn: str) -> None:
    uninstall()
    install(redirect=dsn)
    for number in range(5 * MOST_POOLS):
        psycopg2.connect(f"host=h{number} dbname=x").close()
    drop_in = installed()
    assert drop_in is not None
    assert (len(drop_in.pools), len(drop_in._known) <= 4 * MOST_POOLS) == (1, True)


def test_a_thread_that_holds_every_connection_is_told_so_at_once(dsn: str) -> None:
    """Whoever waits for what he holds himself waits in vain: ten seconds, and a 503 without a reason."""
    uninstall()
    install(1, 2, PoolOptions(reset="reset", nested_overflow=1, timeout=60.0))
    held = [psycopg2.connect(dsn) for _ in range(3)]
    start = time.monotonic()
    with pytest.raises(PoolTimeout, match="this very thread holds them all"):
        psycopg2.connect(dsn)
    assert time.monotonic() - start < 5
    assert len(held) == 3
