from contextlib import closing

from flask import Blueprint, jsonify, request

from app.db import open_connection

loans = Blueprint("loans", __name__)


@loans.route("/", methods=["POST"])
def lend():
    conn = open_connection()  # fault: leaked-connection
    cur = conn.cursor()
    cur.execute(
        "INSERT INTO loans (copy_id, reader_id) VALUES (%s, %s) RETURNING id",
        (request.form["copy_id"], request.form["reader_id"]),
    )
    loan_id = cur.fetchone()[0]
    conn.commit()
    conn.close()
    return jsonify(id=loan_id), 201


@loans.route("/late")
def late():
    with closing(open_connection()) as conn:
        cur = conn.cursor()
        cur.execute("SELECT id, reader_id FROM loans WHERE due < now() ORDER BY due LIMIT 50")
        rows = cur.fetchall()
        mails = [reader_mail(cur, row[1]) for row in rows]  # fault: n-plus-one
    return jsonify(mails)


def reader_mail(cur, reader_id):
    cur.execute("SELECT mail FROM readers WHERE id = %s", (reader_id,))
    return cur.fetchone()[0]


@loans.route("/back", methods=["POST"])
def give_back():
    conn = open_connection()
    try:
        with conn.cursor() as cur:
            cur.execute("UPDATE loans SET back = now() WHERE id = %s", (request.form["id"],))
        conn.commit()
    finally:
        conn.close()
    return "", 204
