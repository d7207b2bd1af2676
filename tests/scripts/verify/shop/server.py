"""A prototype: a hard-coded DSN, a connection per request, a query per row, `app.run` at the end of the module."""

import time
import uuid

import psycopg2
from flask import Flask, Response, jsonify, redirect, request, session

app = Flask(__name__)
app.secret_key = "not so secret"


def connect():
    return psycopg2.connect("host=db.example.invalid dbname=production user=boss password=hunter2")


@app.route("/")
def index():
    return f"<p>welcome</p>\n<input name=csrf value={uuid.uuid4().hex}>\n<p>{len('abc')} offers</p>"


@app.route("/shops")
def shops():
    conn = connect()
    cursor = conn.cursor()
    cursor.execute("SELECT id, name FROM shop ORDER BY id")
    found = []
    for id, name in cursor.fetchall():
        cursor.execute("SELECT count(*) FROM item WHERE shop_id = %s", (id,))
        found.append({"id": id, "name": name, "items": cursor.fetchone()[0]})
    conn.close()
    return jsonify(found)


@app.route("/shop/<int:shop_id>")
def shop(shop_id):
    conn = connect()
    cursor = conn.cursor()
    cursor.execute("SELECT name FROM shop WHERE id = %s", (shop_id,))
    row = cursor.fetchone()
    conn.close()
    return (row[0], 200) if row else ("none", 404)


@app.route("/shop/<int:shop_id>/items", methods=["POST"])
def add(shop_id):
    conn = connect()
    cursor = conn.cursor()
    cursor.execute("INSERT INTO item (shop_id, title) VALUES (%s, %s)", (shop_id, request.form["title"]))
    conn.commit()
    conn.close()
    return redirect("/shops")


@app.route("/top")
def top():
    conn = connect()
    cursor = conn.cursor()
    cursor.execute("SELECT max(id) FROM item WHERE shop_id < 0")
    row = cursor.fetchone()
    conn.close()
    return "none" if row is None or row[0] is None else str(row[0])


@app.route("/me")
def me():
    return session.get("name", "nobody")


@app.route("/ticks")
def ticks():
    def lines():
        while True:
            yield "tick\n"
            time.sleep(0.1)

    return Response(lines())


app.run()
