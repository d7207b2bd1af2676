"""The profile made in Python of rows: a loop of queries, lists of children put to their parents, rows grouped.

Rows are dicts, as RealDictCursor and psycopg 3's dict_row give them. Times become text as the legacy twin writes
them; money stays a Decimal, which Flask's JSON writes as a string.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import Any

from . import statements

Row = dict[str, Any]
Ask = Callable[[str, Sequence[Any]], list[Row]]
CUSTOMER = ("name", "email", "phone")
APPOINTMENT = ("id", "vehicle_id", "status", "notes")


def row_by_row(ask: Ask, customer_id: int) -> Row:
    """Ask 1 + 3N times."""
    rows = ask(statements.CUSTOMER_AND_APPOINTMENTS, (customer_id,))
    appointments = []
    for row in rows:
        if row["id"] is None:
            continue
        appointment = _appointment(row)
        appointment["services"] = ask(statements.SERVICES, (row["id"],))
        appointment["payments"] = [_payment(found) for found in ask(statements.PAYMENTS, (row["id"],))]
        appointment["messages"] = [_message(found) for found in ask(statements.MESSAGES, (row["id"],))]
        appointments.append(appointment)
    return _customer(rows[0], rows[0]["customer_id"], appointments)


def level_by_level(ask: Ask, customer_id: int) -> Row:
    """Ask once per table, and put the children to their parents."""
    (customer,) = ask(statements.CUSTOMER, (customer_id,))
    appointments = [
        {**_appointment(row), "services": [], "payments": [], "messages": []}
        for row in ask(statements.APPOINTMENTS, (customer_id,))
    ]
    if appointments:
        _add_children(ask, {row["id"]: row for row in appointments})
    return _customer(customer, customer["id"], appointments)


def _add_children(ask: Ask, parents: Mapping[int, Row]) -> None:
    ids = list(parents)
    for row in ask(statements.SERVICES_OF, (ids,)):
        parents[row.pop("appointment_id")]["services"].append(row)
    for row in ask(statements.PAYMENTS_OF, (ids,)):
        parents[row.pop("appointment_id")]["payments"].append(_payment(row))
    for row in ask(statements.MESSAGES_OF, (ids,)):
        parents[row.pop("appointment_id")]["messages"].append(_message(row))


def grouped(ask: Ask, customer_id: int) -> Row:
    """Ask once for flat rows, and group them."""
    rows = ask(statements.FLAT, (customer_id,))
    appointments: dict[int, Row] = {}
    for row in rows:
        if row["id"] is not None:
            _add_flat(appointments, row)
    for appointment in appointments.values():
        for name in ("services", "payments", "messages"):
            appointment[name] = list(appointment[name].values())
    customer = {**rows[0], "name": rows[0]["customer_name"]}
    return _customer(customer, rows[0]["customer_id"], list(appointments.values()))


def _add_flat(appointments: dict[int, Row], row: Row) -> None:
    found = appointments.get(row["id"])
    if found is None:
        found = {**_appointment(row), "services": {}, "payments": {}, "messages": {}}
        appointments[row["id"]] = found
    if row["service_id"] is not None and row["service_id"] not in found["services"]:
        found["services"][row["service_id"]] = {
            "service_id": row["service_id"], "name": row["service_name"], "price": row["price"],
        }  # fmt: skip
    if row["payment_id"] is not None and row["payment_id"] not in found["payments"]:
        payment = {"id": row["payment_id"], **{key: row[key] for key in ("amount", "method", "paid_on")}}
        found["payments"][row["payment_id"]] = _payment(payment)
    if row["message_id"] is not None and row["message_id"] not in found["messages"]:
        message = {"id": row["message_id"], **{key: row[key] for key in ("sender", "body", "sent_at")}}
        found["messages"][row["message_id"]] = _message(message)


def _customer(row: Row, customer_id: int, appointments: list[Row]) -> Row:
    customer = {key: row[key] for key in CUSTOMER}
    return {
        "id": customer_id, **customer, "created_at": row["created_at"].isoformat(), "appointments": appointments,
    }  # fmt: skip


def _appointment(row: Row) -> Row:
    return {**{key: row[key] for key in APPOINTMENT}, "starts_at": row["starts_at"].isoformat()}


def _payment(row: Row) -> Row:
    row["paid_on"] = row["paid_on"].isoformat()
    return row


def _message(row: Row) -> Row:
    row["sent_at"] = row["sent_at"].isoformat()
    return row
