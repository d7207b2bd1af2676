"""`check`: every missing index is named on empty and full tables, none where it is there, and nothing is left."""

from __future__ import annotations

import re
from collections.abc import Iterator
from contextlib import closing
from dataclasses import fields
from pathlib import Path
from typing import Any

import psycopg2
import psycopg2.extras
import pytest
from psycopg2.extensions import make_dsn
from psycopg2.sql import SQL

from backend import NodeError, Problem, check, describe, many, many_from, one, one_from
from backend.nested import Node
from backend.shop import queries
from scripts.demo.seed import create_schema, seed
from scripts.stack.bouncer import Bouncer

PAGE = Path(__file__).resolve().parents[2] / "docs" / "trees.md"
WHOLE = one_from(
    "customers", "id name",
    vehicles=many_from("vehicles", "id plate"),
    appointments=many_from(
        "appointments", "id status", order="-starts_at -id",
        services=many_from("services", "name appointment_services.price", through="appointment_services"),
        payments=many_from("payments", "id amount"), messages=many_from("messages", "id body"),
    ),
)  # fmt: skip
BY_VEHICLE = many_from("vehicles", "id", appointments=many_from("appointments", "id"))
BY_SERVICE = many("SELECT s.id, {lines} FROM services s ORDER BY s.id",
                  lines=many("SELECT l.price FROM appointment_services l WHERE l.service_id = s.id"))  # fmt: skip
SHOP = [node for name, node in vars(queries).items() if isinstance(node, Node) and not name.startswith("_")]
NODES = (WHOLE, BY_VEHICLE, BY_SERVICE, *SHOP)
# What ends each index of a foreign key of the shop, and what the check must say then.
DROPPED = {
    "DROP INDEX vehicles_customer": ("vehicles", "customer_id"),
    "DROP INDEX appointments_customer": ("appointments", "customer_id"),
    "DROP INDEX appointments_vehicle": ("appointments", "vehicle_id"),
    "ALTER TABLE appointment_services DROP CONSTRAINT appointment_services_pkey": (
        "appointment_services", "appointment_id",
    ),
    "DROP INDEX appointment_services_service": ("appointment_services", "service_id"),
    "DROP INDEX payments_appointment": ("payments", "appointment_id"),
    "DROP INDEX messages_appointment": ("messages", "appointment_id"),
}  # fmt: skip


@pytest.fixture(scope="module")
def shops(cluster: Any, database: str) -> Iterator[dict[str, str]]:
    """DSNs of two copies of the shop, one without rows and one with; each is a schema of its own."""
    plain = cluster.dsn(database, "app")
    dsns = {name: make_dsn(plain, options=f"-csearch_path={name}") for name in ("check_empty", "check_full")}
    with closing(psycopg2.connect(plain)) as conn, conn, conn.cursor() as cursor:
        cursor.execute("CREATE SCHEMA check_empty; CREATE SCHEMA check_full")
    for dsn in dsns.values():
        create_schema(dsn)
    seed(dsns["check_full"], "small", 20)
    yield dsns
    with closing(psycopg2.connect(plain)) as conn, conn, conn.cursor() as cursor:
        cursor.execute("DROP SCHEMA check_empty CASCADE; DROP SCHEMA check_full CASCADE")


@pytest.fixture(params=["check_empty", "check_full"])
def shop(request: pytest.FixtureRequest, shops: dict[str, str]) -> Iterator[Any]:
    """A connection to the shop without rows, then to the one with."""
    with closing(psycopg2.connect(shops[request.param])) as conn:
        yield conn
        conn.rollback()


@pytest.fixture
def conn(dsn: str) -> Iterator[Any]:
    """A connection in a transaction with a schema of its own, rolled back."""
    with closing(psycopg2.connect(dsn)) as connection:
        connection.cursor().execute("CREATE SCHEMA checked; SET LOCAL search_path = checked")
        yield connection
        connection.rollback()


def _found(problems: list[Problem]) -> set[tuple[str, ...]]:
    return {(problem.table, *problem.columns) for problem in problems}


def test_the_shop_has_no_problems(shop: Any) -> None:
    assert check(shop, *NODES) == []


@pytest.mark.parametrize("change", DROPPED)
def test_each_foreign_key_without_its_index_is_named_with_the_fix(shop: Any, change: str) -> None:
    shop.cursor().execute(change)
    problems = check(shop, *NODES)
    table, column = DROPPED[change]
    assert _found(problems) == {(table, column)}
    assert {(p.kind, p.foreign_key) for p in problems} == {("index", f"{table}_{column}_fkey")}
    assert {p.fix for p in problems} == {f"CREATE INDEX CONCURRENTLY ON {table} ({column})"}
    shop.cursor().execute(problems[0].fix.replace("CONCURRENTLY ", ""))  # the fix is SQL, and it is one
    assert check(shop, *NODES) == []


def test_all_missing_indexes_at_once_are_all_named(shop: Any) -> None:
    shop.cursor().execute("; ".join(DROPPED))
    assert _found(check(shop, *NODES)) == set(DROPPED.values())


def test_an_index_that_begins_with_another_column_does_not_count(shop: Any) -> None:
    shop.cursor().execute("DROP INDEX payments_appointment; CREATE INDEX ON payments (id, appointment_id)")
    assert _found(check(shop, WHOLE)) == {("payments", "appointment_id")}


TABLES = """
    CREATE TABLE p (id int PRIMARY KEY, tenant int, code varchar(9), big numeric, UNIQUE (tenant, id));
    CREATE TABLE c (id int PRIMARY KEY, p int, q int, tenant int, code varchar(9), at int, num int, txt text,
                    "odd "" %% name" int, CONSTRAINT c_pair FOREIGN KEY (tenant, p) REFERENCES p (tenant, id));
    CREATE TABLE d (id int PRIMARY KEY, c int REFERENCES c);
"""


@pytest.mark.parametrize("rows", [0, 3000])
@pytest.mark.parametrize(
    ("child", "index", "expected"),
    [
        ("c.q = p.id", "c (q)", ("q",)),
        ("c.q = p.id AND c.txt = 'x AND c.at = p.id'", "c (q)", ("q",)),
        ("c.q = p.id AND c.at = 7", "c (at, q)", ("q",)),
        ("c.q = p.id ORDER BY c.id", "c (q)", ("q",)),
        ("c.q = p.id AND c.q IS NOT NULL", "c (q) WHERE q IS NOT NULL", ("q",)),
        ("c.q = p.id AND c.at > 3", "c (q) WHERE at > 3", ("q",)),
        ("c.p = p.id AND c.tenant = p.tenant", "c (p, tenant)", ("tenant", "p")),
        ("c.p = p.id AND c.tenant = p.tenant", "c (tenant, p, id)", ("tenant", "p")),
        ("c.p = p.id AND c.tenant = %(tenant)s", "c (tenant, p)", ("p",)),
        ("c.code = p.code", "c (code)", ("code",)),
        ("lower(c.txt) = lower(p.code)", "c ((lower(txt)))", ("txt",)),
        ("c.at < p.id ORDER BY c.at DESC LIMIT 1", "c (at)", ("at",)),
        ("c.q = ANY (ARRAY[p.id, p.tenant])", "c (q)", ("q",)),
        ("c.num = p.big", "c ((num::numeric))", ("num",)),
        ('c."odd "" %% name" = p.id', 'c ("odd "" %% name")', ('odd " % name',)),
        ("c.q = p.id", "c (q, id) WHERE q IS NOT NULL", ("q",)),
        ("(c.at, c.num) < (p.id, p.tenant) ORDER BY c.at, c.num LIMIT 1", "c (at, num)", ("at", "num")),
        ("c.q = p.id OR c.num = p.id", "c (q); CREATE INDEX ON c (num)", ("num", "q")),
        ("c.id = p.id", None, None),
        ("c.id = p.tenant AND c.q = p.id", None, None),
        ("c.at > 3 ORDER BY 1 LIMIT 5", None, None),  # it does not depend on its parent: run once
        ("c.q = %(q)s", None, None),
    ],
)
def test_conditions_of_any_kind_are_judged_on_tables_of_any_size(
    conn: Any, rows: int, child: str, index: str | None, expected: tuple[str, ...] | None
) -> None:
    cursor = conn.cursor()
    cursor.execute(TABLES.replace("%%", "%"))
    cursor.execute(f"INSERT INTO p SELECT n, n % 7, n, n FROM generate_series(1, {rows}) n")
    cursor.execute(f"INSERT INTO c SELECT n, n, n, n % 7, n, n, n, n FROM generate_series(1, {rows}) n")
    if rows:
        cursor.execute("ANALYZE p; ANALYZE c")
    node = many("SELECT p.id, {kids} FROM p", kids=many(f"SELECT c.id FROM c WHERE {child}"))
    if expected is None:
        assert check(conn, node) == []
        return
    (problem,) = check(conn, node)
    assert (problem.kind, problem.table, problem.columns) == ("index", "c", expected)
    made = problem.fix.replace("CONCURRENTLY ", "")
    own = f"CREATE INDEX ON {str(index).replace('%%', '%')}"
    for ddl in [own, made] if made.startswith("CREATE") else [own]:
        cursor.execute("SAVEPOINT s")
        cursor.execute(ddl)
        if rows:
            cursor.execute("ANALYZE c")
        assert check(conn, node) == [], ddl
        cursor.execute("ROLLBACK TO s")


def test_a_join_in_a_child_needs_an_index_for_the_way_in_and_for_the_way_on(conn: Any) -> None:
    conn.cursor().execute(TABLES.replace("%%", "%"))
    node = many(
        "SELECT p.id, {kids} FROM p", kids=many("SELECT d.id FROM c JOIN d ON d.c = c.id WHERE c.q = p.id")
    )
    assert _found(check(conn, node)) == {("c", "q")}  # d leads to c, but nothing leads to either
    conn.cursor().execute("CREATE INDEX ON c (q)")
    assert _found(check(conn, node)) == {("d", "c")}
    conn.cursor().execute("CREATE INDEX ON d (c)")
    assert check(conn, node) == []


def test_exists_in_and_lateral_are_seen_too(conn: Any) -> None:
    conn.cursor().execute(TABLES.replace("%%", "%"))
    cases = (
        "SELECT p.id, EXISTS (SELECT FROM d WHERE d.c = p.id OR d.c = -p.id) AS has FROM p",
        "SELECT p.id, (SELECT count(*) FROM d WHERE d.c = p.id) AS n FROM p",
        "SELECT p.id, last.id AS last FROM p LEFT JOIN LATERAL (SELECT d.id FROM d WHERE d.c = p.id "
        "ORDER BY d.id DESC LIMIT 1) last ON true",
        "SELECT p.id FROM p WHERE (SELECT max(d.id) FROM d WHERE d.c = p.id) > 3",
    )
    for sql in cases:
        assert _found(check(conn, many(sql))) == {("d", "c")}, sql
    conn.cursor().execute("CREATE INDEX ON d (c)")
    assert check(conn, *map(many, cases[1:])) == []


def test_a_plain_join_at_the_top_is_read_once_and_no_problem(conn: Any) -> None:
    conn.cursor().execute(TABLES.replace("%%", "%"))
    assert check(conn, many("SELECT c.id, d.id AS did FROM c JOIN d ON d.c = c.id")) == []


def test_partitions_are_named_one_by_one_and_views_by_their_tables(conn: Any) -> None:
    cursor = conn.cursor()
    cursor.execute("""
        CREATE TABLE p (id int PRIMARY KEY);
        CREATE TABLE e (p int REFERENCES p, day int) PARTITION BY RANGE (day);
        CREATE TABLE e1 PARTITION OF e FOR VALUES FROM (0) TO (10);
        CREATE TABLE "E 2" PARTITION OF e FOR VALUES FROM (10) TO (20);
        CREATE VIEW v AS SELECT * FROM e""")
    for source in ("e", "v"):
        node = many("SELECT p.id, {kids} FROM p", kids=many(f"SELECT x.day FROM {source} x WHERE x.p = p.id"))
        assert _found(check(conn, node)) == {("e1", "p"), ('"E 2"', "p")}
    cursor.execute("CREATE INDEX ON e (p)")
    assert check(conn, node) == []


def test_temporary_tables_sequences_and_system_tables_are_no_trap(conn: Any) -> None:
    cursor = conn.cursor()
    cursor.execute("CREATE TEMP TABLE t (p int) ON COMMIT DROP; CREATE SEQUENCE s")
    cursor.execute("CREATE TABLE p (id int PRIMARY KEY)")
    kids = many("SELECT t.p, (SELECT last_value FROM s) AS n FROM t WHERE t.p = p.id")
    assert _found(check(conn, many("SELECT p.id, {kids} FROM p", kids=kids))) == {("t", "p")}
    columns = many("SELECT a.attname FROM pg_attribute a WHERE a.attrelid = c.oid")
    assert check(conn, many("SELECT c.relname, {columns} FROM pg_class c", columns=columns)) == []


def test_names_in_a_fix_are_quoted_and_have_their_schema_where_needed(conn: Any) -> None:
    cursor = conn.cursor()
    cursor.execute("""
        CREATE SCHEMA "Far"; CREATE TABLE "Far"."order" (id int PRIMARY KEY, "user" int, "A""b.c" int);
        CREATE TABLE p (id int PRIMARY KEY)""")
    node = many("SELECT p.id, {kids} FROM p", kids=many(
        'SELECT "select".id FROM "Far"."order" "select" WHERE "select"."user" = p.id AND p.id = "select"."A""b.c"'
    ))  # fmt: skip
    (problem,) = check(conn, node)
    assert problem.fix == 'CREATE INDEX CONCURRENTLY ON "Far"."order" ("user", "A""b.c")'
    assert problem.columns == ("user", 'A"b.c')
    cursor.execute(problem.fix.replace("CONCURRENTLY ", ""))
    assert check(conn, node) == []


@pytest.mark.parametrize(
    ("node", "said", "fix"),
    [
        (one("SELECT nothing FROM pg_class"), 'column "nothing" does not exist', "correct the statement"),
        (one("SELECT x FROM nowhere"), 'relation "nowhere" does not exist', "correct the statement"),
        (one("SELECT 1 + 'x' AS sum"), "invalid input syntax", "correct the statement"),
        (one("SELECT a FROM FROM b"), "syntax error", "correct the statement"),
        (one("SELECT %(x)s IS NULL AS x"), "could not determine data type", "%(x)s::bigint"),
        (many_from("nowhere", "id"), "no table 'nowhere' is visible", "correct the tree"),
        (many_from(("pg_catalog", "pg_am"), "amnam"), "did you mean 'amname'", "correct the tree"),
    ],
)
def test_an_error_in_a_statement_is_a_problem_and_no_exception(conn: Any, node: Any, said: str, fix: str) -> None:
    (problem, other) = check(conn, node, one("SELECT lost FROM nowhere"))
    assert (problem.kind, other.kind) == ("statement", "statement")
    assert said in problem.message and fix in problem.fix and "\n" not in problem.message
    conn.cursor().execute("SELECT 1")  # the transaction goes on


def test_a_cost_beyond_the_jit_threshold_is_named(conn: Any) -> None:
    node = many("SELECT n FROM generate_series(1, %(n)s::int) n")
    assert check(conn, node) == []
    conn.cursor().execute("SET LOCAL jit = on; SET LOCAL jit_above_cost = 1")
    (problem,) = check(conn, node)
    assert (problem.kind, problem.fix) == ("cost", "ALTER ROLE CURRENT_USER SET jit = off")
    assert "above jit_above_cost = 1" in problem.message
    conn.cursor().execute("SET LOCAL jit_above_cost = -1")
    assert check(conn, node) == []


def test_a_cost_is_not_guessed_for_tables_without_rows(conn: Any) -> None:
    cursor = conn.cursor()
    cursor.execute("CREATE TABLE t (id int PRIMARY KEY); SET LOCAL jit = on; SET LOCAL jit_above_cost = 1")
    assert check(conn, many("SELECT t.id FROM t")) == []
    cursor.execute("INSERT INTO t SELECT generate_series(1, 1000); ANALYZE t")
    assert [problem.kind for problem in check(conn, many("SELECT t.id FROM t"))] == ["cost"]


def test_describe_says_what_where_and_the_fix_once(conn: Any) -> None:
    assert describe([]) == "no problems"
    one_node, other = Problem("index", "<many A>", "m", "F"), Problem("index", "<many B>", "n", "F")
    assert describe([one_node, other]) == "index: m\n  in <many A>\n  fix: F\nindex: n\n  in <many B>"


def _session(cursor: Any) -> Any:
    cursor.execute("""
        SELECT (SELECT count(*) FROM pg_prepared_statements), (SELECT count(*) FROM pg_cursors),
               current_setting('enable_seqscan'), current_setting('plan_cache_mode')""")
    return cursor.fetchone()


BROKEN = one("SELECT lost FROM nowhere")


def test_it_leaves_nothing_behind_in_the_callers_transaction(conn: Any) -> None:
    cursor = conn.cursor()
    cursor.execute(TABLES.replace("%%", "%") + "INSERT INTO p VALUES (1); SET LOCAL enable_seqscan = on")
    before = _session(cursor)
    check(conn, many("SELECT p.id FROM p"), BROKEN)
    assert _session(cursor) == before
    cursor.execute("SELECT count(*) FROM p")
    assert cursor.fetchone() == (1,)


@pytest.mark.parametrize("autocommit", [True, False])
def test_an_idle_connection_is_idle_again(dsn: str, autocommit: bool) -> None:
    with closing(psycopg2.connect(dsn)) as connection:
        connection.autocommit = autocommit
        check(connection, one("SELECT 1 AS x"), BROKEN)
        assert connection.info.transaction_status == psycopg2.extensions.TRANSACTION_STATUS_IDLE
        with connection.cursor() as cursor:
            assert _session(cursor) == (0, 0, "on", "auto")


def test_a_read_only_transaction_and_any_row_type_will_do(dsn: str) -> None:
    with closing(psycopg2.connect(dsn, cursor_factory=psycopg2.extras.RealDictCursor)) as connection:
        connection.set_session(readonly=True)
        assert check(connection, one("SELECT 1 AS x")) == []


def test_what_is_no_node_is_refused(conn: Any) -> None:
    with pytest.raises(NodeError, match="not 'SELECT 1'"):
        check(conn, "SELECT 1")
    assert check(conn) == []


def test_a_unique_index_of_some_rows_only_does_not_count(conn: Any) -> None:
    conn.cursor().execute("CREATE TABLE p (id int PRIMARY KEY); CREATE TABLE u (p int, at int)")
    conn.cursor().execute("CREATE UNIQUE INDEX ON u (p) WHERE at > 0")
    node = many("SELECT p.id, {kids} FROM p", kids=many("SELECT u.at FROM u WHERE u.p = p.id"))
    assert _found(check(conn, node)) == {("u", "p")}


def test_an_aborted_transaction_is_the_callers_error(conn: Any) -> None:
    with pytest.raises(psycopg2.errors.UndefinedTable):
        conn.cursor().execute("SELECT * FROM nowhere")
    with pytest.raises(psycopg2.errors.InFailedSqlTransaction):
        check(conn, one("SELECT 1 AS x"))


def test_a_timeout_in_the_middle_leaves_no_prepared_statement(conn: Any) -> None:
    cursor = conn.cursor()
    cursor.execute("""
        CREATE FUNCTION slow() RETURNS int LANGUAGE plpgsql IMMUTABLE
        AS 'BEGIN PERFORM pg_sleep(30); RETURN 1; END';
        SET LOCAL statement_timeout = 200""")
    (problem,) = check(conn, one("SELECT slow() AS x"))  # the planner itself runs it
    assert "statement timeout" in problem.message
    assert _session(cursor)[:2] == (0, 0)


def test_it_works_behind_pgbouncer_in_a_pool_that_refuses_session_state(
    make_pool: Any, bouncer: Bouncer, database: str
) -> None:
    pool = make_pool(1, 1, connect={"dsn": bouncer.url(database, "app")}, reset="pgbouncer")
    with pool.connection() as connection:
        connection.autocommit = True
        assert check(connection, one("SELECT 1 AS x"), many("SELECT %(n)s::int AS n")) == []
        with connection.cursor() as cursor:
            assert _session(cursor)[:2] == (0, 0)


def test_every_public_name_and_attribute_is_on_the_page() -> None:
    page = PAGE.read_text(encoding="utf-8")
    names = {"check(conn", "describe(", "Problem", *(f"`{item.name}`" for item in fields(Problem))}
    assert not [name for name in sorted(names | {'"index"', '"cost"', '"statement"'}) if name not in page]


def test_the_examples_of_the_page_run(shops: dict[str, str]) -> None:
    blocks = re.findall(r"```python\n(.*?)```", PAGE.read_text(encoding="utf-8"), re.DOTALL)
    with closing(psycopg2.connect(shops["check_full"])) as conn:
        names = {"conn": conn, "one": one, "HISTORY": queries.HISTORY, "PAGE": queries.PAGE}
        for block in blocks:
            exec(block, names)
        found = names["CUSTOMER"].fetch(conn, id=7)
        assert list(found["appointments"][0]) == ["id", "starts_at", "status", "vehicle", "services"]
        assert list(found["appointments"][0]["services"][0]) == ["name", "price"]


def test_a_tree_of_the_shop_is_the_same_document_as_the_sql_by_hand(shops: dict[str, str]) -> None:
    price, amount = SQL("appointment_services.price::text"), SQL("amount::text")
    tree = one_from(
        "customers", "id name email phone created_at",
        appointments=many_from(
            "appointments", "id vehicle_id starts_at status notes", order="-starts_at -id",
            services=many_from(
                "services", {"service_id": "id", "name": "name", "price": price}, through="appointment_services"
            ),
            payments=many_from(
                "payments", {"id": "id", "amount": amount, "method": "method", "paid_on": "paid_on"}
            ),
            messages=many_from("messages", "id sender body sent_at"),
        ),
    )  # fmt: skip
    with closing(psycopg2.connect(shops["check_full"])) as conn:
        for customer in (1, 7, 51, 500):
            assert tree.json(conn, id=customer) == queries.CUSTOMER_WITH_APPOINTMENTS.json(conn, id=customer)
        assert check(conn, tree) == []
