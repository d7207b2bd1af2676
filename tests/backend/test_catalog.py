"""The catalog: tables by any name, keys of any shape, and which of them an index serves."""

from __future__ import annotations

import pickle
from collections.abc import Iterator
from contextlib import closing
from typing import Any

import psycopg2
import psycopg2.extras
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from backend import SchemaError
from backend.catalog import Catalog, read_catalog
from backend.composed import quoted
from scripts.stack.bouncer import Bouncer

SCHEMA = """
    CREATE SCHEMA cat_a; CREATE SCHEMA cat_b; SET LOCAL search_path = cat_a;
    CREATE TABLE tenants (id bigint PRIMARY KEY, name varchar(40) NOT NULL);
    CREATE TABLE people (
        tenant_id bigint REFERENCES tenants, number int, boss int,
        PRIMARY KEY (tenant_id, number),
        CONSTRAINT people_boss FOREIGN KEY (tenant_id, boss) REFERENCES people (tenant_id, number));
    CREATE TABLE cat_b.people (id int PRIMARY KEY);
    CREATE TABLE cat_b.letters (
        id int PRIMARY KEY, number int, tenant_id bigint,
        CONSTRAINT letters_author FOREIGN KEY (tenant_id, number) REFERENCES cat_a.people);
    CREATE VIEW everybody AS SELECT * FROM people;
    CREATE TABLE events (id int, day date, tenant_id bigint REFERENCES tenants, PRIMARY KEY (id, day))
        PARTITION BY RANGE (day);
    CREATE TABLE events_2026 PARTITION OF events FOR VALUES FROM ('2026-01-01') TO ('2027-01-01');
    CREATE TABLE notes (id int PRIMARY KEY, event_id int, day date, FOREIGN KEY (event_id, day) REFERENCES events);
    CREATE TABLE nothing ();
"""


@pytest.fixture
def conn(dsn: str) -> Iterator[Any]:
    """A connection within a transaction that made the schema, and is rolled back."""
    with closing(psycopg2.connect(dsn)) as connection, connection.cursor() as cursor:
        cursor.execute(SCHEMA)
        yield connection
        connection.rollback()


def _keys(catalog: Catalog) -> dict[str, tuple[tuple[str, ...], tuple[str, ...]]]:
    return {key.name: (key.columns, key.parent_columns) for key in catalog.keys}


def test_columns_come_in_their_order_with_type_and_not_null(conn: Any) -> None:
    table = read_catalog(conn, ["tenants"]).table("tenants")
    assert [(c.name, c.type, c.not_null) for c in table.columns.values()] == [
        ("id", "bigint", True),
        ("name", "character varying(40)", True),
    ]
    assert (table.primary_key, table.kind, table.label) == (("id",), "r", "tenants")


def test_dropped_columns_are_gone_and_a_table_without_columns_is_one(conn: Any) -> None:
    conn.cursor().execute("ALTER TABLE tenants DROP COLUMN name")
    catalog = read_catalog(conn, ["tenants", "nothing"])
    assert list(catalog.table("tenants").columns) == ["id"]
    assert catalog.table("nothing").columns == {} and catalog.table("nothing").primary_key == ()


def test_composite_keys_keep_their_pairs_across_schemas_and_to_the_same_table(conn: Any) -> None:
    catalog = read_catalog(conn, ["people", "cat_b.letters"])
    people, letters = catalog.table("people"), catalog.table("cat_b.letters")
    assert people.primary_key == ("tenant_id", "number")
    (author,) = catalog.keys_between(letters, people)
    assert list(zip(author.columns, author.parent_columns, strict=True)) == [
        ("tenant_id", "tenant_id"),
        ("number", "number"),
    ]
    (boss,) = catalog.keys_between(people, people)
    assert boss.columns == ("tenant_id", "boss") and boss.is_meant_by("boss") and boss.is_meant_by("people_boss")
    assert str(author) == "letters_author: cat_b.letters (tenant_id, number) -> people (tenant_id, number)"


def test_a_name_is_found_by_search_path_by_schema_and_as_a_pair(conn: Any) -> None:
    catalog = read_catalog(conn, ["people", "cat_b.people", ("cat_a", "tenants")])
    assert catalog.table("people").schema == "cat_a"
    assert catalog.table("cat_b.people").label == "cat_b.people"
    assert catalog.table(("cat_a", "tenants")).visible


def test_a_dot_in_a_name_is_no_trap(conn: Any) -> None:
    conn.cursor().execute("""
        CREATE SCHEMA "a.b"; CREATE TABLE "a.b".c (x int); CREATE SCHEMA a; CREATE TABLE a."b.c" (y int);
        CREATE TABLE "d.e" (z int)""")
    catalog = read_catalog(conn, ["d.e", ("a.b", "c"), ("a", "b.c")])
    assert list(catalog.table("d.e").columns) == ["z"]
    assert list(catalog.table(("a", "b.c")).columns) == ["y"]
    with pytest.raises(SchemaError, match="is 2 tables") as caught:
        catalog.table("a.b.c")
    assert set(caught.value.choices) == {"('a.b', 'c')", "('a', 'b.c')"}


def test_an_unknown_table_is_named_with_the_closest_and_all_choices(conn: Any) -> None:
    with pytest.raises(SchemaError, match="did you mean 'tenants'") as caught:
        read_catalog(conn, ["people", "tenatns"])
    assert {"people", "cat_b.people", "events"} <= set(caught.value.choices)
    assert "events_2026" not in caught.value.choices
    with pytest.raises(SchemaError, match=r"did you mean 'cat_b\.letters'\?"):
        read_catalog(conn, ["letters"])
    again = pickle.loads(pickle.dumps(caught.value))
    assert (str(again), again.choices) == (str(caught.value), caught.value.choices)


def test_an_unknown_column_is_named_with_the_closest(conn: Any) -> None:
    table = read_catalog(conn, ["tenants"]).table("tenants")
    with pytest.raises(SchemaError, match="no column 'nmae'; did you mean 'name'") as caught:
        table.column("nmae")
    assert caught.value.choices == ("id", "name")


def test_views_have_columns_and_no_keys(conn: Any) -> None:
    view = read_catalog(conn, ["everybody"]).table("everybody")
    assert list(view.columns) == ["tenant_id", "number", "boss"]
    assert (view.kind, view.primary_key, view.indexes) == ("v", (), ())


def test_keys_of_partitioned_tables_count_once(conn: Any) -> None:
    catalog = read_catalog(conn, ["events", "events_2026", "notes", "tenants"])
    notes, events, part = (catalog.table(name) for name in ("notes", "events", "events_2026"))
    assert len(catalog.keys_between(notes, events)) == 1
    assert len(catalog.keys_between(notes, part)) == 0  # it refers to the whole
    assert len(catalog.keys_between(part, catalog.table("tenants"))) == 1
    assert events.primary_key == ("id", "day") and part.has_index_for(("day", "id"))


@pytest.mark.parametrize(
    ("index", "serves"),
    [
        ("(a, b)", True),
        ("(b, a, c)", True),
        ("(a DESC, b) INCLUDE (c)", True),
        ("(a, c, b)", False),
        ("(a)", False),
        ("(c, a, b)", False),
        ("(a) INCLUDE (b)", False),
        ("(a, (b + 0))", False),
        ("(a, b) WHERE c > 0", False),
        ("(a, b) WHERE a IS NOT NULL", True),
        ("(a, b) WHERE a IS NOT NULL AND b IS NOT NULL", True),
        ("(a, b) WHERE c IS NOT NULL", False),
        ("(a, b) WHERE a IS NULL", False),
        ("USING brin (a, b)", False),
        ("USING gist (p)", False),
    ],
)
def test_an_index_serves_a_key_when_its_columns_lead_it(conn: Any, index: str, serves: bool) -> None:
    cursor = conn.cursor()
    cursor.execute("CREATE TABLE pairs (a int, b int, PRIMARY KEY (a, b))")
    cursor.execute("CREATE TABLE uses (a int, b int, c int, CONSTRAINT pair FOREIGN KEY (a, b) REFERENCES pairs)")
    if "gist" in index:
        cursor.execute("ALTER TABLE uses ADD p point")
    cursor.execute(f"CREATE INDEX ON uses {index}")
    catalog = read_catalog(conn, ["uses"])
    assert catalog.table("uses").has_index_for(("a", "b")) is serves
    assert [key.name for key in catalog.without_index()] == ([] if serves else ["pair"])


def test_primary_keys_unique_constraints_and_hash_indexes_serve_a_key(conn: Any) -> None:
    conn.cursor().execute("""
        CREATE TABLE one_to_one (tenant_id bigint PRIMARY KEY REFERENCES tenants);
        CREATE TABLE second (id int, tenant_id bigint UNIQUE REFERENCES tenants);
        CREATE TABLE hashed (id int, tenant_id bigint REFERENCES tenants);
        CREATE INDEX ON hashed USING hash (tenant_id);
        CREATE TABLE bare (id int, tenant_id bigint REFERENCES tenants)""")
    catalog = read_catalog(conn, ["one_to_one", "second", "hashed", "bare"])
    assert [key.child_name for key in catalog.without_index()] == ["bare"]
    unique = {name: catalog.table(name).is_unique(["tenant_id"]) for name in ("one_to_one", "second", "hashed")}
    assert unique == {"one_to_one": True, "second": True, "hashed": False}


def test_an_index_that_is_not_valid_does_not_count(conn: Any) -> None:
    """As one that failed to build, or one of a partitioned table that not all partitions have."""
    cursor = conn.cursor()
    cursor.execute("CREATE INDEX of_all ON ONLY events (tenant_id)")
    assert [key.columns for key in read_catalog(conn, ["events"]).without_index()] == [("tenant_id",)]
    cursor.execute("CREATE INDEX of_part ON events_2026 (tenant_id); ALTER INDEX of_all ATTACH PARTITION of_part")
    assert read_catalog(conn, ["events", "events_2026"]).without_index() == []


def test_temporary_tables_are_tables(conn: Any) -> None:
    conn.cursor().execute("CREATE TEMP TABLE people (only_here int) ON COMMIT DROP")
    assert list(read_catalog(conn, ["people"]).table("people").columns) == ["only_here"]


def test_it_takes_one_round_trip_and_any_kind_of_row(dsn: str) -> None:
    sent: list[str] = []

    class Counting(psycopg2.extras.RealDictCursor):
        def execute(self, query: Any, vars: Any = None) -> None:
            sent.append(query)
            super().execute(query, vars)

    with closing(psycopg2.connect(dsn, cursor_factory=Counting)) as connection:
        connection.cursor().execute(SCHEMA)
        del sent[:]
        assert _keys(read_catalog(connection, ["people", "tenants"]))["people_boss"][0] == ("tenant_id", "boss")
        assert len(sent) == 1


def test_it_works_behind_pgbouncer_and_leaves_no_session_state(bouncer: Bouncer, database: str) -> None:
    with closing(psycopg2.connect(bouncer.url(database, "app"))) as connection:
        connection.autocommit = True
        assert read_catalog(connection, [("pg_catalog", "pg_class")]).table(("pg_catalog", "pg_class")).columns


LETTERS = st.characters(blacklist_categories=["Cs"], blacklist_characters="\0")
NAMES = st.text(LETTERS, min_size=1, max_size=63).filter(lambda name: len(name.encode()) <= 63)


@settings(max_examples=40, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(table=NAMES, columns=st.lists(NAMES, min_size=1, max_size=3, unique=True))
def test_any_name_that_the_server_takes_is_read_back(conn: Any, table: str, columns: list[str]) -> None:
    cursor = conn.cursor()
    cursor.execute("SAVEPOINT before; CREATE SCHEMA hostile; SET LOCAL search_path = hostile")
    made = ", ".join(f"{quoted(name)} int" for name in columns)
    cursor.execute(f"CREATE TABLE {quoted(table)} ({made}, PRIMARY KEY ({', '.join(map(quoted, columns))}))")
    found = read_catalog(conn, [("hostile", table)]).table(("hostile", table))
    assert (found.name, list(found.columns), found.primary_key) == (table, columns, tuple(columns))
    cursor.execute("ROLLBACK TO before")
