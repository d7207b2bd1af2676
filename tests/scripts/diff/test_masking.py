"""Secrets do not get into what is shown: known ones, and whatever looks like one."""

from __future__ import annotations

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from scripts.diff.masking import is_private, masked, values_of

SECRETS = {
    "DATABASE_URL": "postgresql://shop:p%40ss%20word@/shop", "SECRET_KEY": "abcdefghij", "PIN": "1234",
    "KEYS": "first-line\nsecond-line", "HARDEN_PGBOUNCER_DSN": "host=/run/x password='quoted-one'",
}  # fmt: skip


@pytest.mark.parametrize("secret", [
    "p%40ss%20word", "p@ss word", "abcdefghij", "first-line", "second-line", "quoted-one",
])  # fmt: skip
def test_known_secrets_are_taken_out_wherever_they_stand(secret: str) -> None:
    assert secret not in masked(f"+ listen {secret}; # {secret}", values_of(SECRETS))


@pytest.mark.parametrize(("line", "shown"), [
    ("-DATABASE_URL=postgresql://shop:hunter2@db/shop", "-DATABASE_URL=postgresql://shop:***@db/shop"),
    ("+SECRET_KEY=hunter2", "+SECRET_KEY=***"),
    ("+db-password: hunter2", "+db-password: ***"),
    ("+app = host=x dbname=y password=hunter2 port=1", "+app = host=x dbname=y password=*** port=1"),
    ('"shop" "SCRAM-SHA-256$4096:c2FsdA==$a:b"', '"shop" "***"'),
    ("+proxy_set_header X sk_live_12345678", "***"),
])  # fmt: skip
def test_what_looks_like_a_secret_is_taken_out(line: str, shown: str) -> None:
    assert masked(line, ()) == shown
    assert "hunter2" not in masked(line, ())


@pytest.mark.parametrize("line", [
    "+ssl_certificate_key /etc/ssl/shop/site.key;", "-WORKERS=4", "+auth_file = /etc/shop/pgbouncer/userlist.txt",
    " pool_mode = transaction", "+max_connections = 100", " Authorization $http_authorization;", "@@ -1,3 +1,4 @@",
    "+PASSWORD_MIN_LENGTH=12", "+      credentials_file: \"/etc/prometheus/shop.token\"", "1234 workers",
])  # fmt: skip
def test_what_is_no_secret_stays(line: str) -> None:
    assert masked(line, values_of(SECRETS)) == line


def test_a_private_key_is_no_text_to_show_lines_of() -> None:
    assert is_private("-----BEGIN PRIVATE KEY-----\nabc")
    assert not is_private("ssl_certificate_key x;")


@settings(deadline=None, max_examples=50)
@given(secret=st.text(st.characters(categories=("L", "N", "P", "S"), exclude_characters="*"), min_size=6),
       around=st.text(max_size=10))  # fmt: skip
def test_no_known_secret_is_ever_in_a_line(secret: str, around: str) -> None:
    shown = masked(f"{around}{secret}{around}", values_of({"A": secret}))
    assert secret not in shown.replace("***", "\0")
