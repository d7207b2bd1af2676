"""An app whose requests and queries can be counted from outside, errors included."""

import os
import time

import psycopg2
from flask import Flask, Response, jsonify

app = Flask(__name__)


def ask(statement, *values):
    connection = psycopg2.connect(os.environ["DATABASE_URL"])
    try:
        with connection.cursor() as cursor:
            cursor.execute(statement, values)
            return cursor.fetchone()[0]
    finally:
        connection.close()


@app.get("/plain")
def plain():
    return jsonify(pid=os.getpid())


@app.route("/one/<int:number>", methods=["GET", "POST"])
def one(number):
    return jsonify(doubled=ask("SELECT %s * 2", number), pid=os.getpid())


@app.get("/many/<int:count>")
def many(count):
    return jsonify(sum=sum(ask("SELECT %s + 1", number) for number in range(count)), pid=os.getpid())


@app.get("/wrong")
def wrong():
    ask("SELECT 1 / 0")


@app.get("/slow")
def slow():
    ask("SELECT 7 FROM pg_sleep(0.15)")
    return jsonify(pid=os.getpid())


@app.get("/streamed")
def streamed():
    def parts():
        for _ in range(5):
            time.sleep(0.01)
            yield "part\n"

    return Response(parts(), mimetype="text/plain")
