"""Fill an empty database with the shop's tables and rows, the same ones every time.

Three sizes, all skewed as real data is: most customers were here a few times, some 200 times, a few 2000
times. The first customers are the cohort, with one and the same number of appointments each: a load rotates
over them, and a measurement names that number. The rows are made inside PostgreSQL by `seed.sql`.
Must not import anything of the kit, and never adds to a table that has rows.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import astuple, dataclass, fields
from pathlib import Path
from typing import Any

import psycopg2

SIZES = {"small": 500, "medium": 5_000, "large": 50_000}  # customers
COHORT = 50  # customers 1 to 50 have exactly `appointments` appointments each
HEAVY = 51  # the customer with 2000 appointments that every size has

HERE = Path(__file__).resolve().parent
SHOP = HERE.parents[1] / "backend" / "shop"
MIGRATIONS = (SHOP / "schema.sql", SHOP / "functions.sql")
STEP = re.compile(r"^-- step: (\w+)$", re.MULTILINE)
DICE = """
    CREATE FUNCTION pg_temp.dice(number bigint, salt int, sides int) RETURNS int LANGUAGE sql IMMUTABLE
    AS 'SELECT mod(hashint8extended(number, salt) & 2147483647, sides)::int'"""

FOREIGN_KEYS = """
    SELECT conrelid::regclass, quote_ident(conname), pg_get_constraintdef(oid) FROM pg_constraint
    WHERE contype = 'f' AND conrelid = ANY(%s::regclass[]) ORDER BY oid"""


@dataclass(frozen=True)
class Counts:
    """Rows per table."""

    services: int
    customers: int
    vehicles: int
    appointments: int
    appointment_services: int
    payments: int
    messages: int

    @property
    def total(self) -> int:
        """All rows."""
        return sum(astuple(self))


TABLES = tuple(field.name for field in fields(Counts))


def create_schema(dsn: str) -> None:
    """Create the tables, indexes and functions of the shop in a database that has none of them.

    Raises:
        psycopg2.errors.DuplicateTable: it has; nothing is changed.
    """
    with _transaction(dsn) as cursor:
        for migration in MIGRATIONS:
            cursor.execute(migration.read_text(encoding="utf-8"))


def seed(
    dsn: str, size: str = "small", appointments: int = 20, progress: Callable[[str], None] | None = None
) -> Counts:
    """Fill the shop's empty tables, set the sequences past the rows, and vacuum and analyze.

    Args:
        dsn: the database, with the shop's schema.
        size: one of `SIZES`.
        appointments: of each customer in the cohort.
        progress: called with a line per table.

    Raises:
        ValueError: an unknown size, a negative number of appointments, or a shop that has customers.
    """
    if size not in SIZES or not 0 <= appointments < 100_000:
        raise ValueError(f"size must be one of {', '.join(SIZES)}, appointments from 0 to 99999")
    say = progress or (lambda text: None)
    numbers = {"customers": SIZES[size], "cohort": COHORT, "appointments": appointments}
    with _transaction(dsn) as cursor:
        _refuse_a_shop_in_use(cursor)
        counts = Counts(**_fill(cursor, numbers, say))
    _vacuum(dsn, say)
    return counts


@contextmanager
def _transaction(dsn: str) -> Iterator[Any]:
    """Yield a cursor; all of the block is stored, or nothing."""
    conn = psycopg2.connect(dsn)
    try:
        with conn, conn.cursor() as cursor:
            yield cursor
    finally:
        conn.close()


def _refuse_a_shop_in_use(cursor: Any) -> None:
    cursor.execute("SELECT EXISTS (SELECT FROM customers)")
    if cursor.fetchone()[0]:
        raise ValueError("the shop has customers already; seed an empty database")


def _fill(cursor: Any, numbers: dict[str, int], say: Callable[[str], None]) -> dict[str, int]:
    counts = {}
    cursor.execute("SET LOCAL jit = off")  # compiling takes longer than most of the steps
    cursor.execute(DICE)
    _, *steps = STEP.split((HERE / "seed.sql").read_text(encoding="utf-8"))
    with _foreign_keys_at_the_end(cursor):
        for table, statement in zip(steps[::2], steps[1::2], strict=True):
            cursor.execute(statement, numbers)
            counts[table] = cursor.rowcount
            say(f"{table}: {cursor.rowcount} rows")
    cursor.execute("DROP FUNCTION pg_temp.dice")  # a pooled session is handed on without it
    cursor.execute("; ".join(_set_sequence(table) for table in TABLES if table != "appointment_services"))
    return counts


@contextmanager
def _foreign_keys_at_the_end(cursor: Any) -> Iterator[None]:
    """Check references once per table rather than per row, which was four fifths of all the time."""
    cursor.execute(FOREIGN_KEYS, (list(TABLES),))
    keys = cursor.fetchall()
    for table, name, _ in keys:
        cursor.execute(f"ALTER TABLE {table} DROP CONSTRAINT {name}")
    yield
    for table, name, definition in keys:
        cursor.execute(f"ALTER TABLE {table} ADD CONSTRAINT {name} {definition}")


def _set_sequence(table: str) -> str:
    return f"SELECT setval(pg_get_serial_sequence('{table}', 'id'), max(id) + 1, false) FROM {table}"


def _vacuum(dsn: str, say: Callable[[str], None]) -> None:
    """Give the planner its figures; and mark all pages visible, or the first readers would pay for that."""
    conn = psycopg2.connect(dsn)
    try:
        conn.autocommit = True
        with conn.cursor() as cursor:
            cursor.execute(f"VACUUM (ANALYZE) {', '.join(TABLES)}")
    finally:
        conn.close()
    say("vacuumed and analyzed")
