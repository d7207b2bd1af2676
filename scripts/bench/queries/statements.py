"""The shop's customer profile in SQL as people write it: a statement per row, per level, or one for all of it.

Each gives the columns of `CUSTOMER_WITH_APPOINTMENTS` in `backend/shop/queries.py`, under the same names.
Parameters are `%s`, and a statement that makes the whole document has one column, cast to text: nobody parses it.
"""

from __future__ import annotations

_APPOINTMENT = "a.id, a.vehicle_id, a.starts_at, a.status, a.notes"
_CUSTOMER = "c.id, c.name, c.email, c.phone, c.created_at"
_LINES = "appointment_services l JOIN services s ON s.id = l.service_id"
_NEWEST = "a.starts_at DESC, a.id DESC"

# A statement per row: as the legacy twin asks.
CUSTOMER_AND_APPOINTMENTS = f"""
    SELECT c.id AS customer_id, c.name, c.email, c.phone, c.created_at, {_APPOINTMENT}
    FROM customers c LEFT JOIN appointments a ON a.customer_id = c.id
    WHERE c.id = %s ORDER BY {_NEWEST}"""
SERVICES = f"""
    SELECT l.service_id, s.name, l.price FROM {_LINES} WHERE l.appointment_id = %s ORDER BY l.service_id"""
PAYMENTS = "SELECT id, amount, method, paid_on FROM payments WHERE appointment_id = %s ORDER BY id"
MESSAGES = "SELECT id, sender, body, sent_at FROM messages WHERE appointment_id = %s ORDER BY id"

# A statement per level.
CUSTOMER = f"SELECT {_CUSTOMER} FROM customers c WHERE c.id = %s"
APPOINTMENTS = f"SELECT {_APPOINTMENT} FROM appointments a WHERE a.customer_id = %s ORDER BY {_NEWEST}"
SERVICES_OF = f"""
    SELECT l.appointment_id, l.service_id, s.name, l.price FROM {_LINES}
    WHERE l.appointment_id = ANY(%s) ORDER BY l.service_id"""
PAYMENTS_OF = """
    SELECT appointment_id, id, amount, method, paid_on FROM payments WHERE appointment_id = ANY(%s) ORDER BY id"""
MESSAGES_OF = """
    SELECT appointment_id, id, sender, body, sent_at FROM messages WHERE appointment_id = ANY(%s) ORDER BY id"""

# One statement of flat rows: children of one appointment multiply each other.
FLAT = f"""
    SELECT c.id AS customer_id, c.name AS customer_name, c.email, c.phone, c.created_at, {_APPOINTMENT},
           l.service_id, s.name AS service_name, l.price,
           p.id AS payment_id, p.amount, p.method, p.paid_on,
           m.id AS message_id, m.sender, m.body, m.sent_at
    FROM customers c
    LEFT JOIN appointments a ON a.customer_id = c.id
    LEFT JOIN appointment_services l ON l.appointment_id = a.id
    LEFT JOIN services s ON s.id = l.service_id
    LEFT JOIN payments p ON p.appointment_id = a.id
    LEFT JOIN messages m ON m.appointment_id = a.id
    WHERE c.id = %s ORDER BY {_NEWEST}, l.service_id, p.id, m.id"""

# One statement that makes the document, in the three forms that are taught.
_LINE_ROWS = f"SELECT l.service_id, s.name, l.price::text AS price FROM {_LINES}"
_PAYMENT_ROWS = "SELECT p.id, p.amount::text AS amount, p.method, p.paid_on FROM payments p"
_MESSAGE_ROWS = "SELECT m.id, m.sender, m.body, m.sent_at FROM messages m"
_CHILDREN = (
    ("services", _LINE_ROWS, "l.appointment_id", "l.service_id"),
    ("payments", _PAYMENT_ROWS, "p.appointment_id", "p.id"),
    ("messages", _MESSAGE_ROWS, "m.appointment_id", "m.id"),
)


def _list_of(rows: str) -> str:
    return f"SELECT coalesce(json_agg(r), '[]') FROM ({rows}) r"


def _correlated() -> str:
    children = ", ".join(
        f"({_list_of(f'{rows} WHERE {key} = a.id ORDER BY {order}')}) AS {name}"
        for name, rows, key, order in _CHILDREN
    )
    appointments = _list_of(
        f"SELECT {_APPOINTMENT}, {children} FROM appointments a WHERE a.customer_id = c.id ORDER BY {_NEWEST}"
    )
    return f"""
        SELECT row_to_json(r)::text
        FROM (SELECT {_CUSTOMER}, ({appointments}) AS appointments FROM customers c WHERE c.id = %s) r"""


def _lateral() -> str:
    names = ", ".join(f"of_{name}.list AS {name}" for name, *_ in _CHILDREN)
    joins = " ".join(
        f"LEFT JOIN LATERAL (SELECT coalesce(json_agg(r), '[]') AS list "
        f"FROM ({rows} WHERE {key} = a.id ORDER BY {order}) r) of_{name} ON true"
        for name, rows, key, order in _CHILDREN
    )
    return f"""
        SELECT row_to_json(r)::text
        FROM (
            SELECT {_CUSTOMER}, of_appointments.list AS appointments
            FROM customers c LEFT JOIN LATERAL (
                SELECT coalesce(json_agg(r), '[]') AS list
                FROM (SELECT {_APPOINTMENT}, {names} FROM appointments a {joins}
                      WHERE a.customer_id = c.id ORDER BY {_NEWEST}) r
            ) of_appointments ON true
            WHERE c.id = %s
        ) r"""


def _level(name: str, rows: str, key: str, order: str) -> str:
    """Return one level of children in one pass; = ANY of an array, as joins to a CTE are misjudged by far."""
    keyed = rows.replace("SELECT ", f"SELECT {key} AS parent, ", 1)
    columns = {"services": "service_id, r.name, r.price", "payments": "id, r.amount, r.method, r.paid_on",
               "messages": "id, r.sender, r.body, r.sent_at"}[name]  # fmt: skip
    record = f"(SELECT x FROM (SELECT r.{columns}) x)"
    return f"""
        of_{name} AS (
            SELECT parent, json_agg({record} ORDER BY r.{order.split(".")[1]}) AS list
            FROM ({keyed} WHERE {key} = ANY (ARRAY(SELECT id FROM booked))) r GROUP BY parent
        )"""


def _per_level() -> str:
    levels = ", ".join(_level(*child) for child in _CHILDREN)
    names = ", ".join(f"coalesce(of_{name}.list, '[]') AS {name}" for name, *_ in _CHILDREN)
    joins = " ".join(f"LEFT JOIN of_{name} ON of_{name}.parent = a.id" for name, *_ in _CHILDREN)
    appointments = _list_of(f"SELECT a.*, {names} FROM booked a {joins} ORDER BY {_NEWEST}")
    return f"""
        WITH wanted AS (SELECT {_CUSTOMER} FROM customers c WHERE c.id = %s),
        booked AS MATERIALIZED (
            SELECT {_APPOINTMENT} FROM appointments a WHERE a.customer_id = (SELECT id FROM wanted)
        ), {levels}
        SELECT row_to_json(r)::text
        FROM (
            SELECT c.*, ({appointments}) AS appointments FROM wanted c
        ) r"""


CORRELATED = _correlated()
LATERAL = _lateral()
PER_LEVEL = _per_level()
