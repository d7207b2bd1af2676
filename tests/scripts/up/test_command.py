"""`harden up` serving apps as people write them; each test is one start, and one look at all it is to show."""

from __future__ import annotations

import argparse
import json
import os
import re
import signal
import socket
import urllib.error
from pathlib import Path
from textwrap import dedent
from typing import Any

import pytest

from scripts.stack.postgres import Cluster
from scripts.up import command, database

from ..stack.running import clean_environ, get, harden, is_gone, runs, wait_until
from .conftest import MakeApp

# An app that has folders and files of the same names as the kit's, and opens a file by a relative name.
OWN_NAMES = """
import os
import backend, deploy, scripts
from flask import Flask

app = Flask(__name__)


@app.get("/")
def index():
    return {
        "names": [module.WHO for module in (backend, deploy, scripts)],
        "file": open("data.txt").read(),
        "workers": os.environ.get("WEB_CONCURRENCY"),
        "pid": os.getpid(),
    }
"""
# Hard-codes a database that is nowhere, in each of the spellings there are.
HARD_CODED = """
import psycopg2
from psycopg2 import connect


@app.get("/")
def index():
    found = []
    for conn in (
        psycopg2.connect("postgresql://someone:else@db.internal:6543/theirs"),
        connect(host="192.0.2.1", user="someone", password="else", dbname="theirs", connect_timeout=1),
        psycopg2.connect("host=db.internal", port=1, sslmode="verify-full"),
    ):
        cursor = conn.cursor()
        cursor.execute("SELECT current_user, current_database()")
        found.append(cursor.fetchone())
        conn.close()
    return found
"""
WITH_SCHEMA = """
import os
import psycopg2


@app.get("/")
def index():
    conn = psycopg2.connect(host="db.internal", password="x")
    cursor = conn.cursor()
    cursor.execute("SELECT count(*) FROM orders")
    count = cursor.fetchone()[0]
    cursor.execute("SELECT setting FROM pg_settings WHERE name = 'port'")
    servers_port = cursor.fetchone()[0]
    conn.close()
    return {
        "orders": count, "port": servers_port,
        "url": os.environ["DATABASE_URL"], "mode": os.environ["DB_PGBOUNCER"],
        "libpq": [name for name in os.environ if name.startswith("PG")],
    }
"""


@pytest.fixture
def workers() -> list[str]:
    return ["--workers", "1"]


def _json(url: str) -> Any:
    return json.loads(get(url))


def test_a_default_port_in_use_is_said_and_another_one_taken(monkeypatch: pytest.MonkeyPatch) -> None:
    said: list[str] = []
    with socket.create_server(("127.0.0.1", 0)) as other:
        taken = other.getsockname()[1]
        monkeypatch.setattr(command, "DEFAULT_PORT", taken)
        options = argparse.Namespace(host="127.0.0.1", port=None)
        with command._listener(options, said.append) as listener:  # type: ignore[arg-type]
            port = listener.getsockname()[1]
    assert port != taken
    assert said == [f"port {taken} is in use; taking {port} instead"]


def test_an_app_with_our_names_for_its_own_folders_is_served_from_any_folder(
    state: Path, tmp_path: Path
) -> None:
    """And GUNICORN_CMD_ARGS of the caller's shell does not reach our Gunicorn, WEB_CONCURRENCY does."""
    app = tmp_path / "app with space"
    for name in ("backend", "deploy", "scripts"):
        (app / name).mkdir(parents=True)
        (app / name / "__init__.py").write_text(f"WHO = 'the app: {name}'")
    (app / "wsgi.py").write_text(OWN_NAMES)
    (app / "data.txt").write_text("found")
    environ = {"GUNICORN_CMD_ARGS": "--bind=0.0.0.0:1 --nonsense", "WEB_CONCURRENCY": "3"}
    with harden("up", "app with space/wsgi.py:app", state=state, environ=environ, cwd=tmp_path) as running:
        url = running.serving()
        assert _json(url)["names"] == ["the app: backend", "the app: deploy", "the app: scripts"]
        assert _json(url)["file"] == "found"
        running.wait_for(r"harden: serving .* \(3 workers x 8 threads\)")
        victim = _json(url)["pid"]
        os.kill(victim, signal.SIGKILL)
        wait_until(lambda: is_gone(victim), "the end of a worker")
        for _ in range(5):
            assert _json(url)["pid"] != victim
        assert "ok" in get(f"{url}/readyz")


def test_a_factory_of_a_module_is_called_with_its_arguments(
    state: Path, tmp_path: Path, workers: list[str]
) -> None:
    (tmp_path / "shop").mkdir()
    (tmp_path / "shop" / "__init__.py").write_text("")
    (tmp_path / "shop" / "factory.py").write_text(dedent("""
        from flask import Flask

        def create_app(name, debug=False):
            app = Flask(__name__)
            app.add_url_rule("/", "index", lambda: f"{name} {debug} {__name__}")
            return app
    """))
    with harden(
        "up", "shop.factory:create_app('blue', debug=True)", *workers, state=state, cwd=tmp_path
    ) as running:
        assert get(running.serving()) == "blue True shop.factory"


def test_a_package_folder_is_served_with_what_it_imports_of_itself(
    state: Path, tmp_path: Path, workers: list[str]
) -> None:
    package = tmp_path / "src" / "shop"
    package.mkdir(parents=True)
    (package / "__init__.py").write_text(dedent("""
        from flask import Flask
        from .parts import NAME
        from shop import parts

        def make_app():
            app = Flask(__name__)
            app.add_url_rule("/", "index", lambda: parts.NAME + NAME)
            return app
    """))
    (package / "parts.py").write_text("NAME = 'part'")
    with harden("up", package, *workers, state=state, cwd=tmp_path) as running:
        assert get(running.serving()) == "partpart"


def test_every_connection_of_the_app_goes_to_the_dsn(
    state: Path, make_app: MakeApp, url: str, workers: list[str]
) -> None:
    """Whose password has a quote, a space and a percent sign; and DATABASE_URL of the shell may be anything."""
    environ = {"DATABASE_URL": "sqlite:///app.db"}
    with harden(
        "up", f"{make_app(HARD_CODED)}:app", "--dsn", url, *workers, state=state, environ=environ
    ) as running:
        address = running.serving()
        assert _json(address) == [["app", "app"]] * 3
        running.wait_for("harden: database: your database")
        assert "%27" not in "\n".join(running.lines)


@pytest.mark.parametrize("password", ["line\nbreak", "100%", "'\"; --", "a@b:c/d?e#f", "pass word", "ünï"])
def test_any_password_works_when_it_is_percent_encoded(
    state: Path, cluster: Cluster, password: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    cluster.execute("DROP ROLE IF EXISTS with_password")
    cluster.create_role("with_password", password)
    database._check(cluster.url("postgres", "with_password"))


def test_schema_and_dump_are_loaded_behind_pgbouncer(
    state: Path, make_app: MakeApp, tmp_path: Path, workers: list[str]
) -> None:
    """The caller's PG* variables lead nowhere, and have no say about a database of ours."""
    (tmp_path / "schema.sql").write_text("CREATE TABLE orders (id int);\n")
    (tmp_path / "dump.sql").write_text(
        "--\n-- PostgreSQL database dump\n--\n\nALTER TABLE public.orders OWNER TO somebody_elses;\n"
        "COPY public.orders (id) FROM stdin;\n1\n2\n\\.\n"
    )
    schemas = ["--schema", "schema.sql", "--schema", tmp_path / "dump.sql", "--pgbouncer", "transaction"]
    environ = {"PGSSLMODE": "require", "PGHOSTADDR": "192.0.2.1", "PGOPTIONS": "-c nonsense=1"}
    with harden(
        "up", f"{make_app(WITH_SCHEMA)}:app", *schemas, *workers, state=state, environ=environ, cwd=tmp_path
    ) as running:
        found = _json(running.serving())
        assert (found["orders"], found["mode"], found["libpq"]) == (2, "transaction", [])
        assert f":{found['port']}/" not in found["url"]  # PgBouncer's, then
        running.wait_for(r"thrown away afterwards, behind PgBouncer \(transaction mode\)")


def test_a_changed_file_is_picked_up_and_a_broken_one_does_not_end_it(
    state: Path, make_app: MakeApp, workers: list[str]
) -> None:
    """The typo is in a module that the app imports: Gunicorn watches what could be imported, by itself."""
    app = make_app("\nimport part\n\n@app.get('/')\ndef index():\n    return part.WHO\n")
    part = make_app("WHO = 'one'", "part.py")
    with harden("up", f"{app}:app", "--reload", *workers, state=state) as running:
        url = running.serving()
        assert get(url) == "one"
        part.write_text("WHO = ('two'")
        wait_until(lambda: "cannot be loaded" in _answer(url), "the word that it is broken")
        running.wait_for(r"^harden: error: .* failed to import: SyntaxError")
        part.write_text("WHO = 'three'")
        wait_until(lambda: _answer(url) == "three", "the new answer", 30)


def _answer(url: str) -> str:
    try:
        return get(url)
    except urllib.error.HTTPError as error:
        with error:
            return error.read().decode()
    except OSError:
        return ""


def test_a_run_that_ends_by_itself_says_so_with_its_log(
    state: Path, make_app: MakeApp, workers: list[str]
) -> None:
    with harden("up", f"{make_app()}:app", *workers, state=state) as running:
        running.serving()
        listening = running.wait_for(r"Listening at: \S+ \((\d+)\)")
        os.kill(int(listening[1]), signal.SIGTERM)
        assert running.ended() == 2
        (line,) = running.errors()
        assert re.fullmatch(r"harden: error: Gunicorn ended with code 0 \(log: \S+/gunicorn.log\)", line)
        assert Path(line.rpartition(" ")[2].rstrip(")")).is_file()
        assert not runs(state)


def test_the_caller_sees_the_apps_own_output(state: Path, make_app: MakeApp, workers: list[str]) -> None:
    app = make_app("\nimport sys\nprint('on stdout')\nprint('on stderr', file=sys.stderr)\n")
    with harden("up", f"{app}:app", *workers, state=state, environ=clean_environ()) as running:
        running.serving()
        running.wait_for("^on stdout$")
        running.wait_for("^on stderr$")
