"""The advice fits the statement, and a sketch is made only where it would be right."""

from __future__ import annotations

import pytest

from backend.events import QueryGroup
from backend.fingerprint import statement_of
from backend.rewrites import AT_ONCE, advice_for


def _group(sql: str, rows: int = 9, is_same: bool | None = False, method: str = "execute") -> QueryGroup:
    return QueryGroup(statement_of(sql), "a.py:1 in f", 9, 0.1, 0.1, (), rows, 0, False, (), is_same, method)


@pytest.mark.parametrize(
    ("sql", "rows", "advice", "sketch"),
    [
        ("SELECT * FROM users WHERE id = %s", 9, "fetch_by_ids()", "found = fetch_by_ids(conn, 'users', ids)"),
        ("SELECT * FROM shop.users u WHERE u.id = %s LIMIT 1", 9, "fetch_by_ids()",
         "found = fetch_by_ids(conn, 'shop.users', ids)"),
        ("SELECT name FROM users WHERE email = %s", 3, "fetch_by_ids()",
         "found = fetch_by_ids(conn, 'users', ids, key='email')"),
        ("SELECT id FROM payments WHERE appointment_id = %s ORDER BY id", 40, "many()",
         'many("""select id from payments where appointment_id = parent.id order by id""")'),
        ("SELECT id FROM payments p WHERE p.appointment_id = %s AND paid", 2, "many()",
         'many("""select id from payments p where p.appointment_id = parent.id and paid""")'),
        ("SELECT s.name FROM a JOIN s ON s.id = a.s_id WHERE a.appointment_id = %s", 9, "many()",
         'many("""select s.name from a join s on s.id = a.s_id where a.appointment_id = parent.id""")'),
        ("SELECT * FROM users WHERE id = %s::uuid", 9, "fetch_by_ids()",
         "found = fetch_by_ids(conn, 'users', ids)"),
        ("SELECT u.name FROM users u, teams t WHERE u.id = %s", 9, "many()",
         'many("""select u.name from users u, teams t where u.id = parent.id""")'),
        ("SELECT count(*) AS n FROM pets WHERE owner_id = %s", 9, "GROUP BY",
         "select owner_id, count(*) as n from pets where owner_id = any(%s) group by owner_id"),
        ("SELECT max(v.at) FROM visits v WHERE v.pet_id = %s AND v.paid", 9, "GROUP BY",
         "select v.pet_id, max(v.at) from visits v where v.pet_id = any(%s) and v.paid group by v.pet_id"),
        ("SELECT min(name) FROM pets WHERE owner_id = %s LIMIT 1", 9, "GROUP BY",
         "select owner_id, min(name) from pets where owner_id = any(%s) group by owner_id"),
        ("SELECT count(*) FILTER (WHERE paid = 'yes') FROM visits WHERE pet_id = %s", 9, "GROUP BY",
         "select pet_id, count(*) filter(where paid = ?) from visits where pet_id = any(%s) group by pet_id"),
        ("SELECT max(at) FROM visits WHERE pet_id = %s GROUP BY kind", 9, "many()",
         'many("""select max(at) from visits where pet_id = parent.id group by kind""")'),
        ("SELECT * FROM counts WHERE id = %s", 9, "fetch_by_ids()", "found = fetch_by_ids(conn, 'counts', ids)"),
        ("SELECT count(*) OVER () FROM pets WHERE owner_id = %s", 20, "many()",
         'many("""select count(*) over() from pets where owner_id = parent.id""")'),
        ("SELECT * FROM pets WHERE id = %s FOR UPDATE", 9, "one lock per row", ""),
        ("SELECT * FROM pets WHERE owner_id = %s ORDER BY id FOR NO KEY UPDATE", 40, "one lock per row", ""),
        ("SELECT count(*) FROM users", 9, AT_ONCE, ""),
        ("SELECT f(%s)", 9, "unnest(%s)", ""),
        ("SELECT nextval('users_id_seq')", 9, "unnest(%s)", ""),
        ("SELECT f(%s) FROM users", 9, AT_ONCE, ""),
        ("SELECT * FROM generate_series(1, 3) n WHERE n = %s", 9, AT_ONCE, ""),
        ("SELECT a, (SELECT b FROM c WHERE c.id = %s) FROM d", 9, AT_ONCE, ""),
        ("INSERT INTO users VALUES (%s)", 9, "insert_many()", ""),
        ("UPDATE users SET a = %s WHERE id = %s", 9, "execute_many()", ""),
        ("DELETE FROM users WHERE id = %s", 9, "ANY(%s)", ""),
        ("WITH x AS (SELECT 1) INSERT INTO users SELECT * FROM x", 9, "insert_many()", ""),
    ],
)  # fmt: skip
def test_advice_and_sketch_fit_the_statement(sql: str, rows: int, advice: str, sketch: str) -> None:
    said, made = advice_for(_group(sql, rows))
    assert advice in said
    assert made == sketch


def test_what_is_asked_the_same_each_time_is_asked_once() -> None:
    assert "ask once before the loop" in advice_for(_group("SELECT * FROM users WHERE id = %s", is_same=True))[0]


def test_a_write_that_is_the_same_each_time_is_no_cache_s_business() -> None:
    assert "execute_many()" in advice_for(_group("UPDATE users SET a = 1", is_same=True))[0]


def test_executemany_and_procedures_have_advice_of_their_own() -> None:
    assert "executemany sends one" in advice_for(_group("INSERT INTO a VALUES (%s)", method="executemany"))[0]
    assert "array of ids" in advice_for(_group("CALL refresh()", method="callproc"))[0]
