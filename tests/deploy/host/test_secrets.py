"""Secrets are made once, completed where some are missing, never changed, and shown to nobody."""

from __future__ import annotations

import stat
from pathlib import Path

import pytest
from psycopg2.extensions import parse_dsn

from deploy.description import App, Bouncer, Database
from deploy.host import secrets
from deploy.host.env_file import parse
from deploy.host.errors import HostError
from deploy.scram import make_verifier, verify

from ..unit_samples import beside_database, one_host, three_hosts

ALL = {"DATABASE_URL", "SECRET_KEY", "HARDEN_OPS_TOKEN", "HARDEN_PGBOUNCER_DSN", "DATABASE_VERIFIER"}


def test_all_are_made_from_nothing_and_fit_together() -> None:
    for description in (one_host(), three_hosts()):
        made = secrets.completed(description, {})
        assert set(made) == ALL
        password = secrets.password_of(made)
        assert len(password) >= 32
        assert verify(password, made["DATABASE_VERIFIER"])
        assert parse_dsn(made["DATABASE_URL"])["password"] == password
        assert parse_dsn(made["HARDEN_PGBOUNCER_DSN"])["password"] == password
        assert len(made["SECRET_KEY"]) >= 32 <= len(made["HARDEN_OPS_TOKEN"])


def test_no_two_are_the_same() -> None:
    made = [secrets.completed(one_host(), {}) for _ in range(3)]
    assert len({value for values in made for value in values.values()}) == 3 * len(ALL)


def test_what_is_there_stays() -> None:
    there = {"DATABASE_URL": "postgresql://shop:a%40b@/shop", "SECRET_KEY": "x", "MINE": "1", "EMPTY": ""}
    made = secrets.completed(one_host(), there)
    assert {name: made[name] for name in ("DATABASE_URL", "SECRET_KEY", "MINE")} == {
        name: there[name] for name in ("DATABASE_URL", "SECRET_KEY", "MINE")
    }
    assert verify("a@b", made["DATABASE_VERIFIER"])
    assert secrets.completed(one_host(), made) == made


def test_a_password_with_anything_in_it_is_quoted_for_the_console() -> None:
    made = secrets.completed(one_host(), {"DATABASE_URL": "postgresql://shop:it%27s%20%5C@/shop"})
    assert parse_dsn(made["HARDEN_PGBOUNCER_DSN"])["password"] == "it's \\"


def test_without_pgbouncer_there_is_no_console() -> None:
    made = secrets.completed(one_host(pgbouncer=Bouncer(enabled=False)), {})
    assert set(made) == ALL - {"HARDEN_PGBOUNCER_DSN"}


def test_the_servers_own_verifier_goes_first_where_it_is_the_passwords() -> None:
    held = make_verifier("word")
    there = {"DATABASE_URL": "postgresql://shop:word@/shop"}
    assert secrets.completed(one_host(), there, held)["DATABASE_VERIFIER"] == held
    other = secrets.completed(one_host(), there, make_verifier("else"))["DATABASE_VERIFIER"]
    assert verify("word", other)


def test_a_role_with_a_password_that_is_not_known_is_left_alone() -> None:
    with pytest.raises(HostError, match="with a password that is not known here"):
        secrets.completed(one_host(), {}, make_verifier("word"))


def test_secrets_that_do_not_fit_together_are_refused_and_not_shown() -> None:
    there = {"DATABASE_URL": "postgresql://shop:one-word@/shop", "DATABASE_VERIFIER": make_verifier("another")}
    with pytest.raises(HostError, match="DATABASE_VERIFIER is not of the password") as error:
        secrets.completed(one_host(), there)
    assert "one-word" not in str(error.value)
    with pytest.raises(HostError, match="no password that can be read"):
        secrets.completed(one_host(), {"DATABASE_URL": "host=/run dbname=shop password=one-word"})


def test_the_file_is_roots_alone_and_has_its_comments(tmp_path: Path) -> None:
    path = tmp_path / "etc/shop/secrets.env"
    made = secrets.completed(one_host(), {})
    secrets.write(path, one_host(), made)
    assert stat.S_IMODE(path.stat().st_mode) == 0o600
    text = path.read_text()
    assert parse(text) == made
    assert text.startswith("# Secrets of shop")
    assert text.count("DATABASE_URL=") == 1
    assert secrets.read(path) == made


def test_a_file_that_is_there_is_completed_and_keeps_every_line(tmp_path: Path) -> None:
    path = tmp_path / "secrets.env"
    mine = "# mine\nSECRET_KEY='keep \"this\"'\nMAIL_PASSWORD=x\n#HARDEN_OPS_TOKEN=\n"
    path.write_text(mine)
    path.chmod(0o600)
    made = secrets.completed(one_host(), secrets.read(path))
    secrets.write(path, one_host(), made)
    text = path.read_text()
    assert text.startswith("# mine\nSECRET_KEY='keep \"this\"'\nMAIL_PASSWORD=x\nHARDEN_OPS_TOKEN=\"")
    assert parse(text) == made
    secrets.write(path, one_host(), made)
    assert path.read_text() == text


def test_a_value_that_spans_lines_is_not_taken_for_a_line_that_waits(tmp_path: Path) -> None:
    path = tmp_path / "secrets.env"
    path.write_text('NOTE="\nSECRET_KEY=\n"\n')
    path.chmod(0o600)
    made = secrets.completed(one_host(), secrets.read(path))
    secrets.write(path, one_host(), made)
    assert path.read_text().startswith('NOTE="\nSECRET_KEY=\n"\n')
    assert parse(path.read_text()) == made


def test_a_second_host_takes_what_the_first_has_made_and_refuses_another(tmp_path: Path) -> None:
    made = secrets.completed(three_hosts(), {})
    secrets.same_file(tmp_path, made, {})
    secrets.same_file(tmp_path, made, made)
    with pytest.raises(HostError, match="another SECRET_KEY than") as error:
        secrets.same_file(tmp_path, made, {**made, "SECRET_KEY": "other"})
    assert made["SECRET_KEY"] not in str(error.value)


def test_a_url_that_leads_elsewhere_is_told_without_its_password() -> None:
    made = secrets.completed(one_host(), {})
    assert secrets.differing(one_host(), made) == []
    moved = one_host(pgbouncer=Bouncer(port=6433))
    (line,) = secrets.differing(moved, made)
    assert "6433" in line
    assert secrets.password_of(made) not in line


def test_the_file_may_lie_elsewhere(tmp_path: Path) -> None:
    elsewhere = one_host(app=App("shop", "app:app", secrets="/srv/shop.env"))
    assert secrets.path_of(elsewhere, tmp_path) == tmp_path / "srv/shop.env"
    assert secrets.path_of(one_host(), tmp_path) == tmp_path / "etc/shop/secrets.env"
    assert secrets.read(tmp_path / "none") == {}


def test_a_password_for_lookups_is_made_where_they_go_over_a_network_and_nowhere_else() -> None:
    query = Bouncer(auth="query")
    afar = three_hosts(pgbouncer=query)
    made = secrets.completed(afar, {})
    assert set(made) == ALL | {secrets.LOOKUP_PASSWORD}
    assert len(made[secrets.LOOKUP_PASSWORD]) >= 32
    assert secrets.completed(afar, made) == made
    for near in (one_host(pgbouncer=query), beside_database(pgbouncer=Bouncer(auth="query", place="database"))):
        assert secrets.LOOKUP_PASSWORD not in secrets.completed(near, {})


def test_the_console_beside_the_database_is_spoken_to_as_the_database_is() -> None:
    sure = Database(name="shop", role="shop", host="db.example", sslmode="verify-full", ca="/etc/ssl/db.crt")
    found = parse_dsn(secrets.completed(beside_database(database=sure), {})["HARDEN_PGBOUNCER_DSN"])
    wanted = {"host": "db.example", "sslmode": "verify-full", "sslrootcert": "/etc/ssl/db.crt"}
    assert {name: found[name] for name in wanted} == wanted
