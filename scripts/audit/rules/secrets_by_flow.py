"""Finds the literals that get to a key or a password by values: `WORD = "x"`, then `app.secret_key = WORD`."""

from __future__ import annotations

import ast
from collections.abc import Iterable, Iterator

from ..evidence.nodes import nodes
from ..model.code import Module
from ..model.project import Project
from ..model.values import Site, Value, texts
from . import app_settings, secret_words
from .literals import stands_in
from .secrets_in_code import Secret

KEYS = ("SECRET_KEY", "JWT_SECRET_KEY", "WTF_CSRF_SECRET_KEY", "JWT_SECRET")
SIGNERS = {
    "jwt.encode": (1, "key"), "jwt.decode": (1, "key"),
    "jose.jwt.encode": (1, "key"), "jose.jwt.decode": (1, "key"),
    "itsdangerous.URLSafeTimedSerializer": (0, "secret_key"), "itsdangerous.URLSafeSerializer": (0, "secret_key"),
}  # fmt: skip


def secrets(project: Project) -> Iterator[tuple[Module, Secret]]:
    """Yield the literals that values lead to, with their modules."""
    for setting in app_settings.named(project, *KEYS):
        yield from _literals(project, setting.values, "key", f"the key {setting.name}")
    for call in project.calls():
        if call.target in SIGNERS:
            yield from _literals(
                project, call.argument(*SIGNERS[call.target]), "key", f"the key of {call.target}()"
            )
        if call.does in ("connect", "pool"):
            yield from _literals(
                project, call.keywords.get("password", ()), "password", "the password of a database"
            )


def _literals(project: Project, values: Iterable[Value], kind: str, what: str) -> Iterator[tuple[Module, Secret]]:
    """Yield the literals that begin constant texts, those that stand in for the environment aside."""
    for each in texts(values):
        found = _at(project, each.site) if each.site and each.constant else None
        if found is None:
            continue
        module, node = found
        fits = secret_words.is_key if kind == "key" else secret_words.is_password
        if fits(each.constant or "") and not stands_in(module, node):
            yield module, Secret(node, kind, what)


def _at(project: Project, site: Site) -> tuple[Module, ast.Constant] | None:
    """Return the string literal at a site."""
    for module in project.modules:
        if module.path == site.path:
            for node in nodes(module, ast.Constant):
                if (node.lineno, node.col_offset) == (site.line, site.col):
                    return (module, node) if isinstance(node.value, str) else None
    return None
