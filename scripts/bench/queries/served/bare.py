"""The empty Flask route: nothing of ours and no database, a constant body as long as the shop's answer."""

from __future__ import annotations

import os

from flask import Flask, Response

application = Flask(__name__)
BODY = b"x" * int(os.environ["BENCH_BODY_BYTES"])


@application.get("/empty")
def show_nothing() -> Response:
    """Answer at once."""
    return Response(BODY, content_type="application/json")
