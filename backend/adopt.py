"""`adopt(app)`: the one line for an app that connects by itself.

    app = Flask(__name__)
    adopt(app)

From then on `psycopg2.connect` leases from a pool, wherever the app calls it, and each request gives back what it
leaves open. Nothing connects here. The app's own settings of where to connect stay; DATABASE_URL is not needed.
Doing it again changes nothing, nor does the kit's `wsgi.py`, which does the same around apps that do not.
If this is wrong, an app is pooled by half: its connections, but not the end of its requests.
"""

from __future__ import annotations

from typing import Any

from flask import Flask

from . import watch
from .database_helper import install, options_from
from .dropin import installed
from .extension import KEY, harden_app
from .pool_options import PoolOptions
from .query_cache import take_part
from .settings import Settings, load

__all__ = ["adopt", "install_pools"]


def adopt(app: Flask, **settings: Any) -> None:
    """Pool the connections of an app, and put what production needs around its requests.

    Args:
        app: the app; doing it again changes nothing.
        **settings: settings by name, above `app.config` and the environment.

    Raises:
        SettingsError: a setting is wrong.
    """
    if KEY in app.extensions:
        return
    effective = load(keywords=settings, config=app.config)
    if installed() is None:
        install_pools(effective)
    take_part()
    harden_app(app, effective)


def install_pools(settings: Settings) -> None:
    """Replace `psycopg2.connect` as the settings say."""
    options = options_from(settings, reset="reset", session_state="report")
    overflow = PoolOptions(**{**vars(options), "nested_overflow": settings.pool_max})
    install(settings["DB_POOL_MIN"], settings.pool_max, overflow, settings["HARDEN_REDIRECT_DSN"])
    watch.watch_cursors()  # also those that the app makes while it is imported, and keeps
