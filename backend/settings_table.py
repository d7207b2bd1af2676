"""The table of all settings: names, checks, bounds, defaults and what they do; `settings.py` reads it.

It drives parsing, the docs and the test that they agree. A parser raises ValueError with a reason, and never
repeats a value that may be secret. Must not import Flask, or anything of ours.
"""

from __future__ import annotations

import math
import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any

import psycopg2
from psycopg2.extensions import parse_dsn

TRUE = frozenset({"1", "true", "yes", "on"})
FALSE = frozenset({"0", "false", "no", "off", ""})
SECRETS = frozenset({
    "DATABASE_URL", "HARDEN_REDIRECT_DSN", "HARDEN_OPS_TOKEN", "HARDEN_CURSOR_KEY", "HARDEN_PGBOUNCER_DSN",
})  # fmt: skip
_HOST = re.compile(r"(\*\.)?([a-z0-9_-]+(\.[a-z0-9_-]+)*|\[[0-9a-f:.]+\])(:\d{1,5})?")


@dataclass(frozen=True)
class Setting:
    """One row of the table.

    Attributes:
        name: the environment variable, and the key in `app.config`.
        parse: turns text or a Python value into the value; raises ValueError with a reason.
        default: the value when nothing sets it; None means "derived" or "off", the text says which.
        low, high: inclusive bounds for numbers; None is unbounded.
        unit: "s", "ms", "count" or "".
        group: "essential", "frequent" or "rare".
        text: one sentence.
    """

    name: str
    parse: Callable[[Any], Any]
    default: Any
    low: float | None
    high: float | None
    unit: str
    group: str
    text: str


def _integer(value: Any) -> int:
    if isinstance(value, bool):
        raise ValueError("is not a whole number")
    try:
        return int(str(value).strip())
    except ValueError:
        raise ValueError("is not a whole number") from None


def _number(value: Any) -> float:
    try:
        number = float(str(value).strip())
    except ValueError:
        raise ValueError("is not a number") from None
    if not math.isfinite(number):
        raise ValueError("is not a finite number")
    return number


def _text(value: Any) -> str:
    text = str(value)
    if "\x00" in text:
        raise ValueError("contains a NUL character")
    return text


def _flag(value: Any) -> bool:
    text = str(value).strip().lower()
    if text not in TRUE | FALSE:
        raise ValueError("is neither true nor false")
    return text in TRUE


def _dsn(value: Any) -> str:
    """Check what libpq can check without connecting; never repeat the value, it may hold a password."""
    dsn = _text(value)
    try:
        parts = parse_dsn(dsn)
    except psycopg2.Error as error:
        raise ValueError(f"is not a PostgreSQL URL or DSN ({_reason(error, dsn)})") from None
    if not parts:
        raise ValueError("is empty; give postgresql://user:password@host:5432/dbname")
    return dsn


def _reason(error: Exception, dsn: str) -> str:
    """Return libpq's reason without the parts of the DSN that it quotes."""
    reason = str(error).strip().splitlines()[0]
    head = reason.split('"', 1)[0].strip().rstrip(":")
    if "percent" in reason:
        return "a % in the password must be written %25"
    scheme = re.match(r"([a-z][a-z0-9+.-]*)://", dsn)
    if scheme and scheme[1] not in ("postgres", "postgresql"):
        return f"its scheme is {scheme[1]!r}, not postgresql"
    return head.removeprefix("invalid dsn: ").removeprefix("ProgrammingError: ") or "libpq cannot parse it"


def _hosts(value: Any) -> str:
    text = _text(value).strip().lower()
    wrong = [host for host in re.split(r"[\s,]+", text) if not _HOST.fullmatch(host)]
    if wrong:
        raise ValueError(f"has {wrong[0]!r}, which is no host's name; write shop.example.com, *.example.com")
    return text


def _keys(value: Any) -> str:
    text = _text(value).strip()
    if min(map(len, re.split(r"[\s,]+", text))) < 16:
        raise ValueError("has a key shorter than 16 characters")
    return text


def _choice(*allowed: str) -> Callable[[Any], str]:
    def parse(value: Any) -> str:
        text = str(value).strip().lower()
        if text not in allowed:
            raise ValueError(f"is not one of {', '.join(allowed)}")
        return text

    return parse


S = Setting
TABLE: tuple[Setting, ...] = (
    S("DATABASE_URL", _dsn, None, None, None, "", "essential",
      "Where the app's database is: a postgresql:// URL or a libpq DSN."),
    S("DB_POOL_MIN", _integer, 1, 0, 10_000, "count", "essential",
      "Connections that are kept even when idle for long, per worker process."),
    S("DB_POOL_MAX", _integer, None, 1, 10_000, "count", "essential",
      "Most connections per worker process; when unset, as many as THREADS."),
    S("DB_POOL_TIMEOUT", _number, 10.0, 0, 3600, "s", "essential",
      "How long a caller waits for a free connection before PoolTimeout."),
    S("DB_POOL_MAX_LIFETIME", _number, 1800.0, 0, 1e9, "s", "frequent",
      "A connection older than this (less up to 10 % jitter) is replaced; 0 keeps it for ever."),
    S("DB_POOL_MAX_IDLE", _number, 600.0, 0, 1e9, "s", "frequent",
      "Connections above DB_POOL_MIN that are idle for longer are closed; 0 keeps them."),
    S("DB_POOL_PRE_PING_AFTER", _number, 30.0, 0, 1e9, "s", "frequent",
      "A connection idle for longer is pinged by a query before it is handed out; "
      "the socket itself is looked at after a millisecond."),
    S("DB_POOL_LEAK_AFTER", _number, 60.0, 0, 1e9, "s", "frequent",
      "A lease held for longer is logged once, with the stack that took it; 0 is off."),
    S("DB_POOL_HELD_IDLE_AFTER", _number, 5.0, 0, 1e9, "s", "frequent",
      "A lease held for longer without a query is logged once, with what its thread is doing; 0 is off."),
    S("DB_POOL_MAX_WAITING", _integer, 0, 0, 1_000_000, "count", "rare",
      "With this many callers waiting already, the next is refused at once; 0 is no limit."),
    S("DB_POOL_PEER_TIMEOUT", _number, 30.0, 0, 3600, "s", "rare",
      "A server that vanished without a word is noticed within this time, by TCP keepalives and "
      "tcp_user_timeout; 0 leaves it to the system (two hours)."),
    S("DB_POOL_KEPT_PLANS", _integer, 50, 0, 10_000, "count", "rare",
      "Statements of nested queries kept prepared per connection, where the session is the pool's own; "
      "0 is none."),
    S("DB_POOL_SESSION_STATE", _choice("refuse", "report", "allow"), None, None, None, "", "rare",
      "With DB_PGBOUNCER=transaction, what to do with a statement that changes the session; when unset, "
      "`refuse` in get_db_connection() and `report` for a replaced psycopg2.connect."),
    S("DB_STATEMENT_TIMEOUT_MS", _integer, 0, 0, 2_147_483_647, "ms", "frequent",
      "statement_timeout of each new connection when the server is reached directly; 0 leaves the role's own."),
    S("DB_SLOW_QUERY_MS", _number, 100.0, 0, 3_600_000, "ms", "frequent",
      "A query that takes longer is logged with its line, its statement and its plan; 0 is off."),
    S("DB_EXPLAIN_SLOW", _flag, True, None, None, "", "rare",
      "Ask for the plan of slow SELECTs, by EXPLAIN without executing them, one statement a second at most."),
    S("DB_QUERY_VALUES", _flag, False, None, None, "", "rare",
      "Log the values of a slow query's parameters as well; they may be personal data."),
    S("DB_REPEAT_LIMIT", _integer, 5, 0, 1_000_000, "count", "frequent",
      "A request that runs one statement from one line more often is reported as N+1; 0 is off."),
    S("DB_REPEATS", _choice("log", "raise"), "log", None, None, "", "frequent",
      "What to do about an N+1: `log` it, or `raise` RepeatsError, so that tests fail."),
    S("DB_SQL_COMMENTS", _flag, False, None, None, "", "rare",
      "End each statement with a comment that names route and function, for pg_stat_activity."),
    S("DB_PGBOUNCER", _choice("off", "session", "transaction"), "off", None, None, "", "essential",
      "Whether DATABASE_URL leads to PgBouncer, and its pool_mode."),
    S("HARDEN_APP", _text, None, None, None, "", "essential",
      "The app wsgi.py serves: path/to/app.py:app, package.module:app or package:create_app(); "
      "when unset, the reference shop."),
    S("HARDEN_ENV", _choice("production", "development", "test"), None, None, None, "", "essential",
      "When unset, FLASK_ENV and FLASK_DEBUG decide, else production."),
    S("HARDEN_REDIRECT_DSN", _dsn, None, None, None, "", "rare",
      "Every psycopg2.connect of the app goes to this DSN, wherever the app's own parameters point."),
    S("HARDEN_PROXIES", _integer, 0, 0, 10, "count", "frequent",
      "Trusted reverse proxies in front; that many X-Forwarded-For, -Proto and -Host entries are believed."),
    S("HARDEN_HOSTS", _hosts, None, None, None, "", "frequent",
      "The names that the app is called by, with commas between; a request for another one gets 400. Health "
      "checks are answered by any name."),
    S("HARDEN_OPS_TOKEN", _text, None, None, None, "", "frequent",
      "Opens /ops/, /metrics and /health/database/pool to callers that send `Authorization: Bearer TOKEN`; else "
      "they answer this machine alone."),
    S("HARDEN_PGBOUNCER_DSN", _dsn, None, None, None, "", "rare",
      "PgBouncer's console (dbname=pgbouncer, a user of stats_users), for its SHOW POOLS and SHOW STATS."),
    S("HARDEN_METRICS", _flag, True, None, None, "", "frequent",
      "Count requests, queries and the pool for /metrics and /ops/."),
    S("HARDEN_RUN_DIR", _text, None, None, None, "", "rare",
      "A private folder where the workers of one service share their figures; deploy/gunicorn.conf.py makes one, "
      "and without any each worker shows its own."),
    S("HARDEN_LOG_FORMAT", _choice("text", "json"), None, None, None, "", "frequent",
      "Write the log to stderr as text or JSON lines, with the request's id; when unset, logging is the app's."),
    S("HARDEN_TRACES", _flag, False, None, None, "", "rare",
      "Make OpenTelemetry spans of requests and queries, by OpenTelemetry's own packages."),
    S("HARDEN_CURSOR_KEY", _keys, None, None, None, "", "frequent",
      "Signs the cursors of lists, the same for all workers and hosts; several with commas between to change it, "
      "the new one first; when unset, app.secret_key signs."),
    S("HARDEN_SQLITE", _choice("warn", "refuse", "allow"), None, None, None, "", "rare",
      "When the app opens a SQLite file: `warn` once a file with the line, `refuse` to, or `allow` it; when unset "
      "`warn` in production, else `allow`."),
    S("HARDEN_CONNECTION_BUDGET", _choice("warn", "refuse", "off"), "warn", None, None, "", "rare",
      "When workers x maxconn exceed what the server or PgBouncer allows: `warn` at the first connection, or "
      "`refuse` to start."),
    S("WORKERS", _integer, None, 1, 1024, "count", "essential",
      "Gunicorn worker processes (WEB_CONCURRENCY is read too); when unset, the cores, 2 at least."),
    S("THREADS", _integer, 8, 1, 1024, "count", "essential",
      "Threads per worker, and so the most connections a worker can use."),
    S("HARDEN_PRELOAD", _flag, False, None, None, "", "rare",
      "Import the app in Gunicorn's master before the workers fork (preload_app)."),
    S("HARDEN_VENV", _text, None, None, None, "", "rare",
      "Where scripts/harden keeps its virtual environment instead of .venv."),
    S("HARDEN_PYTHON", _text, None, None, None, "", "rare",
      "The Python that scripts/harden makes its virtual environment with; "
      "when unset, the first that is 3.10 or newer."),
    S("HARDEN_STATE", _text, None, None, None, "", "rare",
      "Where scripts/harden keeps run folders and logs instead of the system's temporary folder."),
)  # fmt: skip
BY_NAME: Mapping[str, Setting] = {setting.name: setting for setting in TABLE}
