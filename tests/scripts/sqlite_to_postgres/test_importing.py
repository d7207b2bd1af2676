"""What may go wrong on PostgreSQL's side: each time all or nothing, and the reason in one line."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from scripts import cli
from scripts.stack import Stack
from scripts.stack.postgres import Cluster
from tests.conftest import ROLE

from .conftest import Target

Make = Callable[..., Path]
TWO = "CREATE TABLE a (x INT); CREATE TABLE b (y INT); INSERT INTO a VALUES (1); INSERT INTO b VALUES (2);"
TABLES = "SELECT count(*) FROM pg_tables WHERE schemaname = 'public'"


def _when_b_is_made(target: Target, statement: str) -> None:
    target.ask(
        "CREATE FUNCTION f() RETURNS event_trigger LANGUAGE plpgsql SECURITY DEFINER AS $$ BEGIN IF EXISTS "
        f"(SELECT FROM pg_event_trigger_ddl_commands() WHERE object_identity = 'public.b') THEN {statement}; "
        "END IF; END $$"
    )
    target.ask("CREATE EVENT TRIGGER e ON ddl_command_end WHEN TAG IN ('CREATE TABLE') EXECUTE FUNCTION f()")


def test_a_connection_that_is_lost_leaves_nothing(
    make_file: Make, target: Target, capsys: pytest.CaptureFixture[str]
) -> None:
    _when_b_is_made(target, "PERFORM pg_terminate_backend(pg_backend_pid())")
    assert target.move(make_file(TWO)) == 2
    assert "all was rolled back" in capsys.readouterr().err
    assert target.ask(TABLES) == [(0,)]


def test_a_row_that_arrives_changed_stops_the_commit(
    make_file: Make, target: Target, capsys: pytest.CaptureFixture[str]
) -> None:
    target.ask("CREATE FUNCTION g() RETURNS trigger LANGUAGE plpgsql AS $$ BEGIN NEW.y = 3; RETURN NEW; END $$")
    _when_b_is_made(target, "CREATE TRIGGER t BEFORE INSERT ON public.b FOR EACH ROW EXECUTE FUNCTION g()")
    assert target.move(make_file(TWO)) == 2
    assert "b is not equal: 1 rows" in capsys.readouterr().err
    assert target.ask(TABLES) == [(0,)]


def test_a_read_only_target_is_said(
    make_file: Make, target: Target, cluster: Cluster, capsys: pytest.CaptureFixture[str]
) -> None:
    dsn = target.dsn + " options='-c default_transaction_read_only=on'"
    assert cli.main(["sqlite-to-postgres", str(make_file(TWO)), "--dsn", dsn]) == 2
    assert "transactions are read-only here" in capsys.readouterr().err


def test_a_role_without_the_right_to_create_is_said(
    make_file: Make, target: Target, capsys: pytest.CaptureFixture[str]
) -> None:
    target.ask("ALTER SCHEMA public OWNER TO postgres; REVOKE CREATE ON SCHEMA public FROM PUBLIC")
    assert target.move(make_file(TWO)) == 2
    assert "permission denied for schema public" in capsys.readouterr().err


def test_a_timeout_of_the_role_does_not_end_it(make_file: Make, target: Target) -> None:
    slow = "WITH RECURSIVE n(i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM n WHERE i < 20000)"
    file = make_file(f"CREATE TABLE t (a TEXT); {slow} INSERT INTO t SELECT hex(i) FROM n")
    dsn = target.dsn + " options='-c statement_timeout=1ms'"
    # The first statement of the transaction itself is under the timeout; it takes no time.
    assert cli.main(["sqlite-to-postgres", str(file), "--dsn", dsn.replace("1ms", "20ms")]) == 0


def test_it_works_through_pgbouncer_in_transaction_mode(make_file: Make, stack: Stack, cluster: Cluster) -> None:
    cluster.create_database("moved_bouncer", ROLE)
    bouncer: Any = stack.pgbouncer(cluster, ["moved_bouncer"], [ROLE], name="sqlite-bouncer")
    if bouncer is None:
        pytest.skip("pgbouncer is not installed (apt-get install pgbouncer)")
    try:
        url = cluster.url("moved_bouncer", ROLE, bouncer.port)
        assert cli.main(["sqlite-to-postgres", str(make_file(TWO)), "--dsn", url]) == 0
        assert cluster.execute("SELECT x, y FROM a, b", dbname="moved_bouncer") == [(1, 2)]
    finally:
        bouncer.stop()


def test_what_others_built_on_a_table_stops_its_rollback(
    make_file: Make, target: Target, capsys: pytest.CaptureFixture[str]
) -> None:
    file = make_file(TWO)
    assert target.move(file) == 0
    target.ask("CREATE VIEW v AS SELECT x FROM a")
    assert target.move(file, "--rollback") == 2
    assert "other objects depend on them; nothing was dropped" in capsys.readouterr().err
    assert target.ask("SELECT x FROM v") == [(1,)]


def test_the_password_is_in_no_message(
    make_file: Make, target: Target, capsys: pytest.CaptureFixture[str]
) -> None:
    file = make_file(TWO)
    assert [target.move(file), target.move(file)] == [0, 2]
    out, err = capsys.readouterr()
    assert "pass word" not in out + err
