"""A loop that only writes goes to the server in batches; one that does anything else is left as it is."""

from __future__ import annotations

import pytest

from scripts.fix.fixers.n_plus_one import FIXER, RULES
from tests.scripts.fix.fixing import Outcome, fixed_by

APP = '''
import psycopg2

SQL = "UPDATE stock SET n = n - %s WHERE id = %s"


def bought():
    conn = psycopg2.connect("dbname=shop")
    cur = conn.cursor()
    cur.execute("SELECT id, n FROM cart WHERE open")
    rows = cur.fetchall()
    {loop}
    conn.commit()
    conn.close()
'''
INSERT = 'cur.execute("INSERT INTO sold VALUES (%s)", (row[0],))'


def batched(loop: str, others: str = "") -> Outcome:
    """Return what becomes of a loop."""
    return fixed_by((FIXER,), {"app.py": APP.replace("{loop}", loop) + others}, *RULES)


@pytest.mark.parametrize(
    ("loop", "becomes"),
    [
        (f"for row in rows:\n        {INSERT}",
         'execute_batch(cur, "INSERT INTO sold VALUES (%s)", [(row[0],) for row in rows])'),
        ("for id, n in rows:\n        cur.execute(SQL, (n, id))",
         "execute_batch(cur, SQL, [(n, id) for id, n in rows])"),
        ('for row in rows:\n        cur.execute("DELETE FROM c WHERE i = %(i)s", {"i": row[0]})',
         'execute_batch(cur, "DELETE FROM c WHERE i = %(i)s", [{"i": row[0]} for row in rows])'),
        ('for row in rows:\n        cur.execute("INSERT INTO sold "\n                    "VALUES (%s)", [row[0]])',
         'execute_batch(\n        cur,\n        "INSERT INTO sold "\n                    "VALUES (%s)",\n'
         "        [[row[0]] for row in rows],\n    )"),
    ],
)  # fmt: skip
def test_a_loop_of_one_write_becomes_a_batch(loop: str, becomes: str) -> None:
    found = batched(loop)
    assert f"    {becomes}\n    conn.commit()" in found.files["app.py"], found.reasons
    assert "from psycopg2.extras import execute_batch\n" in found.files["app.py"]
    assert found.changes[0].is_safe


@pytest.mark.parametrize(
    ("loop", "others"),
    [
        (f"for row in rows:\n        {INSERT}\n        print(row)", ""),
        (f"for row in rows:\n        # sold\n        {INSERT}", ""),
        (f"for row in rows:\n        {INSERT}\n    else:\n        print(1)", ""),
        (f"for row in rows:\n        {INSERT}\n    print(row)", ""),
        (f"for row in rows:\n        {INSERT}\n    print(cur.rowcount)", ""),
        (f"for row in rows:\n        if row:\n            {INSERT}", ""),
        ('for row in rows:\n        cur.execute(f"INSERT INTO sold_{row[1]} VALUES (%s)", (row[0],))', ""),
        ('for row in rows:\n        conn.cursor().execute("INSERT INTO sold VALUES (%s)", (row[0],))', ""),
        ('for row in rows:\n        cur.execute("INSERT INTO a VALUES (%s); DELETE FROM b", (row[0],))', ""),
        (f"for row in rows:\n        {INSERT}", "\n\ndef other(conn):\n    conn.autocommit = True\n"),
        (f"for row in rows:\n        {INSERT}", "\n\ndef other(conn):\n    conn.set_isolation_level(0)\n"),
    ],
)
def test_a_loop_that_does_more_is_left_alone(loop: str, others: str) -> None:
    found = batched(loop, others)
    assert not found.changes, found.files["app.py"]
    assert found.left


def test_what_is_left_gets_a_statement_to_paste() -> None:
    found = batched(f"for row in rows:\n        {INSERT}\n        print(row)")
    assert found.left[0].suggestion == (
        'execute_many(conn, "INSERT INTO sold VALUES (%s)", [(row[0],) for row in rows])'
    )
