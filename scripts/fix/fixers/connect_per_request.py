"""Pools every connection of an app by one line: `adopt(app)` behind the statement that makes the app.

Call sites stay as they are: within the app `psycopg2.connect` leases from a pool, and what a request leaves open
goes back at its end. The runtime sets the timeouts that the app does not.
"""

from __future__ import annotations

from collections.abc import Iterator

from ...audit.rules.vendored_kit import is_pooled
from ..connections.adoption import adoption
from ..connections.naming import VENDOR_FIRST
from ..fixer import Change, Context, Fixer, Left

RULES = ("connect-per-request", "no-connect-timeout", "no-statement-timeout")
NO_APP = "no statement here gives a Flask app a name, so there is nothing to adopt"


def _fix(context: Context) -> Iterator[Change | Left]:
    findings = context.of(*RULES)
    if not findings:
        return
    if not context.kit:
        yield from (Left(each, VENDOR_FIRST) for each in findings)
        return
    if is_pooled(context.project):
        yield from (Left(each, "the app is adopted, and this stays outside of its pools") for each in findings)
        return
    found = adoption(context)
    if found is None:
        suggestion = f"from {context.kit} import adopt\n\nadopt(app)  # where the Flask app is made"
        yield from (Left(each, NO_APP, suggestion) for each in findings)
        return
    count = len(found.edits)
    what = "the app" if count == 1 else f"{count} apps"
    yield Change(
        tuple(findings), found.place, f"adopt {what}: connections come from a pool, and go back after a request",
        found.edits, imports=found.imports,
        note="pool sizes and timeouts are settings: DB_POOL_MAX, DB_STATEMENT_TIMEOUT_MS",
    )  # fmt: skip


FIXER = Fixer(
    rules=RULES,
    title="`adopt(app)` behind the statement that makes the app; every `psycopg2.connect` of a request then leases"
    " from a pool, with timeouts.",
    stage=3,
    leaves_alone=(
        "Projects without the vendored runtime.",
        "Projects that make no Flask app, only blueprints.",
        "Apps of tests, and apps that nothing gives a name.",
    ),
    fix=_fix,
)
