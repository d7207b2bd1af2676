"""Whether a statement that fails is rolled back: here, around here, or by whoever calls.

Knows `try` with a rollback, `with conn:`, callers that do the same, and teardowns that roll back. If this is
wrong, missing-rollback is.
"""

from __future__ import annotations

import ast
import re
from typing import TYPE_CHECKING

from ..model.code import Call, Function
from ..model.facts import TEARDOWNS
from ..model.values import Connection, Cursor
from .expression_names import name_of, walk_own

if TYPE_CHECKING:
    from ..model.project import Project

CONNECTION_NAME = re.compile(r"(con|conn|connection|db|database|dbh|pg|psql|link|transaction|tx)\d*$", re.I)
DEEPEST = 5  # callers of callers
ERROR_HOOKS = TEARDOWNS | {
    "errorhandler",
    "app_errorhandler",
    "register_error_handler",
    "before_request",
    "before_app_request",
}


class RollbackCover:
    """Answers of one project."""

    def __init__(self, project: Project) -> None:
        self._project = project
        self.is_everywhere = any(
            project.reach.calls(function, "rollback") for function in project.functions()
            if ERROR_HOOKS & set(function.hooks)
        )  # fmt: skip

    def covers(self, call: Call, depth: int = 0) -> bool:
        """Whether something rolls back when a call fails."""
        if self.is_everywhere or self._is_covered_here(call):
            return True
        callers = call.function.callers
        if not callers or depth >= DEEPEST:
            return False
        return all(each.function is call.function or self.covers(each, depth + 1) for each in callers)

    def swallowing(self, call: Call) -> ast.ExceptHandler | None:
        """Return the handler around a call that ends an error without a rollback."""
        for node in self._tries(call):
            for handler in node.handlers:
                if not self._ends_transaction(handler.body, call.function) and not _raises(handler):
                    return handler
        return None

    def rolls_back(self, handler: ast.ExceptHandler, function: Function) -> bool:
        """Whether a handler rolls back, closes the connection or gives it back."""
        return self._ends_transaction(handler.body, function)

    def tries(self, call: Call) -> list[ast.Try]:
        """Return the `try`s around a call, the nearest first."""
        return self._tries(call)

    def _is_covered_here(self, call: Call) -> bool:
        for node in call.function.module.ancestors(call.node):
            if isinstance(node, (ast.With, ast.AsyncWith)) and any(
                self._is_transaction(item, call) for item in node.items
            ):
                return True
            if node is call.function.node:
                break
        for node in self._tries(call):
            handlers = [
                handler for handler in node.handlers if self._ends_transaction(handler.body, call.function)
            ]
            if handlers or self._ends_transaction(node.finalbody, call.function):
                return True
        return False

    def _tries(self, call: Call) -> list[ast.Try]:
        """Return the `try`s whose body a call is in, the nearest first."""
        found: list[ast.Try] = []
        below: ast.AST = call.node
        for node in call.function.module.ancestors(call.node):
            if node is call.function.node:
                break
            if isinstance(node, ast.Try) and below in node.body:
                found.append(node)
            below = node
        return found

    def _is_transaction(self, item: ast.withitem, call: Call) -> bool:
        """Whether a `with` is one of the connection, whose end rolls back when something was raised."""
        node = item.context_expr
        connections = [value.connection if isinstance(value, Cursor) else value for value in call.receiver]
        if isinstance(node, (ast.Name, ast.Attribute)):
            return any(isinstance(each, Connection) for each in connections) and bool(
                CONNECTION_NAME.search(name_of(node))
            )
        return isinstance(node, ast.Call) and any(
            self._project.reach.calls(callee, "rollback")
            for each in call.function.calls if each.node is node for callee in each.callees
        )  # fmt: skip

    def _ends_transaction(self, body: list[ast.stmt], function: Function) -> bool:
        """Whether statements roll back, close, or give back to a pool."""
        nodes = {node for statement in body for node in walk_own(statement)}
        return any(
            self._project.reach.behind(call, "rollback", "close", "putconn", "closeall") for call in function.calls
            if call.node in nodes
        ) or any(isinstance(node, ast.Attribute) and node.attr == "rollback" for node in nodes)  # fmt: skip


def _raises(handler: ast.ExceptHandler) -> bool:
    return any(isinstance(node, ast.Raise) for statement in handler.body for node in walk_own(statement))
