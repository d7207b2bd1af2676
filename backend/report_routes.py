"""Exports as routes: a named SELECT with declared parameters, streamed as CSV, NDJSON or a JSON array.

    app.register_blueprint(report_routes("reports", {
        "revenue": Report("SELECT paid_on, amount FROM payments WHERE paid_on >= %(since)s ORDER BY paid_on",
                          takes={"since": day()}, allowed=is_accountant, filename="revenue-{since}")}))

`GET /reports/revenue.csv?since=2024-01-01`. HEAD answers what GET would of permission and parameters, without a
query. One of the few modules that know Flask. If this is wrong, an export leaves the house that must not.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field, replace
from string import Formatter
from typing import Any

from flask import Blueprint, Response, abort, request
from psycopg2.sql import Composable

from .composed import text_of
from .declared import Takes, read_parameters
from .errors import ParameterError, StreamError
from .keepable import OCCURRENCE
from .nested import Node
from .page_routes import refuse_page
from .row_formats import CSV, CsvDialect
from .stream_source import StreamOptions
from .streaming import DEFAULTS, stream_csv, stream_headers, stream_json, stream_ndjson

TYPES = {"csv": "text/csv; charset=utf-8", "ndjson": "application/x-ndjson", "json": "application/json"}
_NAME = re.compile(r"[A-Za-z0-9_-]{1,63}")
_UNFIT = re.compile(r"[^\w.-]")  # in a file's name, where a client's text may become a part of it


@dataclass(frozen=True)
class Report:
    """One report.

    Attributes:
        sql: one SELECT, as `stream_csv` takes it; for the two JSON formats a `many(...)` too.
        takes: the parameters that a client sends, by name; see declared.py.
        given: called within the request, returns the parameters that the client has no say in, such as who asks.
        allowed: called with all parameters before any SQL; False, or an `abort(403)` in it, refuses the report.
        filename: without its ending; `{name}` is a parameter's value. The report's name when None.
        formats: of `csv`, `ndjson`, `json`; all that fit when empty.
        dialect: how CSV is written; `CSV_SPREADSHEET` for what people open.
        options: time limits, COPY or cursor, and how many streams at a time where `report_routes` does not say.

    Raises:
        StreamError: a format or a field of the filename that cannot be, or parameters that are not the SQL's.
    """

    sql: str | Composable | Node
    takes: Takes = field(default_factory=dict)
    given: Callable[[], Mapping[str, Any]] | None = None
    allowed: Callable[[Mapping[str, Any]], bool | None] | None = None
    filename: str | None = None
    formats: tuple[str, ...] = ()
    dialect: CsvDialect = CSV
    options: StreamOptions = DEFAULTS

    def __post_init__(self) -> None:
        fitting = [name for name in TYPES if name != "csv" or not isinstance(self.sql, Node)]
        wrong = [name for name in self.formats if name not in fitting]
        if wrong:
            raise StreamError(f"format {wrong[0]!r} cannot be; this report can be {', '.join(fitting)}")
        object.__setattr__(self, "formats", self.formats or tuple(fitting))
        if self.given is None:
            self._check_names()

    def _check_names(self) -> None:
        known = set(self.takes)
        wanted = _names_in(self.sql) if known or isinstance(self.sql, Node) else set()
        fields = {name for _, name, _, _ in Formatter().parse(self.filename or "") if name is not None}
        if known != wanted:
            raise StreamError(f"takes={sorted(known)}, but the SQL of the report names {sorted(wanted)}")
        if fields - known:
            raise StreamError(f"filename={self.filename!r} names what is no parameter: {sorted(fields - known)}")

    def name_of_file(self, name: str, form: str, parameters: Mapping[str, Any]) -> str:
        """Return what the browser saves the report as; signs that could be trouble in a value become _."""
        shown = {key: _UNFIT.sub("_", str(value)) for key, value in parameters.items()}
        return f"{(self.filename or name).format_map(shown)}.{form}"


def report_routes(
    name: str, reports: Mapping[str, Report], url: str | None = None, *, most: int = 0, pool: Any = None
) -> Blueprint:
    """Return a blueprint with a route for each report and format: `<url>/<report>.<format>`.

    Args:
        name: the blueprint's name.
        reports: by the name that stands in the path.
        url: what the paths begin with; `/name` when None.
        most: streams of the pool at a time, in this process; then a 503 with Retry-After. 0 leaves it to each
            report's `options`, that is a quarter of the pool's connections.
        pool: where connections come from; the process's own pool when None.

    Raises:
        StreamError: a name that cannot stand in a path.
    """
    blueprint = Blueprint(name, __name__)
    for label, report in reports.items():
        if not _NAME.fullmatch(label):
            raise StreamError(f"{label!r} names no report; use ASCII letters, digits, _ and -, at most 63")
        held = replace(report, options=replace(report.options, most=most)) if most else report
        for form in held.formats:
            path = f"{url or '/' + name}/{label}.{form}"
            blueprint.add_url_rule(path, endpoint=f"{label}_{form}", view_func=_view(label, held, form, pool))
    blueprint.register_error_handler(ParameterError, refuse_page)
    return blueprint


def _view(name: str, report: Report, form: str, pool: Any) -> Callable[[], Response]:
    def answer() -> Response:
        parameters = _parameters(report)
        filename = report.name_of_file(name, form, parameters)
        if request.method == "HEAD":  # an iterator, so that no length is told
            return Response(iter(()), headers=stream_headers(filename), content_type=TYPES[form])
        bound = parameters if report.takes or report.given else None
        if form == "csv":
            return _csv(report, bound, filename, pool)
        stream = stream_json if form == "json" else stream_ndjson
        return stream(report.sql, bound, filename=filename, options=report.options, pool=pool)

    return answer


def _csv(report: Report, parameters: Mapping[str, Any] | None, filename: str, pool: Any) -> Response:
    if isinstance(report.sql, Node):
        raise StreamError("CSV has no place for nested rows")  # refused already when the report was made
    options, dialect = report.options, report.dialect
    return stream_csv(report.sql, parameters, filename=filename, dialect=dialect, options=options, pool=pool)


def _parameters(report: Report) -> dict[str, Any]:
    sent = request.args.to_dict(flat=False)
    if any(len(values) > 1 for values in sent.values()):
        raise ParameterError("a parameter stands twice; each can be sent once")
    parameters = read_parameters(report.takes, {key: values[0] for key, values in sent.items()})
    if report.given is not None:
        parameters.update(report.given())
    if report.allowed is not None and not report.allowed(parameters):
        abort(403)
    return parameters


def _names_in(sql: str | Composable | Node) -> set[str]:
    if isinstance(sql, Node):
        return set(sql.parameters)
    return {found[1] for found in OCCURRENCE.finditer(text_of(sql)) if found[1]}
