import psycopg2
from flask import Blueprint, jsonify, request

from app import config

reports = Blueprint("reports", __name__)
connection = psycopg2.connect(config.DATABASE_URL)  # fault: global-shared-connection


@reports.route("/reports/loans")
def loans_by_month():
    cur = connection.cursor()
    cur.execute("SELECT date_trunc('month', lent) AS month, count(*) FROM loans GROUP BY 1 ORDER BY 1 LIMIT 120")
    return jsonify(cur.fetchall())


@reports.route("/reports/notes", methods=["POST"])
def note():
    cur = connection.cursor()
    cur.execute("INSERT INTO notes (text) VALUES (%s)", (request.form["text"],))  # fault: missing-rollback
    connection.commit()
    return "", 201


@reports.route("/reports/readers")
def readers():
    cur = connection.cursor()
    cur.execute("SELECT id, name, mail FROM readers")  # fault: unbounded-select
    return jsonify(cur.fetchall())
