"""What a process remembers between requests: names of modules and classes that handlers change and read.

By syntax, since the values of such names do not matter, only who binds and changes them: a name of the module
itself, one that `from module import name` brings along, `module.name`, `Class.name`. What goes through other
names is not seen. If it is wrong, constants are reported.
"""

from __future__ import annotations

import ast
import re
from collections.abc import Iterator
from dataclasses import dataclass, field

from ..evidence.nodes import nodes
from ..finding import Place
from ..model.code import Class, Function, Module
from ..model.project import Project
from .expression_names import name_of, walk_own
from .literals import dotted
from .waiting import waiting

MAKERS = (
    "dict",
    "list",
    "set",
    "defaultdict",
    "deque",
    "OrderedDict",
    "Counter",
    "WeakValueDictionary",
    "bytearray",
)
ADDS = ("append", "add", "update", "setdefault", "extend", "insert", "appendleft", "extendleft")
TAKES = ("pop", "remove", "discard", "clear", "popitem", "popleft")
NOT_STATE = re.compile(r"log(ger)?$|lock$|config$|settings$|client|connection|engine|(^|_)(app|db|conn|connection"
                       r"|cursor|cur|pool|engine|client|model|redis|mail"
                       r"|socketio|scheduler|instance|driver|executor|event|initialized|started|loaded|ready"
                       r"|debug)$", re.IGNORECASE)  # fmt: skip
SCALARS = (ast.Constant, ast.UnaryOp)


@dataclass
class Kept:
    """One such name.

    Attributes:
        written: Where handlers change it, in order.
        grows: Whether it can take up more and more.
        is_emptied: Whether something is taken out somewhere.
        is_memo: Whether handlers only keep in it what they can make again.
    """

    name: str
    place: Place
    grows: bool
    written: list[Place] = field(default_factory=list)
    writers: dict[Function, None] = field(default_factory=dict)
    is_read: bool = False
    is_emptied: bool = False
    is_memo: bool = True


class _Uses:
    """Which names each function uses, found once; and what each module imports."""

    def __init__(self, project: Project) -> None:
        self.project = project
        self.waiting = waiting(project)
        self.imports = {module: list(_imports(module)) for module in project.modules}
        self.nodes = {
            function: _named(function)
            for function in project.functions()
            if not function.is_module and not isinstance(function.node, ast.Lambda)
        }
        self._bound: dict[Function, set[str]] = {}

    def of(self, function: Function, shown: str) -> list[ast.AST]:
        """Return where a function uses a name that is not its own."""
        found = self.nodes.get(function, {}).get(shown, [])
        return found if found and shown.partition(".")[0] not in self._own(function) - {"self", "cls"} else []

    def _own(self, function: Function) -> set[str]:
        if function not in self._bound:
            self._bound[function] = _bound_names(function)
        return self._bound[function]


def kept(project: Project) -> list[Kept]:
    """Return what handlers change and read, in the order of the source."""
    uses = _Uses(project)
    found: list[Kept] = []
    for module in project.modules:
        found.extend(_of_module(uses, module))
        for cls in module.classes:
            found.extend(_of_class(uses, cls))
    return [each for each in found if each.writers and each.is_read]


def _of_module(uses: _Uses, module: Module) -> Iterator[Kept]:
    made = dict(_definitions(module.tree.body))
    found = {
        name: Kept(name, module.place(target), grows)
        for name, (target, grows) in made.items()
        if not NOT_STATE.search(name)
    }
    if not found:
        return
    for other in uses.project.modules:
        names = {name: name for name in found} if other is module else _brought(uses.imports[other], module, found)
        for function in other.functions if names else ():
            _look(uses, function, {shown: found[name] for shown, name in names.items()})
    yield from found.values()


def _of_class(uses: _Uses, cls: Class) -> Iterator[Kept]:
    """Look at the containers in a class's body, unless its objects have one of their own."""
    own = {
        each.attr
        for each in ast.walk(cls.node)
        if isinstance(each, ast.Attribute) and isinstance(each.ctx, ast.Store)
    }
    made = {name: pair for name, pair in _definitions(cls.node.body) if pair[1] and name not in own}
    if cls.external_bases or not made:
        return  # the attributes of a model or a form are declarations
    found = {name: Kept(f"{cls.node.name}.{name}", cls.module.place(pair[0]), True) for name, pair in made.items()}
    names = {f"{owner}.{name}": each for name, each in found.items() for owner in ("self", "cls", cls.node.name)}
    for function in cls.module.functions:
        _look(
            uses,
            function,
            {
                shown: each
                for shown, each in names.items()
                if function.cls is cls or shown.startswith(cls.node.name)
            },
        )
    yield from found.values()


def _definitions(body: list[ast.stmt]) -> Iterator[tuple[str, tuple[ast.expr, bool]]]:
    """Yield the names that are bound to a container or a plain value, and whether it is a container."""
    for statement in body:
        if isinstance(statement, ast.Assign) and len(statement.targets) == 1:
            target, value = statement.targets[0], statement.value
        elif isinstance(statement, ast.AnnAssign) and statement.value is not None:
            target, value = statement.target, statement.value
        else:
            continue
        if isinstance(target, ast.Name) and not target.id.startswith("__"):
            is_made = isinstance(value, ast.Call) and dotted(value.func).rpartition(".")[2] in MAKERS
            if is_made or isinstance(value, (ast.Dict, ast.List, ast.Set, ast.ListComp, ast.DictComp)):
                yield target.id, (target, True)
            elif isinstance(value, SCALARS):
                yield target.id, (target, False)


def _imports(module: Module) -> Iterator[tuple[str, str, str]]:
    """Yield what a module imports: the end of the module's name, the name in it or "", and its name here."""
    for node in nodes(module, ast.ImportFrom, ast.Import):
        if isinstance(node, ast.ImportFrom):
            for alias in node.names:
                yield (node.module or "").rpartition(".")[2], alias.name, alias.asname or alias.name
                yield alias.name, "", alias.asname or alias.name
        elif isinstance(node, ast.Import):
            for alias in node.names:
                yield alias.name.rpartition(".")[2], "", alias.asname or alias.name


def _brought(imports: list[tuple[str, str, str]], module: Module, found: dict[str, Kept]) -> dict[str, str]:
    """Return what another module calls these names: "name" or "module.name"."""
    parts = module.name.split(".")
    names: dict[str, str] = {}
    for tail, name, shown in imports:
        if tail == parts[-1] and name in found:
            names[shown] = name
        elif tail == parts[-1] and not name:
            names.update({f"{shown}.{each}": each for each in found})
    return names


def _named(function: Function) -> dict[str, list[ast.AST]]:
    found: dict[str, list[ast.AST]] = {}
    for node in walk_own(function.node):
        if isinstance(node, (ast.Name, ast.Attribute)):
            found.setdefault(name_of(node), []).append(node)
    return found


def _look(uses: _Uses, function: Function, names: dict[str, Kept]) -> None:
    """Note what a function does with these names."""
    module = function.module
    for shown, each in names.items():
        for node in uses.of(function, shown):
            act = _act(module, node, each, function)
            each.is_emptied = each.is_emptied or act == "take"
            if not uses.waiting.routes(function):
                continue
            if act in ("add", "bind"):
                each.written.append(module.place(node))
                each.writers[function] = None
                each.is_memo = each.is_memo and _is_memo(function, shown)
            each.is_read = each.is_read or act in ("read", "take")


def _is_memo(function: Function, shown: str) -> bool:
    """Whether a function keeps what it can make again: it adds only what is not there yet."""
    tests = [ast.unparse(each) for each in ast.walk(function.node) if isinstance(each, ast.Compare)]
    gets = [
        ast.unparse(each)
        for each in ast.walk(function.node)
        if isinstance(each, ast.Return) and each.value is not None
    ]
    return any(f"in {shown}" in test for test in tests) and any(
        f"{shown}[" in each or f"{shown}.get(" in each for each in gets
    )


def _act(module: Module, node: ast.AST, each: Kept, function: Function) -> str:
    """Return what happens to a name: "add", "take", "bind" or "read"."""
    parent = module.parents.get(node)
    if isinstance(getattr(node, "ctx", None), (ast.Store, ast.Del)):
        return "bind" if not _is_lazy(function, node) else "made"
    if not each.grows:
        return "read"
    if isinstance(parent, ast.Subscript) and parent.value is node and not isinstance(parent.ctx, ast.Load):
        return "add" if isinstance(parent.ctx, ast.Store) else "take"
    if isinstance(parent, ast.Subscript) and parent.value is node and _is_changed(module, parent):
        return "add"
    if isinstance(parent, ast.Attribute) and isinstance(module.parents.get(parent), ast.Call):
        return "add" if parent.attr in ADDS else "take" if parent.attr in TAKES else "read"
    return "read"


def _is_changed(module: Module, item: ast.Subscript) -> bool:
    """Whether an element is changed in place: `d[k].append(x)`, `d[k][j] = x`."""
    parent = module.parents.get(item)
    if isinstance(parent, ast.Subscript) and parent.value is item:
        return isinstance(parent.ctx, ast.Store)
    return (
        isinstance(parent, ast.Attribute)
        and parent.attr in ADDS
        and isinstance(module.parents.get(parent), ast.Call)
    )


def _is_lazy(function: Function, node: ast.AST) -> bool:
    """Whether a function binds the name only where it has nothing yet."""
    name = dotted(node)
    tests = [each.test for each in ast.walk(function.node) if isinstance(each, (ast.If, ast.IfExp))]
    return any(
        re.search(
            rf"(\bnot {re.escape(name)}\b|\b{re.escape(name)} is (not )?None|\b{re.escape(name)}\b$)",
            ast.unparse(test),
        )
        for test in tests
    )


def _bound_names(function: Function | None) -> set[str]:
    """Return the names that are a function's own, or those of the functions that it is in."""
    found: set[str] = set()
    while function is not None and not function.is_module:
        stored = {
            each.id
            for each in walk_own(function.node)
            if isinstance(each, ast.Name) and isinstance(each.ctx, ast.Store)
        }
        found |= (stored | set(function.parameters)) - function.globals
        function = function.parent
    return found
