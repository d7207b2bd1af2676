"""Writes a small project, interprets it, and says what the model found, in words that a test can compare."""

from __future__ import annotations

from pathlib import Path
from textwrap import dedent

from scripts.audit.model.build import build
from scripts.audit.model.code import Call, Function
from scripts.audit.model.project import Project
from scripts.audit.model.values import Connection, Cursor, texts


def interpreted(folder: Path, **files: str) -> Project:
    """Return the project of these modules, by path without ".py"."""
    for name, text in files.items():
        path = folder / f"{name}.py"
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(dedent(text).lstrip("\n"), encoding="utf-8")
    return build(folder)


def statements(project: Project) -> list[str]:
    """Return the statements that calls run, "?" for each hole, sorted."""
    return sorted(
        text.with_holes("?") for call in project.calls("execute", "executemany") for text in texts(call.sql)
    )


def drivers(project: Project) -> list[str]:
    """Return, for each statement's call, the drivers of the connections that it can run on; "" for none."""
    return [" ".join(sorted(_drivers(call))) for call in project.calls("execute", "executemany")]


def _drivers(call: Call) -> set[str]:
    cursors = [value.connection for value in call.receiver if isinstance(value, Cursor)]
    found = [each for each in (*cursors, *call.receiver) if isinstance(each, Connection)]
    return {each.driver for each in found}


def function(project: Project, name: str) -> Function:
    """Return a function by its qualified name."""
    return next(each for each in project.functions() if each.qualname == name)


def callees(project: Project, name: str) -> list[str]:
    """Return the qualified names of what a function runs, in order."""
    return list(
        dict.fromkeys(callee.qualname for call in function(project, name).calls for callee in call.callees)
    )


def routes(project: Project) -> list[str]:
    """Return "GET / view" for each URL, sorted."""
    return sorted(f"{route.name} {route.function.qualname}" for route in project.routes())
