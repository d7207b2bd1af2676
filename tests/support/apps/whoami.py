"""An app as people write it, for a real Gunicorn: a helper that connects, and views that may forget to close."""

import os
import threading

import psycopg2
from flask import Flask, jsonify, request

app = Flask(__name__)
imported_in = os.getpid()


def ask(statement, *values):
    connection = psycopg2.connect(os.environ["DATABASE_URL"])
    cursor = connection.cursor()
    cursor.execute(statement, values)
    return cursor.fetchone()


@app.get("/echo/<int:number>")
def echo(number):
    """Twice the number, computed by the server; by which backend, in which process, imported in which."""
    doubled, backend = ask("SELECT %s * 2, pg_backend_pid()", number)
    return jsonify(
        doubled=doubled, backend=backend, pid=os.getpid(), thread=threading.get_ident(), imported_in=imported_in
    )


@app.get("/slow")
def slow():
    ask("SELECT pg_sleep(%s)", float(request.args["seconds"]))
    return jsonify(done=True)
