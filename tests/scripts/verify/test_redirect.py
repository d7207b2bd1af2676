"""Inside an app's process every connection goes to the copy, and nothing else about it changes."""

from __future__ import annotations

import os
import subprocess
import sys

import pytest

from scripts.stack.postgres import Cluster
from scripts.verify.template import INSIDE

CODE = """
import psycopg2, psycopg2.extensions, psycopg2.pool
public = psycopg2.connect
import harden_verify_redirect as redirect
redirect.install(); redirect.install()
assert psycopg2.connect is public
{connect}
cursor = conn.cursor()
cursor.execute("SELECT current_database(), current_setting('application_name'), current_setting('search_path')")
print(*cursor.fetchone(), type(conn).__name__, type(cursor).__name__)
"""
OPTIONS = "application_name='shop' options='-c search_path=x'"


@pytest.mark.parametrize(
    ("connect", "said"),
    [
        (f'conn = psycopg2.connect("host=db.invalid dbname=production {OPTIONS}")',
         "postgres shop x connection cursor"),
        ('conn = psycopg2.connect(database="production", user="boss", host="db.invalid", sslmode="require", '
         "application_name='shop', options='-c search_path=x')", "postgres shop x connection cursor"),
        ('conn = psycopg2.pool.SimpleConnectionPool(1, 1, "postgresql://boss:x@db.invalid/production?'
         'application_name=shop&options=-csearch_path%3Dx").getconn()', "postgres shop x connection cursor"),
        ('class Mine(psycopg2.extensions.connection): pass\n'
         f'conn = public("service=none {OPTIONS}", connection_factory=Mine)', "postgres shop x Mine cursor"),
    ],
)  # fmt: skip
def test_every_way_to_connect_leads_to_the_copy(cluster: Cluster, connect: str, said: str) -> None:
    done = subprocess.run(
        [sys.executable, "-c", CODE.format(connect=connect)], capture_output=True, text=True,
        env={**os.environ, "PYTHONPATH": str(INSIDE), "_HARDEN_VERIFY_DSN": cluster.dsn()},
    )  # fmt: skip
    assert (done.stdout.strip(), done.stderr) == (said, "")
