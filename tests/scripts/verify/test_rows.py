"""Rows and keys over a real database: what the schema demands, and values that routes can be asked with."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import closing
from typing import Any

import pytest

from scripts.errors import CommandError
from scripts.stack.postgres import Cluster
from scripts.verify.contents import compared, contents_of, varying_between
from scripts.verify.keys import Keys
from scripts.verify.rows import fill

SCHEMA = """
    CREATE TYPE mood AS ENUM ('fine', 'bad');
    CREATE TABLE tag (id serial PRIMARY KEY, name varchar(6) NOT NULL UNIQUE);
    CREATE TABLE question_tag (question_id int REFERENCES question, tag_id int REFERENCES tag,
        PRIMARY KEY (question_id, tag_id));
    CREATE TABLE users (username text PRIMARY KEY, email text UNIQUE, born date, mood mood NOT NULL,
        kind text CHECK (kind IN ('admin', 'it''s')), points numeric(5,1) CHECK (points >= 10),
        id uuid NOT NULL, settings jsonb, langs text[], made timestamptz DEFAULT now());
    CREATE TABLE stubborn (a int NOT NULL CHECK (a * a < 0))"""


@pytest.fixture(scope="module")
def conn(cluster: Cluster) -> Iterator[Any]:
    cluster.create_database("verify_rows", cluster.user)
    with closing(cluster.connect("verify_rows")) as conn:
        with conn.cursor() as cursor:
            cursor.execute("CREATE TABLE question (id int GENERATED ALWAYS AS IDENTITY PRIMARY KEY,"
                           " parent int REFERENCES question, title text NOT NULL)")  # fmt: skip
            cursor.execute(SCHEMA)
        notes = fill(conn, 12)
        assert len(notes) == 1
        assert notes[0].startswith("table stubborn stays empty: ")
        yield conn
    cluster.drop_database("verify_rows")


def test_every_table_gets_rows_that_its_constraints_accept(conn: Any) -> None:
    assert contents_of(conn).rows == {"question": 12, "question_tag": 12, "stubborn": 0, "tag": 12, "users": 12}


def test_a_table_that_has_rows_is_left_alone(conn: Any) -> None:
    before = contents_of(conn)
    fill(conn, 3)
    assert contents_of(conn).rows == before.rows


@pytest.mark.parametrize(
    ("rule", "converters", "paths"),
    [
        ("/question/<int:question_id>", {"question_id": "IntegerConverter"},
         ["/question/1", "/question/7", "/question/12", "/question/987654321"]),
        ("/question/<id>/edit", {}, ["/question/1/edit", "/question/7/edit", "/question/12/edit",
                                     "/question/987654321/edit"]),
        ("/user/<username>", {}, ["/user/username%201", "/user/username%204", "/user/username%209",
                                  "/user/no-such-thing"]),
        ("/tag/<name>", {}, ["/tag/name%201", "/tag/name%207", "/tag/x12", "/tag/no-such-thing"]),
        ("/plain", {}, ["/plain"]),
        ("/x/<int:nothing>", {"nothing": "IntegerConverter"}, ["/x/1", "/x/2", "/x/987654321"]),
    ],
)  # fmt: skip
def test_parameters_are_keys_that_are_there_and_one_that_is_not(
    conn: Any, rule: str, converters: dict[str, str], paths: list[str]
) -> None:
    keys = Keys(conn, {})
    assert keys.paths(rule, converters) == paths
    assert bool(keys.guessed) == ("nothing" in rule)


def test_a_recipe_s_keys_win(conn: Any) -> None:
    keys = Keys(conn, {"nothing": "question.id", "other": [7], "wrong": "no.such"})
    assert keys.paths("/x/<nothing>", {})[0] == "/x/1"
    assert keys.paths("/y/<int:other>", {"other": "IntegerConverter"}) == ["/y/7", "/y/987654321"]
    with pytest.raises(CommandError, match=r"no column 'no\.such'"):
        keys.paths("/z/<wrong>", {})


def test_contents_say_which_table_column_and_sequence_changed(conn: Any) -> None:
    before = contents_of(conn)
    with conn.cursor() as cursor:
        cursor.execute("UPDATE tag SET name = 'other' WHERE id = 3")
        cursor.execute("INSERT INTO question (title) VALUES ('more')")
    after = contents_of(conn)
    with conn.cursor() as cursor:
        cursor.execute("UPDATE tag SET name = 'name 3' WHERE id = 3")
        cursor.execute("DELETE FROM question WHERE title = 'more'")
    assert [what for what, _, _ in compared(before, after, frozenset())] == [
        "table question", "table tag", "sequence public.question_id_seq",
    ]  # fmt: skip
    assert compared(before, after, varying_between(before, after)) == []
