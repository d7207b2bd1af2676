"""Opening: the caller's parameters, and ours only where the caller gave none."""

from __future__ import annotations

from typing import Any

import psycopg2
import pytest

from backend import PoolOptions
from backend.connection import Leased
from backend.opener import Opener
from scripts.stack.bouncer import Bouncer
from tests.support.sql import query

from .conftest import MakePool


def arguments(*args: Any, options: PoolOptions | None = None, **kwargs: Any) -> dict[str, Any]:
    return Opener(args, kwargs, options or PoolOptions(), Leased)._arguments


def test_connect_timeout_is_ours_only_when_the_caller_gave_none() -> None:
    assert arguments("host=h")["connect_timeout"] == 5
    assert arguments(host="h")["connect_timeout"] == 5
    assert "connect_timeout" not in arguments("host=h connect_timeout=9")
    assert arguments("host=h", connect_timeout=9)["connect_timeout"] == 9
    assert "connect_timeout" not in arguments("postgresql://h/d?connect_timeout=9")
    assert "connect_timeout" not in arguments("service=mine")  # the service file may hold it
    assert "connect_timeout" not in arguments("host=h", options=PoolOptions(connect_timeout=0))


def test_statement_timeout_is_added_to_the_callers_options() -> None:
    options = PoolOptions(statement_timeout_ms=250)
    assert arguments("host=h", options=options)["options"] == "-c statement_timeout=250"
    both = arguments("host=h options='-c geqo=off'", options=options)["options"]
    assert both == "-c geqo=off -c statement_timeout=250"
    assert "options" not in arguments("host=h", options=PoolOptions(statement_timeout_ms=250, reset="pgbouncer"))


def test_statement_timeout_reaches_the_server(make_pool: MakePool) -> None:
    pool = make_pool(1, 1, connect={"options": "-c geqo=off"}, statement_timeout_ms=250)
    conn = pool.getconn()
    assert (query(conn, "SHOW statement_timeout"), query(conn, "SHOW geqo")) == ("250ms", "off")
    with pytest.raises(psycopg2.errors.QueryCanceled):
        query(conn, "SELECT pg_sleep(5)")


def test_positional_parameters_are_those_of_connect() -> None:
    made = arguments("host=h", psycopg2.extras.DictConnection, psycopg2.extras.DictCursor)
    assert issubclass(made["connection_factory"], psycopg2.extras.DictConnection)
    assert issubclass(made["connection_factory"], Leased)
    assert made["cursor_factory"] is psycopg2.extras.DictCursor


def test_a_malformed_dsn_is_found_when_the_pool_is_made() -> None:
    with pytest.raises(psycopg2.ProgrammingError, match="invalid dsn"):
        arguments("host=h nonsense=1")


def test_a_vanished_peer_is_noticed_in_the_time_that_was_asked_for() -> None:
    given = arguments("host=h", options=PoolOptions(peer_timeout=12.0))
    assert (given["keepalives_idle"], given["keepalives_interval"], given["keepalives_count"]) == (4, 2, 4)
    assert given["keepalives_idle"] + given["keepalives_interval"] * given["keepalives_count"] <= 12
    assert given["tcp_user_timeout"] == 12_000
    for name in ("keepalives_idle", "keepalives_interval", "keepalives_count", "tcp_user_timeout"):
        assert name not in arguments(f"host=h {name}=77", options=PoolOptions(peer_timeout=12.0))
        assert arguments("host=h", **{name: 77})[name] == 77
        assert name not in arguments("host=h", options=PoolOptions(peer_timeout=0))


@pytest.mark.parametrize("seconds", [0.001, 0.5, 1.0])
def test_no_timeout_is_rounded_to_zero_which_would_mean_for_ever(seconds: float) -> None:
    given = arguments("host=h", options=PoolOptions(peer_timeout=seconds))
    assert min(given["keepalives_idle"], given["keepalives_interval"]) >= 1
    assert given["tcp_user_timeout"] >= 1000


def test_configure_is_called_before_the_connection_is_anybodys(make_pool: MakePool) -> None:
    seen: list[Any] = []
    pool = make_pool(1, 1, configure=lambda conn: seen.append((conn.closed, conn._record)))
    assert pool.getconn() is not None
    assert seen == [(0, None)]


def test_lifetimes_are_spread_over_a_tenth(make_pool: MakePool) -> None:
    pool = make_pool(8, 8, max_lifetime=1000.0, clock=lambda: 0.0)
    held = [pool.getconn() for _ in range(8)]
    expires = [conn._record.expires for conn in held]
    assert all(900.0 <= each <= 1000.0 for each in expires)
    assert len(set(expires)) == 8


def test_a_direct_connection_is_told_from_one_through_pgbouncer(
    make_pool: MakePool, bouncer: Bouncer, database: str, caplog: pytest.LogCaptureFixture
) -> None:
    direct = make_pool(1, 1)
    bounced = make_pool(1, 1, connect={"dsn": bouncer.url(database, "app")}, reset="pgbouncer")
    for pool, is_bounced in ((direct, False), (bounced, True)):
        with pool.connection() as conn:
            assert query(conn, "SELECT 1") == 1
        assert pool.stats()["pgbouncer"] is is_bounced
    assert not caplog.records
    careless = make_pool(0, 1, connect={"dsn": bouncer.url(database, "app")}, reset="watch")
    conn = careless.getconn()
    assert "connected through PgBouncer, and resetting sessions by DISCARD ALL" in caplog.text
    careless.putconn(conn, close=True)
