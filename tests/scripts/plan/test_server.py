"""`harden plan --dsn` and a real PostgreSQL and PgBouncer: what differs is found, and its SQL mends it."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator
from contextlib import closing
from pathlib import Path
from typing import Any

import psycopg2
import pytest
from psycopg2 import sql
from psycopg2.extensions import make_dsn

from scripts import cli
from scripts.plan import server
from scripts.plan.server import milliseconds
from scripts.stack import Stack
from scripts.stack.postgres import Cluster

ROLE = 'plan "role'
DATABASE = "plan_db"
PASSWORD = "hunter2 ' secret"
FILE = """\
[app]
name = "shop"
target = "shop:app"

[database]
name = "plan_db"
role = 'plan_role'
version = {version}
"""
Ask = Callable[..., tuple[int, dict[str, Any]]]


@pytest.fixture
def role(cluster: Cluster) -> Iterator[str]:
    """A role and a database as people make them: nothing limited, nothing set."""
    cluster.create_role(ROLE, PASSWORD)
    cluster.create_database(DATABASE, ROLE)
    yield ROLE
    cluster.drop_database(DATABASE)
    cluster.execute(sql.SQL("DROP ROLE {}").format(sql.Identifier(ROLE)))


@pytest.fixture
def ask(
    cluster: Cluster, role: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> Ask:  # fmt: skip
    """A function that runs `harden plan --json --dsn` as the role, and returns its code and data."""
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("PGPASSWORD", PASSWORD)

    def run(*arguments: str, **dsn: Any) -> tuple[int, dict[str, Any]]:
        where = {"host": "127.0.0.1", "port": cluster.port, "dbname": DATABASE, "user": role, **dsn}
        code = cli.main(["plan", "--json", "--dsn", make_dsn(**where), *arguments])
        shown = capsys.readouterr()
        assert PASSWORD not in shown.out + shown.err
        assert shown.err == ""
        return code, json.loads(shown.out)

    return run


def _differences(data: dict[str, Any]) -> list[str]:
    return [difference["text"] for difference in data["server"]["differences"]]


def _mend(cluster: Cluster, data: dict[str, Any]) -> None:
    for difference in data["server"]["differences"]:
        cluster.execute(difference["mend"])


def test_a_role_without_timeouts_differs_until_the_sql_that_is_named_has_run(ask: Ask, cluster: Cluster) -> None:
    code, data = ask()
    assert code == 1
    assert _differences(data) == [
        f"lock_timeout of role {ROLE} is off and timeouts.lock=4",
        f"statement_timeout of role {ROLE} is off and timeouts.statement=20",
        f"idle_in_transaction_session_timeout of role {ROLE} is off: a forgotten transaction stays",
    ]
    assert data["limit"] == 97  # without a file the server's own numbers are planned with
    _mend(cluster, data)
    code, data = ask()
    assert (code, _differences(data)) == (0, [])
    assert data["server"]["notes"][0].startswith("PostgreSQL ")


def test_limits_rights_and_settings_that_break_the_plan_are_found_and_mended(ask: Ask, cluster: Cluster) -> None:
    name = sql.Identifier(ROLE)
    for statement in (
        "ALTER ROLE {} SUPERUSER", "ALTER ROLE {} SET idle_session_timeout = '1min'",
        "ALTER ROLE {} SET statement_timeout = '2min'", "ALTER ROLE {} SET lock_timeout = 4000",
        "ALTER ROLE {} IN DATABASE plan_db SET statement_timeout = '30000'",
        "ALTER ROLE {} SET idle_in_transaction_session_timeout = '60s'",
    ):  # fmt: skip
        cluster.execute(sql.SQL(statement).format(name))
    cluster.execute("ALTER DATABASE plan_db CONNECTION LIMIT 12")
    code, data = ask()
    assert code == 1
    assert _differences(data) == [
        "database plan_db has CONNECTION LIMIT 12, and the plan needs 34",
        f"role {ROLE} is a superuser: it also takes the connections reserved for administrators",
        f"statement_timeout of role {ROLE} is 30 s and timeouts.statement=20",
        f"idle_session_timeout of role {ROLE} is 60 s: it closes connections that the pools keep",
    ]
    cluster.execute(sql.SQL("ALTER ROLE {} IN DATABASE plan_db RESET ALL").format(name))
    _mend(cluster, data)
    assert ask()[0] == 0
    cluster.execute(sql.SQL("ALTER ROLE {} CONNECTION LIMIT 5").format(name))
    code, data = ask()
    assert _differences(data) == [f"role {ROLE} has CONNECTION LIMIT 5, and the plan opens 24"]
    _mend(cluster, data)
    assert ask()[0] == 0


def test_the_numbers_of_flags_are_compared_with_the_servers(ask: Ask) -> None:
    code, data = ask("--max-connections", "200", "--superuser-reserved", "5", "--postgresql", "13")
    assert code == 1
    texts, mends = _differences(data), [found["mend"] for found in data["server"]["differences"]]
    assert texts[:2] == [
        "max_connections is 100 and database.max_connections=200",
        "superuser_reserved_connections is 3 and database.superuser_reserved=5",
    ]
    assert mends[0] == (
        "ALTER SYSTEM SET max_connections = 200; -- then restart PostgreSQL; "
        "or set database.max_connections = 100 in harden.toml"
    )
    assert texts[2].endswith(" and database.version=13")
    assert not {"max_connections", "superuser_reserved"} & set(_differences(ask()[1]))


def test_a_file_names_the_role_that_is_looked_at(ask: Ask, cluster: Cluster, tmp_path: Path) -> None:
    """Asked by another role than the app's, which is how an administrator does it."""
    version = int(cluster.execute("SHOW server_version_num")[0][0]) // 10_000
    (tmp_path / "harden.toml").write_text(FILE.format(version=version))
    code, data = ask()
    assert code == 1
    assert "there is no role plan_role" in _differences(data)
    [mend] = [found["mend"] for found in data["server"]["differences"] if "no role" in found["text"]]
    cluster.execute(mend)
    try:
        assert "lock_timeout of role plan_role is off and timeouts.lock=4" in _differences(ask()[1])
    finally:
        cluster.execute("DROP ROLE plan_role")


def test_connections_of_others_count_against_the_direct_ones(ask: Ask, cluster: Cluster) -> None:
    held = [cluster.connect() for _ in range(3)]
    try:
        _, data = ask("--direct", "2")
    finally:
        for conn in held:
            conn.close()
    [text] = [text for text in _differences(data) if text.startswith("other roles have ")]
    assert int(text.split()[3]) >= 3
    assert text.endswith("database.direct=2")


def test_through_pgbouncer_it_says_so_and_leaves_no_setting_behind(
    ask: Ask, cluster: Cluster, stack: Stack, role: str
) -> None:
    bouncer = stack.pgbouncer(cluster, [DATABASE], [role], name="pgbouncer-plan", pool_size=1, stats_users=())
    if bouncer is None:
        pytest.skip("pgbouncer is not installed (apt-get install pgbouncer)")
    try:
        _, direct = ask()
        _, pooled = ask(port=bouncer.port)
        assert _differences(pooled) == _differences(direct)
        assert any("leads through PgBouncer" in note for note in pooled["server"]["notes"])
        assert not any("leads through PgBouncer" in note for note in direct["server"]["notes"])
        _, again = ask(port=bouncer.port)  # on the same server connection, which has no limit of ours left
        assert _differences(again) == _differences(direct)
    finally:
        bouncer.stop()


def test_a_queue_that_does_not_move_ends_the_wait(
    cluster: Cluster, stack: Stack, role: str, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    """The one server connection is in somebody's transaction; PgBouncer would let us wait for longer."""
    monkeypatch.setattr(server, "ANSWER_SECONDS", 0.5)
    bouncer = stack.pgbouncer(cluster, [DATABASE], [role], name="pgbouncer-full", pool_size=1)
    if bouncer is None:
        pytest.skip("pgbouncer is not installed (apt-get install pgbouncer)")
    try:
        with closing(psycopg2.connect(bouncer.url(DATABASE, role))) as holder, holder.cursor() as cursor:
            cursor.execute("SELECT 1")
            monkeypatch.setenv("DATABASE_URL", bouncer.url(DATABASE, role))
            assert cli.main(["plan", "--dsn"]) == 2
    finally:
        bouncer.stop()
    assert (
        "connected, but no answer within 0.5 s; is PgBouncer's queue full, or paused?" in capsys.readouterr().err
    )


def test_pgbouncers_console_is_compared_with_the_plan(
    ask: Ask, cluster: Cluster, stack: Stack, monkeypatch: pytest.MonkeyPatch
) -> None:
    cluster.create_role("plan_stats", PASSWORD)
    bouncer = stack.pgbouncer(cluster, [DATABASE], ["plan_stats"], name="pgbouncer-console",
                              pool_size=8, stats_users=("plan_stats",))  # fmt: skip
    if bouncer is None:
        pytest.skip("pgbouncer is not installed (apt-get install pgbouncer)")
    try:
        code, data = ask(port=bouncer.port, dbname="pgbouncer", user="plan_stats")
    finally:
        bouncer.stop()
        cluster.execute("DROP ROLE plan_stats")
    assert code == 1
    assert _differences(data) == [
        "max_client_conn is 1000 and the plan has 52",
        "query_wait_timeout is 8 and the plan has 5",
        "reserve_pool_size is 0 and the plan has 1",
    ]
    assert data["server"]["notes"][0].startswith("the DSN is PgBouncer's console")


def test_a_password_on_the_command_line_is_refused_and_not_repeated(capsys: pytest.CaptureFixture[str]) -> None:
    for dsn in ("postgresql://shop:hunter2@127.0.0.1:1/x", "host=127.0.0.1 password=hunter2"):
        assert cli.main(["plan", "--dsn", dsn]) == 2
        shown = capsys.readouterr()
        assert "hunter2" not in shown.err + shown.out
        assert "PGPASSWORD" in shown.err


def test_database_url_is_used_when_the_dsn_is_left_out(
    capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch, ask: Ask, cluster: Cluster, role: str
) -> None:
    monkeypatch.delenv("PGPASSWORD")
    monkeypatch.setenv("DATABASE_URL", cluster.url(DATABASE, role))
    assert cli.main(["plan", "--json", "--dsn"]) == 1
    assert json.loads(capsys.readouterr().out)["limit"] == 97
    monkeypatch.setenv("DATABASE_URL", "postgresql://shop:hunter2@127.0.0.1:1/x")
    assert cli.main(["plan", "--dsn"]) == 2
    said = capsys.readouterr().err
    assert "hunter2" not in said
    assert "check host, port, user and password" in said
    assert len(said.splitlines()) == 1
    monkeypatch.delenv("DATABASE_URL")
    assert cli.main(["plan", "--dsn"]) == 2
    assert "DATABASE_URL is not set" in capsys.readouterr().err


@pytest.mark.parametrize(
    ("text", "ms"),
    [("20s", 20_000), ("500", 500), ("1min", 60_000), ("1.5 h", 5_400_000), ("2d", 172_800_000), ("soon", None)],
)
def test_times_are_read_as_postgresql_reads_them(text: str, ms: float | None) -> None:
    assert milliseconds(text) == ms
