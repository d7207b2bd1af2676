"""What each statement does, as the parser reads it."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from scripts.doctor.names import qualified, quoted
from scripts.errors import CommandError
from scripts.migrate.sqltext import Timeouts, check, check_of, files_of
from scripts.migrate.statements import read

_LETTERS = st.characters(blacklist_characters="\0", blacklist_categories=["Cs"])
NAMES = st.text(_LETTERS, min_size=1, max_size=15)


@given(schema=NAMES, table=NAMES, index=NAMES)
def test_any_name_survives_the_files(schema: str, table: str, index: str) -> None:
    full, on = qualified(schema, index), qualified(schema, table)
    up, down = f"CREATE INDEX CONCURRENTLY {quoted(index)} ON {on} (a)", f"DROP INDEX {full}"
    there, back = files_of("create index", [up], [down], [f"at {on}"], [f"SELECT 1 FROM {on}"], Timeouts())
    made = [each for each in read(there, "up") if each.kind == "create index"]
    gone = [each for each in read(back, "down") if each.kind == "drop index"]
    assert [(each.schema, each.name, each.table) for each in made] == [(schema, index, table)]
    assert [(each.schema, each.name) for each in gone] == [(schema, index)]
    assert [each.kind for each in read(there, "up")] == ["set", "set", "create index", "check"]


@given(name=st.text(_LETTERS, max_size=30))
def test_a_check_is_known_again(name: str) -> None:
    assert check_of(check(name)) == name


def test_a_check_with_more_in_it_is_none() -> None:
    assert check_of(check("public.a").replace("END IF;", "END IF; DELETE FROM orders;")) is None


@pytest.mark.parametrize("sql, kind, name", [
    ("CREATE UNIQUE INDEX CONCURRENTLY a ON s.t (b)", "create index", "a"),
    ("DROP INDEX CONCURRENTLY IF EXISTS s.a", "drop index", "a"),
    ("REINDEX INDEX CONCURRENTLY s.a", "rebuild index", "a"),
    ("REINDEX (VERBOSE, CONCURRENTLY) INDEX s.a", "rebuild index", "a"),
    ("ALTER TABLE s.t VALIDATE CONSTRAINT a", "validate constraint", "a"),
    ("ANALYZE s.t", "analyze", "t"),
    ("COMMENT ON INDEX s.a IS 'x'", "comment", "a"),
    ("SET LOCAL lock_timeout = '1s'", "set", ""),
    ("BEGIN", "begin", ""),
])  # fmt: skip
def test_kinds(sql: str, kind: str, name: str) -> None:
    (found,) = read(f"-- words\n\n{sql};\n", "x")
    assert (found.kind, found.name, found.text) == (kind, name, sql)


@pytest.mark.parametrize("sql", [
    "SET ROLE x", "ALTER TABLE s.t ADD a int", "VACUUM s.t", "ANALYZE", "DROP TABLE s.t", "ROLLBACK",
    "DROP INDEX CONCURRENTLY s.a, s.b", "ALTER TABLE s.t VALIDATE CONSTRAINT a, ADD b int", "SELECT 1",
    "DROP INDEX CONCURRENTLY a", "COMMENT ON TABLE s.t IS 'x'", "REINDEX INDEX s.a",
])  # fmt: skip
def test_all_else_is_refused(sql: str) -> None:
    with pytest.raises(CommandError, match=r"^x: "):
        read(sql, "x")
