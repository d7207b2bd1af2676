"""The shop as it was before: the prototype that the kit starts from.

One file, a new connection per request, a query per row, Flask's own server. Written the way such apps are
written, to be measured and audited: please do not improve it. Its answers are the specification of the
hardened shop, which must give the same JSON.
"""

import base64
import csv
import io
import os
import re
from datetime import date, datetime, timezone
from decimal import Decimal
from functools import wraps

import psycopg2
from flask import Flask, Response, jsonify, request
from itsdangerous import BadSignature, URLSafeTimedSerializer
from psycopg2.extras import RealDictCursor
from werkzeug.exceptions import HTTPException

app = Flask(__name__)

MAX_ID = 2**63 - 1
METHODS = ("card", "cash", "transfer")


def get_db_connection():
    return psycopg2.connect(os.environ["DATABASE_URL"], cursor_factory=RealDictCursor)


class ApiError(Exception):
    def __init__(self, message, status=400):
        super().__init__(message)
        self.message = message
        self.status = status


@app.errorhandler(ApiError)
def handle_api_error(e):
    return jsonify({"error": e.message}), e.status


@app.errorhandler(HTTPException)
def handle_http_error(e):
    return jsonify({"error": e.name.lower()}), e.code


# ---- request parsing ----


def get_body():
    try:
        data = request.get_json(silent=True)
    except RecursionError:
        data = None
    if not isinstance(data, dict):
        raise ApiError("the body must be a JSON object")
    return data


def is_id(value):
    return isinstance(value, int) and not isinstance(value, bool) and 1 <= value <= MAX_ID


def get_id(data, name):
    value = data.get(name)
    if not is_id(value):
        raise ApiError(f"{name} must be an integer from 1 to {MAX_ID}")
    return value


def get_id_list(data, name, max_len):
    values = data.get(name)
    if not isinstance(values, list) or not 1 <= len(values) <= max_len or not all(is_id(v) for v in values):
        raise ApiError(f"{name} must be a list of 1 to {max_len} integers from 1 to {MAX_ID}")
    return values


def get_starts_at(data):
    try:
        value = datetime.fromisoformat(data.get("starts_at").replace("Z", "+00:00"))
    except (AttributeError, ValueError, TypeError):
        value = None
    first = datetime(2000, 1, 1, tzinfo=timezone.utc)
    end = datetime(2101, 1, 1, tzinfo=timezone.utc)
    if value is None or value.tzinfo is None or not first <= value < end:
        raise ApiError("starts_at must be an ISO 8601 timestamp with a UTC offset, from 2000 to 2100")
    return value.astimezone(timezone.utc).replace(microsecond=0)


def get_notes(data):
    notes = data.get("notes")
    if notes is None:
        return None
    if not isinstance(notes, str) or len(notes) > 1000 or re.search("[\0\ud800-\udfff]", notes):
        raise ApiError("notes must be text of at most 1000 characters, without NUL")
    return notes


def get_amount(data):
    value = data.get("amount")
    if isinstance(value, (str, int, float)) and re.fullmatch(r"[0-9]{1,8}(\.[0-9]{1,2})?", str(value)):
        amount = Decimal(str(value))
        if amount > 0:
            return amount
    raise ApiError("amount must be more than 0 and at most 99999999.99, with at most 2 decimals")


def get_date(name):
    text = request.args.get(name)
    if not text:
        return None
    try:
        value = date.fromisoformat(text)
    except ValueError:
        value = None
    if value is None or value.isoformat() != text:
        raise ApiError(f"{name} must be a date as YYYY-MM-DD")
    return value


def make_cursor(starts_at, row_id):
    text = f"{int(starts_at.timestamp())}:{row_id}"
    return base64.urlsafe_b64encode(text.encode()).decode().rstrip("=")


def parse_cursor(cursor):
    try:
        text = base64.urlsafe_b64decode(cursor + "=" * (-len(cursor) % 4)).decode()
        seconds, row_id = re.fullmatch(r"([0-9]{1,10}):([0-9]{1,19})", text).groups()
        starts_at = datetime.fromtimestamp(int(seconds), timezone.utc)
    except (AttributeError, ValueError):
        starts_at = row_id = None
    if row_id is None or int(row_id) > MAX_ID or make_cursor(starts_at, int(row_id)) != cursor:
        raise ApiError("cursor must be a next_cursor of an earlier page")
    return starts_at, int(row_id)


# ---- customers ----


@app.route("/api/admin/customers/<int:customer_id>")
def get_customer(customer_id):
    conn = get_db_connection()
    try:
        cur = conn.cursor()
        if request.args.get("include") != "appointmentDetails":
            cur.execute("SELECT id, name, email, phone, created_at FROM customers WHERE id = %s", (customer_id,))
            customer = cur.fetchone()
            if customer is None:
                return jsonify({"error": "not found"}), 404
            customer["created_at"] = customer["created_at"].isoformat()
            return jsonify(customer)

        cur.execute(
            """SELECT c.id AS customer_id, c.name, c.email, c.phone, c.created_at,
                      a.id, a.vehicle_id, a.starts_at, a.status, a.notes
               FROM customers c LEFT JOIN appointments a ON a.customer_id = c.id
               WHERE c.id = %s ORDER BY a.starts_at DESC, a.id DESC""",
            (customer_id,),
        )
        rows = cur.fetchall()
        if not rows:
            return jsonify({"error": "not found"}), 404

        appointments = []
        for row in rows:
            if row["id"] is None:
                continue
            cur.execute(
                """SELECT aps.service_id, s.name, aps.price FROM appointment_services aps
                   JOIN services s ON s.id = aps.service_id
                   WHERE aps.appointment_id = %s ORDER BY aps.service_id""",
                (row["id"],),
            )
            services = cur.fetchall()

            cur.execute(
                "SELECT id, amount, method, paid_on FROM payments WHERE appointment_id = %s ORDER BY id",
                (row["id"],),
            )
            payments = cur.fetchall()
            for payment in payments:
                payment["paid_on"] = payment["paid_on"].isoformat()

            cur.execute(
                "SELECT id, sender, body, sent_at FROM messages WHERE appointment_id = %s ORDER BY id",
                (row["id"],),
            )
            messages = cur.fetchall()
            for message in messages:
                message["sent_at"] = message["sent_at"].isoformat()

            appointment = {key: row[key] for key in ("id", "vehicle_id", "status", "notes")}
            appointment["starts_at"] = row["starts_at"].isoformat()
            appointment["services"] = services
            appointment["payments"] = payments
            appointment["messages"] = messages
            appointments.append(appointment)

        customer = {key: rows[0][key] for key in ("name", "email", "phone")}
        customer["id"] = rows[0]["customer_id"]
        customer["created_at"] = rows[0]["created_at"].isoformat()
        customer["appointments"] = appointments
        return jsonify(customer)
    finally:
        conn.close()


@app.route("/api/customers/<int:customer_id>/history")
def get_history(customer_id):
    conn = get_db_connection()
    try:
        cur = conn.cursor()
        cur.execute(
            """SELECT c.id AS customer_id, a.id, a.starts_at, a.status, v.plate,
                      (SELECT COALESCE(SUM(aps.price), 0.00) FROM appointment_services aps
                       WHERE aps.appointment_id = a.id) AS total,
                      (SELECT COALESCE(SUM(p.amount), 0.00) FROM payments p
                       WHERE p.appointment_id = a.id) AS paid
               FROM customers c
               LEFT JOIN appointments a ON a.customer_id = c.id
               LEFT JOIN vehicles v ON v.id = a.vehicle_id
               WHERE c.id = %s ORDER BY a.starts_at DESC, a.id DESC""",
            (customer_id,),
        )
        rows = cur.fetchall()
        if not rows:
            return jsonify({"error": "not found"}), 404
        appointments = []
        for row in rows:
            row.pop("customer_id")
            if row["id"] is not None:
                row["starts_at"] = row["starts_at"].isoformat()
                appointments.append(row)
        return jsonify({"customer_id": customer_id, "appointments": appointments})
    finally:
        conn.close()


# ---- vehicles ----


@app.route("/api/vehicles/<int:vehicle_id>")
def get_vehicle(vehicle_id):
    conn = get_db_connection()
    try:
        cur = conn.cursor()
        cur.execute("SELECT id, customer_id, plate, make, model, year FROM vehicles WHERE id = %s", (vehicle_id,))
        vehicle = cur.fetchone()
        if vehicle is None:
            return jsonify({"error": "not found"}), 404
        return jsonify(vehicle)
    finally:
        conn.close()


@app.route("/api/vehicles/verify", methods=["POST"])
def verify_vehicles():
    data = get_body()
    customer_id = get_id(data, "customer_id")
    vehicle_ids = get_id_list(data, "vehicle_ids", 1000)
    conn = get_db_connection()
    try:
        cur = conn.cursor()
        results = []
        for vehicle_id in vehicle_ids:
            cur.execute("SELECT customer_id FROM vehicles WHERE id = %s", (vehicle_id,))
            vehicle = cur.fetchone()
            exists = vehicle is not None
            belongs = exists and vehicle["customer_id"] == customer_id
            results.append({"vehicle_id": vehicle_id, "exists": exists, "belongs_to_customer": belongs})
        return jsonify({"customer_id": customer_id, "vehicles": results})
    finally:
        conn.close()


# ---- appointments ----


@app.route("/api/appointments")
def list_appointments():
    try:
        limit = int(request.args.get("limit") or 20)
    except ValueError:
        limit = 0
    if not 1 <= limit <= 100:
        raise ApiError("limit must be an integer from 1 to 100")
    query = "SELECT id, customer_id, vehicle_id, starts_at, status FROM appointments"
    params = []
    if request.args.get("cursor"):
        query += " WHERE (starts_at, id) < (%s, %s)"
        params.extend(parse_cursor(request.args["cursor"]))
    query += " ORDER BY starts_at DESC, id DESC LIMIT %s"
    params.append(limit + 1)

    conn = get_db_connection()
    try:
        cur = conn.cursor()
        cur.execute(query, params)
        rows = cur.fetchall()
        next_cursor = None
        if len(rows) > limit:
            next_cursor = make_cursor(rows[limit - 1]["starts_at"], rows[limit - 1]["id"])
        items = []
        for row in rows[:limit]:
            cur.execute("SELECT id, name, phone FROM customers WHERE id = %s", (row["customer_id"],))
            item = {key: row[key] for key in ("id", "vehicle_id", "status")}
            item["starts_at"] = row["starts_at"].isoformat()
            item["customer"] = cur.fetchone()
            items.append(item)
        return jsonify({"items": items, "next_cursor": next_cursor})
    finally:
        conn.close()


@app.route("/api/appointments", methods=["POST"])
def create_appointment():
    data = get_body()
    customer_id = get_id(data, "customer_id")
    vehicle_id = get_id(data, "vehicle_id")
    starts_at = get_starts_at(data)
    service_ids = get_id_list(data, "service_ids", 20)
    if len(set(service_ids)) != len(service_ids):
        raise ApiError("service_ids must not repeat an id")
    notes = get_notes(data)

    conn = get_db_connection()
    try:
        cur = conn.cursor()
        cur.execute("SELECT customer_id FROM vehicles WHERE id = %s", (vehicle_id,))
        vehicle = cur.fetchone()
        if vehicle is None or vehicle["customer_id"] != customer_id:
            raise ApiError("vehicle_id is not a vehicle of customer_id", 422)

        services = []
        for service_id in sorted(service_ids):
            cur.execute("SELECT id AS service_id, name, price FROM services WHERE id = %s", (service_id,))
            service = cur.fetchone()
            if service is None:
                raise ApiError("service_ids has an unknown id", 422)
            services.append(service)

        cur.execute(
            """INSERT INTO appointments (customer_id, vehicle_id, starts_at, notes) VALUES (%s, %s, %s, %s)
               RETURNING id, customer_id, vehicle_id, starts_at, status, notes""",
            (customer_id, vehicle_id, starts_at, notes),
        )
        appointment = cur.fetchone()
        for service in services:
            cur.execute(
                "INSERT INTO appointment_services (appointment_id, service_id, price) VALUES (%s, %s, %s)",
                (appointment["id"], service["service_id"], service["price"]),
            )
        conn.commit()
    except Exception:
        conn.rollback()
        raise
    finally:
        conn.close()
    appointment["starts_at"] = appointment["starts_at"].isoformat()
    appointment["services"] = services
    return jsonify(appointment), 201


# ---- payments ----


@app.route("/api/payments", methods=["POST"])
def create_payment():
    data = get_body()
    appointment_id = get_id(data, "appointment_id")
    amount = get_amount(data)
    if data.get("method") not in METHODS:
        raise ApiError(f"method must be one of {', '.join(METHODS)}")

    conn = get_db_connection()
    try:
        cur = conn.cursor()
        cur.execute("SELECT id FROM appointments WHERE id = %s", (appointment_id,))
        if cur.fetchone() is None:
            raise ApiError("appointment_id is not an appointment", 422)
        cur.execute(
            """INSERT INTO payments (appointment_id, amount, method) VALUES (%s, %s, %s)
               RETURNING id, appointment_id, amount, method, paid_on""",
            (appointment_id, amount, data["method"]),
        )
        payment = cur.fetchone()
        conn.commit()
    except Exception:
        conn.rollback()
        raise
    finally:
        conn.close()
    payment["paid_on"] = payment["paid_on"].isoformat()
    return jsonify(payment), 201


# ---- reports ----


@app.route("/api/reports/revenue.csv")
def revenue_report():
    first = get_date("from") or date.min
    last = get_date("to") or date.max
    conn = get_db_connection()
    try:
        cur = conn.cursor()
        cur.execute(
            """SELECT paid_on AS day, COUNT(*) AS payments, SUM(amount) AS revenue
               FROM payments WHERE paid_on BETWEEN %s AND %s
               GROUP BY paid_on ORDER BY paid_on""",
            (first, last),
        )
        rows = cur.fetchall()
    finally:
        conn.close()
    out = io.StringIO()
    writer = csv.writer(out)
    writer.writerow(["day", "payments", "revenue"])
    for row in rows:
        writer.writerow([row["day"], row["payments"], row["revenue"]])
    return Response(out.getvalue(), mimetype="text/csv")


# ---- the customer's own page ----

tokens = URLSafeTimedSerializer(os.environ.get("SHOP_TOKEN_KEY") or os.urandom(32).hex(), salt="shop")


def read_token():
    header = request.headers.get("Authorization", "")
    if not header.startswith("Bearer "):
        raise ApiError("unauthorized", 401)
    try:
        return tokens.loads(header[7:], max_age=86400)
    except BadSignature:
        raise ApiError("unauthorized", 401) from None


def login_required(view):
    @wraps(view)
    def wrapped():
        customer_id = read_token()["sub"]
        conn = get_db_connection()
        try:
            cur = conn.cursor()
            cur.execute("SELECT * FROM customers WHERE id = %s", (customer_id,))
            if cur.fetchone() is None:
                raise ApiError("unauthorized", 401)
        finally:
            conn.close()
        return view()

    return wrapped


@app.route("/api/me")
@login_required
def get_me():
    return get_customer(int(read_token()["sub"]))


if __name__ == "__main__":
    app.run(debug=True, threaded=True)
