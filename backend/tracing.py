"""OpenTelemetry spans of requests and queries, where HARDEN_TRACES is on: by OpenTelemetry's own packages.

Requests are traced by opentelemetry-instrumentation-flask, queries by a cursor class of ours through the API. The
exporter, the sampling and the resource are the SDK's affair: this sets up none of them. A query's span carries the
statement without its values, never the text that was sent, nor what the server said of it.
Imports OpenTelemetry on first use; knows Flask only as what the instrumentor is handed. If this is wrong, traces
miss queries; requests are served all the same.
"""

from __future__ import annotations

import logging
from collections.abc import Callable
from typing import Any

import psycopg2

from . import connection, monitor
from .fingerprint import statement_of
from .lines import text_of
from .rows import made_as
from .settings import Settings

log = logging.getLogger(__name__)
NAME = "harden"  # of the instrumentation scope
HOW = "pip install opentelemetry-sdk opentelemetry-instrumentation-flask"
MOST_CLASSES = 1000
_api: Any = None  # the module opentelemetry.trace, once queries are traced
_tracer: Any = None
_METHODS: dict[str, Callable[..., Any]] = {"execute": monitor.first, **monitor.SENDERS}
_MARKS = {"__slots__": (), "_is_traced": True}
_classes: dict[type[Any], type[Any]] = {}


def start(app: Any, settings: Settings) -> None:
    """Trace an app's requests and all queries of leases from now on, if the settings say so.

    What is missing is logged, in one line; the app is served without traces.
    """
    if not settings["HARDEN_TRACES"]:
        return
    trace = _trace_api()
    if trace is None:
        return
    _trace_queries(trace)
    _trace_requests(app)
    if isinstance(trace.get_tracer_provider(), trace.ProxyTracerProvider):
        log.warning(
            "HARDEN_TRACES is on, but no tracer provider is set, so spans go nowhere yet; start the server with "
            "opentelemetry-instrument, or call opentelemetry.trace.set_tracer_provider"
        )


def stop() -> None:
    """Trace queries no more."""
    global _api, _tracer
    _api = _tracer = None
    _classes.clear()
    if connection.monitored is cursor_of:
        connection.monitored = monitor.cursor_of


def _trace_api() -> Any:
    try:
        from opentelemetry import trace
    except ImportError as error:
        log.warning("HARDEN_TRACES is on, but OpenTelemetry is missing (%s), so nothing is traced; %s", error, HOW)
        return None
    return trace


def _trace_queries(trace: Any) -> None:
    global _api, _tracer
    _api, _tracer = trace, trace.get_tracer(NAME)
    connection.monitored = cursor_of
    if hasattr(psycopg2.connect, "__wrapped__"):
        log.warning(
            "psycopg2 is traced already: each query gets a second span, with the text as it was sent; set "
            "OTEL_PYTHON_DISABLED_INSTRUMENTATIONS=psycopg2"
        )


def _trace_requests(app: Any) -> None:
    if getattr(app, "_is_instrumented_by_opentelemetry", False):
        return  # opentelemetry-instrument, or the app itself
    try:
        from opentelemetry.instrumentation.flask import FlaskInstrumentor

        instrumentor: Any = FlaskInstrumentor()
        instrumentor.instrument_app(app)
    except Exception as error:  # whatever a version of it dislikes must not keep the app from being served
        log.warning("requests are not traced, queries are: %s: %s; %s", type(error).__name__, error, HOW)


def cursor_of(conn: Any, make: Callable[..., Any], args: tuple[Any, ...], kwargs: dict[str, Any]) -> Any:
    """Return the cursor that `make` makes of the arguments, monitored and traced."""
    cursor = monitor.cursor_of(conn, make, args, kwargs)
    return made_as(traced(type(cursor)), cursor, make, *args, **kwargs)


def traced(kind: type[Any]) -> type[Any]:
    """Return the traced subclass of a cursor class."""
    if getattr(kind, "_is_traced", False):  # a layer of the kit's own above it, such as the query cache's
        return kind
    made = _classes.get(kind)
    if made is None:
        body = {name: _traced(getattr(kind, name), what) for name, what in _METHODS.items()}
        if len(_classes) >= MOST_CLASSES:
            _classes.clear()
        try:
            made = type(kind.__name__, (kind,), {**body, **_MARKS, "__module__": kind.__module__})
        except TypeError:  # a class that will not have subclasses
            made = kind
        _classes[kind] = made
    return made


def _traced(base: Any, what: Callable[..., Any]) -> Any:
    def call(self: Any, *args: Any, **kwargs: Any) -> Any:
        span = _begun(self, what, args, kwargs)
        if span is None:
            return base(self, *args, **kwargs)
        try:
            done = base(self, *args, **kwargs)
        except BaseException as error:
            _failed(span, error)
            raise
        finally:
            span.end()
        return done

    call.__name__ = base.__name__
    return call


def _begun(cursor: Any, what: Callable[..., Any], args: tuple[Any, ...], kwargs: dict[str, Any]) -> Any:
    """Return the span of a query; None where nothing is traced."""
    if _tracer is None:
        return None
    try:
        statement = statement_of(text_of(what(*args, **kwargs))[0])
        attributes = _attributes(cursor, statement)
        return _tracer.start_span(statement.summary, kind=_api.SpanKind.CLIENT, attributes=attributes)
    except Exception:  # whatever goes wrong here must not fail the app's query
        log.debug("a query is not traced", exc_info=True)
        return None


def _attributes(cursor: Any, statement: Any) -> dict[str, Any]:
    """Return a query's attributes, by OpenTelemetry's conventions for databases."""
    found = {
        "db.system.name": "postgresql", "db.query.text": statement.text, "db.query.summary": statement.summary,
        "db.operation.name": statement.kind,
    }  # fmt: skip
    info = cursor.connection.info
    if info.dbname:
        found["db.namespace"] = info.dbname
    if info.host:
        found["server.address"] = info.host
        found["server.port"] = info.port
    return found


def _failed(span: Any, error: BaseException) -> None:
    """Note that a query failed, and how; not the server's words, which may quote values."""
    try:
        state = getattr(error, "pgcode", None)
        span.set_attribute("error.type", state or type(error).__name__)
        if state:
            span.set_attribute("db.response.status_code", state)
        span.set_status(_api.StatusCode.ERROR)
    except Exception:
        log.debug("a failed query's span lacks its error", exc_info=True)
