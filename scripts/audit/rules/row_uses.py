"""What a function does with a list of rows: whether it only counts, adds up or tests them.

Looks at the syntax alone, at one function, and gives up at the first use that it does not know: rows that are
returned, passed on or looped over for anything else are needed as rows. If it is wrong, somebody is told to ask
for a number where the rows are shown as well.
"""

from __future__ import annotations

import ast

from ..model.code import Call

FOLDS = {"sum": "sum", "fsum": "sum", "max": "max", "min": "min", "mean": "avg", "fmean": "avg"}
_NUMBERS = ("int", "float", "Decimal", "abs", "round")
_FUNCTIONS = (ast.FunctionDef, ast.AsyncFunctionDef, ast.Lambda)
_COMPREHENSIONS = (ast.GeneratorExp, ast.ListComp, ast.SetComp)
Parents = dict[ast.AST, ast.AST]


def uses(call: Call) -> set[str]:
    """Return what is made of the rows that a call returns.

    Returns:
        Of "count", "exists", "sum", "max", "min", "avg" and "group"; empty when anything needs the rows.
    """
    parents = call.function.module.parents
    parent = parents.get(call.node)
    if not isinstance(parent, ast.Assign):
        return _all([_use(call.node, parents)])
    target = parent.targets[0]
    if parent.value is not call.node or len(parent.targets) > 1 or not isinstance(target, ast.Name):
        return set()
    return _all([_use(node, parents) for node in reads(call.function.node, target.id)])


def _all(found: list[str]) -> set[str]:
    return set(found) if all(found) else set()


def reads(scope: ast.AST, name: str) -> list[ast.Name]:
    """Return where a name is read; none when it may be something else, or an inner function has it."""
    if isinstance(scope, ast.Module):
        return []  # whoever imports the module may read it
    names = [node for node in ast.walk(scope) if isinstance(node, ast.Name) and node.id == name]
    if sum(not isinstance(node.ctx, ast.Load) for node in names) != 1 or _is_shared(scope, name):
        return []
    return [node for node in names if isinstance(node.ctx, ast.Load)]


def _is_shared(scope: ast.AST, name: str) -> bool:
    for node in ast.walk(scope):
        if isinstance(node, (ast.Global, ast.Nonlocal)) and name in node.names:
            return True
        if isinstance(node, ast.Call) and getattr(node.func, "id", "") in ("locals", "vars", "eval", "exec"):
            return True
        if isinstance(node, _FUNCTIONS) and node is not scope and _has_name(node, name):
            return True
    return False


def _has_name(node: ast.AST, name: str) -> bool:
    return any(isinstance(inner, ast.Name) and inner.id == name for inner in ast.walk(node))


def _use(node: ast.expr, parents: Parents) -> str:
    """Return what an expression that is the rows is used for; "" for anything that needs them."""
    parent = parents.get(node)
    if isinstance(parent, ast.Call) and parent.args == [node] and called(parent) == "len":
        return "exists" if _is_against_nothing(parent, parents) else "count"
    if is_test(node, parents):
        return "exists"
    if isinstance(parent, ast.For) and parent.iter is node:
        return _of_loop(parent)
    if isinstance(parent, ast.comprehension) and parent.iter is node:
        return _of_comprehension(parent, parents)
    return ""


def called(call: ast.Call) -> str:
    return call.func.attr if isinstance(call.func, ast.Attribute) else getattr(call.func, "id", "")


def is_test(node: ast.expr, parents: Parents) -> bool:
    """Whether an expression stands where only true or false matters."""
    parent = parents.get(node)
    if isinstance(parent, ast.UnaryOp) and isinstance(parent.op, ast.Not):
        return True
    if isinstance(parent, ast.BoolOp):
        return is_test(parent, parents)  # `rows or []` is a value
    if isinstance(parent, ast.Call):
        return parent.args == [node] and called(parent) == "bool"
    return isinstance(parent, (ast.If, ast.While, ast.IfExp, ast.Assert)) and parent.test is node


def _is_against_nothing(length: ast.Call, parents: Parents) -> bool:
    """Whether a length is only compared with none: `len(rows) > 0`, `if len(rows)`."""
    parent = parents.get(length)
    if not isinstance(parent, ast.Compare):
        return is_test(length, parents)
    if parent.left is not length or len(parent.ops) != 1 or not isinstance(parent.comparators[0], ast.Constant):
        return False
    operator, value = parent.ops[0], parent.comparators[0].value
    return (value == 0 and isinstance(operator, (ast.Eq, ast.NotEq, ast.Gt, ast.LtE))) or (
        value == 1 and isinstance(operator, (ast.GtE, ast.Lt))
    )


def _of_comprehension(part: ast.comprehension, parents: Parents) -> str:
    """Return what a comprehension over the rows becomes: `sum(r["x"] for r in rows if r["paid"])`."""
    made = parents[part]
    around = parents.get(made)
    if not isinstance(made, _COMPREHENSIONS) or len(made.generators) != 1 or not isinstance(part.target, ast.Name):
        return ""
    if not isinstance(around, ast.Call) or not around.args or around.args[0] is not made:
        return ""
    row, name = part.target.id, called(around)
    parts = [made.elt, *part.ifs]
    if not all(_is_of_row(each, row) for each in parts):
        return ""
    if name == "Counter" and len(around.args) == 1:
        return "group"
    if name == "len" and isinstance(made, (ast.ListComp, ast.SetComp)):
        return "count"
    is_whole = isinstance(made.elt, ast.Name)
    return FOLDS.get(name, "") if not is_whole and not isinstance(made, ast.SetComp) else ""


def _of_loop(loop: ast.For) -> str:
    """Return what a loop becomes that only adds up: `for r in rows: total += r["x"]`."""
    if not isinstance(loop.target, ast.Name) or loop.orelse:
        return ""
    found = [_of_step(step, loop.target.id) for step in loop.body]
    return ("group" if "group" in found else "sum") if all(found) else ""


def _of_step(step: ast.stmt, row: str) -> str:
    if isinstance(step, ast.If) and _is_of_row(step.test, row):
        found = [_of_step(each, row) for each in [*step.body, *step.orelse]]
        return ("group" if "group" in found else "sum") if all(found) else ""
    if not isinstance(step, ast.AugAssign) or not isinstance(step.op, (ast.Add, ast.Sub)):
        return ""
    if not _is_of_row(step.value, row):
        return ""
    if isinstance(step.target, ast.Subscript):
        is_by_row = isinstance(step.target.value, ast.Name) and _is_of_row(step.target.slice, row)
        return "group" if is_by_row and _has_name(step.target.slice, row) else ""
    return "sum" if isinstance(step.target, ast.Name) else ""


def _is_of_row(node: ast.expr, row: str) -> bool:
    """Whether an expression is made of a row's columns, constants, names and arithmetic: what SQL has as well."""
    for each in ast.walk(node):
        if isinstance(each, ast.Call) and called(each) not in (*_NUMBERS, "get"):
            return False
        if isinstance(each, (ast.Await, ast.Lambda, ast.NamedExpr, *_COMPREHENSIONS, ast.DictComp)):
            return False
    return True
