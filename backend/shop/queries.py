"""All SQL of the shop.

`one` and `many` are SELECTs that PostgreSQL answers as JSON text; a `{hole}` is a child, correlated by the
parent's alias, and the whole tree is one statement. The other constants are plain SQL for a cursor.
Must not import Flask or hold values: parameters are `%(name)s`, always. Money is cast to text: see schema.sql.
"""

from __future__ import annotations

from ..nested import many, one
from ..stored import stored

# Children of an appointment `a`. The name of a service is a sub-select on purpose: a JOIN to a table this
# small is planned as a scan of all of it, once per appointment. With 40 services that costs a tenth of the
# time of a customer with 20 appointments; with more services, more.
_services = many("""
    SELECT l.service_id, (SELECT s.name FROM services s WHERE s.id = l.service_id) AS name,
           l.price::text AS price
    FROM appointment_services l WHERE l.appointment_id = a.id ORDER BY l.service_id""")
_payments = many("""
    SELECT p.id, p.amount::text AS amount, p.method, p.paid_on
    FROM payments p WHERE p.appointment_id = a.id ORDER BY p.id""")
_messages = many("""
    SELECT m.id, m.sender, m.body, m.sent_at
    FROM messages m WHERE m.appointment_id = a.id ORDER BY m.id""")

CUSTOMER = one("""
    SELECT c.id, c.name, c.email, c.phone, c.created_at FROM customers c WHERE c.id = %(id)s""")

# What authorization needs of a customer, and no more: it is asked for with every request that has a token.
ACCOUNT = "SELECT c.id FROM customers c WHERE c.id = %(key)s"

CUSTOMER_WITH_APPOINTMENTS = one(
    """
    SELECT c.id, c.name, c.email, c.phone, c.created_at, {appointments}
    FROM customers c WHERE c.id = %(id)s""",
    appointments=many(
        """
        SELECT a.id, a.vehicle_id, a.starts_at, a.status, a.notes, {services}, {payments}, {messages}
        FROM appointments a WHERE a.customer_id = c.id
        ORDER BY a.starts_at DESC, a.id DESC""",
        services=_services,
        payments=_payments,
        messages=_messages,
    ),
)

# The profile is the shop's hot query: as a function its plan is kept, behind PgBouncer as well. functions.sql
# is the migration that makes it; without it the statement itself is sent.
PROFILE = stored(CUSTOMER_WITH_APPOINTMENTS, "customer_profile", id="bigint")

HISTORY = one(
    "SELECT c.id AS customer_id, {appointments} FROM customers c WHERE c.id = %(id)s",
    appointments=many("""
        SELECT a.id, a.starts_at, a.status,
               (SELECT v.plate FROM vehicles v WHERE v.id = a.vehicle_id) AS plate,
               (SELECT coalesce(sum(l.price), 0.00)::text FROM appointment_services l
                WHERE l.appointment_id = a.id) AS total,
               (SELECT coalesce(sum(p.amount), 0.00)::text FROM payments p
                WHERE p.appointment_id = a.id) AS paid
        FROM appointments a WHERE a.customer_id = c.id
        ORDER BY a.starts_at DESC, a.id DESC"""),
)

# One row more than asked for says whether there is a next page. Read backwards, the row after that extra one
# is the last of this page, and so the cursor. A row comparison, not OR: only it is an index condition.
PAGE = one(
    """
    WITH page AS (
        SELECT a.* FROM appointments a
        WHERE (a.starts_at, a.id) < (to_timestamp(%(seconds)s), %(id)s)
        ORDER BY a.starts_at DESC, a.id DESC LIMIT %(limit)s + 1
    )
    SELECT {items},
           (SELECT translate(encode(convert_to(
                       extract(epoch FROM last.starts_at)::bigint || ':' || last.id,
                       'UTF8'), 'base64'), '+/=', '-_')
            FROM page last WHERE (SELECT count(*) FROM page) > %(limit)s
            ORDER BY last.starts_at, last.id OFFSET 1 LIMIT 1) AS next_cursor""",
    items=many(
        """
        SELECT a.id, a.vehicle_id, a.starts_at, a.status, {customer} FROM page a
        ORDER BY a.starts_at DESC, a.id DESC LIMIT %(limit)s""",
        customer=one("SELECT c.id, c.name, c.phone FROM customers c WHERE c.id = a.customer_id"),
    ),
)

VEHICLE = one("""
    SELECT v.id, v.customer_id, v.plate, v.make, v.model, v.year FROM vehicles v WHERE v.id = %(id)s""")

# LIMIT 1 on a primary key changes no result; it keeps the planner from turning the probes into a hash join
# that reads all vehicles.
VERIFICATION = one(
    "SELECT %(customer_id)s::bigint AS customer_id, {vehicles}",
    vehicles=many("""
        SELECT asked.id AS vehicle_id, v.customer_id IS NOT NULL AS "exists",
               coalesce(v.customer_id = %(customer_id)s, false) AS belongs_to_customer
        FROM unnest(%(vehicle_ids)s::bigint[]) WITH ORDINALITY asked (id, place)
        LEFT JOIN LATERAL (SELECT v.customer_id FROM vehicles v WHERE v.id = asked.id LIMIT 1) v ON true
        ORDER BY asked.place"""),
)

APPOINTMENT = one(
    """
    SELECT a.id, a.customer_id, a.vehicle_id, a.starts_at, a.status, a.notes, {services}
    FROM appointments a WHERE a.id = %(id)s""",
    services=_services,
)

PAYMENT = one("""
    SELECT p.id, p.appointment_id, p.amount::text AS amount, p.method, p.paid_on
    FROM payments p WHERE p.id = %(id)s""")

# Whether what a booking refers to is there: a vehicle of the customer's, and all of the services.
REFERENCES = """
    SELECT EXISTS (SELECT FROM vehicles v WHERE v.id = %(vehicle_id)s AND v.customer_id = %(customer_id)s),
           (SELECT count(*) FROM services s WHERE s.id = ANY(%(service_ids)s::bigint[]))
           = cardinality(%(service_ids)s::bigint[])"""

BOOK = """
    WITH booked AS (
        INSERT INTO appointments (customer_id, vehicle_id, starts_at, notes)
        VALUES (%(customer_id)s, %(vehicle_id)s, %(starts_at)s, %(notes)s)
        RETURNING id
    ), priced AS (
        INSERT INTO appointment_services (appointment_id, service_id, price)
        SELECT booked.id, s.id, s.price
        FROM booked, services s WHERE s.id = ANY(%(service_ids)s::bigint[])
    )
    SELECT id FROM booked"""

# From the appointment's own row: without it nothing is inserted, no foreign key fails, no id is burnt.
PAY = """
    INSERT INTO payments (appointment_id, amount, method)
    SELECT a.id, %(amount)s, %(method)s FROM appointments a WHERE a.id = %(appointment_id)s
    RETURNING id, (SELECT a.customer_id FROM appointments a WHERE a.id = appointment_id)"""

REVENUE = """
    SELECT paid_on AS day, count(*) AS payments, sum(amount) AS revenue FROM payments
    WHERE paid_on BETWEEN %(first)s AND %(last)s
    GROUP BY paid_on ORDER BY paid_on"""
