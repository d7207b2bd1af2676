"""Closes connections on every way out: the work moves into a `try:`, and `close()` or `putconn()` into `finally:`.

For what adopting the app does not settle: apps without the runtime, and connections that a pool of the app's own
lends. What a `return` computes is computed before the connection is closed, as before.
"""

from __future__ import annotations

import ast
from collections.abc import Iterator

from ...audit.finding import Finding
from ...audit.model.code import Call
from ...audit.rules.expression_names import name_of
from ...audit.rules.lifetimes import NOT_PUT_BACK, lifetimes
from ..connections.entered import entered
from ..connections.held import Held, held
from ..connections.wrapping import is_plain, line_behind, wrapped
from ..fixer import Change, Context, Edit, Fixer, Left
from ..source import Source

RULE = "leaked-connection"
NO_NAME = "no plain name of this function holds it, so its end is not in sight here"
SHARED_LINES = "statements share their lines"
TWICE = "it is given back further in as well, and a pool takes a connection back once"
NOT_NAMED = "which pool it comes out of is not said here"
NOT_HERE = "the place that takes it is not known any more"


def _fix(context: Context) -> Iterator[Change | Left]:
    for finding in context.of(RULE):
        call = _call(context, finding)
        if call is None:
            yield Left(finding, NOT_HERE)
            continue
        answer = _answer(context, finding, call)
        yield answer if isinstance(answer, Change) else Left(finding, answer, _suggestion(context, call))


def _call(context: Context, finding: Finding) -> Call | None:
    lives = lifetimes(context.project)
    return next((each for each in lives.verdicts if each.place == finding.place), None)


def _answer(context: Context, finding: Finding, call: Call) -> Change | str:
    """Return the change for one leak, or why there is none."""
    source = context.source(call.function.path)
    if lifetimes(context.project).verdicts[call].why == NOT_PUT_BACK:
        return "close() closes it for the pool as well; call the pool's putconn() instead"
    managed = entered(context, source, finding, call)
    if managed is not None:
        return managed
    found = held(context.project, call)
    if found is None:
        return NO_NAME
    reason = found.obstacle()
    if reason:
        return reason
    edits = _edits(source, found)
    if isinstance(edits, str):
        return edits
    title = f"`{found.name}` is closed on every way out"
    return Change((finding,), finding.place, title, tuple(edits))


def _edits(source: Source, found: Held) -> list[Edit] | str:
    direct = [each for each in found.rest if found.releases(each)]
    inner = found.inner_releases()
    if inner and not found.is_closed_by_close:
        return TWICE
    if len(direct) > 1:
        return "it is closed more than once on the same way"
    if direct:
        return _moved(source, found, direct[0])
    return _added(source, found)


def _moved(source: Source, found: Held, release: ast.stmt) -> list[Edit] | str:
    """Put what stands before the release into a `try:`, and the release into its `finally:`."""
    region = found.rest[: found.rest.index(release)]
    if not is_plain(source, [found.statement, *region, release]):
        return SHARED_LINES
    at, indent = source.line_start(release.lineno), source.indent(release)
    edits = [] if _is_open_try(region) else wrapped(source, region)
    return [*edits, Edit(source.path, at, at, f"{indent}finally:\n{source.step}")]


def _added(source: Source, found: Held) -> list[Edit] | str:
    """Put all that uses it into a `try:`, with a `finally:` that ends it."""
    uses = [index for index, each in enumerate(found.rest) if found.mentions(each)]
    region = found.rest[: max(uses, default=-1) + 1]
    release = _release(source, found)
    if not region or not release:
        return NOT_NAMED if region else "nothing uses it"
    if not is_plain(source, [found.statement, *region]):
        return SHARED_LINES
    indent = source.indent(region[0])
    edits = [] if _is_open_try(region) else wrapped(source, region)
    return [*edits, line_behind(source, region[-1], f"{indent}finally:\n{indent}{source.step}{release}")]


def _is_open_try(region: list[ast.stmt]) -> bool:
    """Whether the statements are one `try` that has no `finally` yet."""
    return len(region) == 1 and isinstance(region[0], ast.Try) and not region[0].finalbody


def _release(source: Source, found: Held) -> str:
    """Return the call that ends it; empty when that is not known."""
    if found.is_closed_by_close:
        return f"{found.name}.close()"
    node = found.call.node
    if found.call.does != "getconn" or not isinstance(node, ast.Call) or node.args or node.keywords:
        return ""
    if not isinstance(node.func, ast.Attribute) or not name_of(node.func.value):
        return ""
    return f"{source.segment(node.func.value)}.putconn({found.name})"


def _suggestion(context: Context, call: Call) -> str:
    taken = context.source(call.function.path).segment(call.node)
    if call.does == "connect":
        return f"with closing({taken}) as conn:  # from contextlib import closing\n    ..."
    return f"conn = {taken}\ntry:\n    ...\nfinally:\n    ...  # close it, or give it back"


FIXER = Fixer(
    rules=(RULE,),
    title="What works with a connection stands in a `try:`, whose `finally:` closes it or gives it back.",
    stage=4,
    leaves_alone=(
        "Connections that an inner function, a generator or a returned cursor may still read from.",
        "Connections that an `except` uses as well, or that have more than one name.",
        "Pooled connections that are given back in several places: a pool takes each back once.",
    ),
    fix=_fix,
)
