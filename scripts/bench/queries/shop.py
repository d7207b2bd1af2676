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
# Longer lists than the demo's shop has; three items a second, so that the key breaks ties.
ITEMS = """
    CREATE UNLOGGED TABLE bench_items AS
    SELECT n::bigint AS id, n %% 5000 + 1 AS customer_id, to_timestamp(1641196800 + n / 3) AS starts_at,
           (ARRAY['booked', 'done', 'cancelled'])[1 + n %% 3] AS status,
           CASE WHEN n %% 7 = 0 THEN 'Leave the key in the box.' END AS notes
    FROM generate_series(1, %s) n"""
MESSAGES = """
    CREATE UNLOGGED TABLE {table} AS
    SELECT n::bigint AS id, n / 3 + 1 AS appointment_id,
           CASE WHEN n %% 2 = 0 THEN 'customer' ELSE 'shop' END AS sender,
           (ARRAY['Can I come an hour earlier?', 'Yes, of course.', E'It''s the "red" one.\nThanks!', 'OK, 100 %%',
                  'Ça marche'])[CASE WHEN n %% 5 = 2 THEN 1 ELSE 1 + n %% 5 END] AS body,
           to_timestamp(1641196800 + n) AS sent_at
    FROM generate_series(1, %s) n"""
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

    def make_items(self, rows: int) -> None:
        """Make `bench_items`, with the index of its order."""
        self._ask(ITEMS, (rows,))
        self._ask("ALTER TABLE bench_items ALTER starts_at SET NOT NULL, ADD PRIMARY KEY (id)")
        self._ask("CREATE INDEX ON bench_items (starts_at DESC, id DESC)")
        self._share("bench_items")

    def make_messages(self, rows: int) -> str:
        """Make a table of messages, and return its name."""
        table = f"bench_messages_{rows}"
        self._ask(MESSAGES.format(table=table), (rows,))
        self._share(table)
        return table

    def _share(self, table: str) -> None:
        self._ask(f"ALTER TABLE {table} OWNER TO {ROLE}")
        self._ask(f"VACUUM (ANALYZE) {table}")

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


def fill_shop(cluster: Cluster) -> None:
    """Make the shop in a new cluster: its role, its database, its tables and the small set of rows."""
    cluster.create_role(ROLE)
    cluster.create_database(DATABASE, ROLE)
    dsn = cluster.dsn(DATABASE, ROLE)
    create_schema(dsn)
    seed(dsn, "small", 20)
