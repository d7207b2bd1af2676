"""What a loop is over, seen from a call in it: rows of a query, what a client sends, lines of a file.

Not loops here: those that try again, poll, draw until something is free, or go by batches. If this is wrong, a
rule about repetition reports what runs once, or misses what runs for each row.
"""

from __future__ import annotations

import ast
import re
from collections.abc import Iterator
from dataclasses import dataclass

from ..finding import Confidence
from ..model.code import Call, Loop
from ..model.values import Container, Data

ROWS = "rows"
CONSTANTS = "constants"
_BATCH = re.compile(r"chunk|batch|grouper|slices", re.IGNORECASE)
_AGAIN = re.compile(r"attempt|retr(y|ies)|\btries\b|\btry_", re.IGNORECASE)
_ADDS = ("append", "extend", "add", "insert", "update", "setdefault")
Block = list[ast.stmt]


@dataclass(frozen=True)
class Turns:
    """What makes the turns: ROWS, a `Data.source`, or CONSTANTS; and how sure that is."""

    over: str
    confidence: Confidence


def turns(call: Call, loop: Loop) -> Turns | None:
    """Return what a loop is over as far as one call in it goes; None when the call is not made turn by turn."""
    if _is_announced(loop) or _is_batch(loop) or _tries_again(loop):
        return None
    if _runs_once(call, loop) or _is_flush(call, loop):
        return None
    if isinstance(loop.node, ast.While):
        return _while(call, loop)
    if _is_display(loop):
        return Turns(CONSTANTS, Confidence.high)
    confidence = _rows(loop)
    others = [each.source for each in loop.behind if each.source not in ("row", "session", "parameter")]
    if confidence is Confidence.high or (confidence is not None and not others):
        return Turns(ROWS, confidence)
    if others:
        return Turns(others[0], Confidence.high)
    sources = {each.source for each in loop.behind} - {"row"}
    if not sources and any(isinstance(value, Data) and value.source == "row" for value in loop.source):
        return None  # the columns of one row
    return Turns(min(sources, default=CONSTANTS), Confidence.medium)


def _while(call: Call, loop: Loop) -> Turns | None:
    """A `while` goes over rows when what ends it and what the call is given come from the same query."""
    if any(each.does == "sleep" and loop in each.loops for each in loop.function.calls):
        return None
    sites = {each.site for each in loop.behind}
    shared = [each for each in call.given if each.site in sites and each.source in ("row", "file", "request")]
    if not shared:
        return None
    over = "row" if any(each.source == "row" for each in shared) else shared[0].source
    return Turns(ROWS if over == "row" else over, Confidence.high if over == "row" else Confidence.medium)


def _rows(loop: Loop) -> Confidence | None:
    """Return how sure it is that a loop has a turn for each row; None when it is not over rows."""
    shapes = {each.shape for each in loop.behind if each.source == "row"}
    if "rows" in shapes:
        return Confidence.high
    direct = {value.shape for value in loop.source if isinstance(value, Data) and value.source == "row"}
    if "row" in shapes and any(isinstance(value, Container) and value.type != "pairs" for value in loop.source):
        return Confidence.medium
    if "number" in shapes or "value" in direct:
        return Confidence.medium
    return None


def base(header: ast.expr) -> ast.expr:
    """Return what is looped over without `enumerate`, `sorted`, `.items()` and the like around it."""
    while isinstance(header, ast.Call):
        if isinstance(header.func, ast.Attribute) and header.func.attr in ("items", "values", "keys", "copy"):
            header = header.func.value
        elif isinstance(header.func, ast.Name) and header.args and header.func.id in (
            "enumerate", "sorted", "list", "tuple", "set", "reversed", "iter",
        ):  # fmt: skip
            header = header.args[0]
        else:
            break
    return header


def _is_display(loop: Loop) -> bool:
    """Whether a loop is over what stands there literally, `(a, b)`, or a name of that which nothing adds to."""
    inside = base(loop.header)
    if isinstance(inside, ast.Name):
        inside = _only_value(loop, inside.id) or inside
    if isinstance(inside, ast.Dict):
        return bool(inside.keys) and None not in inside.keys
    if not isinstance(inside, (ast.List, ast.Tuple, ast.Set)):
        return False
    return bool(inside.elts) and not any(isinstance(each, ast.Starred) for each in inside.elts)


def _only_value(loop: Loop, name: str) -> ast.expr | None:
    """Return what a name of the function is, when it is assigned once and nothing is added to it."""
    values = []
    for node in ast.walk(loop.function.node):
        if isinstance(node, ast.Assign) and any(_is(each, name) for each in node.targets):
            values.append(node.value)
        elif _changes(node, name):
            return None
    return values[0] if len(values) == 1 else None


def _changes(node: ast.AST, name: str) -> bool:
    """Whether a node adds to what a name holds, or gives the name something else than `=` does."""
    if isinstance(node, (ast.AugAssign, ast.For)):
        return _is(node.target, name)
    if isinstance(node, ast.Attribute):
        return node.attr in _ADDS and _is(node.value, name)
    return isinstance(node, ast.Subscript) and isinstance(node.ctx, ast.Store) and _is(node.value, name)


def _is(node: ast.AST, name: str) -> bool:
    return isinstance(node, ast.Name) and node.id == name


def _is_announced(loop: Loop) -> bool:
    """Whether the kit's `prefetched` asks for all turns at once."""
    return any(isinstance(each, ast.Call) and _called(each) == "prefetched" for each in ast.walk(loop.header))


def _is_batch(loop: Loop) -> bool:
    """Whether each turn has a stretch of a list: a range with a step, `chunks(ids, 500)`."""
    header = loop.header
    if isinstance(header, ast.Call) and _called(header) == "range" and len(header.args) == 3:
        return not isinstance(header.args[2], ast.UnaryOp)
    if isinstance(loop.node, (ast.While, ast.Call)):
        return False
    if any(_BATCH.search(_called(each)) for each in ast.walk(header) if isinstance(each, ast.Call)):
        return True
    has_rows = any(isinstance(value, Data) and value.shape == "rows" for value in loop.source)
    return not has_rows and bool(_BATCH.search(ast.unparse(loop.node.target)))


def _called(call: ast.Call) -> str:
    """Return the last name of what is called."""
    return str(getattr(call.func, "attr", getattr(call.func, "id", "")))


def _tries_again(loop: Loop) -> bool:
    header = ast.unparse(loop.header)
    if isinstance(loop.node, ast.While):
        return bool(_AGAIN.search(header))
    if not isinstance(loop.header, ast.Call) or _called(loop.header) not in ("range", "count"):
        return False
    return isinstance(loop.node, ast.For) and bool(_AGAIN.search(f"{ast.unparse(loop.node.target)} {header}"))


def _runs_once(call: Call, loop: Loop) -> bool:
    """Whether the loop is left behind the call, so what was looked for is found; its own body does not count."""
    if isinstance(loop.node, (ast.comprehension, ast.Call)):
        return False
    around = call.function.module.ancestors(call.node)
    innermost = next((each for each in around if isinstance(each, (ast.For, ast.While, ast.AsyncFor))), None)
    ends = (ast.Return, ast.Raise, ast.Break) if innermost is loop.node else (ast.Return, ast.Raise)
    node: ast.AST = call.node
    for parent in around:
        if parent is loop.node:
            return False
        for block in _blocks(parent):
            after = block[block.index(node) :] if isinstance(node, ast.stmt) and node in block else []
            if any(isinstance(each, ends) for each in after):
                return True
        node = parent
    return False


def _blocks(node: ast.AST) -> Iterator[Block]:
    for name in ("body", "orelse", "finalbody"):
        block = getattr(node, name, None)
        if isinstance(block, list):
            yield block


def _is_flush(call: Call, loop: Loop) -> bool:
    """Whether the call sends what was gathered, now and then: an `executemany` under an `if`."""
    if call.does != "executemany":
        return False
    for parent in call.function.module.ancestors(call.node):
        if parent is loop.node:
            return isinstance(loop.node, ast.While)
        if isinstance(parent, ast.If):
            return True
    return False
