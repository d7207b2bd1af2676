"""The shop's nested queries: every index they lean on is there, and the functions made of them are up to date."""

from __future__ import annotations

from contextlib import closing
from pathlib import Path
from typing import Any

import psycopg2

from backend import check, describe
from backend.nested import Node
from backend.shop import queries
from backend.stored import Stored
from scripts.demo.seed import MIGRATIONS

NODES = [value for name, value in vars(queries).items() if isinstance(value, Node) and not name.startswith("_")]
FUNCTIONS = [value for value in vars(queries).values() if isinstance(value, Stored)]


def test_no_query_lacks_an_index(shop_postgresql: Any) -> None:
    with closing(psycopg2.connect(shop_postgresql.info.dsn, password=shop_postgresql.info.password)) as conn:
        problems = check(conn, *NODES)
    assert len(NODES) >= 8
    assert not problems, describe(problems)


def test_the_migration_makes_the_functions_of_the_queries() -> None:
    text = Path(MIGRATIONS[1]).read_text(encoding="utf-8")
    body = "\n".join(line for line in text.splitlines() if not line.startswith("--")).strip()
    assert body == "\n\n".join(function.up for function in FUNCTIONS), "paste each `up` into functions.sql"


def test_the_functions_are_found(shop_postgresql: Any) -> None:
    with closing(psycopg2.connect(shop_postgresql.info.dsn, password=shop_postgresql.info.password)) as conn:
        assert FUNCTIONS
        for function in FUNCTIONS:
            assert function.json(conn, id=1) == function.node.json(conn, id=1)
            assert function._is_found
