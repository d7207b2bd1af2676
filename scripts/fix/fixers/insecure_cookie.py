"""`insecure-cookie`: `Secure` and `HttpOnly` where a log-in is in a cookie.

Unsafe: over plain HTTP a browser no longer sends the cookie, and a script in the page no longer reads it.
"""

from __future__ import annotations

import ast
from collections.abc import Iterator

from ...audit.finding import Finding
from ...audit.model.code import Module
from ..fixer import Change, Context, Edit, Fixer, Left
from ..layout import expression_at, has_own_lines, quoted
from ..source import Source

NOTE = "log-ins need HTTPS then (browsers make an exception for localhost)"


def _fix(context: Context) -> Iterator[Change | Left]:
    for finding in context.of("insecure-cookie"):
        module = context.module(finding.place.path)
        yield (
            Left(finding, "no Python file; set it there") if module is None else _answer(context, module, finding)
        )


def _answer(context: Context, module: Module, finding: Finding) -> Change | Left:
    node = expression_at(module, finding.place)
    source = context.source(module.path)
    if isinstance(node, ast.Constant) and node.value is False:
        edit = Edit(module.path, *source.span(node), "True")
        return Change((finding,), finding.place, "the cookie's flag is on", (edit,), False, note=NOTE)
    if isinstance(node, ast.Call) and isinstance(node.func, ast.Attribute) and node.func.attr == "set_cookie":
        return _cookie(source, finding, node)
    if isinstance(node, ast.Call):
        return _session(source, module, finding, node)
    return Left(finding, "the flag is not a literal; turn it on where it comes from")


def _cookie(source: Source, finding: Finding, call: ast.Call) -> Change | Left:
    """Give a cookie the flags that it lacks."""
    given = {each.arg: each.value for each in call.keywords}
    edits, added = [], ""
    for flag in ("secure", "httponly"):
        value = given.get(flag)
        if flag not in given:
            added += f", {flag}=True"
        elif isinstance(value, ast.Constant) and value.value is False:
            edits.append(Edit(source.path, *source.span(value), "True"))
    if len(call.args) > 6:
        return Left(finding, "flags are given by position; name them")
    last = max(source.span(each)[1] for each in [*call.args, *(each.value for each in call.keywords)])
    if added and source.text[last : source.span(call)[1]].lstrip(" \t\r\n,") != ")":
        return Left(finding, "a comment stands behind the last argument; add secure=True, httponly=True there")
    if added:
        edits.append(Edit(source.path, last, last, added))
    title = "the cookie gets Secure and HttpOnly"
    note = f"{NOTE}; scripts of the page cannot read it"
    return Change((finding,), finding.place, title, tuple(edits), False, note=note)


def _session(source: Source, module: Module, finding: Finding, call: ast.Call) -> Change | Left:
    """Set the flags of Flask's own cookie behind `app = Flask(__name__)`."""
    statement = module.statement(call)
    target = statement.targets[0] if isinstance(statement, ast.Assign) and statement.value is call else None
    if not isinstance(target, ast.Name) or not has_own_lines(source, statement):
        return Left(finding, "the app is made inside of another statement; set SESSION_COOKIE_SECURE behind it")
    at = source.line_start((statement.end_lineno or statement.lineno) + 1)
    line = (f"{source.indent(statement)}{target.id}.config.update(SESSION_COOKIE_SECURE=True, "
            f"SESSION_COOKIE_SAMESITE={quoted(source, 'Lax')})")  # fmt: skip
    is_open = source.text[at - 1 : at] not in ("\n", "\r")
    edit = Edit(source.path, at, at, f"\n{line}" if is_open else f"{line}\n")
    return Change(
        (finding,), finding.place, "the session's cookie goes over HTTPS only", (edit,), False, note=NOTE
    )


FIXER = Fixer(
    rules=("insecure-cookie",),
    title="The session's cookie gets `Secure` and `SameSite=Lax`, a cookie with a log-in `secure` and `httponly`.",
    stage=1,
    leaves_alone=(
        "Without `--unsafe-fixes`, all of them: over plain HTTP nobody could log in any more.",
        "Flags that come from a variable.",
    ),
    fix=_fix,
)
