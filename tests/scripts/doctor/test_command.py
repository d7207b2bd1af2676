"""`harden doctor`: formats, exit codes, ignores, baselines, and databases that cannot or will not answer."""

from __future__ import annotations

import json
import os
import signal
from collections.abc import Callable
from contextlib import closing
from pathlib import Path
from typing import Any

import psycopg2
import pytest

from scripts import cli
from scripts.doctor.advice import LiveRule
from scripts.doctor.rules import RULES
from scripts.stack import Stack
from scripts.stack.postgres import Cluster
from tests.support.threads import until

Make = Callable[..., str]
PLANTED = "CREATE TABLE customers (id bigint PRIMARY KEY);\nCREATE TABLE orders (id bigint PRIMARY KEY, " \
    "customer_id bigint REFERENCES customers);\n"  # fmt: skip
SCHEMA = "H501,H521"


@pytest.fixture(autouse=True)
def _signals_as_they_were(monkeypatch: pytest.MonkeyPatch) -> Any:
    monkeypatch.delenv("DATABASE_URL", raising=False)
    before = {name: signal.getsignal(name) for name in (signal.SIGTERM, signal.SIGHUP)}
    yield
    for name, handler in before.items():
        signal.signal(name, handler)


@pytest.fixture
def planted(make_database: Make, cluster: Cluster) -> str:
    """The DSN of a database with one foreign key without an index."""
    return cluster.dsn(make_database(PLANTED))


def _doctor(*arguments: str) -> int:
    return cli.main(["doctor", *arguments])


def test_a_finding_names_the_thing_its_fix_and_its_risk(planted: str, capsys: pytest.CaptureFixture[str]) -> None:
    assert _doctor("--dsn", planted, "--select", SCHEMA) == 1
    out, err = capsys.readouterr()
    assert "H501 missing-foreign-key-index [low] public.orders (customer_id) refers to public.customers" in out
    assert " --> public.orders\n" in out
    create = "CREATE INDEX CONCURRENTLY IF NOT EXISTS orders_customer_id_idx ON public.orders (customer_id);"
    assert f" = run: {create}\n" in out
    assert " = risk: the index takes space" in out
    assert "1 finding (1 low) in 2 tables, 2 indexes; readiness " in out
    assert "harden: looked for" in err


def test_same_database_same_bytes(planted: str, capsys: pytest.CaptureFixture[str]) -> None:
    shown = []
    for _ in range(2):
        _doctor("--dsn", planted, "--select", SCHEMA, "--format", "json")
        shown.append(capsys.readouterr().out)
    assert shown[0] == shown[1]


def test_the_document_has_the_change_for_migrate(planted: str, capsys: pytest.CaptureFixture[str]) -> None:
    assert _doctor("--dsn", planted, "--select", SCHEMA, "--format", "json") == 1
    (finding,) = json.loads(capsys.readouterr().out)["findings"]
    assert (finding["path"], finding["line"]) == ("public.orders", 0)
    assert finding["change"] == {
        "kind": "create index",
        "up": ["CREATE INDEX CONCURRENTLY IF NOT EXISTS orders_customer_id_idx ON public.orders (customer_id)"],
        "down": ["DROP INDEX CONCURRENTLY IF EXISTS public.orders_customer_id_idx"],
        "table": "public.orders",
        "name": "public.orders_customer_id_idx",
        "probes": ["SELECT * FROM public.orders WHERE customer_id = $1"],
    }


@pytest.mark.parametrize(
    ("form", "part"),
    [("sarif", '"fullyQualifiedName": "public.orders"'), ("github", "::notice title=H501"
    " missing-foreign-key-index"),
     ("junit", '<testsuites name="harden doctor" tests="1" failures="1">'), ("html", "<h1>Doctor of ")],
)  # fmt: skip
def test_every_format_of_the_audit_is_there(
    form: str, part: str, planted: str, capsys: pytest.CaptureFixture[str]
) -> None:
    assert _doctor("--dsn", planted, "--select", SCHEMA, "--format", form) == 1
    assert part in capsys.readouterr().out


def test_a_severity_to_fail_on(planted: str, capsys: pytest.CaptureFixture[str]) -> None:
    assert _doctor("--dsn", planted, "--select", SCHEMA, "--fail-on", "medium") == 0
    assert _doctor("--dsn", planted, "--select", SCHEMA, "--fail-on", "never") == 0


@pytest.mark.parametrize("what", ["TABLE orders", "COLUMN orders.customer_id", "DATABASE {}"])
def test_a_comment_in_the_database_lets_a_finding_stand(
    what: str, make_database: Make, cluster: Cluster, capsys: pytest.CaptureFixture[str]
) -> None:
    name = make_database(PLANTED)
    comment = f"COMMENT ON {what.format(name)} IS 'ours; harden: ignore[H501] never looked up by it'"
    cluster.execute(comment, dbname=name)
    assert _doctor("--dsn", cluster.dsn(name), "--select", f"{SCHEMA},H902") == 0
    assert "nothing found in 2 tables" in capsys.readouterr().out


def test_a_comment_that_ignores_nothing_is_a_finding(
    make_database: Make, cluster: Cluster, capsys: pytest.CaptureFixture[str]
) -> None:
    name = make_database("CREATE TABLE kept (id bigint PRIMARY KEY);"
                         "COMMENT ON TABLE kept IS 'harden: ignore[H521, no-such-rule]'")  # fmt: skip
    assert _doctor("--dsn", cluster.dsn(name), "--select", f"{SCHEMA},H902") == 1
    out = capsys.readouterr().out
    assert "H521, no-such-rule is ignored without a reason" in out
    assert "H521 has nothing to ignore here" in out
    assert "there is no rule 'no-such-rule' to ignore" in out


def test_a_baseline_knows_what_was_there(
    make_database: Make, cluster: Cluster, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    name, known = make_database(PLANTED), str(tmp_path / "known.json")
    dsn = cluster.dsn(name)
    assert _doctor("--dsn", dsn, "--select", SCHEMA, "--write-baseline", known) == 0
    assert _doctor("--dsn", dsn, "--select", SCHEMA, "--baseline", known) == 0
    cluster.execute("CREATE TABLE more (id bigint PRIMARY KEY, owner bigint REFERENCES customers)", dbname=name)
    capsys.readouterr()
    assert _doctor("--dsn", dsn, "--select", SCHEMA, "--baseline", known) == 1
    out = capsys.readouterr().out
    assert "public.more (owner)" in out
    assert "public.orders" not in out


def test_the_list_of_rules_and_their_texts_need_no_database(capsys: pytest.CaptureFixture[str]) -> None:
    assert _doctor("--list-rules") == 0
    assert len(capsys.readouterr().out.splitlines()) == len(RULES)
    assert _doctor("--explain", "missing-foreign-key-index") == 0
    assert "COMMENT ON TABLE orders IS 'harden: ignore[H501] the reason'" in capsys.readouterr().out


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        ([], "no database is named; give --dsn, or set DATABASE_URL"),
        (["--dsn", "sqlite:///shop.db"], "sqlite is no PostgreSQL; give a postgresql:// URL"),
        (["--dsn", "postgresql://u:s3cret@[::1/x"], "the DSN cannot be read"),
        (["--dsn", "host=127.0.0.1 port=1 password=s3cret connect_timeout=2"], "no connection to"
        " host=127.0.0.1 port=1"),
        (["--dsn", "dbname=x", "--code", "no/such/folder"], "there is no no/such/folder"),
        (["--dsn", "dbname=x", "--config", "no/such/harden.toml"], "no/such/harden.toml"),
        (["--dsn", "dbname=x", "--select", "H599"], "there is no rule 'H599'"),
    ],
)
def test_wrong_input_is_one_line_and_code_2(
    arguments: list[str], said: str, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    for name in [name for name in os.environ if name.startswith("PG")]:
        monkeypatch.delenv(name)
    assert _doctor(*arguments) == 2
    out, err = capsys.readouterr()
    assert out == ""
    assert said in err
    assert "s3cret" not in err
    assert len(err.splitlines()) == 1


def test_names_with_quotes_and_unicode_come_out_as_sql_that_runs(
    make_database: Make, cluster: Cluster, capsys: pytest.CaptureFixture[str]
) -> None:
    name = make_database('CREATE SCHEMA "we ird"; CREATE TABLE "we ird"."Kund""en ü" ("I d" bigint PRIMARY KEY);'
                         'CREATE TABLE "we ird"."select" (id bigint PRIMARY KEY,'
                         ' "Kund""e" bigint REFERENCES "we ird"."Kund""en ü");')  # fmt: skip
    dsn = cluster.dsn(name)
    _doctor("--dsn", dsn, "--select", SCHEMA, "--format", "json")
    (finding,) = json.loads(capsys.readouterr().out)["findings"]
    for statement in (*finding["change"]["up"], *finding["change"]["down"], *finding["change"]["up"]):
        cluster.execute(statement, dbname=name)
    assert _doctor("--dsn", dsn, "--select", SCHEMA) == 0


def test_through_pgbouncer_in_transaction_mode_nothing_stays_on_the_session(
    stack: Stack, cluster: Cluster, make_database: Make, capsys: pytest.CaptureFixture[str]
) -> None:
    name = make_database(PLANTED)
    bouncer = stack.pgbouncer(cluster, [name], ["app"], pool_size=1, name="doctor-bouncer")
    if bouncer is None:
        pytest.skip("PgBouncer is not installed (apt-get install pgbouncer)")
    cluster.execute(f'GRANT CONNECT ON DATABASE "{name}" TO app')
    url = cluster.url(name, "app", bouncer.port)
    assert _doctor("--dsn", url, "--select", SCHEMA) == 1
    with closing(psycopg2.connect(url)) as conn, conn.cursor() as cursor:
        cursor.execute("SELECT current_setting('statement_timeout'), current_setting('search_path'),"
                       " current_setting('transaction_read_only')")  # fmt: skip
        assert cursor.fetchone() == ("0", '"$user", public', "off")
    bouncer.stop()


def test_a_role_without_rights_sees_the_catalog_all_the_same(
    make_database: Make, cluster: Cluster, capsys: pytest.CaptureFixture[str]
) -> None:
    name = make_database(PLANTED)
    assert _doctor("--dsn", cluster.dsn(name, "app"), "--select", SCHEMA) == 1
    out = capsys.readouterr().out
    assert "public.orders (customer_id)" in out
    assert f"database {name}, as app" in out


def test_a_database_that_goes_away_half_way_is_told_with_what_was_found(
    planted: str, cluster: Cluster, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    """Findings up to then stay, the rules that could not look are named, and the code is 2."""

    def cut(target: Any) -> Any:
        pid = target.session.connection.info.backend_pid
        cluster.execute("SELECT pg_terminate_backend(%s)", (pid,))
        there = "SELECT 1 FROM pg_stat_activity WHERE pid = %s"
        until(lambda: not cluster.execute(there, (pid,)), "it is gone", 10)
        return target.session.rows("SELECT 1")

    fields = dict.fromkeys(("finds", "why", "fix", "example", "instead"), "")
    last = LiveRule(id="H599", name="cuts", leaves_alone=(), severity=RULES[0].severity, check=cut, **fields)
    first = next(rule for rule in RULES if rule.id == "H501")
    monkeypatch.setattr("scripts.doctor.command._rules", lambda _: (first, last, *RULES[-2:]))
    assert _doctor("--dsn", planted) == 2
    out = capsys.readouterr().out
    assert "public.orders (customer_id)" in out
    assert "H599 not checked: the database went away" in out


def test_a_rule_with_a_fault_hides_nothing_of_the_others(
    planted: str, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    fields = dict.fromkeys(("finds", "why", "fix", "example", "instead"), "")
    broken = LiveRule(id="H500", name="breaks", leaves_alone=(), severity=RULES[0].severity,
                      check=lambda _: 1 / 0, **fields)  # type: ignore[arg-type, return-value]  # fmt: skip
    first = next(rule for rule in RULES if rule.id == "H501")
    monkeypatch.setattr("scripts.doctor.command._rules", lambda _: (broken, first, *RULES[-2:]))
    assert _doctor("--dsn", planted) == 2
    out = capsys.readouterr().out
    assert "H500 not checked: the rule failed here (ZeroDivisionError" in out
    assert "public.orders (customer_id)" in out


def test_a_table_under_somebodys_lock_does_not_hold_the_doctor_up(
    make_database: Make, cluster: Cluster, capsys: pytest.CaptureFixture[str]
) -> None:
    """It waits for a second at most, so no statement of the app's queues behind it for longer; that is said."""
    name = make_database(PLANTED)
    with closing(psycopg2.connect(cluster.dsn(name))) as conn, conn.cursor() as cursor:
        cursor.execute("LOCK TABLE orders IN ACCESS EXCLUSIVE MODE")
        assert _doctor("--dsn", cluster.dsn(name), "--select", SCHEMA) == 1
        conn.rollback()
    assert "H501, H521 not checked: a lock was not free within 1 s" in capsys.readouterr().out


@pytest.mark.parametrize("count", [1500])
def test_a_huge_schema_is_read_in_a_fixed_number_of_questions(
    count: int, make_database: Make, cluster: Cluster, capsys: pytest.CaptureFixture[str]
) -> None:
    making = f"""DO $$ BEGIN FOR i IN 1..{count} LOOP
        EXECUTE format('CREATE TABLE t%s (id bigint PRIMARY KEY, a int)', i); END LOOP; END $$"""
    name = make_database(making)
    assert _doctor("--dsn", cluster.dsn(name), "--select", "H501,H507,H508,H521,H524") == 0
    assert f"nothing found in {count:,} tables, {count:,} indexes" in capsys.readouterr().out
    (statements,) = cluster.execute(
        "SELECT sum(calls) FROM pg_stat_statements WHERE dbid = (SELECT oid FROM pg_database WHERE datname = %s)",
        (name,), dbname=name,
    )[0]  # fmt: skip
    assert statements < 200
