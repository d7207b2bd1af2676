"""Who holds each connection, for how long, and whether it is closed on every way out: `lifetimes(project)`.

A helper that returns what it acquired hands the duty on: each caller is judged instead. So does a method that
keeps it on its object, when the class has a method that closes it. What is kept for a request has to be closed by
a teardown; what is kept for the process is no leak but shared.
If this is wrong, leaked-connection, connect-per-request and global-shared-connection are.
"""

from __future__ import annotations

import ast
import re
from collections import deque
from collections.abc import Iterator
from typing import TYPE_CHECKING

from ..model.code import Call, Class, Function
from ..model.facts import TEARDOWNS
from ..model.values import NOTHING, Connection, FunctionValue, Instance
from .bindings import Verdict, binding_of, returned_index
from .closing_paths import RAISES, Paths
from .connection_acts import CLOSING, ConnectionActs
from .expression_names import is_of_request, name_of, root_of, walk_own
from .vendored_kit import is_of_kit

if TYPE_CHECKING:
    from ..model.project import Project

DRIVERS = ("psycopg2", "psycopg", "pg8000")
NEVER_CLOSED = "is never closed"
ONLY_AT_THE_END = "is closed only when nothing raises"
EARLY_RETURN = "stays open on a way out that returns early"
NOT_PUT_BACK = "is closed but not given back with putconn(), so its place in the pool is lost"
CURSOR = re.compile(r"cur(s|sor)?s?$", re.IGNORECASE)
_KEPT = "_lifetimes"


class Lifetimes:
    """The verdicts of one project, in the order of the source."""

    def __init__(self, project: Project) -> None:
        self.project = project
        self.verdicts: dict[Call, Verdict] = {}
        self.handing: dict[Function, Verdict] = {}
        self._made: dict[Class, list[Call]] = {}
        for call in project.calls():
            for value in call.result:
                if isinstance(value, Instance) and _makes(call, value.cls):
                    self._made.setdefault(value.cls, []).append(call)
        self._run()

    def _run(self) -> None:
        """Judge functions until no more helper hands on."""
        todo = deque(
            dict.fromkeys(call.function for call in self.project.calls("connect", "getconn") if is_ours(call))
        )
        turns: dict[Function, int] = {}
        while todo:
            function = todo.popleft()
            turns[function] = turns.get(function, 0) + 1
            if turns[function] > 6 or is_of_kit(self.project, function.path):
                continue
            before = self.handing.get(function)
            self._judge_all(function)
            if self.handing.get(function) != before:
                todo.extend(call.function for call in function.callers if call.function not in todo)

    def _judge_all(self, function: Function) -> None:
        self.handing.pop(function, None)
        for call in function.calls:
            if not self.acquires(call):
                continue
            verdict = self.verdicts[call] = self._judge(call)
            if verdict.kind in ("returned", "kept") and function not in self.handing:
                self.handing[function] = verdict

    def acquires(self, call: Call) -> bool:
        """Whether a call opens or leases a connection that its function has to care for."""
        return is_ours(call) or self._helper(call) is not None

    def _helper(self, call: Call) -> Verdict | None:
        for callee in call.callees:
            entered = callee.name == "__enter__" and isinstance(call.node, ast.Call)
            if (
                callee in self.handing
                and not callee.is_context_manager
                and callee is not call.function
                and not entered
            ):
                return self.handing[callee]
        return None

    # One acquisition

    def _judge(self, call: Call) -> Verdict:
        helper = self._helper(call)
        binding = binding_of(self.project, call, helper)
        if binding.used == "returned":
            return Verdict("returned", index=returned_index(call))
        if binding.used:
            return Verdict(binding.used, NEVER_CLOSED if binding.used == "leaks" else "")
        pools = {value.pool for value in call.result if isinstance(value, Connection)}
        is_put_back = call.does == "getconn" and any(
            pool.startswith("psycopg2.pool.") or not pool for pool in pools
        )
        is_object = helper is not None and helper.kind == "kept"
        acts = ConnectionActs(self.project, call, set(binding.names), is_object, is_put_back)
        return self._kept(acts) or self._followed(acts)

    def _followed(self, acts: ConnectionActs) -> Verdict:
        body = getattr(acts.function.node, "body", [])
        exits = Paths(acts).run(body if isinstance(body, list) else [], frozenset(["none"]))
        if "open" not in exits.get("fall", "return") and "returned" in exits.get("return"):
            return Verdict("returned", index=_index(acts))
        if acts.is_put_back and acts.closes_pooled and "open" in exits.get("fall", "return"):
            return Verdict("leaks", NOT_PUT_BACK)
        if (
            acts.is_object
            and "open" in exits.get("fall", "return")
            and any(root_of(name) == "self" for name in acts.names)
        ):
            return Verdict("kept")
        if "open" in exits.get("fall", "return"):
            return Verdict("leaks", EARLY_RETURN if acts.has_release() else NEVER_CLOSED)
        if "open" in exits.get(*RAISES):
            return Verdict("leaks", ONLY_AT_THE_END if acts.has_release() else NEVER_CLOSED)
        return Verdict("closed")

    def _kept(self, acts: ConnectionActs) -> Verdict | None:
        """Judge what is kept for longer than the call; None when it is not, or closed here all the same."""
        names, function = acts.names, acts.function
        if any(is_of_request(name) for name in names):
            return self._kept_for_request(acts)
        own = [name for name in names if name != "self" and root_of(name) == "self"]
        shared = [name for name in names if self._is_shared(name, function)]
        if not own and not shared:
            return None
        if function.is_module or (shared and not acts.has_release()):
            return Verdict("process")
        if not own or (acts.has_release() and not self._closers(function)) or function.cls is None:
            return None
        guarded = _is_guarded(acts, own)
        if not guarded and self._hands_on(acts):
            return None
        return self._kept_on_object(acts, guarded=guarded)

    def _kept_on_object(self, acts: ConnectionActs, *, guarded: bool) -> Verdict | None:
        function = acts.function
        closers = self._closers(function)
        if self._lasts(function):
            return Verdict("process")
        if function in closers and acts.has_release():
            return None
        if not any(self._is_used(each) for each in closers):
            return Verdict("leaks", NEVER_CLOSED)
        if all(self.project.reach.calls(each, "execute", "executemany") for each in closers):
            return Verdict("unknown" if all(map(_closes_at_last, closers)) else "leaks", ONLY_AT_THE_END)
        if function.name == "__enter__" and any(each.name == "__exit__" for each in closers):
            return Verdict("closed")
        if any(each.name == "__del__" for each in closers) or guarded:
            return Verdict("unknown")
        return Verdict("kept")

    def _hands_on(self, acts: ConnectionActs) -> bool:
        """Whether a function returns what it also keeps: then callers get a new one each time."""
        nodes = [node for node in walk_own(acts.function.node) if isinstance(node, ast.Return)]
        return any(acts.returns(node) for node in nodes) and acts.function.name not in ("__enter__", "__new__")

    def _kept_for_request(self, acts: ConnectionActs) -> Verdict | None:
        if acts.has_release() and not acts.function.hooks:
            return None
        closed = any(self.project.reach.calls(each, *CLOSING) for each in self._teardowns())
        return (
            Verdict("request")
            if closed
            else Verdict("leaks", "is kept for the request, and no teardown closes it")
        )

    def _teardowns(self) -> Iterator[Function]:
        """Yield what runs at the end of a request, registered on an app that is not known as one included."""
        yield from (function for function in self.project.functions() if TEARDOWNS & set(function.hooks))
        for call in self.project.calls():
            if isinstance(call.node, ast.Call) and name_of(call.node.func).rpartition(".")[2] in TEARDOWNS:
                given = NOTHING.union(*call.arguments)
                yield from (value.function for value in given if isinstance(value, FunctionValue))

    # What it lies in

    def _is_shared(self, name: str, function: Function) -> bool:
        """Whether a name outlives the function: a module's, a class's, the app's."""
        root = root_of(name)
        if function.is_module:
            return True
        if name == root:
            return root in function.globals
        if root == "cls" or any(cls.node.name == root for cls in function.module.classes):
            return True
        if root in ("self", *function.parameters):
            return root in ("app", "flask_app", "application")
        return root in ("app", "current_app", "application") or not _is_local(root, function)

    def _closers(self, function: Function) -> list[Function]:
        """Return the methods that close what the function's object keeps, subclasses' included."""
        own = function.cls
        classes = [cls for module in self.project.modules for cls in module.classes if own in cls.lineage]
        found: dict[Function, None] = {}
        for cls in classes:
            for name in dict.fromkeys(name for each in cls.lineage for name in each.methods):
                method = cls.method(name)
                if method and method is not function and self._closes_own(method):
                    found[method] = None
        return list(found)

    def _closes_own(self, method: Function) -> bool:
        """Whether a method closes what lies on `self`: by itself, or through what it hands that to."""
        nodes = [node for node in walk_own(method.node) if isinstance(node, ast.Call)]
        if any(_closes_attribute(node) for node in nodes):
            return True
        for call in method.calls:
            given = call.node.args if isinstance(call.node, ast.Call) else []
            is_given = any(name_of(each).startswith("self.") for each in given)
            for callee in call.callees:
                own = callee.cls is not None and callee.cls is method.cls and callee is not method
                if (own or is_given) and self.project.reach.calls(callee, *CLOSING):
                    return True
        return False

    def _is_used(self, closer: Function) -> bool:
        if closer.name in ("__exit__", "__del__", "__aexit__") or closer.callers or closer.hooks:
            return True
        return bool(self.project.reach.routes(closer))

    def _lasts(self, function: Function) -> bool:
        """Whether the function's object is made once, when modules are imported or by a guard in a function."""
        if function.name == "__new__" or (function.cls and any(map(_is_singleton, function.cls.lineage))):
            return True
        classes = [cls for cls in self._made if function.cls in cls.lineage]
        made = [call for cls in classes for call in self._made[cls]]
        return bool(made) and all(self._is_made_once(call) for call in made)

    def _is_made_once(self, call: Call) -> bool:
        if call.function.is_module:
            return True
        if self.project.reach.is_import_time(call) and not self.project.reach.routes(call.function):
            return True
        binding = binding_of(self.project, call, None)
        return bool(binding.names) and all(self._is_shared(name, call.function) for name in binding.names)


def _is_singleton(cls: Class) -> bool:
    """Whether a class sees to it that there is one object: by `__new__`, a metaclass, or `Own.instance = self`."""
    if "__new__" in cls.methods:
        return True
    named = [*(keyword.value for keyword in cls.node.keywords), *cls.node.decorator_list]
    if any("singleton" in name_of(each).lower() for each in named):
        return True
    for node in ast.walk(cls.node):
        targets = node.targets if isinstance(node, ast.Assign) and name_of(node.value) == "self" else []
        if any(name_of(target).startswith((cls.node.name + ".", "cls.")) for target in targets):
            return True
    return False


def _makes(call: Call, cls: Class) -> bool:
    """Whether a call names the class that it makes an object of, and is no helper that returns one."""
    name = name_of(call.node.func).rpartition(".")[2] if isinstance(call.node, ast.Call) else ""
    return name in (cls.node.name, "cls", "__new__")


def _closes_at_last(method: Function) -> bool:
    """Whether a method that works with a connection closes it in a `finally`."""
    finals = [node for node in walk_own(method.node) if isinstance(node, ast.Try) and node.finalbody]
    nodes = [each for node in finals for statement in node.finalbody for each in walk_own(statement)]
    return any(isinstance(each, ast.Call) and _closes_attribute(each) for each in nodes)


def _closes_attribute(node: ast.Call) -> bool:
    """Whether a call closes or gives back an attribute of `self` that is no cursor."""
    if name_of(node.func).endswith("putconn"):
        return any(name_of(each).startswith("self.") for each in node.args)
    if not isinstance(node.func, ast.Attribute) or node.func.attr != "close":
        return False
    owner = name_of(node.func.value)
    return owner.startswith("self.") and not CURSOR.search(owner)


def _index(acts: ConnectionActs) -> int | None:
    for node in walk_own(acts.function.node):
        if isinstance(node, ast.Return) and node.value is not None:
            found = acts.index_in(node.value)
            if isinstance(found, int) and not isinstance(found, bool):
                return found
    return None


def _is_guarded(acts: ConnectionActs, names: list[str]) -> bool:
    """Whether an acquisition is made only when there is none yet."""
    line = getattr(acts.call.node, "lineno", 0)
    last = {name.rpartition(".")[2] for name in names}
    for node in walk_own(acts.function.node):
        if not isinstance(node, (ast.If, ast.IfExp, ast.While)) or node.lineno > line:
            continue
        for each in walk_own(node.test):
            if name_of(each) in names or (isinstance(each, ast.Constant) and each.value in last):
                return True
    return False


def _is_local(name: str, function: Function) -> bool:
    """Whether a function, or one around it, binds a name."""
    each: Function | None = function
    while each is not None and not each.is_module:
        if name in each.parameters or any(
            isinstance(node, ast.Name) and node.id == name and isinstance(node.ctx, ast.Store)
            for node in walk_own(each.node)
        ):
            return name not in each.globals
        each = each.parent
    return False


def is_ours(call: Call) -> bool:
    """Whether a call connects to PostgreSQL, or leases such a connection."""
    if call.does not in ("connect", "getconn") or not isinstance(call.node, ast.Call):
        return False
    drivers = {value.driver for value in call.result if isinstance(value, Connection)}
    return not drivers or bool(drivers & {*DRIVERS, ""})


def lifetimes(project: Project) -> Lifetimes:
    """Return what becomes of a project's connections; found once."""
    if _KEPT not in vars(project):
        vars(project)[_KEPT] = Lifetimes(project)
    found: Lifetimes = vars(project)[_KEPT]
    return found


def connections(values: object) -> Iterator[Connection]:
    """Yield the connections among values."""
    yield from (value for value in values if isinstance(value, Connection))  # type: ignore[attr-defined]


__all__ = ["Lifetimes", "Verdict", "connections", "is_ours", "lifetimes"]
