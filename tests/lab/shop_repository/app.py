"""The reference shop as a repository of its own, with routes by which a test sees which release answers.

It runs in hosts alone, on the kit that its release brings along. MODE in its folder says how it misbehaves.
"""

from __future__ import annotations

import os
import time
from pathlib import Path

from flask import Response, abort, request

from backend.database_helper import get_db_connection
from backend.shop import create_app

HERE = Path(__file__).resolve().parent
VERSION = (HERE / "VERSION").read_text().strip()
MODE = (HERE / "MODE").read_text().strip()
LONGEST = 20.0  # seconds, below graceful stops

if MODE == "import":
    raise RuntimeError("this release cannot be imported")

app = create_app()


@app.before_request
def refuse() -> None:
    """Answer 503 to everything, where that is what this release is for."""
    if MODE == "unwell":
        abort(503)


@app.get("/version")
def version() -> str:
    """Say which release this is."""
    return VERSION


@app.get("/process")
def process() -> str:
    """Say which worker this is."""
    return str(os.getpid())


@app.get("/slow/<float:seconds>")
def slow(seconds: float) -> str:
    """Take a while, and say which release has answered in the end."""
    time.sleep(min(seconds, LONGEST))
    return VERSION


@app.post("/marks")
def leave_mark() -> Response:
    """Write a row; who got 200 can count on it."""
    with get_db_connection() as conn, conn.cursor() as cursor:
        cursor.execute("INSERT INTO marks (mark, version) VALUES (%s, %s)", (request.json["mark"], VERSION))
        conn.commit()
    return Response(VERSION)


@app.get("/marks")
def count_marks() -> str:
    """Say how many rows there are."""
    with get_db_connection(autocommit=True) as conn, conn.cursor() as cursor:
        cursor.execute("SELECT count(*) FROM marks")
        return str(cursor.fetchone()[0])
