"""Who may import whom inside the runtime, and what a vendored copy needs: read from the syntax tree."""

from __future__ import annotations

import ast
import shutil
import subprocess
import sys
from graphlib import TopologicalSorter
from importlib import metadata
from pathlib import Path

import pytest
from packaging.requirements import Requirement
from packaging.utils import canonicalize_name

import backend

BACKEND = Path(__file__).resolve().parents[2] / "backend"
MODULES = {path.stem: path for path in BACKEND.glob("*.py")}
SHOP = {f"shop.{path.stem}": path for path in (BACKEND / "shop").glob("*.py")}

# A new edge is a decision: make it here as well.
MAY_IMPORT = {
    "__init__": {
        "adopt", "after_commit", "auth", "batch", "batch_parts", "batch_routes", "batch_write", "batched",
        "bulk_decrypt", "cache", "cache_stats", "report_routes",
        "database_helper", "database_pool", "errors",
        "compress", "extension", "formats", "formatted", "http", "http_policy", "loader", "static_files",
        "trusted_hosts", "versioned", "log_format", "memory_timers", "monitor", "nested",
        "nested_pages", "nodecheck", "numbered_pages", "oauth_state", "one_time", "one_time_postgres",
        "one_time_redis",
        "page_routes", "pagination", "projection", "rate_limits", "tokens",
        "per_request", "pool_options", "prefetch",
        "query_assertions", "query_cache", "query_counter", "returned", "row_formats", "shorthand", "stored",
        "stream_source", "streaming", "system_metrics", "timers", "timings",
    },
    "adopt": {
        "database_helper", "dropin", "extension", "pool_options", "query_cache", "settings", "watch",
    },
    "after_commit": set(),
    "ahead": {"ahead_sql", "cached_cursor", "query_store", "read_only", "scope"},
    "ahead_sql": {"sqlmask"},
    "allowed": {"callsite", "source_lines"},
    "answer_headers": set(),
    "app_loader": {"errors", "importing"},
    "auth": {"errors", "tokens"},
    "batch": {"errors", "ids", "lookup"},
    "batch_parts": {"declared", "errors", "nested"},
    "batch_routes": {"batch_parts", "batch_run", "declared", "errors", "http", "page_routes"},
    "batch_run": {"database_helper", "errors", "keepable", "nested", "prepared"},
    "batch_write": {"errors", "lookup", "returned", "values_clause", "write_pages"},
    "batched": {"copies", "errors", "loader"},
    "cache": {
        "after_commit", "cache_core", "cache_entry", "cache_keys", "cache_memory", "cache_redis", "errors",
        "open_transactions",
    },
    "cache_breaker": {"fork"},
    "cache_core": {"cache_entry", "cache_flight", "cache_stats", "open_transactions"},
    "cache_entry": {"errors"},
    "cache_flight": {"fork"},
    "cache_keys": {"errors"},
    "cache_lease": {"fork"},
    "cache_memory": {"fork"},
    "cache_redis": {"cache_breaker", "cache_lease", "errors"},
    "cache_stats": {"fork"},
    "cached_cursor": {"copies", "query_store", "read_only", "rows"},
    "close_log": {"callsite", "events", "query_group", "query_log"},
    "composed": {"errors"},
    "compress": {"errors", "http_policy", "settings"},
    "board": {"summed_log"},
    "budget": set(),
    "bulk_decrypt": {"errors"},
    "byte_queue": {"errors"},
    "callsite": set(),
    "catalog": {"errors", "rows"},
    "conditions": set(),
    "connection": {"after_commit", "record", "site"},
    "copies": set(),
    "copy_stream": {"byte_queue", "reset", "stream_limit", "stream_source"},
    "cursor_stream": {"errors", "reset", "stream_limit", "stream_source"},
    "cursors": {"errors", "settings"},
    "database_helper": {
        "after_commit", "connection", "database_pool", "dropin", "pool_options", "scope", "settings",
    },
    "database_pool": {"holders", "housekeeper", "leasing", "pool_options", "record", "reset", "upkeep"},
    "declared": {"errors"},
    "discard": set(),
    "dropin": {"connection", "database_pool", "errors", "pool_classes", "pool_options", "scope"},
    "endpoints": {"health", "metrics_page", "ops_access"},
    "errors": set(),
    "events": {"fingerprint"},
    "explain": {"explain_once", "fingerprint", "plan_text", "read_only", "settings", "shown_values", "slow"},
    "explain_once": {"catalog", "errors", "fork", "plan_reading", "plan_text", "planwalk"},
    "extension": {
        "callsite", "cursors", "database_helper", "endpoints", "errors", "ops", "page_routes", "query_header",
        "request_watch", "scope", "settings", "sqlite_guard", "startup",
        "summed_log", "tracing", "trusted_hosts", "watch", "whose",
    },
    "exposition": {"board", "metric_names"},
    "fingerprint": {"shapes", "summaries"},
    "fork": set(),
    "formats": {"errors"},
    "formatted": {"composed", "errors", "formats", "nested", "prepared", "selectlist", "sqltext"},
    "guard": set(),
    "holders": {"record", "site"},
    "housekeeper": set(),
    "health": {"database_helper", "database_pool", "dropin", "errors", "liveness", "pool_classes", "readiness"},
    "http": set(),
    "http_policy": {"answer_headers", "settings"},
    "ids": {"errors"},
    "importing": set(),
    "keepable": {"sqltext"},
    "lines": {"callsite", "fingerprint"},
    "keyset": {"page_order"},
    "leasing": {
        "after_commit", "connection", "errors", "fork", "guard", "holders", "housekeeper", "liveness", "opener",
        "pool_options", "record", "reset", "site", "slots", "upkeep", "waitqueue",
    },
    "liveness": set(),
    "literal_types": set(),
    "loader": {"batch", "errors", "scope"},
    "log_format": {"whose"},
    "log_setup": {"log_format"},
    "lookup": {"errors", "ids"},
    "memory_timers": {"spans", "system_metrics", "timers", "timings"},
    "metric_names": set(),
    "metrics": {
        "events", "pgbouncer_stats", "recorder", "request_end", "run_folder",
        "settings", "summed_log", "totals", "worker_figures",
    },
    "metrics_page": {"exposition", "metrics"},
    "log_end": {"events", "own_failures", "query_log", "tally"},
    "monitor": {"callsite", "events", "lines", "log_end", "own_failures", "query_log", "rows"},
    "nested": {"composed", "errors", "prepared", "rows", "selectlist", "slowness", "sqltext"},
    "nested_pages": {"cursors", "errors", "nested", "page_statement", "sqltext"},
    "nodecheck": {"catalog", "errors", "planwalk", "rows"},
    "numbered_pages": {
        "cursors", "errors", "nested", "nested_pages", "page_limits", "page_order", "page_statement", "prepared",
        "sqltext",
    },
    "opener": {"connection", "liveness", "plans", "pool_options", "record", "reset", "watched"},
    "one_time": {"errors"},
    "one_time_postgres": {"database_helper", "errors", "one_time"},
    "one_time_redis": {"errors", "one_time"},
    "oauth_state": {"one_time"},
    "open_transactions": {"fork"},
    "ops": {
        "ops_access", "ops_bouncer", "ops_publish", "ops_text", "ops_view", "settings", "summed_log",
    },
    "ops_access": set(),
    "ops_bouncer": {"pgbouncer_stats"},
    "ops_data": {"explain", "health", "ops_merge", "ops_seen", "query_table", "request_end", "system_metrics"},
    "ops_merge": {"ops_seen"},
    "ops_publish": {"events", "ops_data", "ops_seen", "query_table", "request_end", "run_folder", "settings"},
    "ops_seen": {"events"},
    "ops_text": set(),
    "ops_view": {"ops_data", "ops_merge", "ops_publish", "run_folder"},
    "outage": set(),
    "own_failures": set(),
    "page_limits": {"errors"},
    "page_order": {"errors", "sqltext"},
    "page_routes": {"cursors", "database_helper", "errors", "http", "numbered_pages", "pagination"},
    "page_statement": {"errors", "keyset", "nested", "page_order", "prepared", "sqltext"},
    "pagination": {
        "cursors", "errors", "nested", "nested_pages", "page_limits", "page_order", "page_statement", "prepared",
        "rows", "sqltext",
    },
    "plan_reading": {"catalog", "conditions", "plan_text"},
    "plan_text": set(),
    "plans": set(),
    "pgbouncer_stats": {"board"},
    "planwalk": {"catalog", "conditions"},
    "pytest_plugin": {
        "close_log", "dropin", "errors", "events", "monitor", "query_assertions", "query_counter", "repeats",
        "unpooled",
    },
    "pool_classes": {"database_pool", "errors", "pool_options"},
    "pool_options": {"errors", "reset", "statements"},
    "per_request": {"scope"},
    "prefetch": {
        "ahead", "cached_cursor", "errors", "query_cache", "query_store", "scope", "site", "summed_log",
    },
    "prepared": {"cached_cursor", "fingerprint", "keepable", "literal_types", "plans"},
    "query_cache": {"cache_stats", "cached_cursor", "connection", "errors", "query_store"},
    "query_assertions": {"errors", "query_counter", "repeats"},
    "query_counter": {
        "close_log", "connection", "dropin", "errors", "events", "fork", "monitor", "repeats", "unpooled",
    },
    "query_header": {"query_log", "repeats"},
    "query_group": {"callsite", "events", "lines"},
    "query_log": {"events", "fingerprint", "lines", "query_group", "request_names"},
    "query_store": {"statements"},
    "query_table": {"events", "fingerprint", "tally"},
    "read_only": {"sqlmask"},
    "projection": {"cache", "cache_keys", "database_helper", "errors", "scope"},
    "rate_limits": set(),
    "readiness": set(),
    "record": {"site"},
    "recorder": {"board", "metric_names", "run_folder", "tally", "totals"},
    "repeats": {"allowed", "callsite", "events", "fingerprint", "rewrites", "source_lines"},
    "report_routes": {
        "composed", "declared", "errors", "keepable", "nested", "page_routes", "row_formats", "stream_source",
        "streaming",
    },
    "request_end": {"events", "log_end", "monitor", "own_failures", "query_log"},
    "request_names": set(),
    "request_watch": {"events", "monitor", "query_log", "request_end"},
    "recycling": {"run_folder"},
    "reset": {"connection", "discard", "record"},
    "returned": {"errors", "lookup", "write_pages"},
    "rewrites": {"events"},
    "row_formats": {"errors"},
    "row_stream": {"byte_queue", "copy_stream", "cursor_stream", "errors", "stream_limit", "stream_source"},
    "rows": set(),
    "run_folder": set(),
    "scope": set(),
    "select_text": {"errors"},
    "selftest": {
        "adopt", "database_pool", "dropin", "errors", "nested", "pool_options", "prefetch", "settings",
    },
    "serving": {
        "adopt", "app_loader", "connection", "dropin", "endpoints", "errors", "extension", "ops", "record",
        "request_watch", "settings", "sqlite_guard", "startup", "shop", "site", "watch",
    },
    "selectlist": {"errors", "sqltext"},
    "settings": {"errors", "settings_table"},
    "settings_table": set(),
    "service_folder": {"run_folder"},
    "shapes": set(),
    "shorthand": {"catalog", "composed", "errors", "nested", "sqltext", "treesql"},
    "site": set(),
    "slots": {"errors", "guard", "liveness", "outage", "record", "waitqueue"},
    "shown_values": set(),
    "slow": {
        "callsite", "events", "fingerprint", "lines", "monitor", "query_log", "settings", "shown_values",
        "slow_table", "whose",
    },
    "slow_table": {"events", "fingerprint"},
    "sql_comments": {"monitor", "query_log", "settings", "whose"},
    "sqlmask": set(),
    "sqltext": {"errors"},
    "statements": set(),
    "stream_limit": {"errors"},
    "stream_source": {"errors", "nested", "row_formats", "select_text"},
    "sqlite_guard": {"callsite", "errors", "settings"},
    "startup": {"budget", "errors", "opener", "pgbouncer_stats", "pool_options", "settings", "surroundings"},
    "streaming": {"database_helper", "errors", "nested", "row_formats", "row_stream", "stream_source"},
    "slowness": {"nodecheck"},
    "static_files": set(),
    "stored": {"composed", "errors", "keepable", "nested", "prepared", "sqltext"},
    "summaries": set(),
    "summed_log": set(),
    "source_lines": set(),
    "spans": set(),
    "system_metrics": set(),
    "surroundings": {"settings"},
    "tally": {"fingerprint", "lines", "query_group", "query_log"},
    "timers": {"spans", "timings"},
    "timings": {"fork"},
    "tokens": {"errors"},
    "totals": {"board", "metric_names", "run_folder", "summed_log"},
    "trusted_hosts": set(),
    "treesql": {"catalog", "composed", "errors", "nested"},
    "unpooled": {"connection", "errors", "monitor"},
    "tracing": {"connection", "fingerprint", "lines", "monitor", "rows", "settings"},
    "upkeep": {"holders", "record"},
    "versioned": {"http"},
    "values_clause": {"errors", "sqlmask"},
    "waitqueue": set(),
    "watched": {"errors", "pool_options", "rows", "site", "statements"},
    "watch": {
        "connection", "errors", "events", "explain", "log_end", "log_setup", "metrics", "monitor",
        "ops_publish", "query_table", "repeats", "request_end", "settings", "slow", "sql_comments",
    },
    "whose": {"monitor", "query_log"},
    "worker_figures": {
        "cache_stats", "database_helper", "dropin", "metric_names", "pool_classes", "recorder", "system_metrics",
    },
    "write_pages": {"errors", "lookup"},
}  # fmt: skip
KNOW_FLASK = {
    "adopt", "app_loader", "auth", "batch_routes", "compress", "extension", "http", "http_policy", "oauth_state",
    "page_routes", "per_request", "pytest_plugin", "rate_limits", "report_routes", "selftest", "serving",
    "static_files", "streaming", "trusted_hosts", "versioned",
}  # fmt: skip
# importing.py runs before the runtime has a name to import the settings from.
READ_ENVIRONMENT = {"settings", "importing"}
# Packages that an app need not have; imported where they are first used, never when the module is.
OPTIONAL = {"exposition": {"prometheus_client"}, "pytest_plugin": {"pytest"}, "tracing": {"opentelemetry"}}


def _imports(path: Path) -> tuple[set[str], set[str]]:
    """Return the siblings and the outside packages that a module imports, wherever in it."""
    siblings, outside = set(), set()
    for node in ast.walk(ast.parse(path.read_text())):
        if isinstance(node, ast.ImportFrom) and node.level == 1:
            siblings |= {node.module.split(".")[0]} if node.module else {alias.name for alias in node.names}
        elif isinstance(node, ast.ImportFrom) and node.level == 0:
            outside.add((node.module or "").split(".")[0])
        elif isinstance(node, ast.Import):
            outside |= {alias.name.split(".")[0] for alias in node.names}
    return siblings, outside


@pytest.mark.parametrize("name", sorted(MODULES))
def test_module_imports_only_what_the_table_allows(name: str) -> None:
    assert _imports(MODULES[name])[0] == MAY_IMPORT[name]


def test_the_table_is_of_the_modules_that_there_are() -> None:
    assert set(MAY_IMPORT) == set(MODULES)


def test_imports_form_no_cycle() -> None:
    list(TopologicalSorter(MAY_IMPORT).static_order())


@pytest.mark.parametrize("name", sorted(MODULES))
def test_flask_and_the_environment_are_known_to_few(name: str) -> None:
    outside = _imports(MODULES[name])[1]
    assert not outside - sys.stdlib_module_names - {"flask", "werkzeug", "psycopg2"} - OPTIONAL.get(name, set())
    assert not ({"flask", "werkzeug"} & outside) or name in KNOW_FLASK
    assert name in READ_ENVIRONMENT or not _reads_environment(MODULES[name])


def _reads_environment(path: Path) -> bool:
    """Tell whether a module uses os.environ or os.getenv, in whatever spelling."""
    words = {"environ", "environb", "getenv", "putenv"}
    for node in ast.walk(ast.parse(path.read_text())):
        if isinstance(node, ast.Attribute) and ast.unparse(node.value) == "os" and node.attr in words:
            return True
        if isinstance(node, ast.ImportFrom) and node.module == "os" and words & {one.name for one in node.names}:
            return True
    return False


@pytest.mark.parametrize("name", sorted({**MODULES, **SHOP}))
def test_module_says_what_it_is_for_and_fits_in_one_s_head(name: str) -> None:
    text = {**MODULES, **SHOP}[name].read_text()
    assert ast.get_docstring(ast.parse(text))
    assert len(text.splitlines()) <= 400


@pytest.mark.parametrize("name", sorted({**MODULES, **SHOP}))
def test_no_module_names_its_own_package(name: str) -> None:
    """A copy under another name must work."""
    assert "backend" not in _imports({**MODULES, **SHOP}[name])[1]


APP = """
import sys
class Fence:
    def find_spec(self, name, path=None, target=None):
        top = name.partition(".")[0]
        if top not in sys.stdlib_module_names and top not in {allowed!r}:
            raise ImportError("not in a production environment: " + name)
sys.meta_path.insert(0, Fence())
sys.path.insert(0, {folder!r})
import platform_kit
from platform_kit import Hardening, get_db_connection, install, many, one, transaction
from flask import Flask
import psycopg2
assert not platform_kit.database_helper.current_pool()
app = Flask("copy")
Hardening(app, DATABASE_URL={url!r})
@app.get("/")
def answer():
    with transaction() as conn:
        conn.cursor().execute("CREATE TEMP TABLE numbers (n int) ON COMMIT DROP")
        conn.cursor().execute("INSERT INTO numbers VALUES (2)")
        return one("SELECT 1 AS one, {{rest}}", rest=many("SELECT n FROM numbers")).json(conn)
install()
psycopg2.connect({url!r}).close()
client = app.test_client()
print(client.get("/").get_data(as_text=True), client.get("/readyz").json["checks"]["database"])
print(sorted(name for name in sys.modules if name.partition(".")[0] == "backend"))
"""


def _closure(*distributions: str) -> set[str]:
    """Return the modules that these distributions and all they need bring along."""
    found: set[str] = set()
    unseen = list(distributions)
    while unseen:
        name = canonicalize_name(unseen.pop())
        if name in found:
            continue
        found.add(name)
        needs = [Requirement(text) for text in metadata.requires(name) or ()]
        unseen += [need.name for need in needs if need.marker is None or need.marker.evaluate({"extra": ""})]
    files = [file for name in found for file in metadata.files(name) or ()]
    return {file.parts[0].removesuffix(".py") for file in files if file.suffix in (".py", ".so")}


def test_a_copy_under_another_name_serves_a_request_with_flask_and_psycopg2_alone(
    tmp_path: Path, url: str
) -> None:
    shutil.copytree(BACKEND, tmp_path / "platform_kit", ignore=shutil.ignore_patterns("shop", "__pycache__"))
    allowed = {*_closure("flask", "psycopg2-binary"), "platform_kit"}
    assert {"flask", "werkzeug", "psycopg2"} < allowed
    assert not {"pytest", "psycopg", "gunicorn", "backend"} & allowed
    code = APP.format(allowed=allowed, folder=str(tmp_path), url=url)
    done = subprocess.run([sys.executable, "-I", "-c", code], capture_output=True, text=True, cwd=tmp_path)
    said = ['{"one":1,"rest":[{"n":2}]} [\'ok\', \'ok\']', "[]"]
    assert (done.stdout.splitlines(), done.returncode) == (said, 0), done.stderr


def test_nothing_happens_at_import() -> None:
    """No connection, no thread, no patch, no setting read: an import must not fail where there is no database."""
    code = (
        "import psycopg2, threading, flask; connect, run, threads = psycopg2._connect, flask.Flask.run, "
        "threading.active_count()\nimport backend, backend.serving, backend.importing\n"
        "assert (psycopg2._connect, flask.Flask.run, threading.active_count()) == (connect, run, threads)\n"
        "assert backend.database_helper.current_pool() is None"
    )
    done = subprocess.run(
        [sys.executable, "-c", code], capture_output=True, text=True, cwd=BACKEND.parent,
        env={"DB_POOL_MAX": "wrong", "DATABASE_URL": "wrong", "PATH": ""},
    )  # fmt: skip
    assert (done.returncode, done.stderr) == (0, "")


def test_every_public_name_is_there_and_documented() -> None:
    for name in backend.__all__:
        assert getattr(backend, name).__doc__, name
    assert len(set(backend.__all__)) == len(backend.__all__)  # their order is ruff's business
