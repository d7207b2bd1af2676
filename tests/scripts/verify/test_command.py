"""`harden verify` end to end: real Gunicorn and PostgreSQL, a shop and its changed twins."""

from __future__ import annotations

import signal
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

from scripts.stack import Stack
from scripts.stack.postgres import Cluster
from scripts.verify.recipe import read

from ..stack.running import descendants, harden, is_gone, runs
from .conftest import Repository, Verify

PER_ROW = """    cursor.execute("SELECT id, name FROM shop ORDER BY id")
    found = []
    for id, name in cursor.fetchall():
        cursor.execute("SELECT count(*) FROM item WHERE shop_id = %s", (id,))
        found.append({"id": id, "name": name, "items": cursor.fetchone()[0]})
"""
JOINED = """    counted = "(SELECT count(*) FROM item WHERE shop_id = shop.id)"
    cursor.execute(f"SELECT id, name, {counted} FROM shop ORDER BY id")
    found = [{"id": a, "name": b, "items": c} for a, b, c in cursor.fetchall()]
"""
QUICK = """
discover = false
[[routes]]
path = "/shops"
"""


def _by_label(document: dict[str, Any]) -> dict[str, dict[str, Any]]:
    return {f"{each['method']} {each['path']}": each for each in document["requests"]}


def _databases(cluster: Cluster) -> set[str]:
    return {row[0] for row in cluster.execute("SELECT datname FROM pg_database")}


def test_a_good_fix_and_wrong_ones_are_told_apart_route_by_route(shop: Repository, verify: Verify) -> None:
    shop.change(PER_ROW, JOINED)
    # Swallows its failing statement; the answer stays "none".
    shop.change('cursor.execute("SELECT max(id) FROM item WHERE shop_id < 0")\n    row = cursor.fetchone()',
                'try:\n        cursor.execute("SELECT max(nothing) FROM item")\n    except psycopg2.Error:\n'
                "        conn.rollback()\n    row = None")  # fmt: skip
    # Forgets its commit: redirects as before.
    shop.change("    conn.commit()\n    conn.close()\n    return re", "    conn.close()\n    return re")
    shop.change("offers</p>", "Offers</p>")
    page = shop.path.parent / "out.html"
    code, document = verify(shop.path, "--html", str(page), recipe="""
        time_limit = 0.5
        session = { name = "Ann" }
        [[routes]]
        path = "/shop/1/items"
        method = "POST"
        form = { title = "bread" }
    """)  # fmt: skip
    assert code == 1
    found = _by_label(document)
    assert found["GET /shops"]["verdict"] == "same"
    assert found["GET /shops"]["statements"] == [21, 1]
    assert found["GET /shops"]["connections"] == [1, 1]
    assert found["GET /shop/987654321"]["status"] == [404, 404]
    assert found["GET /shop/20"]["verdict"] == found["GET /me"]["verdict"] == "same"
    assert found["GET /me"]["bytes"] == [3, 3]
    (failed,) = found["GET /top"]["differences"]
    assert failed["what"] == "failed statements"
    assert 'column "nothing" does not exist' in failed["after"]
    (lost,) = found["POST /shop/1/items"]["differences"]
    assert lost == {"what": "table item", "before": "21 rows", "after": "20 rows"}
    (word,) = found["GET /"]["differences"]
    assert (word["before"], word["after"]) == ("offers", "Offers")
    assert found["GET /"]["compared"] < 1
    assert found["GET /ticks"]["verdict"] == "same"
    assert "never ended" in found["GET /ticks"]["notes"][0]
    assert "<details open>" in page.read_text()


def _dump(cluster: Cluster, stack: Stack, schema: Path, into: Path) -> None:
    cluster.create_database("dumped", cluster.user)
    cluster.load(schema, "dumped")
    rows = "INSERT INTO shop (name, kind) SELECT 'Crumb ' || i, 'bakery' FROM generate_series(1, 3) i"
    cluster.execute(rows, dbname="dumped")
    program = stack.binaries.postgres / "pg_dump"
    subprocess.run([program, "--format=custom", f"--file={into}", cluster.dsn("dumped")], check=True)
    cluster.drop_database("dumped")


def test_an_identical_copy_over_a_dump_is_the_same_and_nothing_is_left(
    shop: Repository, verify: Verify, cluster: Cluster, stack: Stack, state: Path, tmp_path: Path
) -> None:
    _dump(cluster, stack, shop.path / "schema.sql", tmp_path / "shop.dump")
    before = _databases(cluster)
    code, document = verify(
        shop.path, "--dsn", cluster.dsn(), "--dump", str(tmp_path / "shop.dump"), "--rows", "0",
        recipe='discover = false\n[[routes]]\npath = "/"\n[[routes]]\npath = "/shops"\n'
               '[[routes]]\npath = "/shop/2/items"\nmethod = "POST"\nform = { title = "x" }',
    )  # fmt: skip
    assert (code, document["same"]) == (0, True)
    found = _by_label(document)
    assert found["GET /"]["verdict"] == "varies"
    assert found["GET /shops"]["statements"] == [4, 4]
    assert found["POST /shop/2/items"]["writes"] == [True, True]
    assert found["POST /shop/2/items"]["verdict"] == "same"
    assert "item.made" in found["POST /shop/2/items"]["notes"][0]
    assert _databases(cluster) == before
    assert runs(state) == []
    assert shop.git("status", "--porcelain", "--ignored") == ""


def test_a_worker_s_memory_shows_as_a_difference(shop: Repository, verify: Verify, cluster: Cluster) -> None:
    """The older side's only worker counts alike in each run; of two workers each has a count of its own."""
    shop.change("app.run()", 'seen = []\n\n\n@app.route("/count")\ndef count():\n    seen.append(1)\n'
                '    return f"{len(seen)} visits"\n\n\napp.run()')  # fmt: skip
    shop.commit()
    code, document = verify(shop.path, "--dsn", cluster.dsn(), "--rows", "1", "--repeats", "12", "--workers", "2",
                            recipe='discover = false\n[[routes]]\npath = "/count"')  # fmt: skip
    assert code == 1
    assert document["requests"][0]["differences"][0]["what"] == "body"

def test_the_newer_side_is_served_by_its_own_wsgi_and_gunicorn_s_configuration(
    shop: Repository, verify: Verify, cluster: Cluster
) -> None:
    """With preload_app the master alone imports it; the login step's cookie counts for what follows."""
    shop.change("app.run()", '@app.route("/login", methods=["POST"])\ndef login():\n'
                '    session["name"] = request.form["name"]\n    return "ok"\n\n\napp.run()')  # fmt: skip
    shop.commit()
    (shop.path / "wsgi.py").write_text("from server import app\n\n\n"
        "def application(environ, start_response):\n    environ['wsgi.url_scheme'] = 'https'\n"
        "    return app(environ, start_response)\n")  # fmt: skip
    (shop.path / "gunicorn.conf.py").write_text("preload_app = True\nthreads = 4\n")
    shop.change('session.get("name", "nobody")', 'session.get("name", "nobody") + request.scheme')
    code, document = verify(
        shop.path, "--dsn", cluster.dsn(), "--workers", "2", "--setup",
        f"{sys.executable} -c \"import psycopg2; c = psycopg2.connect('host=db.invalid dbname=production');"
        " c.cursor().execute('CREATE TABLE made (id int)'); c.commit()\"",
        recipe='discover = false\n[[login]]\npath = "/login"\nform = { name = "Ann" }\n[[routes]]\npath = "/me"',
    )  # fmt: skip
    assert code == 1
    (found,) = document["requests"]
    assert found["differences"] == [{"what": "body", "before": "Ann", "after": "Annhttps"}]


def test_a_side_that_does_not_import_says_the_last_line_of_its_error(
    shop: Repository, verify: Verify, cluster: Cluster
) -> None:
    shop.change("import uuid", "import uuid\nimport no_such_module")
    code, document = verify(shop.path, "--dsn", cluster.dsn(), recipe=QUICK)
    assert code == 2
    assert "after does not import" in document["error"]
    assert "'no_such_module'" in document["error"]


def test_a_database_without_tables_cannot_be_compared(shop: Repository, verify: Verify, cluster: Cluster) -> None:
    before = _databases(cluster)
    code, document = verify(shop.path, "--dsn", cluster.dsn(), recipe=f"schema = []\n{QUICK}")
    assert code == 2
    assert "give --schema FILE" in document["error"]
    assert _databases(cluster) == before


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        (["--against", "no-such-branch"], "has no revision 'no-such-branch'"),
        (["--recipe", "/nowhere/recipe.toml"], "cannot read /nowhere/recipe.toml"),
        (["--python", "/nowhere/python"], "cannot run /nowhere/python"),
    ],
)
def test_what_cannot_be_run_has_its_reason(
    shop: Repository, verify: Verify, arguments: list[str], said: str
) -> None:
    code, document = verify(shop.path, *arguments)
    assert code == 2
    assert said in document["error"]


def test_a_folder_without_git_needs_another_folder(tmp_path: Path, verify: Verify) -> None:
    code, document = verify(tmp_path)
    assert code == 2
    assert "is no git repository; give --against" in document["error"]


def test_a_first_recipe_lists_the_requests_and_can_be_used(
    shop: Repository, verify: Verify, cluster: Cluster, tmp_path: Path
) -> None:
    code, _ = verify(shop.path, "--dsn", cluster.dsn(), "--rows", "2", "--methods", "GET,POST",
                     "--write-recipe", str(tmp_path / "first.toml"))  # fmt: skip
    text = (tmp_path / "first.toml").read_text()
    assert code == 0
    assert 'path = "/shop/2"' in text
    assert 'method = "POST"\npath = "/shop/1/items"\nform = {}' in text
    assert len(read(tmp_path / "first.toml").routes) == text.count("[[routes]]")


def test_an_interrupt_leaves_nothing(shop: Repository, cluster: Cluster, state: Path) -> None:
    before = _databases(cluster)
    with harden("verify", shop.path, "--dsn", cluster.dsn(), "--time-limit", "60", state=state) as running:
        running.wait_for("asking: GET /")
        children = descendants(running.process.pid)
        assert children
        running.send(signal.SIGINT)
        assert running.ended() == 130
    assert all(map(is_gone, children))
    assert _databases(cluster) == before
    assert runs(state) == []
