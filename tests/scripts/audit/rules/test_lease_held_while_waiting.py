"""H107."""

from __future__ import annotations

from pathlib import Path

import pytest

from scripts.audit.rules.lease_held_while_waiting import RULE

from ..looking import findings, places

HEAD = """\
import time
from contextlib import contextmanager
import psycopg2, requests
from psycopg2.pool import ThreadedConnectionPool
from flask import Flask
app = Flask(__name__)
pool = ThreadedConnectionPool(0, 8, "")
@contextmanager
def lease():
    conn = pool.getconn()
    try:
        yield conn
    finally:
        pool.putconn(conn)
def ask():
    return requests.get("https://example.org").text
@app.get("/")
def home():
"""

FOUND = {
    "between getconn and putconn": (
        '    conn = pool.getconn()\n    try:\n        requests.get("https://example.org")\n    finally:\n'
        "        pool.putconn(conn)\n", "3:9"
    ),
    "through a helper": ("    conn = pool.getconn()\n    ask()\n    pool.putconn(conn)\n", "2:5"),
    "in a with": ('    with lease() as conn:\n        conn.cursor().execute("SELECT 1")\n        ask()\n', "3:9"),
    "a sleep": ('    with lease() as conn:\n        time.sleep(1)\n', "2:9"),
    "until the"
    " end": ('    conn = psycopg2.connect("")\n    conn.cursor().execute("SELECT 1")\n    ask()\n'
    '    return ""\n', "3:5"),
    "before the commit": (
        '    conn = psycopg2.connect("")\n    with conn:\n        conn.cursor().execute("SELECT 1")\n'
        '        time.sleep(2)\n'
        "    conn.close()\n", "4:9"
    ),
}  # fmt: skip

FINE = {
    "before": "    ask()\n    with lease() as conn:\n        conn.cursor().execute('SELECT 1')\n",
    "after": "    with lease() as conn:\n        conn.cursor().execute('SELECT 1')\n    ask()\n",
    "after putconn": "    conn = pool.getconn()\n    pool.putconn(conn)\n    ask()\n",
    "no wait": "    with lease() as conn:\n        conn.cursor().execute('SELECT 1')\n        len('a')\n",
    "no connection": "    ask()\n    time.sleep(1)\n",
    "a with of something else": "    with open('/dev/null') as file:\n        ask()\n",
}


@pytest.mark.parametrize("code, place", FOUND.values(), ids=FOUND.keys())
def test_waiting_with_a_connection_is_found(tmp_path: Path, code: str, place: str) -> None:
    line, col = place.split(":")
    assert places(RULE, tmp_path, {"app.py": HEAD + code}) == [f"app.py:{HEAD.count(chr(10)) + int(line)}:{col}"]


@pytest.mark.parametrize("code", FINE.values(), ids=FINE.keys())
def test_waiting_without_one_is_left_alone(tmp_path: Path, code: str) -> None:
    assert places(RULE, tmp_path, {"app.py": HEAD + code}) == []


def test_the_wait_behind_a_helper_is_named(tmp_path: Path) -> None:
    (found,) = findings(RULE, tmp_path, {"app.py": HEAD + "    with lease() as conn:\n        ask()\n"})
    assert found.message == "home() holds a connection while it waits for another server in ask()"
    assert [each.text for each in found.evidence] == ["takes the connection", "waits for another server here"]
