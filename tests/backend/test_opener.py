"""Opening: the caller's parameters, and ours only where the caller gave none."""

from __future__ import annotations

from typing import Any

import psycopg2
import pytest

from backend import PoolOptions
from backend.connection import Leased
from backend.opener import Opener
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


