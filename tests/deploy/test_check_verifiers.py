"""The verifiers on both sides: a real PostgreSQL is asked, by --dsn and by psql."""

from __future__ import annotations

import os
import re
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from deploy.checks import verifiers
from deploy.checks.subject import Subject
from deploy.host import command
from deploy.scram import make_verifier
from scripts.stack.postgres import Cluster

from .check_samples import SECRETS, VERIFIER, asked, subject, text_of
from .unit_samples import one_host

ROLE = "verified"


@pytest.fixture
def role(cluster: Cluster) -> Iterator[str]:
    """A role with the verifier of the file of secrets."""
    cluster.execute(f"CREATE ROLE {ROLE} LOGIN PASSWORD '{VERIFIER}'")
    yield ROLE
    cluster.execute(f"DROP ROLE {ROLE}")


def _service(folder: Path, role: str, **values: Any) -> Subject:
    database = replace(one_host().database, role=role)
    return subject(folder, one_host(database=database), "app", **values)


def _superuser(cluster: Cluster) -> str:
    return cluster.dsn()


def test_the_same_on_both_sides_is_ok(tmp_path: Path, cluster: Cluster, role: str) -> None:
    found = asked("verifiers", _service(tmp_path, role, dsn=_superuser(cluster), root=tmp_path))
    assert (found.state, text_of(found)) == ("ok", "")


def test_another_salt_on_the_server_is_a_finding_that_shows_neither(
    tmp_path: Path, cluster: Cluster, role: str
) -> None:
    other = make_verifier("correct horse battery", salt=b"another salt....")
    cluster.execute(f"ALTER ROLE {role} PASSWORD '{other}'")
    found = asked("verifiers", _service(tmp_path, role, dsn=_superuser(cluster), root=tmp_path))
    assert "another salt than the server's" in text_of(found)
    assert "SCRAM-SHA-256$" not in text_of(found)


def test_userlist_on_the_host_goes_before_the_rendered_one(tmp_path: Path, cluster: Cluster, role: str) -> None:
    there = tmp_path / "etc/shop/pgbouncer/userlist.txt"
    there.parent.mkdir(parents=True)
    there.write_text(f'"{role}" "{make_verifier("old", salt=b"0123456789abcdef")}"\n')
    said = text_of(asked("verifiers", _service(tmp_path, role, dsn=_superuser(cluster), root=tmp_path)))
    assert "userlist.txt has another verifier than the file of secrets" in said
    assert "with the server's salt and other keys" in said


def test_a_role_that_the_server_lacks_is_a_finding(tmp_path: Path, cluster: Cluster) -> None:
    found = asked("verifiers", _service(tmp_path, "nobody_here", dsn=_superuser(cluster), root=tmp_path))
    assert "'nobody_here': in userlist.txt, and not on the server" in text_of(found)


def test_a_server_that_does_not_answer_is_a_finding_for_somebody_asked_for_it(tmp_path: Path) -> None:
    service = _service(tmp_path, "shop", dsn="host=127.0.0.1 port=1 user=x connect_timeout=2", root=tmp_path)
    assert "PostgreSQL was not asked" in text_of(asked("verifiers", service))


def test_psql_asks_the_same_and_gives_the_statement_no_argument(
    tmp_path: Path, cluster: Cluster, role: str, stack: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    """As on a host, where there is no psycopg2; here another superuser asks, by TCP."""
    seen: list[tuple[str, ...]] = []
    real = command.run

    def run(*argv: str, **given: Any) -> Any:
        seen.append(argv)
        psql = str(stack.binaries.postgres / "psql")
        words = list(argv[argv.index("psql") + 1 :])
        env = {"PGUSER": cluster.user, "PGPASSWORD": cluster.password, "PGHOST": "127.0.0.1"}
        return real(psql, *words, **given, env=env)

    monkeypatch.setattr(verifiers.command, "run", run)
    monkeypatch.setattr(verifiers.os, "geteuid", lambda: 0)
    monkeypatch.setattr(verifiers.shutil, "which", lambda *_, **__: "psql")
    database = replace(one_host().database, role=role, host="127.0.0.1", port=cluster.port)
    service = subject(tmp_path, one_host(database=database), "app", root=tmp_path)
    assert (asked("verifiers", service).state, text_of(asked("verifiers", service))) == ("ok", "")
    cluster.execute(f"ALTER ROLE {role} NOLOGIN")
    assert "may not log in on the server" in text_of(asked("verifiers", service))
    assert not any("SELECT" in word or "SCRAM" in word for argv in seen for word in argv)


def test_without_a_way_to_ask_it_says_what_would_help(tmp_path: Path) -> None:
    elsewhere = replace(one_host().database, host="10.0.0.5")
    found = asked("verifiers", subject(tmp_path, one_host(database=elsewhere), "app", root=tmp_path))
    assert re.search("give --dsn of a superuser", found.text)
    if os.geteuid() != 0:
        found = asked("verifiers", subject(tmp_path, one_host(), "app", root=tmp_path))
        assert "run as root on its host" in found.text


def test_the_password_has_to_fit_its_verifier(tmp_path: Path) -> None:
    assert asked("password", subject(tmp_path)).state == "ok"
    wrong = {**SECRETS, "DATABASE_URL": "postgresql://shop:guess-which@/shop"}
    said = text_of(asked("password", subject(tmp_path, secrets=wrong)))
    assert "is not the one that DATABASE_VERIFIER was made of" in said
    assert "guess-which" not in said
    other = {**SECRETS, "DATABASE_URL": SECRETS["DATABASE_URL"].replace("//shop", "//root")}
    assert "another role" in text_of(asked("password", subject(tmp_path, secrets=other)))


def test_a_verifier_that_is_none_is_a_finding(tmp_path: Path) -> None:
    broken = {**SECRETS, "DATABASE_VERIFIER": "SCRAM-SHA-256$broken"}
    assert "no SCRAM-SHA-256 verifier" in text_of(asked("password", subject(tmp_path, secrets=broken)))


def test_without_secrets_there_is_nothing_to_compare(tmp_path: Path) -> None:
    assert asked("password", subject(tmp_path, secrets={}, no_secrets="not here")).text == "not here"
    assert asked("password", subject(tmp_path, secrets={})).state == "skipped"
