"""Pools that connect at import become the runtime's."""

from __future__ import annotations

from ..fixing import Outcome, fixed

HEAD = "from flask import Flask\n"
VIEW = """
app = Flask(__name__)


@app.get("/")
def home():
    conn = pool.getconn()
    try:
        return str(conn.closed)
    finally:
        pool.putconn(conn)
"""


def pooled(code: str, kit: str = "hardened") -> Outcome:
    """Return what the fixer makes of an app."""
    return fixed({"app.py": HEAD + code + VIEW}, "pool-at-import", kit=kit)


def test_an_import_of_pools_alone_changes_its_module_only() -> None:
    code = "from psycopg2.pool import ThreadedConnectionPool\npool = ThreadedConnectionPool(1, 4, dsn='')  # 4\n"
    found = pooled(code)
    assert found.files["app.py"] == HEAD + code.replace("psycopg2.pool", "hardened") + VIEW
    assert "waits" in found.changes[0].note


def test_an_attribute_of_the_module_is_imported_by_name() -> None:
    rest = "SimpleConnectionPool(\n    1, 4,  # few\n    dsn='')\n"
    found = pooled("import psycopg2.pool\npool = psycopg2.pool." + rest)
    assert f"pool = {rest}" in found.files["app.py"]
    assert "from hardened import SimpleConnectionPool\n" in found.files["app.py"]


def test_an_import_that_brings_more_keeps_it() -> None:
    line = "from psycopg2.pool import PoolError, SimpleConnectionPool\n"
    found = pooled(line + "pool = SimpleConnectionPool(1, 4, '')\n")
    assert line in found.files["app.py"]
    assert "pool = hardened.SimpleConnectionPool(1, 4, '')\n" in found.files["app.py"]


def test_what_has_no_place_in_the_runtime_is_left_alone() -> None:
    found = pooled("import psycopg2.pool\npool = psycopg2.pool.PersistentConnectionPool(1, 4, '')\n")
    assert not found.changes and "no class of this name" in found.reasons[0]


def test_a_file_that_asks_for_the_class_is_left_alone() -> None:
    code = "from psycopg2.pool import SimpleConnectionPool\npool = SimpleConnectionPool(1, 4, '')\n" \
           "assert isinstance(pool, SimpleConnectionPool)\n"  # fmt: skip
    assert "asked for elsewhere" in pooled(code).reasons[0]


def test_without_the_runtime_the_reason_says_what_to_do() -> None:
    code = "from psycopg2.pool import SimpleConnectionPool\npool = SimpleConnectionPool(1, 4, '')\n"
    assert "vendor" in pooled(code, kit="").reasons[0]


def test_the_size_of_a_pool_is_left_to_a_person() -> None:
    code = "from psycopg2.pool import ThreadedConnectionPool\npool = ThreadedConnectionPool(1, 500, '')\n"
    found = fixed({"app.py": HEAD + code + VIEW}, "pool-too-large", "pool-at-import")
    assert "ThreadedConnectionPool(1, 500, '')" in found.files["app.py"]
    assert [each.finding.name for each in found.left] == ["pool-too-large"]
