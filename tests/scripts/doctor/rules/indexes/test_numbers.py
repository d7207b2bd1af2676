"""H522, H523, H525 and H526: keys and sequences near their end, types that differ, constraints that wait."""

from __future__ import annotations

from collections.abc import Callable

import pytest

from scripts.audit.finding import Severity
from scripts.doctor.advice import Advice
from scripts.doctor.rules.indexes.constraint_not_validated import RULE as NOT_VALIDATED
from scripts.doctor.rules.indexes.integer_key_near_overflow import RULE as OVERFLOW
from scripts.doctor.rules.indexes.key_type_mismatch import RULE as MISMATCH
from scripts.doctor.rules.indexes.sequence_near_end import RULE as NEAR_END

Look = Callable[..., list[Advice]]
P = "CREATE TABLE p (id bigint PRIMARY KEY, s varchar(20) UNIQUE);"


@pytest.mark.parametrize(("sql", "severity"), [
    ("CREATE TABLE t (id int PRIMARY KEY); INSERT INTO t VALUES (1200000000)", Severity.medium),
    ("CREATE TABLE t (id smallserial PRIMARY KEY); SELECT setval('t_id_seq', 32000)", Severity.critical),
    ("CREATE TABLE t (id serial PRIMARY KEY); SELECT setval('t_id_seq', 1700000000)", Severity.high),
])  # fmt: skip
def test_a_key_near_its_end_is_told_once(sql: str, severity: Severity, look: Look) -> None:
    (found,) = look(OVERFLOW, sql)
    assert found.severity == severity
    assert look(NEAR_END, sql) == []


@pytest.mark.parametrize("sql", [
    "CREATE TABLE t (id int PRIMARY KEY); INSERT INTO t VALUES (1000000000)",
    "CREATE TABLE t (id bigint PRIMARY KEY); INSERT INTO t VALUES (4000000000)",
    "CREATE TABLE t (a int, b int, PRIMARY KEY (a, b)); INSERT INTO t VALUES (2000000000, 1)",
    "CREATE TABLE t (id int PRIMARY KEY)",
])  # fmt: skip
def test_keys_with_room_are_left_alone(sql: str, look: Look) -> None:
    assert look(OVERFLOW, sql) == []


def test_many_keys_are_asked_in_lots(look: Look) -> None:
    tables = "".join(f"CREATE TABLE t{n} (id int PRIMARY KEY); INSERT INTO t{n} VALUES ({n}000000);"
                     for n in range(1040, 1140))  # fmt: skip
    assert len(look(OVERFLOW, tables)) == 1139 - 1073


def test_a_sequence_of_another_column_is_told(look: Look) -> None:
    sql = "CREATE TABLE t (id bigint PRIMARY KEY, n serial); SELECT setval('t_n_seq', 2000000000)"
    (found,) = look(NEAR_END, sql)
    assert found.severity == Severity.critical


@pytest.mark.parametrize("sql", [
    "CREATE SEQUENCE s MAXVALUE 10 CYCLE; SELECT setval('s', 9)",
    "CREATE SEQUENCE s MAXVALUE 10",
    "CREATE SEQUENCE s INCREMENT -1",
])  # fmt: skip
def test_sequences_with_room_are_left_alone(sql: str, look: Look) -> None:
    assert look(NEAR_END, sql) == []


@pytest.mark.parametrize(("sql", "count"), [
    (P + "CREATE TABLE t (x int REFERENCES p)", 1),
    (P + "CREATE TABLE t (x bigint REFERENCES p)", 0),
    (P + "CREATE TABLE t (x varchar(40) REFERENCES p (s))", 0),
    (P + "CREATE DOMAIN k AS bigint; CREATE TABLE t (x k REFERENCES p)", 0),
])  # fmt: skip
def test_types_that_differ(sql: str, count: int, look: Look) -> None:
    assert len(look(MISMATCH, sql)) == count


@pytest.mark.parametrize(("sql", "count"), [
    (P + "CREATE TABLE t (x bigint); ALTER TABLE t ADD FOREIGN KEY (x) REFERENCES p NOT VALID", 1),
    (P + "CREATE TABLE t (x bigint REFERENCES p CHECK (x > 0))", 0),
])  # fmt: skip
def test_constraints_that_wait(sql: str, count: int, look: Look) -> None:
    assert len(look(NOT_VALIDATED, sql)) == count
