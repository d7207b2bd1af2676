"""What a shop asks and writes: statements to time, and writers that say how long each of their commits took."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable, Iterator
from contextlib import closing, contextmanager
from dataclasses import dataclass, field
from typing import Any

import psycopg2

from backend.shop.queries import CUSTOMER_WITH_APPOINTMENTS

# Statements by what they are for; each takes one number, a customer's or an appointment's.
STATEMENTS: dict[str, str] = {
    "customer profile (nested)": CUSTOMER_WITH_APPOINTMENTS.sql,
    "appointments of a customer": "SELECT id, starts_at FROM appointments WHERE customer_id = %(id)s"
    " ORDER BY starts_at DESC, id DESC LIMIT 50",
    "payments of an appointment": "SELECT id, amount FROM payments WHERE appointment_id = %(id)s ORDER BY id",
    "messages of an appointment": "SELECT id, body FROM messages WHERE appointment_id = %(id)s ORDER BY id",
    "vehicles of a customer": "SELECT id, plate FROM vehicles WHERE customer_id = %(id)s ORDER BY id",
}
_WRITES = (
    "INSERT INTO appointments (customer_id, vehicle_id, starts_at) SELECT customer_id, id, now() FROM vehicles"
    " WHERE id = %(id)s",
    "INSERT INTO payments (appointment_id, amount, method) VALUES (%(id)s, 10, 'card')",
    "INSERT INTO messages (appointment_id, sender, body) VALUES (%(id)s, 'shop', 'see you')",
    "UPDATE appointments SET notes = 'moved' WHERE id = %(id)s",
)  # fmt: skip


def timed(dsn: str, rounds: int, say: Callable[[str], None] = lambda _: None) -> dict[str, float]:
    """Return the median milliseconds of each statement, rows fetched.

    Args:
        rounds: How often each is asked, each time for another number.
    """
    found = {}
    with closing(psycopg2.connect(dsn)) as conn, conn.cursor() as cursor:
        conn.autocommit = True
        for name, statement in STATEMENTS.items():
            say(name)
            found[name] = sorted(_once(cursor, statement, number) for number in range(1, rounds + 1))[rounds // 2]
    return found


def _once(cursor: Any, statement: str, number: int) -> float:
    started = time.perf_counter()
    cursor.execute(statement, {"id": number})
    cursor.fetchall()
    return (time.perf_counter() - started) * 1000


@dataclass
class Written:
    """What the writers met.

    Attributes:
        commits: How many.
        longest: Seconds of the longest, from its statement to the end of its commit.
        errors: Their texts.
    """

    commits: int = 0
    longest: float = 0.0
    errors: list[str] = field(default_factory=list)


@contextmanager
def writing(dsn: str, writers: int) -> Iterator[Written]:
    """Write in threads until the block ends."""
    written, over, lock = Written(), threading.Event(), threading.Lock()
    threads = [threading.Thread(target=_write, args=(dsn, seed, written, over, lock)) for seed in range(writers)]
    for each in threads:
        each.start()
    try:
        yield written
    finally:
        over.set()
        for each in threads:
            each.join()


def _write(dsn: str, seed: int, written: Written, over: threading.Event, lock: threading.Lock) -> None:
    with closing(psycopg2.connect(dsn)) as conn, conn.cursor() as cursor:
        number = seed
        while not over.wait(0.005):
            number += 7
            started, error = time.monotonic(), ""
            try:
                cursor.execute(_WRITES[number % len(_WRITES)], {"id": number % 400 + 1})
                conn.commit()
            except psycopg2.Error as failed:
                conn.rollback()
                error = str(failed).strip().splitlines()[0]
            with lock:
                written.commits += not error
                written.longest = max(written.longest, time.monotonic() - started)
                written.errors += [error] if error else []
