"""app.env is read back as it was meant, by systemd's rules, by a shell, and by systemd where one runs."""

from __future__ import annotations

import os
import subprocess
from collections.abc import Mapping
from dataclasses import replace
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from psycopg2.extensions import parse_dsn

from backend.settings import SECRETS, load
from deploy import app_files
from deploy.description import Bouncer, Database, Front
from deploy.errors import InputError
from deploy.unit_templates import env_value

from .golden_files import assert_golden
from .unit_samples import SAMPLES, beside_database, one_host, sized, three_hosts

CONTROLS = [chr(code) for code in (*range(9), *range(11, 32), 127)]
values = st.text(st.characters(exclude_categories=("Cs", "Cn"), exclude_characters=CONTROLS))


def systemd_reads(text: str) -> dict[str, str]:
    """Read an environment file by the rules of systemd.exec(5): comments, and values in double quotes or bare."""
    found: dict[str, str] = {}
    at = 0
    while at < len(text):
        if text[at] in "#;" or text[at].isspace():
            at = at + 1 if text[at].isspace() else text.find("\n", at) + 1 or len(text)
            continue
        equals = text.index("=", at)
        key, at, value = text[at:equals], equals + 1, ""
        if text[at : at + 1] == '"':
            at += 1
            while text[at] != '"':
                escaped = text[at] == "\\"
                at += escaped
                if escaped and text[at] not in '"\\`$\n':
                    value += "\\"
                value += "" if escaped and text[at] == "\n" else text[at]
                at += 1
            at += 1
        else:
            end = text.find("\n", at)
            value, at = text[at:end].strip(), end
        found[key] = value
    return found


def shell_reads(path: Path, environ: Mapping[str, str] | None = None) -> dict[str, str]:
    done = subprocess.run(
        ["/bin/sh", "-c", 'set -a; . "$0"; exec env -0', str(path)], capture_output=True, timeout=60,
        env=dict(environ or {"PATH": os.environ["PATH"]}), check=True,
    )  # fmt: skip
    return dict(entry.split("=", 1) for entry in done.stdout.decode().split("\0") if entry)


@pytest.mark.parametrize("sample", SAMPLES)
def test_files_are_the_golden_ones(sample: str) -> None:
    description = SAMPLES[sample]
    files = (*app_files.files(description, sized(description)), app_files.secrets_file(description))
    assert_golden(f"app/{sample}", files)


@settings(deadline=None, max_examples=200)
@given(values)
def test_any_text_is_read_back_as_it_was(value: str) -> None:
    assert systemd_reads(f"A={env_value(value)}\nB=2\n") == {"A": value, "B": "2"}


@settings(deadline=None, max_examples=10)
@given(st.lists(values, min_size=1, max_size=30))
def test_a_shell_reads_the_same(tmp_path_factory: pytest.TempPathFactory, texts: list[str]) -> None:
    names = {f"V{number}": value for number, value in enumerate(texts)}
    path = tmp_path_factory.mktemp("env") / "app.env"
    path.write_text("".join(f"{name}={env_value(value)}\n" for name, value in names.items()), encoding="utf-8")
    found = shell_reads(path)
    assert {name: found[name] for name in names} == names


@pytest.mark.skipif(not Path("/run/systemd/system").exists(), reason="systemd does not run here")
def test_systemd_itself_reads_the_same(tmp_path: Path) -> None:
    names = {"A": 'a "b" $c `d` \\e %f', "B": "two\nlines\t", "C": " #;' ", "D": "\\", "E": "grün 🐘"}
    path = tmp_path / "app.env"
    path.write_text("".join(f"{name}={env_value(value)}\n" for name, value in names.items()), encoding="utf-8")
    done = subprocess.run(
        ["systemd-run", "--quiet", "--wait", "--pipe", "--collect", "-p", f"EnvironmentFile={path}", "env", "-0"],
        capture_output=True, check=True, timeout=60,
    )  # fmt: skip
    found = dict(entry.split("=", 1) for entry in done.stdout.decode().split("\0") if entry)
    assert {name: found[name] for name in names} == names


@pytest.mark.parametrize("value", ["\x00", "a\x1bb", "\r", "\x7f", "\ud800", "\ufdd0", "\uffff"])
def test_what_systemd_would_drop_in_silence_is_refused(value: str) -> None:
    with pytest.raises(InputError, match=r"holds U\+[0-9A-F]{4}, with which systemd drops the variable"):
        env_value(value)


@settings(deadline=None, max_examples=100)
@given(name=st.text(max_size=20) | st.sampled_from(["A\nWORKERS", "A=1 B", "A B", "#A", "", "Ä"]), value=st.text())
def test_no_variable_becomes_another(name: str, value: str) -> None:
    base = one_host()
    plain = systemd_reads(app_files.files(base, sized(base))[0].text)
    try:
        (file,) = app_files.files(replace(base, environ={name: value}), sized(base))
    except InputError:
        return
    assert systemd_reads(file.text) == {**plain, name: value}


hostile = st.text(max_size=20) | st.sampled_from(
    [f"shop{end}=1" for end in ("\nA", "\r\nA", "\u2028A", "\x85A", '"\nA')]
)


@settings(deadline=None, max_examples=60)
@given(name=hostile, target=hostile, role=hostile, host=hostile, ca=hostile)
def test_no_value_leaves_its_comment_or_its_quotes(name: str, target: str, role: str, host: str, ca: str) -> None:
    base = three_hosts(pgbouncer=Bouncer(enabled=False), database=replace(
        three_hosts().database, max_connections=900))  # fmt: skip
    plan = sized(base)
    plain = systemd_reads(app_files.files(base, plan)[0].text)
    for description in (
        replace(base, app=replace(base.app, name=name)),
        replace(base, app=replace(base.app, target=target)),
        replace(base, database=replace(base.database, role=role)),
        replace(base, database=replace(base.database, host=host)),
        replace(base, database=replace(base.database, ca=ca)),
    ):
        try:
            (file,), secrets = app_files.files(description, plan), app_files.secrets_file(description)
        except InputError:
            continue
        found = systemd_reads(file.text)
        assert found.keys() | {"DB_POOL_PEER_TIMEOUT"} == plain.keys()  # which a socket does not need
        assert found["HARDEN_APP"] == description.app.target
        assert systemd_reads(secrets.text) == {"DATABASE_URL": "", "SECRET_KEY": ""}


@pytest.mark.parametrize("sample", SAMPLES)
def test_the_runtime_takes_the_file(sample: str, tmp_path: Path) -> None:
    description = SAMPLES[sample]
    plan = sized(description)
    (file,) = app_files.files(description, plan)
    environ = systemd_reads(file.text)
    settings = load(environ={**environ, "DATABASE_URL": app_files.database_url(description)})
    assert (settings["WORKERS"], settings["THREADS"]) == (plan.workers, plan.threads)
    assert (settings.pool_max, settings["DB_POOL_TIMEOUT"]) == (plan.pool_max, plan.pool_timeout)
    assert settings["DB_PGBOUNCER"] == description.pgbouncer.mode
    assert settings.environment == "production"
    assert settings["HARDEN_APP"] == description.app.target
    assert not SECRETS & environ.keys()
    path = tmp_path / "app.env"
    path.write_text(file.text)
    assert shell_reads(path).items() >= environ.items()


def test_the_environment_of_the_description_goes_before_our_defaults() -> None:
    description = one_host(environ={"HARDEN_LOG_FORMAT": "text", "FEATURE": "on"})
    environ = systemd_reads(app_files.files(description, sized(description))[0].text)
    assert (environ["HARDEN_LOG_FORMAT"], environ["FEATURE"]) == ("text", "on")


@pytest.mark.parametrize(
    ("kind", "balancer", "proxies"), [("nginx", False, 1), ("nginx", True, 1), ("none", False, 0)]
)
def test_as_many_proxies_are_trusted_as_there_are(kind: str, balancer: bool, proxies: int) -> None:
    assert app_files.proxies(one_host(front=Front(kind=kind, balancer=balancer))) == proxies


def test_the_secrets_are_roots_and_have_names_alone() -> None:
    file = app_files.secrets_file(three_hosts())
    assert (file.path, file.mode, file.owner, file.is_secret) == ("/etc/web-shop/secrets.env", 0o600, "root", True)
    assert systemd_reads(file.text) == {"DATABASE_URL": "", "SECRET_KEY": ""}
    named = one_host(app=replace(one_host().app, secrets="/srv/shop.env"))
    assert app_files.secrets_file(named).path == "/srv/shop.env"


@pytest.mark.parametrize(("description", "expected"), [
    (one_host(), {"host": "/run/shop-pgbouncer/1,/run/shop-pgbouncer/2", "port": "6432,6432",
                  "connect_timeout": "2"}),
    (three_hosts(), {"host": ",".join(f"/run/web-shop-pgbouncer/{number}" for number in (1, 2, 3)),
                     "port": "6432,6432,6432"}),
    (one_host(database=replace(one_host().database, max_connections=22)), {"host": "/run/shop-pgbouncer/1"}),
    (beside_database(), {"host": "db.example", "port": "6432", "tcp_user_timeout": "3000", "sslmode": "prefer"}),
    (one_host(pgbouncer=Bouncer(enabled=False)), {"host": "/run/postgresql", "port": "5432"}),
    (three_hosts(pgbouncer=Bouncer(enabled=False), database=Database(
        name="shop", role="shop", host="[fd00::5]", sslmode="verify-full", ca="/etc/ca.pem", max_connections=900)),
     {"host": "fd00::5", "sslmode": "verify-full", "sslrootcert": "/etc/ca.pem", "keepalives_count": "3"}),
])  # fmt: skip
def test_libpq_reads_the_example_of_the_database(description, expected: dict[str, str]) -> None:
    found = parse_dsn(app_files.database_url(description))
    assert found.items() >= {**expected, "user": "shop", "password": "PASSWORD", "dbname": "shop"}.items()
    assert ("tcp_user_timeout" in found) == (not found["host"].startswith("/"))
