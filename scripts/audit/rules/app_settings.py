"""What the Flask app is configured with, wherever that is said.

Known are assignments to `app.config`, its `update` and `from_mapping`, attributes of the app, and the modules,
classes and files that `from_object` and `from_pyfile` load. A name that is only known at run time leaves every
configuration class possible; those whose names say development are left out then.
"""

from __future__ import annotations

import ast
import re
from collections.abc import Iterator
from dataclasses import dataclass

from ..evidence.purpose import is_for_development
from ..finding import Place
from ..model.code import Call, Class, Module
from ..model.project import Project
from ..model.values import ClassValue, Constant, Instance, ModuleValue, Text, Values, constants, paths
from .flask_app import APP, APP_NAMES
from .literals import bindings, dotted, name_of

CONFIG = "flask.Flask().config"
ATTRIBUTES = {
    "secret_key": "SECRET_KEY", "debug": "DEBUG", "env": "ENV", "session_cookie_name": "SESSION_COOKIE_NAME",
    "permanent_session_lifetime": "PERMANENT_SESSION_LIFETIME", "testing": "TESTING",
}  # fmt: skip
_DEVELOPMENT = re.compile(r"dev|test|local|debug", re.IGNORECASE)
_CONFIG_MODULES = re.compile(r"(^|[._])(config|configs|configuration|settings|conf)$")


@dataclass(frozen=True)
class Setting:
    """A value that the app is configured with.

    Attributes:
        name: `DEBUG`, in capitals.
        node: The expression; None in a file that is no Python.
        values: What it can be, as far as is known.
        is_conditional: Whether another configuration may be loaded instead of this one.
        owner: The class that is loaded with it, "" for none; it may stand in a base.
    """

    name: str
    place: Place
    module: Module | None
    node: ast.expr | None
    values: Values
    is_conditional: bool = False
    owner: str = ""


def settings(project: Project) -> list[Setting]:
    """Return what the app is configured with, in the order of the source."""
    kept = vars(project).get("_app_settings")
    if kept is None:
        found = _settings(project)
        kept = vars(project)["_app_settings"] = sorted(found, key=lambda each: (each.place, each.name))
    return list(kept)


def named(project: Project, *names: str) -> list[Setting]:
    """Return the settings of these names."""
    return [setting for setting in settings(project) if setting.name in names]


def is_on(values: Values) -> bool:
    """Whether values are constants that are all true."""
    found = list(constants(values))
    return bool(found) and len(found) == len(values) and all(_is_true(each) for each in found)


def _is_true(value: object) -> bool:
    if isinstance(value, str):
        return value.strip().lower() not in ("", "0", "false", "off", "no", "none")
    return bool(value)


def _settings(project: Project) -> Iterator[Setting]:
    yield from _stored(project)
    for call in project.calls():
        if _is_on_config(call, "update", "from_mapping", "setdefault"):
            yield from _updated(call)
    yield from _loaded(project)


def _is_on_config(call: Call, *methods: str) -> bool:
    function = call.node.func if isinstance(call.node, ast.Call) else None
    if not isinstance(function, ast.Attribute) or function.attr not in methods:
        return False
    if call.target:
        return call.target.startswith(CONFIG + ".")
    return dotted(function.value).endswith("app.config")


def _stored(project: Project) -> Iterator[Setting]:
    """Yield what is assigned: `app.config["DEBUG"] = True`, `app.debug = True`."""
    for store in project.stores():
        owners, module = paths(store.owner), store.function.module
        target, node = _target(module, store.node)
        if store.is_item and (CONFIG in owners or dotted(target).endswith("app.config")):
            yield Setting(store.name, module.place(node or store.node), module, node, store.values)
        elif not store.is_item and store.name in ATTRIBUTES and (APP in owners or _is_app(target)):
            yield Setting(ATTRIBUTES[store.name], module.place(node or store.node), module, node, store.values)


def _target(module: Module, node: ast.AST) -> tuple[ast.AST, ast.expr | None]:
    """Return the target of an assignment that a store stands for, and its value."""
    pairs = list(bindings(module.statement(node)))
    exact = [(target, value) for target, value in pairs if target is node]
    return next(iter(exact or pairs), (node, None))


def _is_app(target: ast.AST) -> bool:
    """Whether an attribute's owner is an app by its name."""
    return isinstance(target, ast.Attribute) and bool(APP_NAMES.search(dotted(target.value)))


def _updated(call: Call) -> Iterator[Setting]:
    """Yield what `config.update(DEBUG=True)` and `config.update({"DEBUG": True})` set."""
    module = call.function.module
    if not isinstance(call.node, ast.Call):
        return
    for keyword in call.node.keywords:
        if keyword.arg:
            values = call.keywords.get(keyword.arg) or constant(keyword.value)
            yield Setting(keyword.arg, module.place(keyword.value), module, keyword.value, values)
    for argument in call.node.args:
        yield from _of_dict(argument, module)


def _of_dict(node: ast.expr, module: Module) -> Iterator[Setting]:
    if isinstance(node, ast.Dict):
        pairs = [(key.value, value) for key, value in zip(node.keys, node.values, strict=True)
                 if isinstance(key, ast.Constant) and isinstance(key.value, str)]  # fmt: skip
    elif isinstance(node, ast.Call) and dotted(node.func) == "dict":
        pairs = [(keyword.arg, keyword.value) for keyword in node.keywords if keyword.arg]
    else:
        return
    for name, value in pairs:
        yield Setting(name, module.place(value), module, value, constant(value))


def constant(node: ast.expr) -> Values:
    """Return the values of a constant; nothing for anything else."""
    if not isinstance(node, ast.Constant):
        return frozenset()
    return frozenset({Text((node.value,)) if isinstance(node.value, str) else Constant(node.value)})


def _loaded(project: Project) -> Iterator[Setting]:
    """Yield the settings of the modules, classes and files that the app loads."""
    calls = [call for call in project.calls() if _is_on_config(call, "from_object", "from_pyfile", "from_envvar")]
    seen: set[tuple[Place, str]] = set()
    for call in calls:
        found = list(_targets(project, call))
        conditional = len(found) != 1 or len(calls) > 1
        for target in found or _any_configuration(project):
            for setting in _of_target(target, conditional):
                if (setting.place, setting.owner) not in seen:
                    seen.add((setting.place, setting.owner))
                    yield setting
        for path in _files(project, call):
            yield from _of_file(path, project.text(path))


def _targets(project: Project, call: Call) -> Iterator[Module | Class]:
    """Yield what a `from_object` can load."""
    for value in call.argument(0, "obj") or call.argument(0, "filename"):
        if isinstance(value, (ClassValue, Instance)):
            yield value.cls
        elif isinstance(value, ModuleValue):
            yield value.module
        elif isinstance(value, Text) and value.constant:
            yield from _by_name(project, value.constant)
    if any(isinstance(each, ast.Name) and each.id == "__name__" for each in getattr(call.node, "args", ())):
        yield call.function.module


def _by_name(project: Project, name: str) -> Iterator[Module | Class]:
    """Yield the module or class that a dotted name or a file's name means."""
    dotted_name = name.removesuffix(".py").replace("/", ".").strip(".")
    for module in project.modules:
        if module.name == dotted_name or module.name.endswith("." + dotted_name):
            yield module
            return
        for cls in module.classes:
            full = f"{module.name}.{cls.qualname}"
            if full == dotted_name or full.endswith("." + dotted_name):
                yield cls
                return


def _any_configuration(project: Project) -> Iterator[Class]:
    """Yield the classes that a name known at run time may mean: not those for development, nor mere bases."""
    for module in project.modules:
        if _CONFIG_MODULES.search(module.name):
            bases = {base.qualname for cls in module.classes for base in cls.bases}
            usable = [cls for cls in module.classes if cls.qualname not in bases]
            yield from (cls for cls in usable if not _DEVELOPMENT.search(cls.qualname))


def _of_target(target: Module | Class, conditional: bool) -> Iterator[Setting]:
    if isinstance(target, Module):
        yield from _of_body(target, target.tree.body, "", conditional or is_for_development(target.path))
        return
    found: set[str] = set()
    for cls in target.lineage:
        own = list(_of_body(cls.module, cls.node.body, target.qualname, conditional))
        yield from (setting for setting in own if setting.name not in found)
        found.update(setting.name for setting in own)


def _of_body(module: Module, body: list[ast.stmt], owner: str, conditional: bool) -> Iterator[Setting]:
    for statement in body:
        for target, value in bindings(statement):
            name = name_of(target)
            if isinstance(target, ast.Name) and name.isupper():
                place = module.place(value)
                yield Setting(name, place, module, value, constant(value), conditional, owner)


def _files(project: Project, call: Call) -> list[str]:
    """Return the files, no Python by name, that `from_pyfile` loads."""
    names = [text for text in constants(call.argument(0, "filename")) if isinstance(text, str)]
    return [path for path in project.files if any(name and path.endswith(name.lstrip("./")) for name in names)]


def _of_file(path: str, text: str) -> Iterator[Setting]:
    for number, line in enumerate(text.splitlines(), 1):
        match = re.match(r"([A-Z][A-Z0-9_]*)\s*=\s*(True|False|\d+|'[^']*'|\"[^\"]*\")\s*(#.*)?$", line)
        if match:
            value = ast.literal_eval(match[2])
            values = frozenset({Text((value,)) if isinstance(value, str) else Constant(value)})
            yield Setting(match[1], Place(path, number), None, None, values)
