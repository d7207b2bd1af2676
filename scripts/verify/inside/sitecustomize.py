"""Redirects the connections of a `--setup` command written in Python; see harden_verify_redirect."""

import importlib

importlib.import_module("harden_verify_redirect").install()
