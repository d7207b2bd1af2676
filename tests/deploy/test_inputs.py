"""Every value that reaches a configuration file is checked: refused in one line, or harmless."""

from __future__ import annotations

from typing import Any

import pytest

from deploy.errors import InputError
from deploy.inputs import LONGEST_SOCKET_DIR, Database, PgBouncer, User

from .samples import VERIFIER, pgbouncer

# What could end a line, a quoted value or a section, start a comment or an %include, or cannot be written at all.
HOSTILE = (
    "a\nb", "a\rb", "a\tb", "a\0b", "\x7f", "'", '"', "a'b", 'a"b', "%include /etc/passwd", "a;b", "a#b", "a]b",
    "[a]", "a=b", "a b", " a", "a ", "ü", "\u2028", "\ud800", "", "x" * 5000,
)  # fmt: skip


def _refused(make: Any, *args: Any, **values: Any) -> str:
    with pytest.raises(InputError) as caught:
        make(*args, **values)
    message = str(caught.value)
    assert "\n" not in message
    message.encode()  # can be printed
    assert len(message) < 400
    return message


@pytest.mark.parametrize("value", [*HOSTILE, "*", "pgbouncer", "n" * 64, None, 7, b"app"])
def test_a_hostile_alias_is_refused(value: Any) -> None:
    """PgBouncer's parser knows no quoting of it, whatever its documentation says (pgbouncer#971)."""
    assert "database alias" in _refused(Database, value, "127.0.0.1", 5432, "app")


@pytest.mark.parametrize("value", ["app", "App_2", "a.b", "my-app", "9lives", "n" * 63])
def test_an_alias_that_pgbouncer_can_read_is_taken(value: str) -> None:
    assert Database(value, "127.0.0.1", 5432, "app").alias == value


@pytest.mark.parametrize("value", ["a\nb", "a\rb", "a\0b", "\x7f", "\ud800", "", "n" * 64, "ü" * 32, None])
def test_a_name_that_no_line_can_hold_is_refused(value: Any) -> None:
    assert "database name" in _refused(Database, "app", "127.0.0.1", 5432, value)
    assert "user name" in _refused(User, value, VERIFIER)


@pytest.mark.parametrize("value", ["a'b", 'a"b', "a;b", "%include x", "[a]", "a=b", " a ", "ü", "\u2028"])
def test_a_name_that_quoting_makes_harmless_is_taken(value: str) -> None:
    assert Database("app", "127.0.0.1", 5432, value).dbname == value
    assert User(value, VERIFIER).name == value


@pytest.mark.parametrize("value", HOSTILE)
@pytest.mark.parametrize("field", ["unix_socket_dir", "auth_file", "logfile", "pidfile", "pool_mode"])
def test_a_hostile_path_or_mode_is_refused(field: str, value: str) -> None:
    assert field in _refused(pgbouncer, **{field: value})


@pytest.mark.parametrize("value", [text for text in HOSTILE if text])
def test_a_hostile_address_is_refused(value: str) -> None:
    assert "listen_addr" in _refused(pgbouncer, listen_addr=value)
    assert "database host" in _refused(Database, "app", value, 5432, "app")


@pytest.mark.parametrize("value", ["127.0.0.1", "::1", "db.example.com", "/run/postgresql", "pg1,pg2"])
def test_a_host_by_name_address_or_socket_is_taken(value: str) -> None:
    assert Database("app", value, 5432, "app").host == value


@pytest.mark.parametrize("value", [*HOSTILE, VERIFIER + "\n", f"{VERIFIER} x", "md5abc", "plain"])
def test_a_verifier_that_is_none_is_refused_and_never_shown(value: str) -> None:
    """Somebody may have put the plain password there."""
    message = _refused(User, "app", value)
    assert "SCRAM verifier" in message
    assert len(value) < 4 or value not in message
    assert VERIFIER not in repr(User("app", VERIFIER))


@pytest.mark.parametrize("value", [0, -1, 65536, "5432", 5432.0, True, None])
def test_a_port_that_is_none_is_refused(value: Any) -> None:
    assert "database port" in _refused(Database, "app", "127.0.0.1", value, "app")
    assert "listen_port" in _refused(pgbouncer, listen_port=value)


@pytest.mark.parametrize(
    ("field", "value"),
    [
        ("default_pool_size", 0), ("default_pool_size", "20\nadmin_users = x"), ("min_pool_size", -1),
        ("reserve_pool_size", 1.5), ("max_db_connections", 0), ("max_client_conn", False),
        ("query_wait_timeout", 0), ("idle_transaction_timeout", "off"), ("max_client_conn", 10**7),
    ],
)  # fmt: skip
def test_a_size_or_time_that_is_no_whole_number_in_range_is_refused(field: str, value: Any) -> None:
    assert field in _refused(pgbouncer, **{field: value})


@pytest.mark.parametrize(("field", "value"), [("pool_size", 0), ("pool_size", "1"), ("pool_mode", "x\ny")])
def test_a_databases_own_size_and_mode_are_checked_as_well(field: str, value: Any) -> None:
    assert field in _refused(Database, "app", "127.0.0.1", 5432, "app", **{field: value})


def test_pools_above_the_cap_are_refused_with_the_sum() -> None:
    message = _refused(pgbouncer, default_pool_size=30, reserve_pool_size=11, max_db_connections=40)
    assert message.startswith("default_pool_size + reserve_pool_size = 41 is above max_db_connections=40; lower")


def test_a_name_that_stands_there_twice_is_refused() -> None:
    """PgBouncer would take the last one and say nothing."""
    database, user = Database("app", "127.0.0.1", 5432, "app"), User("app", VERIFIER)
    assert "'app' stands there twice" in _refused(pgbouncer, databases=(database, database))
    assert "'app' stands there twice" in _refused(pgbouncer, users=(user, user))


@pytest.mark.parametrize("field", ["databases", "users"])
def test_nobody_or_nothing_to_serve_is_refused(field: str) -> None:
    assert "at least one database and one user" in _refused(pgbouncer, **{field: ()})


def test_a_socket_folder_as_long_as_an_address_allows_is_taken_and_no_longer_one() -> None:
    longest = "/" + "x" * (LONGEST_SOCKET_DIR - 1)
    assert pgbouncer(unix_socket_dir=longest).unix_socket_dir == longest
    assert len(f"{longest}/.s.PGSQL.65535\0") == 108
    assert "has room for 92" in _refused(pgbouncer, unix_socket_dir=longest + "x")


def test_inputs_cannot_be_changed_after_they_were_checked() -> None:
    with pytest.raises(AttributeError):
        pgbouncer().pool_mode = "x\ny"  # type: ignore[misc]
    assert isinstance(pgbouncer(), PgBouncer)
