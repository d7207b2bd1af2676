"""An app that connects once, when it is imported, as many prototypes do."""

import os

import psycopg2
from flask import Flask, jsonify

app = Flask(__name__)
connection = psycopg2.connect(os.environ["DATABASE_URL"])


@app.get("/count")
def count():
    """Work in several statements: two requests at once on the one connection would see each other's."""
    cursor = connection.cursor()
    cursor.execute("CREATE TEMP TABLE seen (x int) ON COMMIT DROP")
    cursor.execute("INSERT INTO seen SELECT pg_backend_pid()")
    cursor.execute("SELECT count(*), max(x), pg_sleep(0.001)::text FROM seen")
    rows, backend, _ = cursor.fetchone()
    connection.commit()
    return jsonify(rows=rows, backend=backend, pid=os.getpid())
