"""The throw-away shop: its rows, customers with a number of appointments, and what PostgreSQL counts."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from psycopg2.extensions import make_dsn

from ...demo.seed import create_schema, seed
from ...stack.postgres import Cluster

ROLE = DATABASE = "bench"
# As production would have it; rows that are cached, as they are in such a database.
SETTINGS = {"shared_buffers": "256MB", "max_connections": "100"}
MOST_CHILDREN = 2000  # the small shop has twice as many appointments to copy

EXISTING = """
    SELECT c.id FROM customers c LEFT JOIN appointments a ON a.customer_id = c.id
    GROUP BY c.id HAVING count(a.id) = %s ORDER BY c.id LIMIT 1"""
# A customer with copies of somebody's appointments and all that hangs on them.
GROWN = """
    WITH customer AS (
        INSERT INTO customers (name, email) VALUES ('Bench', 'bench-%(number)s@example.com') RETURNING id
    ), vehicle AS (
        INSERT INTO vehicles (customer_id, plate, make, model, year)
        SELECT id, 'B-1', 'Volvo', 'Kombi', 2020 FROM customer RETURNING id, customer_id
    ), copied AS (
        SELECT a.*, (SELECT max(id) FROM appointments) + row_number() OVER (ORDER BY a.id) AS copy
        FROM (SELECT * FROM appointments ORDER BY id LIMIT %(number)s) a
    ), booked AS (
        INSERT INTO appointments (id, customer_id, vehicle_id, starts_at, status, notes)
        SELECT copy, v.customer_id, v.id, starts_at, status, notes FROM copied, vehicle v
    ), lines AS (
        INSERT INTO appointment_services (appointment_id, service_id, price)
        SELECT copy, service_id, price FROM appointment_services JOIN copied ON id = appointment_id
    ), paid AS (
        INSERT INTO payments (appointment_id, amount, method, paid_on)
        SELECT copy, amount, method, paid_on FROM payments p JOIN copied ON copied.id = appointment_id
    ), said AS (
        INSERT INTO messages (appointment_id, sender, body, sent_at)
        SELECT copy, sender, body, sent_at FROM messages m JOIN copied ON copied.id = appointment_id
    )
    SELECT id FROM customer"""
STATEMENTS = "SELECT coalesce(sum(calls), 0)::bigint FROM pg_stat_statements WHERE userid = to_regrole(%s)"


class Shop:
    """A shop with rows.

    Args:
        cluster: started with SETTINGS.
        size: as the demo names it.
    """

    def __init__(self, cluster: Cluster, size: str) -> None:
        cluster.create_role(ROLE)
        cluster.create_database(DATABASE, ROLE)
        self.cluster = cluster
        self.dsn = cluster.dsn(DATABASE, ROLE)
        create_schema(self.dsn)
        seed(self.dsn, size)
        self._conn = cluster.connect(DATABASE)

    def close(self) -> None:
        """Give up the observer's own connection."""
        self._conn.close()

    def dsn_by(self, **where: Any) -> str:
        """Return the DSN with another host or port."""
        return str(make_dsn(self.dsn, **where))

    def customer(self, children: int) -> int:
        """Return a customer with that many appointments; one is made if need be."""
        found = self._ask(EXISTING, (children,))
        if found is None:
            found = self._ask(GROWN, {"number": children})
            self._ask("VACUUM (ANALYZE)")
        return int(found)

    def statements(self) -> int:
        """Return how many statements the role has run, as the server counts them."""
        return int(self._ask(STATEMENTS, (ROLE,)))

    def counted(self, action: Callable[[], object]) -> int:
        """Return how many statements something runs."""
        before = self.statements()
        action()
        return self.statements() - before

    def _ask(self, statement: str, values: Any = None) -> Any:
        with self._conn.cursor() as cursor:
            cursor.execute(statement, values)
            row = cursor.fetchone() if cursor.description else None
        return row[0] if row else None
