"""What a statement's text is, in whatever way it is put together."""

from __future__ import annotations

from pathlib import Path

import pytest

from scripts.audit.model.values import texts

from .interpreting import interpreted, statements

HEAD = (
    "import psycopg2\nfrom flask import Flask, request\napp = Flask(__name__)\n"
    "cur = psycopg2.connect('').cursor()\n"
)

CONSTANTS = {
    "a literal": "cur.execute('SELECT 1')\n",
    "two literals": "cur.execute('SELECT ' '1')\n",
    "a sum": "cur.execute('SELECT ' + '1')\n",
    "an f-string": "one = '1'\ncur.execute(f'SELECT {one}')\n",
    "format by place": "cur.execute('SELECT {}'.format('1'))\n",
    "format by name": "cur.execute('SELECT {n}'.format(n='1'))\n",
    "format by a dict": "values = {'n': '1', 'm': request}\ncur.execute('SELECT {n}'.format(**values))\n",
    "a constant in another shape": "import re\none = re.sub('[A-Z]', '1', 'SELECT 1')\ncur.execute(one)\n",
    "percent": "cur.execute('SELECT %s' % '1')\n",
    "percent with a tuple": "cur.execute('%s %s' % ('SELECT', '1'))\n",
    "join": "cur.execute(' '.join(['SELECT', '1']))\n",
    "added to": "sql = 'SELECT'\nsql += ' 1'\ncur.execute(sql)\n",
    "a constant of a class": "class Q:\n    ONE = 'SELECT 1'\ncur.execute(Q.ONE)\n",
    "a dict's element": "Q = {'one': 'SELECT 1', 'two': 'SELECT 2'}\ncur.execute(Q['one'])\n",
    "what a function returns": "def one():\n    return 'SELECT 1'\ncur.execute(one())\n",
    "a helper's parameter": "def run(sql):\n    cur.execute(sql)\nrun('SELECT 1')\n",
    "a parameter by name": "def run(a, sql):\n    cur.execute(query=sql)\nrun(sql='SELECT 1', a=2)\n",
    "stripped": "cur.execute(' SELECT 1'.strip() and 'SELECT 1')\n",
}


@pytest.mark.parametrize("code", CONSTANTS.values(), ids=CONSTANTS.keys())
def test_a_constant_statement_is_known(tmp_path: Path, code: str) -> None:
    assert "SELECT 1" in statements(interpreted(tmp_path, app=HEAD + code))


HOLES = {
    "an f-string": "cur.execute(f\"SELECT {request.args['a']}\")\n",
    "a sum": "cur.execute('SELECT ' + request.args['a'])\n",
    "percent": "cur.execute('SELECT %s' % request.args['a'])\n",
    "percent with a dict": "cur.execute('SELECT %(a)s' % {'a': request.args['a']})\n",
    "format": "cur.execute('SELECT {}'.format(request.args.get('a')))\n",
    "format by name": "cur.execute('SELECT {a}'.format(a=request.form['a']))\n",
    "format with **": "cur.execute('SELECT {a}'.format(**request.form))\n",
    "added to": "sql = 'SELECT '\nsql += request.args['a']\ncur.execute(sql)\n",
    "through a variable": "a = request.args['a'].strip()\ncur.execute(f'SELECT {a}')\n",
    "through a helper": "def run(a):\n    cur.execute(f'SELECT {a}')\nrun(request.json['a'])\n",
    "through a parsed body": "body = request.get_json()\ncur.execute('SELECT ' + body['a'])\n",
}


@pytest.mark.parametrize("code", HOLES.values(), ids=HOLES.keys())
def test_what_the_client_sends_is_a_hole(tmp_path: Path, code: str) -> None:
    project = interpreted(tmp_path, app=HEAD + code)
    found = {
        text.with_holes("?"): text.holes[0].sources
        for call in project.calls("execute")
        for text in texts(call.sql)
        if text.holes
    }
    assert found == {"SELECT ?": ("request",)}


def test_a_number_is_a_hole_that_can_hold_no_sql(tmp_path: Path) -> None:
    project = interpreted(tmp_path, app=HEAD + "a = int(request.args['a'])\ncur.execute(f'SELECT {a}')\n")
    [hole] = [hole for call in project.calls("execute") for text in texts(call.sql) for hole in text.holes]
    assert hole.is_number


def test_an_element_of_a_dict_of_constants_is_one_of_them(tmp_path: Path) -> None:
    code = (
        HEAD + "ORDERS = {'a': 'name', 'b': 'age'}\norder = ORDERS.get(request.args['o'], 'id')\n"
        "cur.execute('SELECT ' + order)\n"
    )
    assert statements(interpreted(tmp_path, app=code)) == ["SELECT age", "SELECT id", "SELECT name"]


def test_a_text_that_grows_in_a_loop_comes_to_an_end(tmp_path: Path) -> None:
    code = HEAD + "sql = 'SELECT 1'\nfor each in range(9):\n    sql = sql + ' OR ' + sql\ncur.execute(sql)\n"
    assert any(each.startswith("SELECT 1") for each in statements(interpreted(tmp_path, app=code)))
