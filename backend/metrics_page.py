"""What `/metrics` answers: all figures there are, or why there are none.

The page is complete before its first byte is sent, and nothing is held meanwhile: a scraper that stalls costs one
thread of the server and nobody's figures. Knows neither Flask nor WSGI.
If this is wrong, Prometheus has no figures of this service.
"""

from __future__ import annotations

from . import metrics
from .exposition import written

PATHS = ("/metrics", "/health/metrics")  # an app may have the first one itself
MISSING = b"prometheus-client is not installed in the app's environment; pip install prometheus-client\n"
TEXT = "text/plain; charset=utf-8"


def is_on() -> bool:
    """Tell whether anything is counted."""
    return metrics.current is not None


def answer(accept: str) -> tuple[str, str, bytes]:
    """Return status line, content type and body for a scraper with this Accept header."""
    counting = metrics.current
    if counting is None:
        return "404 Not Found", TEXT, b"metrics are off; set HARDEN_METRICS=1\n"
    series = counting.read().series()
    if counting.console is not None:
        series += counting.console.series()
    try:
        body, content_type = written(series, accept)
    except ImportError:
        return "501 Not Implemented", TEXT, MISSING
    return "200 OK", content_type, body
