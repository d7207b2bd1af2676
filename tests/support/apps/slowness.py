"""An app with a slow query and a log line of its own, for real workers."""

import logging

from flask import Flask

from backend import get_db_connection

app = Flask(__name__)


@app.get("/numbers/<int:number>")
def numbers(number: int) -> dict[str, int]:
    with get_db_connection() as conn, conn.cursor() as cursor:
        cursor.execute("SELECT count(*) FROM generate_series(1, 200000) n WHERE n = %s", (number,))
        count = cursor.fetchone()[0]
    logging.getLogger("shop").warning("counted %s\nfor %s", count, number)
    return {"count": count}
