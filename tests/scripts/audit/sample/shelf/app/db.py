import psycopg2
import psycopg2.extras
from flask import current_app, g


def get_db():
    if "db" not in g:
        g.db = psycopg2.connect(  # fault: connect-per-request
            current_app.config["DATABASE_URL"], cursor_factory=psycopg2.extras.RealDictCursor
        )
    return g.db


def close_db(error=None):
    db = g.pop("db", None)
    if db is not None:
        db.close()


def open_connection():
    return psycopg2.connect(current_app.config["DATABASE_URL"])  # fault: connect-per-request
