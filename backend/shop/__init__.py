"""The reference shop: a garage's API on the hardened runtime, to read, to run and to measure.

Must not be vendored with the rest of the folder: an app brings its own routes. Its twin from before answers
the same JSON; when a route here changes, the comparison of the two says so.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from flask import Flask

from ..extension import Hardening
from . import me
from .routes import api


def create_app(config: Mapping[str, Any] | None = None) -> Flask:
    """Build the app; `DATABASE_URL` comes from `config`, else from the environment."""
    app = Flask(__name__)
    app.config.update(config or {})
    Hardening(app)
    me.start(app)
    app.register_blueprint(api)
    return app
