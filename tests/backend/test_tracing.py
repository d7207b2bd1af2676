"""Spans by OpenTelemetry's own SDK: what they carry, what they never do, and that nothing depends on them."""

from __future__ import annotations

import logging
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import psycopg2
import pytest
from flask import Flask
from psycopg2.extras import RealDictCursor, execute_values
from psycopg2.sql import SQL, Identifier, Literal

pytest.importorskip("opentelemetry.sdk", reason="opentelemetry-sdk is not installed")
pytest.importorskip(
    "opentelemetry.instrumentation.flask", reason="opentelemetry-instrumentation-flask is not installed"
)

from opentelemetry import trace
from opentelemetry.instrumentation.flask import FlaskInstrumentor
from opentelemetry.sdk.trace import TracerProvider
from opentelemetry.sdk.trace.export import SimpleSpanProcessor
from opentelemetry.sdk.trace.export.in_memory_span_exporter import InMemorySpanExporter

from backend import Hardening, get_db_connection, install, monitor, query_cache, tracing, watch
from backend.database_helper import close_pool
from backend.settings import load
from tests.backend.conftest import MakePool

SECRET = "zqxsecretzqx"
ROOT = Path(__file__).resolve().parents[2]
EXPORTER = InMemorySpanExporter()


@pytest.fixture(scope="module")
def provider() -> TracerProvider:
    """OpenTelemetry lets one provider be set for a process, once."""
    made = TracerProvider()
    made.add_span_processor(SimpleSpanProcessor(EXPORTER))
    trace.set_tracer_provider(made)
    return made


@pytest.fixture
def spans(provider: TracerProvider) -> Iterator[InMemorySpanExporter]:
    EXPORTER.clear()
    yield EXPORTER
    tracing.stop()
    watch.stop()


def _app(url: str, **settings: Any) -> Flask:
    app = Flask("traced")

    @app.get("/rows/<int:number>")
    def rows(number: int) -> dict[str, Any]:
        with get_db_connection() as conn, conn.cursor() as cursor:
            cursor.execute("SELECT 'row', %s FROM pg_class LIMIT 1", (f"{SECRET}{number}",))
            cursor.execute(f"SELECT relname FROM pg_class WHERE relname = '{SECRET}'")
            return {"monitored": isinstance(cursor, monitor.Monitored), "plain": type(conn).__mro__[-2].__name__}

    Hardening(app, DATABASE_URL=url, HARDEN_TRACES=True, **settings)
    return app


def _of_queries(spans: InMemorySpanExporter) -> list[Any]:
    return [span for span in spans.get_finished_spans() if span.kind is trace.SpanKind.CLIENT]


def test_a_request_has_its_span_and_the_queries_are_its_children(url: str, spans: InMemorySpanExporter) -> None:
    app = _app(url)
    try:
        assert app.test_client().get("/rows/7").get_json()["monitored"]
    finally:
        FlaskInstrumentor().uninstrument_app(app)
        close_pool()
    (served,) = [span for span in spans.get_finished_spans() if span.kind is trace.SpanKind.SERVER]
    queries = _of_queries(spans)
    assert served.name == "GET /rows/<int:number>"
    assert [span.name for span in queries] == ["SELECT pg_class"] * 2
    assert {span.parent.span_id for span in queries} == {served.context.span_id}
    assert queries[0].attributes["db.query.text"] == "select ?, ? from pg_class limit ?"
    assert queries[0].attributes["db.system.name"] == "postgresql"
    assert queries[0].attributes["db.namespace"] == "app"


def test_no_span_carries_a_value(make_pool: MakePool, url: str, spans: InMemorySpanExporter) -> None:
    tracing.start(Flask("other"), load({"DATABASE_URL": url, "HARDEN_TRACES": True}))
    with make_pool().connection() as conn, conn.cursor() as cursor:
        cursor.execute("CREATE TEMP TABLE kept (a text UNIQUE)")
        cursor.execute(SQL("INSERT INTO {} VALUES ({})").format(Identifier("kept"), Literal(SECRET)))
        cursor.executemany("INSERT INTO kept VALUES (%s)", [(SECRET + "1",), (SECRET + "2",)])
        execute_values(cursor, "INSERT INTO kept VALUES %s", [(SECRET + "3",)])
        cursor.callproc("upper", (SECRET,))
        with pytest.raises(psycopg2.errors.UniqueViolation):
            cursor.execute("INSERT INTO kept VALUES (%s)", (SECRET,))
        conn.rollback()
    found = _of_queries(spans)
    assert SECRET not in "".join(span.to_json() for span in found)
    assert [span.name for span in found] == [
        "CREATE kept", "INSERT kept", "INSERT kept", "INSERT kept", "CALL upper", "INSERT kept",
    ]  # fmt: skip
    assert found[-1].attributes["error.type"] == "23505"
    assert found[-1].status.status_code is trace.StatusCode.ERROR
    assert not found[-1].events


@pytest.mark.parametrize("order", ["drop-in first", "traces first"])
def test_cursors_stay_the_apps_own_with_the_drop_in(
    order: str, dsn: str, url: str, spans: InMemorySpanExporter
) -> None:
    settings = load({"DATABASE_URL": url, "HARDEN_TRACES": True})
    steps = [install, lambda: (watch.start(settings), tracing.start(Flask("other"), settings))]
    for step in steps if order == "drop-in first" else reversed(steps):
        step()  # type: ignore[operator]
    conn = psycopg2.connect(dsn, cursor_factory=RealDictCursor)
    assert isinstance(conn, psycopg2.extensions.connection)
    with conn.cursor() as cursor, conn.cursor("named") as named:
        assert isinstance(cursor, RealDictCursor) and isinstance(cursor, monitor.Monitored)
        cursor.execute("SELECT 1 AS one")
        assert cursor.fetchall() == [{"one": 1}]
        named.execute("SELECT 2 AS two")
        assert named.fetchall() == [{"two": 2}]
    with conn.cursor(cursor_factory=psycopg2.extensions.cursor) as plain:
        plain.execute("SELECT 3")
        assert plain.fetchone() == (3,)
    conn.close()
    assert [span.name for span in _of_queries(spans)] == ["SELECT"] * 3


def test_the_monitor_still_finds_the_line(make_pool: MakePool, url: str, spans: InMemorySpanExporter) -> None:
    settings = load({"DATABASE_URL": url, "HARDEN_TRACES": True})
    watch.start(settings)
    tracing.start(Flask("other"), settings)
    with make_pool().connection() as conn, monitor.watching() as watched, conn.cursor() as cursor:
        cursor.execute("SELECT 1")
        (group,) = watched.groups()
    assert "test_tracing.py" in group.event().site


def test_psycopg2_s_own_instrumentor_is_noticed_and_harms_nothing(
    dsn: str, url: str, spans: InMemorySpanExporter, caplog: pytest.LogCaptureFixture
) -> None:
    pytest.importorskip("opentelemetry.instrumentation.psycopg2")
    from opentelemetry.instrumentation.psycopg2 import Psycopg2Instrumentor

    Psycopg2Instrumentor().instrument(skip_dep_check=True)
    try:
        install()
        tracing.start(Flask("other"), load({"DATABASE_URL": url, "HARDEN_TRACES": True}))
        assert "OTEL_PYTHON_DISABLED_INSTRUMENTATIONS=psycopg2" in caplog.text
        for _ in range(3):
            conn = psycopg2.connect(dsn)
            with conn.cursor() as cursor:
                cursor.execute("SELECT 1")
                assert cursor.fetchone() == (1,)
            conn.close()
        assert len(_of_queries(spans)) == 6
    finally:
        Psycopg2Instrumentor().uninstrument()


def test_off_is_off(make_pool: MakePool, url: str, spans: InMemorySpanExporter) -> None:
    tracing.start(Flask("other"), load({"DATABASE_URL": url}))
    with make_pool().connection() as conn, conn.cursor() as cursor:
        cursor.execute("SELECT 1")
    assert not spans.get_finished_spans()


ALONE = """
import sys, logging
logging.basicConfig(format="%(message)s", stream=sys.stdout)
{fence}
from flask import Flask
from backend import tracing
from backend.settings import load
settings = load({{"DATABASE_URL": "postgresql://localhost/x", "HARDEN_TRACES": True}}, environ={{}})
tracing.start(Flask("x"), settings)
print("served")
"""
FENCE = "sys.modules['opentelemetry'] = None"


@pytest.mark.parametrize(("fence", "said"), [(FENCE, "pip install"), ("", "no tracer provider is set")])
def test_what_is_missing_is_one_line_in_the_log(fence: str, said: str) -> None:
    done = subprocess.run(
        [sys.executable, "-c", ALONE.format(fence=fence)], cwd=ROOT, capture_output=True, text=True, check=True
    )
    line, served = done.stdout.strip().splitlines()
    assert said in line and "HARDEN_TRACES" in line
    assert served == "served"


def test_a_tracer_that_fails_fails_alone(
    make_pool: MakePool, url: str, spans: InMemorySpanExporter, monkeypatch: pytest.MonkeyPatch,
    caplog: pytest.LogCaptureFixture,
) -> None:  # fmt: skip
    tracing.start(Flask("other"), load({"DATABASE_URL": url, "HARDEN_TRACES": True}))
    monkeypatch.setattr(tracing, "_attributes", lambda *_: 1 / 0)
    caplog.set_level(logging.DEBUG, "backend.tracing")
    with make_pool().connection() as conn, conn.cursor() as cursor:
        cursor.execute("SELECT 1")
        assert cursor.fetchone() == (1,)
    assert "not traced" in caplog.text


def test_the_page_names_what_is_there() -> None:
    page = (ROOT / "docs" / "traces.md").read_text(encoding="utf-8")
    for word in (
        "HARDEN_TRACES", "db.query.text", "db.query.summary", "db.operation.name", "db.namespace", "error.type",
        "server.address", "server.port", "db.response.status_code", "OTEL_PYTHON_DISABLED_INSTRUMENTATIONS",
    ):  # fmt: skip
        assert word in page


def test_a_query_has_one_span_where_cursors_use_the_query_cache(
    make_pool: MakePool, url: str, spans: InMemorySpanExporter
) -> None:
    tracing.start(Flask("other"), load({"DATABASE_URL": url, "HARDEN_TRACES": True}))
    with query_cache(), make_pool().connection() as conn, conn.cursor() as cursor:
        for _ in range(3):
            cursor.execute("SELECT 1")
            assert cursor.fetchone() == (1,)
    assert len(_of_queries(spans)) == 1
