"""Whom a call runs, and on which connection a statement runs, whatever way the connection took."""

from __future__ import annotations

from pathlib import Path

import pytest

from .interpreting import callees, drivers, interpreted

DB = (
    "import psycopg2\nconn = psycopg2.connect('')\ncur = conn.cursor()\ndef get_db():\n"
    "    return psycopg2.connect('')\n"
)

WAYS = {
    "imported by name": "from db import cur\ncur.execute('SELECT 1')\n",
    "imported under another name": "from db import cur as c1\nc1.execute('SELECT 1')\n",
    "imported with a star": "from db import *\ncur.execute('SELECT 1')\n",
    "through the module": "import db\ndb.cur.execute('SELECT 1')\n",
    "through the module's other name": "import db as d\nd.cur.execute('SELECT 1')\n",
    "from a helper": "from db import get_db\nget_db().cursor().execute('SELECT 1')\n",
    "from a helper in a variable": "from db import get_db\nmake = get_db\nmake().cursor().execute('SELECT 1')\n",
    "from a lambda": "from db import get_db\nmake = lambda: get_db()\nmake().cursor().execute('SELECT 1')\n",
    "from a partial": "import functools, db\nmake = functools.partial(db.get_db)\n"
    "make().cursor().execute('SELECT 1')\n",
    "as a parameter": "from db import conn\ndef run(c):\n    c.cursor().execute('SELECT 1')\nrun(conn)\n",
    "as a named parameter": "from db import conn\ndef run(*, c):\n    c.cursor().execute('SELECT 1')\n"
    "run(c=conn)\n",
    "as a default": "from db import conn\ndef run(c=conn):\n    c.cursor().execute('SELECT 1')\n",
    "in *args": "from db import conn\ndef run(*args):\n    args[0].cursor().execute('SELECT 1')\nrun(conn)\n",
    "in **kwargs": "from db import conn\ndef run(**kw):\n    kw['c'].cursor().execute('SELECT 1')\nrun(c=conn)\n",
    "in a constructor": "import db\nclass Dao:\n    def __init__(self):\n        self.c = db.get_db()\n"
    "    def run(self):\n        self.c.cursor().execute('SELECT 1')\n",
    "in a base class": "import db\nclass Base:\n    def __init__(self):\n        self.c = db.get_db()\n"
    "class Dao(Base):\n"
    "    def run(self):\n        self.c.cursor().execute('SELECT 1')\n",
    "through super": "import db\nclass Base:\n    def open(self):\n        return db.get_db()\nclass Dao(Base):\n"
    "    def run(self):\n        super().open().cursor().execute('SELECT 1')\n",
    "in a class attribute": "import db\nclass Dao:\n    c = db.conn\n    @classmethod\n    def run(cls):\n"
    "        cls.c.cursor().execute('SELECT 1')\n",
    "in a property": "import db\nclass Dao:\n    @property\n    def c(self):\n        return db.get_db()\n"
    "    def run(self):\n"
    "        self.c.cursor().execute('SELECT 1')\n",
    "in a static method": "import db\nclass Dao:\n    @staticmethod\n    def c():\n        return db.get_db()\n"
    "Dao.c().cursor().execute('SELECT 1')\n",
    "in an instance made at import": "import db\nclass Dao:\n    def __init__(self, c):\n        self.c = c\n"
    "    def run(self):\n"
    "        self.c.cursor().execute('SELECT 1')\ndao = Dao(db.conn)\n",
    "in the app's config": "import db\nfrom flask import Flask, current_app\napp = Flask('a')\n"
    "app.config['db'] = db.conn\n"
    "def view():\n    current_app.config['db'].cursor().execute('SELECT 1')\n",
    "on the app": "import db\nfrom flask import Flask, current_app\napp = Flask('a')\napp.db = db.conn\n"
    "def view():\n    current_app.db.cursor().execute('SELECT 1')\n",
    "in g": "import db\nfrom flask import g\ndef before():\n    g.db = db.get_db()\ndef view():\n"
    "    g.db.cursor().execute('SELECT 1')\n",
    "in g by name": "import db\nfrom flask import g\ndef before():\n    if 'db' not in g:\n"
    "        g.db = db.get_db()\n    return g.db\n"
    "def view():\n    before().cursor().execute('SELECT 1')\n",
    "with with": "import db\ndef run():\n    with db.get_db() as c, c.cursor() as cur:\n"
    "        cur.execute('SELECT 1')\n",
    "from a context manager": "import db, contextlib\n@contextlib.contextmanager\ndef opened():\n"
    "    c = db.get_db()\n    try:\n"
    "        yield c.cursor()\n    finally:\n        c.close()\ndef run():\n    with opened() as cur:\n"
    "        cur.execute('SELECT 1')\n",
    "from a class with __enter__": "import db\nclass Opened:\n    def __enter__(self):\n"
    "        self.c = db.get_db()\n        return self.c.cursor()\n"
    "    def __exit__(self, *a):\n        self.c.close()\ndef run():\n    with Opened() as cur:\n"
    "        cur.execute('SELECT 1')\n",
    "from a generator": "import db\ndef all_of():\n    yield db.get_db()\ndef run():\n    for c in all_of():\n"
    "        c.cursor().execute('SELECT 1')\n",
    "from a decorator that puts a cursor in": "import db, functools\ndef with_cursor(f):\n"
    "    @functools.wraps(f)\n    def wrapper(*args, **kw):\n"
    "        c = db.get_db()\n        return f(c.cursor(), *args, **kw)\n    return wrapper\n@with_cursor\n"
    "def run(cur, key):\n    cur.execute('SELECT 1')\n",
    "from a decorator with arguments": "import db\ndef with_cursor(name):\n    def outer(f):\n"
    "        def wrapper(*args, **kw):\n"
    "            return f(*args, cur=db.get_db().cursor(), **kw)\n        return wrapper\n    return outer\n"
    "@with_cursor('a')\n"
    "def run(key, cur=None):\n    cur.execute('SELECT 1')\n",
    "in a dict": "import db\nparts = {'c': db.conn}\nparts['c'].cursor().execute('SELECT 1')\n",
    "in a pair": "import db\ndef both():\n    c = db.get_db()\n    return c, c.cursor()\ndef run():\n"
    "    c, cur = both()\n    cur.execute('SELECT 1')\n",
    "in a global that is bound later": "import db\nc = None\ndef begin():\n    global c\n    c = db.get_db()\n"
    "def run():\n    c.cursor().execute('SELECT 1')\n",
    "in a closure": "import db\ndef outer():\n    c = db.get_db()\n    def inner():\n"
    "        c.cursor().execute('SELECT 1')\n    return inner\n",
    "with a walrus": "import db\ndef run():\n    if (c := db.get_db()):\n        c.cursor().execute('SELECT 1')\n",
    "in either branch": "import db\ndef run(a):\n    c = db.conn if a else db.get_db()\n"
    "    c.cursor().execute('SELECT 1')\n",
    "in a try": "import db\ndef run():\n    c = None\n    try:\n        c = db.get_db()\n"
    "        c.cursor().execute('SELECT 1')\n    finally:\n        c.close()\n",
    "in a match": "import db\ndef run(a):\n    match a:\n        case 1:\n            c = db.get_db()\n"
    "        case _:\n            c = db.conn\n"
    "    c.cursor().execute('SELECT 1')\n",
    "in an async function": "import db\nasync def run():\n    async with db.get_db() as c:\n"
    "        await c.cursor().execute('SELECT 1')\n",
    "in a nested class": "import db\nclass A:\n    class B:\n        def run(self):\n"
    "            db.conn.cursor().execute('SELECT 1')\n",
    "by getattr": "import db\ngetattr(db, 'conn').cursor().execute('SELECT 1')\n",
}


@pytest.mark.parametrize("code", WAYS.values(), ids=WAYS.keys())
def test_the_connection_of_a_statement_is_known(tmp_path: Path, code: str) -> None:
    assert drivers(interpreted(tmp_path, db=DB, app=code)) == ["psycopg2"]


def test_a_method_is_called_on_the_class_of_its_object_and_not_by_its_name(tmp_path: Path) -> None:
    code = """
        import re
        class Posts:
            def search(self):
                pass
        class Users:
            def search(self):
                pass
        def view():
            users = Users()
            users.search()
            re.search('a', 'b')
            {}.get('a')
        """
    assert callees(interpreted(tmp_path, app=code), "view") == ["Users.search"]


def test_an_overridden_method_is_the_childs(tmp_path: Path) -> None:
    code = """
        class Base:
            def load(self):
                pass
            def run(self):
                pass
        class Child(Base):
            def load(self):
                pass
        def view():
            child = Child()
            child.load()
            child.run()
        """
    assert callees(interpreted(tmp_path, app=code), "view") == ["Child.load", "Base.run"]


def test_the_last_of_two_functions_of_one_name_counts_for_who_comes_later(tmp_path: Path) -> None:
    code = """
        def load():
            return 1
        def load():
            return 2
        load()
        """
    project = interpreted(tmp_path, app=code)
    [call] = project.modules[0].body.calls
    assert [callee.module.place(callee.node).line for callee in call.callees] == [3]


def test_a_function_that_is_handed_on_is_run_by_who_hands_it_on(tmp_path: Path) -> None:
    code = """
        import threading
        def job():
            pass
        def view():
            threading.Thread(target=job).start()
            list(map(other, [1]))
        def other(x):
            pass
        """
    assert callees(interpreted(tmp_path, app=code), "view") == ["job", "other"]
