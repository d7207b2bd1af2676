"""What goes wrong for a newcomer: one line that says what to do, code 2, nothing left running or written."""

from __future__ import annotations

import re
import socket
import sys
from pathlib import Path

import pytest

from scripts.stack import web
from scripts.stack.postgres import Cluster
from scripts.up import command

from ..stack.running import ROOT
from .conftest import Fails, MakeApp

NEEDS_DATABASE = """
import os
import psycopg2
psycopg2.connect(os.environ["DATABASE_URL"]).close()
"""
RAISES = "raise RuntimeError('at once')"


def _log(line: str) -> Path:
    """Return the log that a line names; it must be there."""
    found = re.search(r" \(log: (\S+)\)$", line)
    assert found is not None, line
    path = Path(found[1])
    assert path.is_file()
    return path


def test_a_path_that_does_not_exist_is_said_with_the_folder_it_was_looked_for_in(fails: Fails) -> None:
    for app in ("no/such.py:app", "no/such/package"):
        place = app.partition(":")[0]
        expected = f"{place} does not exist (looked from {Path.cwd()}); check the path before the colon"
        assert fails(app) == expected


def test_an_app_without_a_place_is_explained(fails: Fails) -> None:
    assert fails(":app") == "':app' names no app; give path/to/app.py:app or package:create_app()"


def test_a_module_that_does_not_exist_is_said(
    fails: Fails, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    line = fails("nosuch.module:app")
    assert line.startswith(f"no module 'nosuch' (looked from {tmp_path}); give a path, or run from its folder")
    _log(line)


def test_a_name_that_the_module_does_not_have_comes_with_those_it_has(fails: Fails, make_app: MakeApp) -> None:
    line = fails(f"{make_app()}:application")
    assert "has no 'application'" in line
    assert "it has app" in line


def test_an_app_that_raises_on_import_is_reported_with_its_own_line(fails: Fails, make_app: MakeApp) -> None:
    app = make_app("\nraise RuntimeError('several\\nlines')\n")
    line = fails(f"{app}:app")
    assert f"failed to import: RuntimeError: several lines ({app}:5)" in line
    assert "RuntimeError" in _log(line).read_text()


def test_an_app_that_is_broken_from_the_start_ends_it_with_reload_as_well(
    fails: Fails, make_app: MakeApp
) -> None:
    assert "RuntimeError: at once" in fails(f"{make_app(RAISES)}:app", "--reload", "--workers", "1")


def test_an_app_that_calls_exit_on_import_is_reported(fails: Fails, make_app: MakeApp) -> None:
    line = fails(f"{make_app('import sys; sys.exit(7)')}:app")
    assert "called exit(7) while it was imported; move that under if __name__" in line


def test_an_app_that_never_finishes_importing_is_given_up(
    fails: Fails, make_app: MakeApp, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(command, "BOOT_SECONDS", 2.0)
    monkeypatch.setattr(web, "ANSWER_SECONDS", 0.2)
    line = fails(f"{make_app('import time; time.sleep(600)')}:app", "--workers", "1")
    assert line.startswith("the app did not answer within 2 s (")
    assert "does its file start something that never returns? Move that under if __name__" in line
    _log(line)


def test_an_app_that_kills_its_process_is_given_up(
    fails: Fails, make_app: MakeApp, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(command, "BOOT_SECONDS", 2.0)
    monkeypatch.setattr(web, "ANSWER_SECONDS", 0.2)
    line = fails(f"{make_app('import os; os._exit(9)')}:app", "--workers", "1")
    assert "did not answer within" in line or "ended with code" in line
    _log(line)


def test_a_missing_module_names_the_interpreter_that_lacks_it(fails: Fails, make_app: MakeApp) -> None:
    line = fails(f"{make_app('import no_such_package')}:app")
    assert f"needs the module 'no_such_package', which {sys.executable} does not have; install" in line


def test_a_database_url_that_is_missing_is_named_with_the_apps_line(fails: Fails, make_app: MakeApp) -> None:
    app = make_app(NEEDS_DATABASE)
    assert f"KeyError: 'DATABASE_URL' ({app}:7)" in fails(f"{app}:app")


def test_the_shop_without_a_database_url_says_what_it_needs(
    fails: Fails, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(ROOT)
    assert "DATABASE_URL is not set; set it to postgresql://user:password@host:" in fails("backend.shop")


@pytest.mark.parametrize(
    ("url", "reason"),
    [
        ("mysql://app:hunter2@db/x", "is not a PostgreSQL URL or DSN (its scheme is 'mysql', not postgresql)"),
        ("postgresql://app:hun%ter2@db/x", "a % in the password must be written %25"),
        ("host=db password=hunter2 nonsense", "is not a PostgreSQL URL or DSN"),
        ("host=db password='hunter2", "is not a PostgreSQL URL or DSN"),
        ("hunter2", "is not a PostgreSQL URL or DSN"),
        ("", "is empty; give postgresql://"),
    ],
)
def test_a_malformed_database_url_is_reported_without_its_password(
    fails: Fails, make_app: MakeApp, monkeypatch: pytest.MonkeyPatch, url: str, reason: str
) -> None:
    app = make_app()
    line = fails(f"{app}:app", "--dsn", url)
    assert line.startswith("--dsn ")
    assert reason in line
    assert "hunter2" not in line
    monkeypatch.setenv("DATABASE_URL", url)
    line = fails(f"{app}:app")
    assert line.startswith("DATABASE_URL (environment) ")
    assert reason in line
    assert "hunter2" not in line


@pytest.mark.parametrize("password", ["hunter/2two", "hunter@2two", "hunter:2/two", "hunter?2two", "hunter#2two"])
def test_a_password_that_was_not_percent_encoded_is_explained_and_not_shown(
    fails: Fails, make_app: MakeApp, password: str
) -> None:
    """libpq takes a piece of it for the host or the port, and quotes that; `?`, `#` and `:` it understands."""
    line = fails(f"{make_app()}:app", "--dsn", f"postgresql://app:{password}@127.0.0.1:1/x")
    assert "two" not in line
    assert "hunter" not in line
    assert ("write @ as %40 and / as %2F" in line) == bool({"@", "/"} & set(password))


def test_a_server_that_cannot_be_reached_is_said_before_anything_starts(fails: Fails, make_app: MakeApp) -> None:
    line = fails(f"{make_app()}:app", "--dsn", "postgresql://app:hunter2@127.0.0.1:1/x")
    assert line.startswith("cannot connect to --dsn: connection to server at \"127.0.0.1\", port 1 failed")
    assert line.endswith("check host, port, user and password")
    assert "hunter2" not in line


def test_a_wrong_password_or_database_is_said_with_the_servers_words(
    fails: Fails, make_app: MakeApp, cluster: Cluster, url: str
) -> None:
    app = make_app()
    wrong = re.sub(r"//app:.*@", "//app:hunter2@", url)
    assert 'password authentication failed for user "app"; check' in fails(f"{app}:app", "--dsn", wrong)
    assert 'database "nowhere" does not exist' in fails(f"{app}:app", "--dsn", url.rpartition("/")[0] + "/nowhere")


def test_a_dsn_that_is_no_text_is_one_line(fails: Fails, make_app: MakeApp) -> None:
    line = fails(f"{make_app()}:app", "--dsn", "postgresql://app:hunter2\udcff@127.0.0.1:1/x")
    assert line.startswith("--dsn ")
    assert "hunter2" not in line


@pytest.mark.parametrize(
    ("environ", "line"),
    [
        ({"DB_POOL_MIN": "5", "DB_POOL_MAX": "2"},
         "DB_POOL_MIN=5 is above DB_POOL_MAX=2; lower the one or raise the other"),
        ({"WORKERS": "0"}, "WORKERS='0' (environment) is below 1"),
        ({"WEB_CONCURRENCY": "many"}, "WORKERS='many' (environment) is not a whole number"),
        ({"THREADS": "-1"}, "THREADS='-1' (environment) is below 1; its default is 8"),
        ({"DB_POOL_MXA": "1"}, "DB_POOL_MXA (environment) is not a setting; did you mean DB_POOL_MAX?"),
    ],
)  # fmt: skip
def test_settings_that_cannot_work_are_said_before_anything_starts(
    fails: Fails, make_app: MakeApp, monkeypatch: pytest.MonkeyPatch, environ: dict[str, str], line: str
) -> None:
    for name, value in environ.items():
        monkeypatch.setenv(name, value)
    assert fails(f"{make_app()}:app") == line


@pytest.mark.parametrize(
    ("options", "line"),
    [
        (["--workers", "0"], "WORKERS='0' (environment) is below 1"),
        (["--threads", "-1"], "THREADS='-1' (environment) is below 1; its default is 8"),
        (["--workers", "x"], "argument --workers: invalid int value: 'x'; see scripts/harden up --help"),
        (["--port", "0"], "argument --port: '0' is no port (1 to 65535); see scripts/harden up --help"),
        (["--port", "٣"], "argument --port: '٣' is no port (1 to 65535); see scripts/harden up --help"),
        (["--port", "²"], "argument --port: '²' is no port (1 to 65535); see scripts/harden up --help"),
        (["--pgbouncer", "session"],
         "--pgbouncer goes before the embedded database; add --embedded or --schema FILE"),
        (["--dsn", "x", "--embedded"],
         "argument --embedded: not allowed with argument --dsn; see scripts/harden up --help"),
        (["--dsn", "x", "--schema", "y"],
         "--schema loads into the embedded database; leave out --dsn, or load the schema yourself"),
        (["--schema", "no.sql"],
         "cannot read no.sql (No such file or directory); give --schema an SQL file or a plain pg_dump"),
        (["--schema", "/"], "cannot read / (Is a directory); give --schema an SQL file or a plain pg_dump"),
    ],
)  # fmt: skip
def test_options_that_cannot_work_are_said_before_anything_starts(
    fails: Fails, make_app: MakeApp, options: list[str], line: str
) -> None:
    assert fails(f"{make_app()}:app", *options) == line


def test_a_port_in_use_is_said_and_nothing_runs(fails: Fails, make_app: MakeApp) -> None:
    with socket.create_server(("127.0.0.1", 0)) as other:
        port = other.getsockname()[1]
        line = fails(f"{make_app()}:app", "--port", str(port), "--embedded")
    assert line == f"cannot listen on 127.0.0.1:{port} (Address already in use); give another --port or --host"


def test_an_address_that_is_not_ours_is_said(fails: Fails, make_app: MakeApp) -> None:
    line = fails(f"{make_app()}:app", "--host", "192.0.2.1")
    assert "cannot listen on 192.0.2.1:" in line
    assert "Cannot assign requested address" in line


def test_a_schema_that_fails_is_reported_with_its_line_and_its_server_goes_away(
    fails: Fails, make_app: MakeApp, tmp_path: Path
) -> None:
    (tmp_path / "schema.sql").write_text("CREATE TABLE t (id int);\nCREATE TABLE u (id nonsense);\n")
    line = fails(f"{make_app()}:app", "--schema", tmp_path / "schema.sql")
    assert f"{tmp_path}/schema.sql could not be loaded: psql:{tmp_path}/schema.sql:2: ERROR: type " in line


def test_pgbouncer_that_is_not_installed_is_said(
    fails: Fails, make_app: MakeApp, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("scripts.stack.binaries._pgbouncer", lambda: None)
    monkeypatch.setattr("scripts.stack.binaries._can_apt", lambda: False)
    line = fails(f"{make_app()}:app", "--embedded", "--pgbouncer", "session")
    assert line.startswith("PgBouncer is not installed; leave --pgbouncer out, or apt-get install pgbouncer")


def test_a_state_folder_that_cannot_be_is_said(
    fails: Fails, make_app: MakeApp, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("HARDEN_STATE", "/proc/no/such")
    line = fails(f"{make_app()}:app")
    assert re.match(r"cannot write to /proc/no/such \(.*\); set HARDEN_STATE to a folder of yours$", line)
