"""Our verifiers are PostgreSQL's: the same bytes for the same salt, and the real server lets the password in."""

from __future__ import annotations

import base64
from collections.abc import Iterator
from contextlib import closing

import psycopg2
import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st
from psycopg2 import sql
from psycopg2.extensions import encrypt_password

from deploy.errors import InputError
from deploy.scram import ITERATIONS, make_verifier, prepare, read_verifier, verify
from scripts.stack.bouncer import Bouncer
from scripts.stack.postgres import Cluster

# RFC 7677, section 3: user `user`, password `pencil`; the keys are worked out from its messages.
RFC_SALT = base64.b64decode("W22ZaJ0SNY7soEsUEjb6gQ==")
RFC = (
    "SCRAM-SHA-256$4096:W22ZaJ0SNY7soEsUEjb6gQ==$"
    "WG5d8oPm3OtcPnkdi4Uo7BkeZkBFzpcXkuLmtbsT4qY=:wfPLwcE6nTWhTAmQ7tl2KeoiWGPlZqQxSrmfPwDl2dU="
)
PASSWORDS = (
    "secret", "pass word'\"%", "'; DROP ROLE app; --", "back\\slash \"quoted\" 'single' ;#%$", " edges ", "grün",
    "中文 密码", "🐘 elephant", "I\u00adX", "\u2168", "a\u00a0b\u3000c", "\u0627\u0628\u062c", "\u0627 1",
    "a\u0007ü", "\ttab", "\u200b\u200b",
    "\u00ad", "x" * 1024, "ü" * 512, "1", "\U0001f130", "\u0340\u0341", "ﬁ", "\ufdfa", "\u0221", "e\u0301",
)  # fmt: skip


def _short(password: str) -> str:
    return ascii(password[:12])


CHARACTERS = st.characters(exclude_characters="\0", exclude_categories=["Cs"])


@pytest.fixture(scope="module")
def role(cluster: Cluster) -> Iterator[str]:
    cluster.create_role("scrammed", "before")
    yield "scrammed"
    cluster.execute("DROP ROLE scrammed")


def test_the_example_of_rfc_7677_comes_out() -> None:
    assert make_verifier("pencil", RFC_SALT) == RFC
    assert verify("pencil", RFC)
    assert not verify("pencil ", RFC)


def test_a_salt_is_random_unless_it_is_given() -> None:
    first, second = make_verifier("secret"), make_verifier("secret")
    assert first != second
    assert verify("secret", first)
    assert verify("secret", second)
    read = read_verifier(first)
    assert (read.iterations, len(read.salt)) == (ITERATIONS, 16)
    assert str(read) == first


@pytest.mark.parametrize("password", PASSWORDS, ids=_short)
def test_the_server_lets_a_password_in_whose_verifier_was_made_here(
    cluster: Cluster, role: str, password: str
) -> None:
    verifier = make_verifier(password)
    cluster.execute(sql.SQL("ALTER ROLE {} PASSWORD {}").format(sql.Identifier(role), sql.Literal(verifier)))
    assert cluster.verifier(role) == verifier  # stored as it is, not hashed once more
    login = {"host": "127.0.0.1", "port": cluster.port, "dbname": "postgres", "user": role}
    with closing(psycopg2.connect(password=password, **login)):
        pass
    with pytest.raises(psycopg2.OperationalError, match="password authentication failed"):
        psycopg2.connect(password=password + "x", **login)


@pytest.mark.parametrize("password", PASSWORDS, ids=_short)
def test_a_verifier_that_the_server_made_is_known_here(cluster: Cluster, role: str, password: str) -> None:
    cluster.execute(sql.SQL("ALTER ROLE {} PASSWORD {}").format(sql.Identifier(role), sql.Literal(password)))
    verifier = cluster.verifier(role)
    assert make_verifier(password, read_verifier(verifier).salt) == verifier
    assert verify(password, verifier)
    assert not verify(password[:-1] + "~", verifier)


@pytest.fixture(scope="module")
def connection(cluster: Cluster) -> Iterator[object]:
    with closing(cluster.connect()) as conn:
        yield conn


@settings(deadline=None, max_examples=150)
@given(password=st.text(CHARACTERS, min_size=1, max_size=20))
@example("\u200b")
@example("\u0221x")
@example("\u0627a\u0627")
def test_any_text_is_prepared_as_libpq_does(connection: object, password: str) -> None:
    """libpq and the server have one implementation, which is tried here for whatever hypothesis thinks of."""
    theirs = str(encrypt_password(password, "x", connection, "scram-sha-256"))
    assert make_verifier(password, read_verifier(theirs).salt) == theirs


def test_through_pgbouncer_the_verifier_opens_both_legs(cluster: Cluster, database: str, bouncer: Bouncer) -> None:
    """PgBouncer of the run has the verifier of `app` in its file; the server gets another, and ours back."""
    before = cluster.verifier("app")
    assert verify(cluster._roles["app"], before)
    with closing(psycopg2.connect(bouncer.url(database, "app"))) as conn, conn.cursor() as cursor:
        cursor.execute("SELECT current_user")
        assert cursor.fetchone() == ("app",)


@pytest.mark.parametrize(
    ("password", "reason"),
    [
        ("", "has 0 bytes"), ("x" * 1025, "has 1025 bytes"), ("ü" * 513, "has 1026 bytes"),
        ("a\0b", "NUL"), ("\ud800", "not valid UTF-8"),
    ],
    ids=lambda text: ascii(text[:12]),
)  # fmt: skip
def test_a_password_that_postgresql_cannot_take_is_a_plain_error(password: str, reason: str) -> None:
    for call in (make_verifier, prepare):
        with pytest.raises(InputError, match=reason) as caught:
            call(password)
        assert "\n" not in str(caught.value)


@pytest.mark.parametrize(
    "text",
    [
        "", "secret", "md5" + "0" * 32, RFC[:-1], RFC + "\n", RFC.replace("4096", "0"),
        RFC.replace("4096", "9999999999"), RFC.replace("W22Z", "W2Z"), RFC.replace(":wfPL", ":"),
        RFC.replace("SCRAM-SHA-256", "SCRAM-SHA-1"),
    ],
)  # fmt: skip
def test_what_is_no_verifier_is_refused_and_not_shown(text: str) -> None:
    with pytest.raises(InputError) as caught:
        verify("pencil", text)
    assert "wfPL" not in str(caught.value)
    assert "secret" not in str(caught.value)


def test_neither_keys_nor_salt_are_in_a_repr() -> None:
    assert repr(read_verifier(RFC)) == "Verifier(iterations=4096)"
