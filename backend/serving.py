"""What `wsgi.py` serves: an app unedited and hardened, or the reference shop.

The order matters: settings are checked, then `psycopg2.connect` is replaced, then the app is imported, so
that connections it opens at import are leases as well.
"""

from __future__ import annotations

import logging
import sys
import threading
from collections.abc import Callable, Iterable
from typing import Any

from flask import Flask
from psycopg2.extensions import cursor
from werkzeug.wsgi import ClosingIterator

from . import sqlite_guard, startup, watch
from .adopt import install_pools
from .app_loader import load_app
from .connection import Leased
from .dropin import installed
from .endpoints import Front, HealthEndpoints
from .errors import AppLoadError, HardenError
from .extension import KEY, STREAMED, counting, harden_app
from .ops import with_ops
from .record import Record
from .request_watch import RequestWatch
from .settings import Settings, load
from .site import site_text

log = logging.getLogger(__name__)
EXIT_APP_LOAD_ERROR = 4  # Gunicorn's own code for it: the master stops instead of starting workers for ever


def create_application() -> Any:
    """Return the WSGI application that the settings name; ends the process with one line when it cannot."""
    try:
        settings = load()
        if settings["HARDEN_APP"] is None:
            return _shop()
        return harden(settings["HARDEN_APP"], settings)
    except HardenError as error:
        # One line, and no traceback: what to do stands in it. Gunicorn's master reads the exit code.
        print(f"harden: error: {error}", file=sys.stderr, flush=True)
        raise SystemExit(EXIT_APP_LOAD_ERROR) from error


def harden(target: str, settings: Settings) -> Any:
    """Import an app with pooled connections, and put what production needs around it.

    Raises:
        AppLoadError: the app cannot be served.
    """
    startup.refuse_over_budget(settings)
    sqlite_guard.start(settings)  # a file may be opened while the app is imported
    install_pools(settings)
    app = load_app(target)
    held = held_since_import()
    if held and settings["HARDEN_PRELOAD"]:
        raise AppLoadError(
            f"{target} opens {held} connection(s) when it is imported, which workers must not share; "
            "unset HARDEN_PRELOAD, or connect inside the request"
        )
    if held:
        log.warning(
            "the app keeps %d connection(s) that it opened while it was imported%s; requests share them, so "
            "they are served one at a time per worker. Connect inside the request to lift this.",
            held, _keepers(),
        )  # fmt: skip
    if not isinstance(app, Flask):
        watch.start(settings)
        startup.start(settings)
        sqlite_guard.start(settings)
        inner = OneAtATime(app) if held else app
        watched = RequestWatch(inner, STREAMED, counting(settings), watch.judging(settings))
        return Front(watched, HealthEndpoints(with_ops(watched, settings), settings["HARDEN_OPS_TOKEN"]))
    if held:  # before the health endpoints are put around it: they must not wait for a turn
        app.wsgi_app = OneAtATime(app.wsgi_app)  # type: ignore[method-assign]
    if KEY not in app.extensions:  # an app that has adopted the kit did it itself
        harden_app(app, settings)
    return app


def held_since_import() -> int:
    """Return how many connections are leased outside any request, right after the import.

    They are said to be so once, here, and not again each as held for long.
    """
    leases = _leases()
    for record in leases:
        record.leak_reported = record.stall_reported = True
    return len(leases)


def _leases() -> list[Record]:
    drop_in = installed()
    pools = list(drop_in.pools.values()) if drop_in else []
    return [record for pool in pools for record in pool.held()]


def _keepers() -> str:
    """Return where the app opened such connections, and in which globals they are, as far as that is known."""
    opened = {site_text(record.site[:1]) for record in _leases() if record.site}
    found = [
        f"{module.__file__}: {name}"
        for module in list(sys.modules.values())
        if "site-packages" not in (getattr(module, "__file__", None) or "site-packages")
        for name, value in list(vars(module).items())
        if isinstance(getattr(value, "connection", value) if isinstance(value, cursor) else value, Leased)
    ]
    parts = [f"opened at {', '.join(sorted(opened)[:4])}"] if opened else []
    parts += [f"kept as {', '.join(sorted(found)[:4])}"] if found else []
    return f" ({'; '.join(parts)})" if parts else ""


class OneAtATime:
    """WSGI middleware for apps whose requests share a connection: it lets one request in at a time.

    A streamed body may read from that connection, so its request's turn lasts until it was sent.
    """

    def __init__(self, app: Callable[..., Iterable[bytes]]) -> None:
        self._app = app
        self._turn = threading.Lock()

    def __call__(self, environ: dict[str, Any], start_response: Callable[..., Any]) -> Iterable[bytes]:
        self._turn.acquire()
        is_streamed = False
        try:
            body = self._app(environ, start_response)
            is_streamed = environ.get(STREAMED, False)
        finally:
            if not is_streamed:
                self._turn.release()
        return ClosingIterator(body, [self._turn.release]) if is_streamed else body


def _shop() -> Any:
    from .shop import create_app  # not part of a vendored copy

    return create_app()
