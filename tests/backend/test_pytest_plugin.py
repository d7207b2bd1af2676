"""The pytest plugin in real runs of pytest, on a small app that knows nothing but psycopg2."""

from __future__ import annotations

import re
import shutil
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import pytest

from scripts.stack.postgres import Cluster

BACKEND = Path(__file__).resolve().parents[2] / "backend"
APP = """
import os
import psycopg2
from flask import Flask, jsonify

app = Flask(__name__)


def query(sql, args=()):
    conn = psycopg2.connect(os.environ["DATABASE_URL"])
    try:
        with conn.cursor() as cur:
            cur.execute(sql, args)
            return cur.fetchall()
    finally:
        conn.close()


@app.before_request
def who():
    query("SELECT current_user")


@app.route("/one")
def one():
    return jsonify(query("SELECT 1"))


@app.route("/rows")
def rows():
    found = []
    for (n,) in query("SELECT n FROM generate_series(1, 3) n"):
        found += query("SELECT n FROM generate_series(1, 3) n WHERE n = %s", (n,))
    return jsonify(found)
"""
CONFTEST = """
import pytest
pytest_plugins = ["their_kit.pytest_plugin"]

@pytest.fixture
def client():
    from shop import app
    app.testing = True
    return app.test_client()
"""
Run = Callable[..., "subprocess.CompletedProcess[str]"]


@pytest.fixture
def run(tmp_path: Path, url: str) -> Run:
    """A function that runs tests in a project that has vendored the kit: `run(tests, *options, ini=...)`."""
    shutil.copytree(BACKEND, tmp_path / "their_kit", ignore=shutil.ignore_patterns("shop", "__pycache__"))
    (tmp_path / "shop.py").write_text(APP)
    (tmp_path / "conftest.py").write_text(CONFTEST)

    def run_tests(tests: str, *options: str, ini: str = "watch") -> subprocess.CompletedProcess[str]:
        (tmp_path / "test_shop.py").write_text(tests)
        (tmp_path / "pytest.ini").write_text(
            f"[pytest]\naddopts = -p no:cacheprovider\nfilterwarnings = error\nharden_install = {ini}\n"
        )
        return subprocess.run(
            [sys.executable, "-B", "-m", "pytest", "-q", *options], cwd=tmp_path, capture_output=True, text=True,
            env={"DATABASE_URL": url, "PATH": "/usr/bin:/bin", "PYTEST_DISABLE_PLUGIN_AUTOLOAD": "1"}, timeout=120,
        )  # fmt: skip

    return run_tests


def _outcome(done: subprocess.CompletedProcess[str]) -> dict[str, int]:
    last = [line for line in done.stdout.splitlines() if re.search(r" in \d", line)][-1]
    return {word: int(count) for count, word in re.findall(r"(\d+) (passed|failed|errors?|skipped)", last)}


FIXTURES = """
import pytest

def test_few(client, assert_queries):
    with assert_queries(max=2):
        client.get("/one")

def test_many(client, assert_queries):
    with assert_queries(max=2):
        client.get("/rows")

def test_loop(client, no_repeats):
    with no_repeats():
        client.get("/rows")

def test_two_requests_are_no_loop(client, no_repeats):
    with no_repeats():
        for _ in range(4):
            assert client.get("/one").json == [[1]]

def test_counter(client, query_counter):
    client.get("/rows")
    assert query_counter.count == 5

@pytest.mark.max_queries(2)
def test_marked_few(client):
    client.get("/one")

@pytest.mark.max_queries(4)
def test_marked_many(client):
    client.get("/rows")

@pytest.mark.no_repeats
def test_marked_loop(client):
    client.get("/rows")

@pytest.mark.no_repeats(limit=3)
def test_marked_loop_of_three(client):
    client.get("/rows")
"""


@pytest.mark.parametrize("ini", ["watch", "true"])
def test_fixtures_and_markers_fail_the_tests_that_they_should(run: Run, ini: str) -> None:
    done = run(FIXTURES, "--strict-markers", ini=ini)
    failed = set(re.findall(r"^FAILED test_shop.py::(\w+)", done.stdout, re.MULTILINE))
    assert failed == {"test_many", "test_loop", "test_marked_many", "test_marked_loop"}, done.stdout
    assert _outcome(done) == {"failed": 4, "passed": 5}


def test_a_failure_names_helper_and_loop_and_hides_the_plugin_s_own_frames(run: Run) -> None:
    done = run(FIXTURES, "-k", "test_marked_loop and not three")
    said = done.stdout
    where = r"shop.py:13 in query, called from shop.py:33 in rows: 3 x select n from generate_series"
    assert re.search(where, said), said
    assert "3 repeated queries in GET /rows" in said
    assert "many() in one nested query" in said
    assert "their_kit" not in said.partition("FAILURES")[2].partition("short test summary")[0]


def test_strict_runs_fail_each_loop_but_not_the_excused(run: Run) -> None:
    tests = """
import pytest

def test_loop(client):
    client.get("/rows")

@pytest.mark.allow_repeats("three rows at most")
def test_excused(client):
    client.get("/rows")

@pytest.mark.allow_repeats()
def test_without_a_reason(client):
    client.get("/rows")

@pytest.mark.max_queries("4")
def test_wrong_marker():
    pass

def test_nothing_asked():
    pass
"""
    done = run(tests, "--fail-on-repeats")
    assert set(re.findall(r"^FAILED test_shop.py::(\w+)", done.stdout, re.MULTILINE)) == {
        "test_loop", "test_without_a_reason", "test_wrong_marker"
    }, done.stdout  # fmt: skip
    assert "allow_repeats needs a reason" in done.stdout
    assert "takes one number: @pytest.mark.max_queries(4)" in done.stdout
    assert _outcome(run(tests)) == {"passed": 3, "failed": 2}


def test_the_report_names_the_tests_with_most_queries_and_what_repeats(run: Run) -> None:
    done = run(FIXTURES, "--query-report", "-k", "marked or counter")
    section = done.stdout.partition("= queries =")[2]
    assert "22 queries in 5 tests; most of them in:" in section, done.stdout
    assert re.search(r"5 queries +[\d.]+ ms  test_shop.py::test_counter", section)
    assert "Repeats:\n  GET /rows: shop.py:13 in query, called from shop.py:33 in rows: select n from" in section


def test_with_xdist_the_report_has_the_tests_of_all_workers_and_the_limit_counts_in_each(run: Run) -> None:
    pytest.importorskip("xdist", reason="pytest-xdist is not installed")
    done = run(
        FIXTURES, "--query-report", "--fail-on-repeats", "-p", "xdist", "-n2", ini="watch\nharden_repeat_limit = 3"
    )
    assert "queries in 9 tests" in done.stdout, done.stdout + done.stderr
    assert _outcome(done) == {"failed": 3, "passed": 6}, done.stdout


def test_checks_that_see_nothing_do_not_pass(run: Run) -> None:
    done = run(FIXTURES, "-k", "few or counter", ini="false")
    assert _outcome(done) == {"failed": 3, "error": 1}, done.stdout
    assert "no query could be seen here" in done.stdout


def test_a_strict_run_that_sees_nothing_does_not_pass(run: Run) -> None:
    tests = "def test_loop(client):\n    client.get('/rows')\n"
    done = run(tests, "--fail-on-repeats", ini="false")
    assert done.returncode == 1, done.stdout
    assert "--fail-on-repeats saw no query in the whole run; set `harden_install = watch`" in done.stdout
    assert run(tests, "--fail-on-repeats", "--co", ini="false").returncode == 0


def test_a_database_of_the_test_can_be_dropped_after_it(run: Run, cluster: Cluster) -> None:
    """An idle pooled connection would keep it."""
    admin = cluster.url("postgres", cluster.user)
    tests = f"""
import os
import psycopg2
import pytest

@pytest.fixture
def own_database(monkeypatch):
    admin = psycopg2.connect({admin!r})
    admin.autocommit = True
    admin.cursor().execute("CREATE DATABASE plugin_test OWNER app")
    monkeypatch.setenv("DATABASE_URL", os.environ["DATABASE_URL"].rpartition("/")[0] + "/plugin_test")
    yield
    admin.cursor().execute("DROP DATABASE plugin_test")
    admin.close()

@pytest.mark.max_queries(2)
@pytest.mark.parametrize("turn", [1, 2])
def test_one(own_database, client, turn):
    assert client.get("/one").json == [[1]]
"""
    done = run(tests, ini="true")
    assert _outcome(done) == {"passed": 2}, done.stdout


@pytest.mark.parametrize(
    ("ini", "said"),
    [("yes", "it must be watch, true or false"), ("watch\nharden_repeat_limit = few", "must be a whole number")],
)
def test_a_wrong_setting_stops_the_run_with_one_line(run: Run, ini: str, said: str) -> None:
    done = run(FIXTURES, ini=ini)
    assert done.returncode == 4
    assert said in done.stderr
    assert "Traceback" not in done.stderr


def test_failing_and_skipped_tests_stay_what_they_are(run: Run) -> None:
    tests = """
import pytest

@pytest.mark.max_queries(1)
def test_skip(client):
    client.get("/rows")
    pytest.skip("later")

@pytest.mark.max_queries(1)
def test_own_failure(client):
    client.get("/rows")
    assert False, "its own failure"

@pytest.mark.xfail(raises=AssertionError)
@pytest.mark.max_queries(1)
def test_expected(client):
    client.get("/rows")
"""
    done = run(tests)
    assert _outcome(done) == {"skipped": 1, "failed": 1}, done.stdout
    assert "1 xfailed" in done.stdout
    assert "its own failure" in done.stdout


HARDENED = """
import pytest
from flask import Flask, Response
from their_kit import Hardening, get_db_connection

@pytest.fixture(scope="session")
def app():
    made = Flask("hardened")
    Hardening(made)

    @made.before_request
    def who():
        with get_db_connection() as conn:
            conn.cursor().execute("SELECT current_user")

    @made.get("/rows")
    def rows():
        with get_db_connection() as conn:
            for n in range(3):
                conn.cursor().execute("SELECT %s", (n,))
        return "rows"

    @made.get("/stream")
    def stream():
        cursor = get_db_connection().cursor()
        def parts():
            for n in range(3):
                cursor.execute("SELECT %s", (n,))
                yield "part"
        return Response(parts())

    return made

@pytest.fixture
def client(app):
    return app.test_client()

@pytest.mark.max_queries(4)
@pytest.mark.no_repeats(limit=3)
def test_each_request_by_itself(client):
    client.get("/rows")

@pytest.mark.max_queries(8)
def test_a_stream_and_more(client, query_counter, assert_queries):
    with assert_queries(exactly=4):
        with client.get("/stream") as response:
            assert response.text == "partpartpart"
    with assert_queries(exactly=4):
        client.get("/rows")
    assert query_counter.count == 8

@pytest.mark.no_repeats(limit=2)
def test_loop(client):
    client.get("/rows")

@pytest.mark.no_repeats(limit=2)
def test_loop_of_a_stream_that_nobody_reads_to_its_end(client):
    response = client.get("/stream")
    next(response.iter_encoded())
    client.get("/rows")
"""


def test_an_app_that_has_adopted_the_kit_needs_no_setting(run: Run) -> None:
    done = run(HARDENED, "-W", "ignore::ResourceWarning", ini="false")
    failed = set(re.findall(r"^FAILED test_shop.py::(\w+)", done.stdout, re.MULTILINE))
    assert failed == {"test_loop", "test_loop_of_a_stream_that_nobody_reads_to_its_end"}, done.stdout
    assert "3 repeated queries in /rows" in done.stdout


def test_an_app_that_installs_the_drop_in_itself_beside_watch_harms_no_run(run: Run) -> None:
    """Its own install() stands before the plugin's and is never undone: the run ended with a stack trace."""
    done = run("import their_kit; their_kit.install(0)\n" + FIXTURES, "-k", "few or test_counter")
    assert done.returncode == 0, done.stdout + done.stderr
    assert "Error" not in done.stderr


def test_markers_that_say_nothing_are_refused_with_the_right_form(run: Run) -> None:
    tests = """
import pytest

@pytest.mark.parametrize("n", [
    pytest.param(0, marks=pytest.mark.max_queries(-1)),
    pytest.param(1, marks=pytest.mark.max_queries(True)),
    pytest.param(2, marks=pytest.mark.no_repeats("three")),
    pytest.param(3, marks=pytest.mark.no_repeats(limit=None)),
    pytest.param(4, marks=pytest.mark.no_repeats(1, 2)),
])
def test_wrong(n):
    pass
"""
    done = run(tests)
    assert _outcome(done) == {"failed": 5}, done.stdout
    assert "it was given 'three'" in done.stdout
    assert "def _most_queries" not in done.stdout


def test_unittest_s_own_classes_are_counted_asynchronous_ones_too(run: Run) -> None:
    tests = """
import unittest, pytest
from shop import query

@pytest.mark.max_queries(1)
class TestPlain(unittest.TestCase):
    def setUp(self):
        query("SELECT 0")
    def test_few(self):
        pass
    def test_many(self):
        query("SELECT 1")

@pytest.mark.max_queries(1)
class TestAsync(unittest.IsolatedAsyncioTestCase):
    async def asyncSetUp(self):
        query("SELECT 0")
    async def test_few(self):
        pass
    async def test_many(self):
        query("SELECT 1")
"""
    done = run(tests)
    assert set(re.findall(r"^FAILED test_shop.py::(\w+::\w+)", done.stdout, re.MULTILINE)) == {
        "TestPlain::test_many", "TestAsync::test_many"
    }, done.stdout  # fmt: skip
