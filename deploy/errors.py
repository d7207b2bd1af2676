"""Errors of rendering and sizing: one line each, raised before anything is written."""

from __future__ import annotations


class InputError(ValueError):
    """An input that cannot be put into a configuration file as it is."""
