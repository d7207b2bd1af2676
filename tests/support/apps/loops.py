"""An app that knows nothing but psycopg2, and asks for each row by itself."""

import os

import psycopg2
from flask import Flask, jsonify

app = Flask(__name__)


@app.route("/rows/<int:count>")
def rows(count):
    conn = psycopg2.connect(os.environ["DATABASE_URL"])
    try:
        cur = conn.cursor()
        found = []
        for number in range(count):
            cur.execute("SELECT %s", (number,))
            found += cur.fetchone()
        return jsonify(found)
    finally:
        conn.close()
