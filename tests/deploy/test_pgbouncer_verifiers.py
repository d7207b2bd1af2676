"""The check of both sides' verifiers finds each way in which they differ, and shows none of them."""

from __future__ import annotations

from collections.abc import Iterator

import psycopg2
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from psycopg2 import sql

from deploy.errors import InputError
from deploy.pgbouncer_verifiers import held_verifiers, read_userlist, same_verifiers
from deploy.scram import make_verifier, read_verifier
from scripts.stack.postgres import Cluster

ROLE = 'o"brien; 1%'
PASSWORD = 'se"cret \\'


@pytest.fixture(scope="module")
def role(cluster: Cluster) -> Iterator[str]:
    cluster.create_role(ROLE, PASSWORD)
    yield ROLE
    cluster.execute(sql.SQL("DROP ROLE {}").format(sql.Identifier(ROLE)))


def _quoted(value: str) -> str:
    return '"' + value.replace('"', '""') + '"'


def _line(secret: str, role: str = ROLE) -> str:
    return f"{_quoted(role)} {_quoted(secret)}\n"


def test_the_same_bytes_on_both_sides_are_no_difference(cluster: Cluster, role: str) -> None:
    text = f"; a comment\n\n{_line(cluster.verifier(role))}{_line(cluster.verifier('app'), 'app')}"
    assert same_verifiers(cluster.dsn(), text) == []


def test_what_the_server_holds_is_what_a_file_needs(cluster: Cluster, role: str) -> None:
    held = held_verifiers(cluster.dsn(), [role, "app", "nobody", "pg_monitor"])
    assert held == {role: cluster.verifier(role), "app": cluster.verifier("app")}
    assert same_verifiers(cluster.dsn(), "".join(_line(secret, name) for name, secret in held.items())) == []


def test_a_plain_password_that_fits_is_no_difference(cluster: Cluster, role: str) -> None:
    """As it is for the role that looks verifiers up: PgBouncer logs in with it by itself."""
    assert same_verifiers(cluster.dsn(), _line(PASSWORD)) == []


def _damaged(verifier: str) -> str:
    read = read_verifier(verifier)
    return str(type(read)(read.iterations, read.salt, read.server_key, read.stored_key))


@pytest.mark.parametrize(
    ("change", "told"),
    [
        (lambda held: make_verifier(PASSWORD), "another salt than the server's"),
        (lambda held: make_verifier("x", read_verifier(held).salt), "the server's salt and other keys"),
        (_damaged, "the server's salt and other keys"),
        (lambda held: held[:-1], "userlist.txt and the server differ ("),
        (lambda held: "hunter2 hunter2", "another password or an md5 hash"),
        (lambda held: "md5" + "0" * 32, "another password or an md5 hash"),
    ],
    ids=range(6),
)  # fmt: skip
def test_a_wrong_secret_is_found_and_not_shown(cluster: Cluster, role: str, change: object, told: str) -> None:
    held = cluster.verifier(role)
    secret = change(held)  # type: ignore[operator]
    (difference,) = same_verifiers(cluster.dsn(), _line(secret) + _line(cluster.verifier("app"), "app"))
    assert difference.startswith(f"role {role!r}: ")
    assert told in difference
    assert "\n" not in difference
    assert secret not in difference
    assert held.rpartition(":")[2] not in difference


@pytest.mark.parametrize(
    ("statement", "told"),
    [
        ("ALTER ROLE {} NOLOGIN", "may not log in"),
        ("ALTER ROLE {} VALID UNTIL 'yesterday'", "has expired"),
        ("ALTER ROLE {} PASSWORD NULL", "has no password on the server"),
        ("ALTER ROLE {} PASSWORD 'md500000000000000000000000000000000'", "holds an md5 hash"),
    ],
)
def test_a_role_that_cannot_log_in_on_the_server_is_found(
    cluster: Cluster, role: str, statement: str, told: str
) -> None:
    held = cluster.verifier(role)
    name = sql.Identifier(role)
    cluster.execute(sql.SQL(statement).format(name))
    try:
        (difference,) = same_verifiers(cluster.dsn(), _line(held))
        assert told in difference
    finally:
        again = "ALTER ROLE {} LOGIN VALID UNTIL 'infinity' PASSWORD {}"
        cluster.execute(sql.SQL(again).format(name, sql.Literal(held)))


def test_a_role_that_the_server_has_not_is_found(cluster: Cluster) -> None:
    (difference,) = same_verifiers(cluster.dsn(), _line("x", "nobody'; DROP ROLE app; --"))
    assert "not on the server" in difference


def test_a_role_that_may_not_read_verifiers_is_told_so_by_the_server(cluster: Cluster, database: str) -> None:
    with pytest.raises(psycopg2.errors.InsufficientPrivilege):
        same_verifiers(cluster.dsn(database, "app"), _line("x"))


@pytest.mark.parametrize(
    ("text", "told"),
    [
        ('"app"\n', "line 1"), ('\n"app" "x\n', "line 2"), ("app x\n", "line 1"), ('"app" "x" "y"\n', "line 1"),
        ('"app" "x"\n"b" "y"\n"app" "z"\n', "line 3 has the role 'app' again"),
    ],
)  # fmt: skip
def test_a_line_that_pgbouncer_would_leave_out_is_an_error(text: str, told: str) -> None:
    with pytest.raises(InputError, match=told) as caught:
        read_userlist(text)
    assert "\n" not in str(caught.value)


fields = st.text(st.characters(exclude_characters="\n\0", exclude_categories=["Cs"]))


@settings(deadline=None)
@given(secrets=st.dictionaries(fields, fields))
def test_what_is_quoted_as_pgbouncer_does_is_read_back(secrets: dict[str, str]) -> None:
    assert read_userlist("".join(_line(secret, role) for role, secret in secrets.items())) == secrets
