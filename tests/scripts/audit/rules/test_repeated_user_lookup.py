"""H206: which routes load who asks twice, and which load somebody else."""

from __future__ import annotations

from pathlib import Path

import pytest

from scripts.audit.finding import Severity
from scripts.audit.rules.repeated_user_lookup import RULE

from ..looking import findings, places

HEAD = """import functools
import psycopg2
from flask import Flask, g, request, session
app = Flask(__name__)
conn = psycopg2.connect('')
def one(sql, *values):
    cur = conn.cursor()
    cur.execute(sql, values)
    return cur.fetchone()
def user_of(key):
    return one('SELECT * FROM users WHERE id = %s', key)
def signed_in(view):
    @functools.wraps(view)
    def wrapper(*args, **kwargs):
        g.user = user_of(session['id'])
        return view(*args, **kwargs)
    return wrapper
"""


@pytest.mark.parametrize("code, place", [
    ("@app.get('/')\n@signed_in\ndef view():\n    return str(user_of(session['id']))\n", "21:16"),
    ("@app.get('/')\n@signed_in\ndef view():\n    return str(user_of(g.user[0]))\n", "21:16"),
    ("@app.before_request\ndef load():\n    g.user = user_of(session['id'])\n@app.get('/')\ndef view():\n"
     "    return str(user_of(session.get('id')))\n", "23:16"),
    ("@app.get('/')\n@signed_in\ndef view():\n"
     "    return str(one('select name from users where id = %s limit 1', session['id']))\n", "21:16"),
])  # fmt: skip
def test_the_second_load_is_found(tmp_path: Path, code: str, place: str) -> None:
    assert places(RULE, tmp_path, {"app.py": HEAD + code}) == [f"app.py:{place}"]


@pytest.mark.parametrize("code", [
    "@app.get('/')\n@signed_in\ndef view():\n    return str(g.user)\n",
    "@app.get('/')\ndef view():\n    return str(user_of(session['id']))\n",
    "@app.get('/<int:key>')\n@signed_in\ndef view(key):\n    return str(user_of(key))\n",
    "@app.get('/')\n@signed_in\ndef view():\n    return str(user_of(request.args['id']))\n",
    "@app.get('/')\n@signed_in\ndef view():\n"
    "    return str(one('SELECT * FROM posts WHERE id = %s', session['id']))\n",
    "@app.get('/')\n@signed_in\ndef view():\n"
    "    return str(one('SELECT * FROM users WHERE team = %s', session['id']))\n",
])  # fmt: skip
def test_somebody_else_and_other_rows_are_left_alone(tmp_path: Path, code: str) -> None:
    assert places(RULE, tmp_path, {"app.py": HEAD + code}) == []


LOADER = "from flask_login import LoginManager\nlogin = LoginManager(app)\n@login.user_loader\n"


def test_a_user_loader_with_a_query_is_low(tmp_path: Path) -> None:
    [finding] = findings(RULE, tmp_path, {"app.py": f"{HEAD}{LOADER}def load(key):\n    return user_of(key)\n"})
    assert (finding.severity, finding.place.line, finding.place.col) == (Severity.low, 22, 12)


@pytest.mark.parametrize("code", [
    f"{LOADER}@functools.lru_cache\ndef load(key):\n    return user_of(key)\n",
    f"{LOADER}def load(key):\n    return key\n",
])  # fmt: skip
def test_a_user_loader_without_a_query_is_left_alone(tmp_path: Path, code: str) -> None:
    assert places(RULE, tmp_path, {"app.py": HEAD + code}) == []
