"""Trees of tables: joins that the keys say, every option, and what is refused with its choices."""

from __future__ import annotations

import inspect
from collections.abc import Iterator
from contextlib import closing
from pathlib import Path
from typing import Any

import psycopg2
import psycopg2.extras
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from psycopg2.sql import SQL

from backend import NodeError, SchemaError, Tree, check, many, many_from, one, one_from
from backend.composed import quoted
from scripts.stack.bouncer import Bouncer
from tests.support.threads import together

SCHEMA = """
    CREATE SCHEMA garage; SET LOCAL search_path = garage;
    CREATE TABLE customers (id int PRIMARY KEY, name text, boss int REFERENCES customers);
    CREATE TABLE vehicles (id int PRIMARY KEY, customer int REFERENCES customers, plate text);
    ALTER TABLE customers ADD favourite int REFERENCES vehicles;
    CREATE TABLE visits (
        id int PRIMARY KEY, customer int REFERENCES customers, driver int REFERENCES customers,
        vehicle int REFERENCES vehicles, day int);
    CREATE TABLE services (id int PRIMARY KEY, name text);
    CREATE TABLE done (visit int REFERENCES visits, service int REFERENCES services, price numeric(6, 2),
                       PRIMARY KEY (visit, service));
    CREATE TABLE passports (number text PRIMARY KEY, customer int UNIQUE REFERENCES customers);
    CREATE TABLE friends (one int REFERENCES customers, other int REFERENCES customers, PRIMARY KEY (one, other));
    CREATE TABLE weather (day int, town text, sky text, PRIMARY KEY (day, town));
    CREATE TABLE trips (id int PRIMARY KEY, day int, town text,
                        FOREIGN KEY (town, day) REFERENCES weather (town, day));
    INSERT INTO customers VALUES (1, 'Ada', NULL), (2, 'Bob', 1), (3, NULL, 1);
    INSERT INTO vehicles VALUES (10, 1, 'A-1'), (11, 1, 'A-2'), (12, 2, NULL);
    UPDATE customers SET favourite = 11 WHERE id = 1;
    INSERT INTO visits VALUES (100, 1, 2, 10, 5), (101, 1, 1, 11, 7), (102, 2, 2, 12, 6), (103, 1, NULL, NULL, 7);
    INSERT INTO services VALUES (1, 'oil'), (2, 'tyres'), (3, 'wash');
    INSERT INTO done VALUES (100, 2, 9.50), (100, 1, 20), (101, 3, 5);
    INSERT INTO passports VALUES ('P1', 1);
    INSERT INTO friends VALUES (1, 2), (1, 3), (2, 1);
    INSERT INTO weather VALUES (5, 'Rome', 'blue'), (5, 'Bonn', 'grey'), (6, 'Rome', 'red');
    INSERT INTO trips VALUES (1, 5, 'Bonn'), (2, 5, 'Rome'), (3, 6, NULL);
"""
PAGE = Path(__file__).resolve().parents[2] / "docs" / "trees.md"


@pytest.fixture
def conn(dsn: str) -> Iterator[Any]:
    """A connection within a transaction that made the tables and rows, and is rolled back."""
    with closing(psycopg2.connect(dsn)) as connection, connection.cursor() as cursor:
        cursor.execute(SCHEMA)
        yield connection
        connection.rollback()


def test_a_tree_finds_its_joins_and_is_one_statement(conn: Any) -> None:
    tree = one_from(
        "customers",
        "id name",
        vehicles=many_from("vehicles", "id, plate AS number", via="customer"),
        visits=many_from(
            "visits", "id", via="customer", order="-day -id", limit=2, vehicle=one_from("vehicles", "plate")
        ),
    )
    assert tree.fetch(conn, id=1) == {
        "id": 1,
        "name": "Ada",
        "vehicles": [{"id": 10, "number": "A-1"}, {"id": 11, "number": "A-2"}],
        "visits": [{"id": 103, "vehicle": None}, {"id": 101, "vehicle": {"plate": "A-2"}}],
    }
    assert tree.fetch(conn, id=9) is None and tree.json(conn, id=9) is None
    assert "actual time" in tree.explain(conn, id=1)


def test_no_children_are_an_empty_list_and_nobody_is_null(conn: Any) -> None:
    tree = one_from("customers", "id", vehicles=many_from("vehicles", "id"), boss=one_from("customers", "name"))
    assert tree.fetch(conn, id=3) == {"id": 3, "vehicles": [], "boss": {"name": "Ada"}}
    assert tree.fetch(conn, id=1)["boss"] is None
    assert many_from("customers", "id", where="id > 99").fetch(conn) == []


def test_one_or_many_says_in_which_direction_a_table_refers_to_itself(conn: Any) -> None:
    tree = one_from(
        "customers", "id", boss=one_from("customers", "id", staff=many_from("customers", "id")),
        staff=many_from("customers", "id", boss=one_from("customers", "id")),
    )  # fmt: skip
    assert tree.fetch(conn, id=1) == {
        "id": 1,
        "boss": None,
        "staff": [{"id": 2, "boss": {"id": 1}}, {"id": 3, "boss": {"id": 1}}],
    }
    assert tree.fetch(conn, id=2)["boss"] == {"id": 1, "staff": [{"id": 2}, {"id": 3}]}


def test_keys_in_both_directions_are_told_apart_by_one_and_many(conn: Any) -> None:
    tree = one_from(
        "customers", "id", favourite=one_from("vehicles", "plate"), vehicles=many_from("vehicles", "plate")
    )
    assert tree.fetch(conn, id=1) == {
        "id": 1,
        "favourite": {"plate": "A-2"},
        "vehicles": [{"plate": "A-1"}, {"plate": "A-2"}],
    }


def test_the_only_row_that_refers_to_the_parent_is_an_object(conn: Any) -> None:
    tree = many_from("customers", "id", passport=one_from("passports", "number"))
    assert [row["passport"] for row in tree.fetch(conn)] == [{"number": "P1"}, None, None]


def test_one_with_a_limit_is_the_first_of_many(conn: Any) -> None:
    latest = one_from("visits", "id", via="customer", order="-day id", limit=1)
    assert [row["latest"] for row in many_from("customers", (), latest=latest).fetch(conn)] == [
        {"id": 101}, {"id": 102}, None,
    ]  # fmt: skip


def test_a_link_table_leads_to_many_and_its_columns_can_be_shown_and_sorted_by(conn: Any) -> None:
    plain = many_from("services", "id name", through="done")
    priced = many_from("services", "name, done.price AS paid", through="done", order="-done.price", limit=1)
    tree = many_from("visits", "id", where="id < 102", services=plain, dearest=priced)
    assert tree.fetch(conn) == [
        {
            "id": 100,
            "services": [{"id": 1, "name": "oil"}, {"id": 2, "name": "tyres"}],
            "dearest": [{"name": "oil", "paid": 20.0}],
        },
        {"id": 101, "services": [{"id": 3, "name": "wash"}], "dearest": [{"name": "wash", "paid": 5.0}]},
    ]
    assert '"price":' in many_from("visits", (), s=many_from("services", "done.price", through="done")).json(
        conn
    ).decode()  # fmt: skip


def test_a_link_from_a_table_to_itself_takes_a_pair_of_keys(conn: Any) -> None:
    tree = one_from(
        "customers", "id",
        knows=many_from("customers", "id", through="friends", via=("one", "other")),
        known_by=many_from("customers", "id", through="friends", via=("other", "one")),
    )  # fmt: skip
    assert tree.fetch(conn, id=1) == {"id": 1, "knows": [{"id": 2}, {"id": 3}], "known_by": [{"id": 2}]}


def test_composite_keys_join_pair_by_pair_whatever_their_order(conn: Any) -> None:
    up = many_from("trips", "id", weather=one_from("weather", "sky"))
    assert [row["weather"] for row in up.fetch(conn)] == [{"sky": "grey"}, {"sky": "blue"}, None]
    down = one_from("weather", "sky", trips=many_from("trips", "id"))
    assert down.fetch(conn, day=5, town="Rome") == {"sky": "blue", "trips": [{"id": 2}]}


def test_via_takes_a_column_or_the_constraint(conn: Any) -> None:
    for via, ids in (("driver", [101]), ("visits_driver_fkey", [101]), ("customer", [100, 101, 103])):
        tree = one_from("customers", (), visits=many_from("visits", "id", via=via))
        assert [row["id"] for row in tree.fetch(conn, id=1)["visits"]] == ids


def test_filters_and_limits_share_parameters_at_every_level(conn: Any) -> None:
    tree = many_from(
        "customers", "id", where="id <= %(most)s -- a remark",
        visits=many_from(
            "visits", "id", via="customer", where="day < %(most)s * 3 OR day %% 2 = 1", limit="%(n)s", order="-id"
        ),
    )  # fmt: skip
    assert tree.fetch(conn, most=2, n=1) == [{"id": 1, "visits": [{"id": 103}]}, {"id": 2, "visits": []}]
    assert tree.node(conn).parameters == {"most", "n"}
    with pytest.raises(NodeError, match="missing n"):
        tree.fetch(conn, most=2)


def test_an_or_in_a_filter_does_not_reach_rows_of_other_parents(conn: Any) -> None:
    tree = one_from("customers", "id", vehicles=many_from("vehicles", "id", where="true OR true"))
    assert tree.fetch(conn, id=2)["vehicles"] == [{"id": 12}]


@pytest.mark.parametrize("where", ["true) OR (true", "true; DROP TABLE x", "{plate}", "id = 'x", "id = %s", " "])
def test_a_filter_that_reaches_out_of_its_place_is_refused_at_once(where: str) -> None:
    with pytest.raises(NodeError):
        many_from("vehicles", "id", where=where)


def test_nodes_stand_beside_trees_and_refer_to_the_alias(conn: Any) -> None:
    tree = many_from(
        "customers",
        {"id": "id", "visits": SQL("(SELECT count(*) FROM visits v WHERE v.customer = customers.id)")},
        cars=many_from(
            "vehicles", "id", via="customer",
            used=one("SELECT count(*) AS times, {days} FROM visits v WHERE v.vehicle = cars.id",
                     days=many("SELECT v.day FROM visits v WHERE v.vehicle = cars.id ORDER BY 1")),
        ),
    )  # fmt: skip
    assert tree.fetch(conn)[1] == {
        "id": 2,
        "visits": 1,
        "cars": [{"id": 12, "used": {"times": 1, "days": [{"day": 6}]}}],
    }


def test_a_name_that_repeats_on_the_way_down_gets_a_number(conn: Any) -> None:
    deep = many_from("customers", "id", staff=one("SELECT staff_2.id + customers.id AS sum"))
    tree = one_from("customers", "id", staff=many_from("customers", "id", staff=deep))
    assert tree.fetch(conn, id=1)["staff"] == [{"id": 2, "staff": []}, {"id": 3, "staff": []}]


def test_all_columns_and_lists_of_names_and_order_by_sql(conn: Any) -> None:
    assert list(one_from("vehicles", "*").fetch(conn, id=10)) == ["id", "customer", "plate"]
    assert list(one_from("vehicles", ["plate", "id"]).fetch(conn, id=10)) == ["plate", "id"]
    tree = many_from("vehicles", "id", order=SQL("plate DESC NULLS LAST -- last"))
    assert [row["id"] for row in tree.fetch(conn)] == [11, 10, 12]
    assert [row["id"] for row in many_from("vehicles", "id", order=["-id"]).fetch(conn)] == [12, 11, 10]
    assert "ORDER" not in many_from("vehicles", "id", order="").node(conn).sql
    assert many_from("vehicles", "id", order="-plate, id").node(conn).sql.count("DESC") == 1


def test_lists_are_in_the_order_of_the_primary_key_unless_told(conn: Any) -> None:
    conn.cursor().execute("UPDATE vehicles SET plate = plate WHERE id = 10")  # now the last in the heap
    assert [row["id"] for row in many_from("vehicles", "id").fetch(conn)] == [10, 11, 12]


def test_tables_by_schema_by_pair_and_through_the_search_path_of_the_call(conn: Any) -> None:
    cursor = conn.cursor()
    cursor.execute("SET LOCAL search_path = pg_catalog")
    full = one_from(
        "garage.customers", "id", vehicles=many_from(("garage", "vehicles"), "id"),
        boss=one_from("garage.customers", "name", via="boss"),
    )  # fmt: skip
    assert full.fetch(conn, id=2) == {"id": 2, "vehicles": [{"id": 12}], "boss": {"name": "Ada"}}
    cursor.execute("SET LOCAL search_path = garage")
    bare = many_from("services", "id")
    assert len(bare.fetch(conn)) == 3
    cursor.execute("CREATE SCHEMA tenant; CREATE TABLE tenant.services (id int); SET LOCAL search_path = tenant")
    assert bare.fetch(conn) == []  # compiled once, for tables of equal shape


def test_views_can_be_read_and_have_no_keys(conn: Any) -> None:
    conn.cursor().execute("CREATE VIEW cars AS SELECT * FROM vehicles")
    assert len(many_from("cars", "id", order="id").fetch(conn)) == 3
    with pytest.raises(SchemaError, match="has no primary key"):
        one_from("cars", "id").fetch(conn, id=1)
    with pytest.raises(SchemaError, match="no foreign key lies between cars and customers"):
        many_from("customers", "id", cars=many_from("cars", "id")).fetch(conn)


@pytest.mark.parametrize(
    ("tree", "said", "choices"),
    [
        (many_from("custmers", "id"), "did you mean 'customers'", {"customers", "visits"}),
        (many_from("customers", "id naem"), "no column 'naem'; did you mean 'name'", {"id", "name"}),
        (many_from("vehicles", "id", order="-palte"), "did you mean 'plate'", {"plate"}),
        (
            many_from("customers", "id", visits=many_from("visits", "id")),
            "2 foreign keys lie between visits and customers; choose one by via=",
            {"visits_driver_fkey: visits (driver) -> customers (id)"},
        ),
        (
            many_from("customers", "id", visits=many_from("visits", "id", via="owner")),
            "is called, or has a column, 'owner'",
            {"visits_driver_fkey: visits (driver) -> customers (id)"},
        ),
        (
            many_from("customers", "id", services=many_from("services", "id")),
            "no foreign key lies between services and customers; name a link table by through=",
            {"done_service_fkey: done (service) -> services (id)"},
        ),
        (many_from("vehicles", "id", visits=one_from("visits", "id")), "use many_from(), or one_from()", set()),
        (many_from("visits", "id", car=many_from("vehicles", "id")), "one of vehicles at most", set()),
        (
            many_from("customers", "id", friends=many_from("customers", "id", through="friends")),
            "2 foreign keys lie between friends and customers",
            {"friends_one_fkey: friends (one) -> customers (id)"},
        ),
        (many_from("visits", "id", x=many_from("services", "done.prize", through="done")), "mean 'price'", set()),
    ],
)
def test_what_the_schema_does_not_allow_is_an_error_that_lists_the_choices(
    conn: Any, tree: Tree, said: str, choices: set[str]
) -> None:
    with pytest.raises(SchemaError) as caught:
        tree.fetch(conn)
    assert said in str(caught.value) and "\n" not in str(caught.value)
    assert choices <= set(caught.value.choices) and caught.value.choices


@pytest.mark.parametrize(
    ("make", "said"),
    [
        (lambda: many_from("t", "id", limit=0), "limit=0 must be a whole number from 1"),
        (lambda: many_from("t", "id", limit=-1), "limit=-1"),
        (lambda: many_from("t", "id", limit=True), "limit=True"),
        (lambda: many_from("t", "id", limit=2.5), "limit=2.5"),
        (lambda: many_from("t", "id", limit=2**63), "whole number from 1"),
        (lambda: many_from("t", "id", limit="5; DROP TABLE t"), "limit='5; DROP TABLE t'"),
        (lambda: one_from("t", "id", limit=2), "must be 1, or left out"),
        (lambda: one_from("t", "id", through="l"), "may lead to many rows"),
        (lambda: many_from("", "id"), "'' is no table"),
        (lambda: many_from(("a", "b", "c"), "id"), "is no table"),
        (lambda: many_from("t", "id AS"), "no name after AS"),
        (lambda: many_from("t", "id,,name"), "a comma too many"),
        (lambda: many_from("t", ["id", 3]), "3 is no column"),
        (lambda: many_from("t", "id\0"), "is no column"),
        (lambda: many_from("t", 7), "columns are text"),
        (lambda: many_from("t", {"a": SQL("x) FROM (y")}), "closes nothing"),
        (lambda: many_from("t", "id", order=7), "order= is text"),
        (lambda: many_from("t", "id", via=7), "via=7"),
        (lambda: many_from("t", "id", via="a", through="l"), "must be a pair"),
        (lambda: many_from("t", "id", child=7), "not int"),
        (lambda: many_from("t", "id", children={"a b": many_from("u", "id")}), "cannot name a child"),
        (lambda: many_from("t", "id", order=one_from("orders", "id")), "children={'order': ...}"),
    ],
)
def test_what_is_wrong_in_any_database_is_refused_when_it_is_written(make: Any, said: str) -> None:
    with pytest.raises(NodeError) as caught:
        make()
    assert said in str(caught.value) and "\n" not in str(caught.value)


@pytest.mark.parametrize(
    ("tree", "said"),
    [
        (many_from("vehicles", "id, plate AS id"), "two columns of vehicles are called 'id'"),
        (many_from("customers", "id vehicles", vehicles=one("SELECT 1 AS x")), "no column 'vehicles'"),
        (many_from("customers", "id name", name=one("SELECT 1 AS x")), "two columns .* are called 'name'"),
        (many_from("customers"), "neither columns nor children"),
        (many_from("customers", {"x" * 64: "id"}), "longer than the 63 bytes"),
    ],
)
def test_names_that_clash_are_refused_at_the_first_use(conn: Any, tree: Tree, said: str) -> None:
    with pytest.raises((NodeError, SchemaError), match=said):
        tree.fetch(conn)


def test_a_child_may_have_the_name_of_an_option(conn: Any) -> None:
    owner = one_from("customers", "name", via="customer")
    tree = many_from("vehicles", "id", where="id = 10", children={"where": owner})
    assert tree.fetch(conn) == [{"id": 10, "where": {"name": "Ada"}}]


def test_it_is_compiled_once_also_by_many_threads(make_pool: Any) -> None:
    pool = make_pool(1, 4)
    tree = many_from(("pg_catalog", "pg_am"), "amname", order="amname", where="amname = 'btree'")

    def ask(number: int) -> Any:
        with pool.connection() as connection:
            return tree.fetch(connection), tree.node(connection)

    answers = together(8, ask)
    assert all(rows == [{"amname": "btree"}] for rows, _ in answers)
    with pool.connection() as connection:
        node = tree.node(connection)
        assert tree.node(None) is node  # no connection is needed any more


def test_a_failed_first_use_is_tried_again(conn: Any) -> None:
    tree = many_from("late", "id")
    with pytest.raises(SchemaError):
        tree.fetch(conn)
    conn.cursor().execute("CREATE TABLE late (id int PRIMARY KEY)")
    assert tree.fetch(conn) == []


def test_it_works_behind_pgbouncer_in_autocommit(bouncer: Bouncer, database: str) -> None:
    tree = many_from(("pg_catalog", "pg_am"), "amname", where="amname = %(name)s")
    with closing(psycopg2.connect(bouncer.url(database, "app"))) as connection:
        connection.autocommit = True
        assert tree.fetch(connection, name="hash") == [{"amname": "hash"}]
        assert check(connection, tree) == []


@pytest.mark.parametrize("factory", [psycopg2.extras.RealDictConnection, psycopg2.extras.NamedTupleConnection])
def test_any_row_type_of_the_connection_will_do(dsn: str, factory: Any) -> None:
    with closing(psycopg2.connect(dsn, connection_factory=factory)) as connection:
        assert many_from(("pg_catalog", "pg_am"), "amname", where="amname = 'gin'").fetch(connection) == [
            {"amname": "gin"}
        ]


def test_repr_names_the_table() -> None:
    assert repr(many_from("t", "id")) == "<many_from 't'>"


LETTERS = st.characters(blacklist_categories=["Cs"], blacklist_characters="\0")
NAMES = st.text(LETTERS | st.sampled_from(list("\"'%{}().,;-$ \\")), min_size=1, max_size=63).filter(
    lambda name: len(name.encode()) <= 63
)


@settings(max_examples=60, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(tables=st.lists(NAMES, min_size=2, max_size=2, unique=True), columns=st.lists(NAMES, min_size=3, max_size=3,
       unique=True), label=NAMES, value=st.text(LETTERS, max_size=20))  # fmt: skip
def test_hostile_names_stay_names(
    conn: Any, tables: list[str], columns: list[str], label: str, value: str
) -> None:
    """Tables, columns and labels with quotes, dots, braces, percent signs: the answer has just these names."""
    (parent, child), (key, refers, text), cursor = tables, columns, conn.cursor()
    cursor.execute("SAVEPOINT before; CREATE SCHEMA hostile; SET LOCAL search_path = hostile")
    cursor.execute(f"CREATE TABLE {quoted(parent)} ({quoted(key)} int PRIMARY KEY)")
    cursor.execute(
        f"CREATE TABLE {quoted(child)} ({quoted(key)} int PRIMARY KEY, {quoted(text)} text, {quoted(refers)} int "
        f"REFERENCES {quoted(parent)})"
    )
    cursor.execute(f"INSERT INTO {quoted(parent)} VALUES (1), (2)")
    inserted = quoted(child).replace("%", "%%")
    cursor.execute(f"INSERT INTO {inserted} VALUES (3, %s, 2)", (value,))
    kids = many_from(("hostile", child), {label: text}, order=[key], via=refers)
    tree = many_from(("hostile", parent), [key], children={"kids_": kids}, order=[key])
    if key != "kids_":
        assert tree.fetch(conn) == [{key: 1, "kids_": []}, {key: 2, "kids_": [{label: value}]}]
    cursor.execute("ROLLBACK TO before")


def test_every_public_name_option_and_method_is_on_the_page() -> None:
    page = PAGE.read_text(encoding="utf-8")
    names = {"one_from", "many_from", "Tree", "SchemaError", "NodeError", ".choices"}
    for make in (one_from, many_from):
        names |= {f"`{name}" for name in inspect.signature(make).parameters if name != "named_children"}
    names |= {f".{name}(" for name in ("json", "fetch", "explain", "node")}
    assert not [name for name in sorted(names) if name not in page]


def test_no_thread_and_no_query_at_import() -> None:
    assert many_from("nowhere", "nothing")._node is None
