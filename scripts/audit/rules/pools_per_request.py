"""Pools that every request makes anew, which opens `minconn` connections each time and shares none of them.

Knows a pool by its constructor, and a request by its routes: each call from the route down to the constructor has
to stand outside of every condition, so that `if pool is None: setup()` is no finding. Pools that a cache hands out
again without a condition in sight are told by its decorator. If this is wrong, a pool made once is reported.
"""

from __future__ import annotations

import ast
from collections.abc import Iterator

from ..model.code import Call, Function
from ..model.project import Project
from .expression_names import name_of, walk_own
from .pool_arguments import pool_type

_EAGER = ("psycopg2.pool.", "psycopg_pool.")
_CONDITIONS = (ast.If, ast.IfExp, ast.BoolOp, ast.While, ast.ExceptHandler, ast.Match, ast.NamedExpr)
_ONCE = ("cache", "singleton", "once", "property", "first_request", "run_once")


def pools_per_request(project: Project) -> Iterator[Call]:
    """Yield the calls that make a pool and that a route runs each time."""
    for call in project.calls("pool"):
        if pool_type(call).startswith(_EAGER) and _is_always(call) and _is_served(call.function):
            yield call


def _is_served(function: Function) -> bool:
    """Whether a route, or what runs before each request, gets to a function without a condition on the way."""
    seen, todo = {function}, [function]
    while todo:
        each = todo.pop()
        if _is_kept(each) or each.is_module:
            continue
        if each.routes or "before_request" in each.hooks:
            return True
        for caller in each.callers:
            if caller.function not in seen and _is_always(caller):
                seen.add(caller.function)
                todo.append(caller.function)
    return False


def _is_always(call: Call) -> bool:
    """Whether a call is made whenever its function runs: in no condition, and behind no way out."""
    function = call.function
    if function.is_module or function.name in ("__new__", "__call__"):
        return False
    for above in function.module.ancestors(call.node):
        if above is function.node:
            break
        if isinstance(above, _CONDITIONS):
            return False
    line = call.place.line
    return not any(isinstance(node, ast.Return) and node.lineno < line for node in walk_own(function.node))


def _is_kept(function: Function) -> bool:
    """Whether a decorator sees to it that a function runs once."""
    decorators = getattr(function.node, "decorator_list", ())
    names = [name_of(each.func if isinstance(each, ast.Call) else each).lower() for each in decorators]
    return any(word in name for name in names for word in _ONCE) or "before_first_request" in function.hooks
