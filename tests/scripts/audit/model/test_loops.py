"""What a loop is over: rows, what the client sends, or nothing that comes from outside."""

from __future__ import annotations

from pathlib import Path

import pytest

from .interpreting import interpreted

HEAD = """import psycopg2
from flask import Flask, request
app = Flask(__name__)
cur = psycopg2.connect('').cursor()
def rows():
    cur.execute('SELECT 1')
    return cur.fetchall()
class Post:
    def __init__(self, row):
        self.key = row[0]
def mark(x):
    pass
"""

ROWS = {
    "fetchall": "for r in cur.fetchall():\n    mark(r)\n",
    "the cursor": "for r in cur:\n    mark(r)\n",
    "a helper's rows": "for r in rows():\n    mark(r)\n",
    "a variable": "found = rows()\nfor r in found:\n    mark(r)\n",
    "enumerate": "for i, r in enumerate(rows()):\n    mark(r)\n",
    "zip": "for a, b in zip(rows(), [1, 2]):\n    mark(a)\n",
    "sorted": "for r in sorted(rows()):\n    mark(r)\n",
    "range(len())": "found = rows()\nfor i in range(len(found)):\n    mark(found[i])\n",
    "a list comprehension": "[mark(r) for r in rows()]\n",
    "a list of keys": "keys = [r[0] for r in rows()]\nfor k in keys:\n    mark(k)\n",
    "a dict by the keys of rows": "found = {}\nfor r in rows():\n    found[r[0]] = 1\n"
    "for k in found:\n    mark(k)\n",
    "a copy of such a dict": "found = {r[0]: r for r in rows()}.copy()\nfor k, r in found.items():\n    mark(r)\n",
    "a dict of rows": "found = {r[0]: r for r in rows()}\nfor k, r in found.items():\n    mark(r)\n",
    "dict(row)": "found = [dict(r) for r in rows()]\nfor r in found:\n    mark(r)\n",
    "objects of rows": "found = [Post(r) for r in rows()]\nfor p in found:\n    mark(p)\n",
    "a list that is appended to": "found = []\nfor r in rows():\n    found.append(r[0])\nfor k in found:\n"
    "    mark(k)\n",
    "a parameter": "def show(found):\n    for r in found:\n        mark(r)\nshow(rows())\n",
    "a slice": "for r in rows()[:9]:\n    mark(r)\n",
    "map": "list(map(mark, rows()))\n",
    "while fetchone": "r = cur.fetchone()\nwhile r:\n    mark(r)\n    r = cur.fetchone()\n",
    "while a walrus": "while (r := cur.fetchone()):\n    mark(r)\n",
    "a generator": "def each():\n    for r in rows():\n        yield r\nfor r in each():\n    mark(r)\n",
    "rows in a dict": "out = {'rows': rows()}\nfor r in out['rows']:\n    mark(r)\n",
}


def _sources(folder: Path, code: str) -> set[str]:
    """Return what is behind the loops around the calls of `mark`."""
    project = interpreted(folder, app=HEAD + code)
    marks = [call for call in project.calls() if any(callee.name == "mark" for callee in call.callees)]
    return {each.source for call in marks for loop in call.loops for each in loop.behind}


@pytest.mark.parametrize("code", ROWS.values(), ids=ROWS.keys())
def test_a_loop_over_rows_is_known(tmp_path: Path, code: str) -> None:
    assert "row" in _sources(tmp_path, code)


@pytest.mark.parametrize("code, source", [
    ("@app.post('/')\ndef view():\n    for k in request.form.getlist('k'):\n        mark(k)\n", {"request"}),
    ("@app.post('/')\ndef view():\n    for k in request.get_json()['keys']:\n        mark(k)\n", {"request"}),
    ("for line in open('x'):\n    mark(line)\n", {"file"}),
    ("for k in (1, 2, 3):\n    mark(k)\n", set()),
    ("for k in range(3):\n    mark(k)\n", set()),
    ("for k in ['a', 'b']:\n    mark(k)\n", set()),
    ("for r in rows():\n    pass\nmark(1)\n", set()),
    ("found = {'a': 0, 'b': 0}\nfor k in found:\n    found[k] = rows()[0]\nfor k, v in found.items():\n"
     "    mark(k)\n", set()),
    ("found = {'a': 0}\nfor r in rows():\n    found['a'] = r[0]\nfor k in found:\n    mark(k)\n", set()),
    ("start = {'a': 0}\nother = start.copy()\nfor r in rows():\n    other[r[0]] = 1\nfor k in start:\n"
     "    mark(k)\n", set()),
])  # fmt: skip
def test_a_loop_over_something_else_is_not_over_rows(tmp_path: Path, code: str, source: set[str]) -> None:
    assert _sources(tmp_path, code) == source
