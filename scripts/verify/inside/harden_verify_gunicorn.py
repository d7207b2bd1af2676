"""Gunicorn's configuration for a side that has none of its own: its defaults, so that nothing is hardened."""
