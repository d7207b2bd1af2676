"""Which indexes a workload lacks: each statement on a real table with statistics, asked often enough to pay."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import ExitStack, closing

import pytest

from scripts.database import open_database
from scripts.doctor.session import Session
from scripts.doctor.target import Options, Target
from scripts.doctor.workload.proposals import proposals
from scripts.doctor.workload.statements import fingerprint, untagged
from scripts.stack.postgres import Cluster

SCHEMA = """
    CREATE TABLE labels (id bigint PRIMARY KEY, code int);
    INSERT INTO labels SELECT g, g FROM generate_series(1, 50) g;
    CREATE TABLE items (id bigint PRIMARY KEY, email text, code int, kind int, day timestamptz, tags text[],
                        info jsonb, name text, label_id bigint REFERENCES labels);
    CREATE INDEX items_day ON items (day, id);
    CREATE INDEX items_lower ON items (lower(name));
    INSERT INTO items SELECT g, 'm' || g, g % 500, g % 3, now() - g * interval '1 hour', ARRAY['t' || g % 90],
        jsonb_build_object('k', g), 'n' || g, g % 50 + 1 FROM generate_series(1, 3000) g;
    ANALYZE;
"""
Propose = Callable[[str], list[tuple[str, str, str]]]


@pytest.fixture(scope="module")
def items(cluster: Cluster) -> Iterator[str]:
    """A database with a table of 3,000 rows."""
    name = "doctor_items"
    cluster.create_database(name, cluster.user)
    cluster.execute(SCHEMA, dbname=name)
    yield name
    cluster.drop_database(name)


@pytest.fixture
def propose(cluster: Cluster, items: str) -> Iterator[Propose]:
    """A function that asks a statement, and returns what is proposed: why, method and keys."""
    with ExitStack() as stops:

        def asked(statement: str) -> list[tuple[str, str, str]]:
            cluster.execute("SELECT pg_stat_statements_reset()", dbname=items)
            with closing(cluster.connect(items)) as conn, conn.cursor() as cursor:
                cursor.execute(statement)
            session = Session(open_database(cluster.dsn(items), "harden doctor"), 30.0)
            stops.callback(session.close)
            target = Target(session, Options(prove="off"))
            found = [each for each in proposals(target) if each.table.name == "items"]
            return [(each.why, each.method, ", ".join(each.keys)) for each in found]

        yield asked


@pytest.mark.parametrize(
    ("statement", "expected"),
    [
        ("SELECT id FROM items WHERE email = 'x'", ("filter", "", "email")),
        ("SELECT id FROM items WHERE 'x' = email", ("filter", "", "email")),
        ("SELECT id FROM items WHERE email IN ('x', 'y')", ("filter", "", "email")),
        ("SELECT id FROM items WHERE email = ANY(ARRAY['x'])", ("filter", "", "email")),
        ("SELECT id FROM items i WHERE i.email = 'x' AND i.code = 7", ("filter", "", "email, code")),
        ("SELECT id FROM items WHERE email = 'x' AND day > now()", ("filter", "", "email, day")),
        ("SELECT id FROM items WHERE email = 'x' AND code > 7", ("filter", "", "email, code")),
        ("SELECT id FROM items WHERE email = 'x' ORDER BY code DESC LIMIT 3", ("filter", "", "email, code DESC")),
        ("SELECT id FROM items WHERE lower(email) = 'x'", ("filter", "", "lower(email)")),
        ("UPDATE items SET kind = 1 WHERE email = 'x'", ("filter", "", "email")),
        ("DELETE FROM items WHERE email = 'x'", ("filter", "", "email")),
        ("SELECT id FROM items WHERE code BETWEEN 3 AND 4", ("filter", "", "code")),
        ("WITH x AS (SELECT id FROM items WHERE email = 'x') SELECT * FROM x", ("filter", "", "email")),
        ("SELECT (SELECT max(id) FROM items i WHERE i.code = l.code) FROM labels l", ("filter", "", "code")),
        ("SELECT l.id FROM labels l JOIN items i ON i.code = l.code WHERE l.id = 7", ("join", "", "code")),
        ("SELECT id FROM items ORDER BY code LIMIT 5", ("sort", "", "code")),
        ("SELECT id FROM items ORDER BY code DESC NULLS LAST LIMIT 5", ("sort", "", "code DESC NULLS LAST")),
        ("SELECT id FROM items WHERE info @> '{\"k\": 1}'", ("contains", "gin", "info jsonb_path_ops")),
        ("SELECT id FROM items WHERE info ? 'k'", ("contains", "gin", "info")),
        ("SELECT id FROM items WHERE tags && ARRAY['t1']", ("contains", "gin", "tags")),
        ("SELECT id FROM items WHERE name LIKE '%7%'", ("pattern", "gin", "name gin_trgm_ops")),
    ],
)
def test_what_a_statement_lacks(statement: str, expected: tuple[str, str, str], propose: Propose) -> None:
    assert propose(statement) == [expected]


@pytest.mark.parametrize(
    "statement",
    [
        "SELECT email FROM items WHERE id = 7",
        "SELECT id FROM items WHERE kind = 1",  # three values
        "SELECT id FROM items WHERE label_id = 7",  # a foreign key, which has a rule of its own
        "SELECT id FROM items WHERE lower(name) = 'x'",
        "SELECT id FROM items ORDER BY day LIMIT 5",
        "SELECT id FROM items ORDER BY day DESC, id DESC LIMIT 5",
        "SELECT id FROM items ORDER BY code",  # without a LIMIT
        "SELECT code, count(*) FROM items GROUP BY code ORDER BY code LIMIT 5",
        "SELECT id FROM items WHERE email = 'x' OR code = 7",
        "SELECT id FROM items WHERE NOT email = 'x'",
        "SELECT id FROM items WHERE email <> 'x'",
        "SELECT id FROM items WHERE email = name",
        "SELECT count(*) FROM items",
        "SELECT id FROM labels WHERE code = 7",  # fifty rows
        "INSERT INTO labels SELECT 99 + id, 1 FROM items WHERE id = 1",
    ],
)
def test_what_is_left_alone(statement: str, propose: Propose) -> None:
    assert propose(statement) == []


def test_one_statement_is_one_whatever_its_values_and_spaces() -> None:
    one = fingerprint("SELECT a FROM t WHERE b = 7 AND c = 'x'")
    assert one == fingerprint("select a\n from t where b = $1 and c = $2")
    assert one != fingerprint("SELECT a FROM t WHERE b = 7")
    assert fingerprint("this is no SQL") == ""


def test_a_comment_of_sqlcommenter_names_the_route() -> None:
    text = "SELECT 1 /*framework='flask',function='views.show',route='%2Fusers%2F%3Cid%3E'*/"
    assert untagged(text) == ("SELECT 1", ("/users/<id>",))
    assert untagged("SELECT 1 /* a remark */") == ("SELECT 1 /* a remark */", ())
