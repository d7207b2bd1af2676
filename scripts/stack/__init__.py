"""Throw-away servers on this machine: PostgreSQL, PgBouncer, Gunicorn, Flask's development server.

Used by demo, up, tests and benchmarks. Nothing has a fixed port, nothing outlives its `Stack`, nothing but
the run folder is written, and what a killed run left behind is cleaned up by the next one.
"""

from .stack import Stack

__all__ = ["Stack"]
