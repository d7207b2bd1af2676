"""`python -m hardened.selftest`: tries this copy of the runtime where it is, under the name that it has here.

With DATABASE_URL against that database, in its own transactions and temporary tables; without one, what needs no
server. Needs nothing but flask and psycopg2. Runs when it is asked to; nothing else imports it.
"""

from __future__ import annotations

import sys
import unittest
from typing import Any

import psycopg2
from flask import Flask

from .adopt import adopt
from .database_pool import ThreadedConnectionPool
from .dropin import installed, uninstall
from .errors import PoolTimeout, SettingsError
from .nested import many, one
from .pool_options import PoolOptions
from .prefetch import prefetched
from .settings import load

ORDER = one("SELECT 7 AS id, {lines}", lines=many("SELECT n FROM generate_series(1, 2) AS n ORDER BY n"))


class WithoutServer(unittest.TestCase):
    """What needs no database."""

    def test_a_pool_connects_when_it_is_asked_to(self) -> None:
        pool = ThreadedConnectionPool(1, 2, "host=127.0.0.1 port=1 connect_timeout=1")
        self.assertEqual(pool.stats()["used"], 0)
        with self.assertRaises(psycopg2.OperationalError):
            pool.getconn()
        pool.closeall()

    def test_a_wrong_setting_is_refused(self) -> None:
        with self.assertRaises(SettingsError):
            load(keywords={"DB_POOL_MAX": 0})

    def test_an_app_answers_health(self) -> None:
        app = Flask(__name__)
        adopt(app)
        try:
            self.assertEqual(app.test_client().get("/livez").status_code, 200)
        finally:
            uninstall()

    def test_a_node_is_one_statement(self) -> None:
        self.assertIn("json", ORDER.sql)


class WithServer(unittest.TestCase):
    """What needs DATABASE_URL."""

    def setUp(self) -> None:
        url = load()["DATABASE_URL"]
        if not url:
            self.skipTest("DATABASE_URL is not set")
        self.url: str = url

    def test_a_lease_comes_back_clean(self) -> None:
        pool = ThreadedConnectionPool(1, 1, self.url, pool_options=PoolOptions(timeout=0.1))
        conn = pool.getconn()
        with self.assertRaises(PoolTimeout):
            pool.getconn()
        conn.cursor().execute("CREATE TEMP TABLE harden_selftest (n int)")
        pool.putconn(conn)
        with pool.connection() as again, again.cursor() as cursor:
            cursor.execute("SELECT to_regclass('harden_selftest')")
            self.assertEqual(cursor.fetchone(), (None,))
        pool.closeall()

    def test_a_tree_is_one_answer(self) -> None:
        with psycopg2.connect(self.url) as conn:
            self.assertEqual(ORDER.fetch(conn), {"id": 7, "lines": [{"n": 1}, {"n": 2}]})
        conn.close()

    def test_requests_lease_and_a_loop_asks_once(self) -> None:
        app = Flask(__name__)
        adopt(app)

        @app.get("/")
        def home() -> Any:
            return [self._plus(n) for n in prefetched([1, 2, 3], ("SELECT %s + 1", lambda n: (n,)))]

        try:
            self.assertEqual(app.test_client().get("/").get_json(), [2, 3, 4])
            drop_in = installed()
            assert drop_in is not None
            self.assertEqual([figures["used"] for figures in drop_in.stats()], [0])
        finally:
            uninstall()

    def _plus(self, number: int) -> Any:
        conn = psycopg2.connect(self.url)
        cursor = conn.cursor()
        cursor.execute("SELECT %s + 1", (number,))
        (found,) = cursor.fetchone() or (None,)
        conn.close()
        return found


if __name__ == "__main__":
    program = unittest.main(module=sys.modules[__name__], argv=[sys.argv[0], "-v"], exit=False)
    raise SystemExit(not program.result.wasSuccessful())
