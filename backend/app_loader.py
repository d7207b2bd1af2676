"""Finds and imports the app that HARDEN_APP names, as `python app.py` or `flask run` would have.

`path/to/app.py:app`, `package.module:app`, `package:create_app()`; without a name, `app`, `application`, the
only Flask app in the module, or `create_app()` / `make_app()`. Every failure is one AppLoadError line that
says what happened and what to do.

Scripts end in `app.run(...)`, and what stands after it runs when the server has stopped (`conn.close()`).
Under a real server a module is imported instead, and those lines would run before the first request. So
`app.run()` does nothing while the app is imported, and calls that follow it at the module's end are left out.
"""

from __future__ import annotations

import ast
import importlib
import importlib.machinery
import importlib.util
import inspect
import logging
import sys
import sysconfig
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from types import ModuleType
from typing import Any

from flask import Flask

from .errors import AppLoadError
from .importing import app_folder, import_root, split_target

log = logging.getLogger(__name__)
FACTORIES = ("create_app", "make_app")
STANDARD_LIBRARY = sysconfig.get_path("stdlib")


def load_app(target: str) -> Any:
    """Import the module and return the WSGI application in it.

    Raises:
        AppLoadError: it cannot be found, fails to import, or is no WSGI application.
    """
    place, name = split_target(target)
    if not place:
        raise AppLoadError(f"{target!r} names no app; give path/to/app.py:app or package:create_app()")
    folder = str(app_folder(target))
    if folder not in sys.path:
        sys.path.insert(0, folder)
    with _run_does_nothing():
        module = _import(place)
        app = _find(module, name, target)
    if not callable(app):
        raise AppLoadError(f"{target!r} is {type(app).__name__}, not a WSGI application; name the Flask object")
    return app


def _import(place: str) -> ModuleType:
    path = Path(place)
    try:
        if path.suffix == ".py":
            return _import_file(path)
        if path.is_dir() and (path / "__init__.py").exists():
            return importlib.import_module(_dotted(path.resolve() / "__init__.py"))
        return _import_module(place)
    except AppLoadError:
        raise
    except ModuleNotFoundError as error:
        raise AppLoadError(_missing_module(place, error)) from error
    except SystemExit as error:
        raise AppLoadError(
            f"{place} called exit({error.code!r}) while it was imported; "
            "move that under if __name__ == '__main__'"
        ) from error
    except Exception as error:
        raise AppLoadError(f"{place} failed to import: {_where(error)}; run it by itself to see more") from error


def _import_module(name: str) -> ModuleType:
    own = Path.cwd() / f"{name.replace('.', '/')}.py"
    taken = getattr(sys.modules.get(name), "__file__", None)
    if taken and own.is_file() and not own.samefile(taken):
        return _import_file(own)  # `wsgi:app`, while our own module of that name is being imported
    if not taken and "." not in name and own.is_file():
        return _run(own.resolve(), name)  # a script: calls behind `app.run()` are left out too
    return importlib.import_module(name)


def _import_file(path: Path) -> ModuleType:
    if not path.is_file():
        raise AppLoadError(f"{path} does not exist (looked from {Path.cwd()}); check the path before the colon")
    name = _dotted(path.resolve())
    loaded = sys.modules.get(name)
    if loaded is not None and getattr(loaded, "__file__", None) == str(path.resolve()):
        return loaded
    if loaded is not None:
        name = f"harden_app_{name}"  # the app's own `wsgi.py`, for one, while ours is being imported
    if "." in name:
        importlib.import_module(name.rpartition(".")[0])
    return _run(path.resolve(), name)


def _run(path: Path, name: str) -> ModuleType:
    """Import a file as the module of a name."""
    loader = _ScriptLoader(name, str(path))
    spec = importlib.util.spec_from_loader(name, loader)
    if spec is None:
        raise AppLoadError(f"{path} cannot be imported; is it a Python file?")
    module = importlib.util.module_from_spec(spec)
    sys.modules[name] = module
    try:
        loader.exec_module(module)
    except BaseException:
        sys.modules.pop(name, None)
        raise
    return module


def _dotted(path: Path) -> str:
    """Return the module name of a file, counting the packages around it."""
    parts = path.with_suffix("").relative_to(import_root(path)).parts
    return ".".join(parts[:-1] if parts[-1] == "__init__" else parts)


class _ScriptLoader(importlib.machinery.SourceFileLoader):
    """Compiles a script without the calls after its `app.run()`; never writes bytecode of that."""

    def get_code(self, fullname: str) -> Any:
        path = self.get_filename(fullname)
        tree = ast.parse(self.get_data(path), path)
        tree.body, left_out = _without_shutdown(tree.body)
        if left_out:
            lines = ", ".join(str(node.lineno) for node in left_out)
            log.info("%s: line %s follows app.run() and is left out until the server stops", path, lines)
        return compile(tree, path, "exec", dont_inherit=True)


def _without_shutdown(body: list[ast.stmt]) -> tuple[list[ast.stmt], list[ast.stmt]]:
    """Split a module's statements into those to run and the trailing calls that follow its `app.run()`."""
    servers = _server_names(body)
    starts = [index for index, node in enumerate(body) if _starts_server(node, servers)]
    if not starts:
        return body, []
    after = body[starts[0] + 1 :]
    left_out = [node for node in after if _is_call(node)]
    return [node for node in body if node not in left_out], left_out


def _server_names(body: list[ast.stmt]) -> set[str]:
    """Return the names whose `.run()` serves the app; `subprocess.run()` or `asyncio.run()` do not."""
    names = {"app", "application", "socketio"}
    for node in body:
        if isinstance(node, ast.Assign) and isinstance(node.value, ast.Call):
            made_by = ast.unparse(node.value.func).rpartition(".")[2].lower()
            if made_by.endswith(("app", "flask", "socketio")):
                names |= {target.id for target in node.targets if isinstance(target, ast.Name)}
    return names


def _starts_server(node: ast.stmt, servers: set[str]) -> bool:
    inside = node.body if isinstance(node, ast.If) and "__main__" in ast.dump(node.test) else [node]
    calls = [item.value for item in inside if isinstance(item, ast.Expr) and isinstance(item.value, ast.Call)]
    runs = [call.func for call in calls if isinstance(call.func, ast.Attribute) and call.func.attr == "run"]
    return any(isinstance(run.value, ast.Name) and run.value.id in servers for run in runs)


def _is_call(node: ast.stmt) -> bool:
    return isinstance(node, ast.Expr) and isinstance(node.value, ast.Call)


@contextmanager
def _run_does_nothing() -> Iterator[None]:
    original = Flask.run

    def run(self: Flask, *args: Any, **kwargs: Any) -> None:
        log.info("%s.run() ignored: Gunicorn serves it", self.import_name)

    Flask.run = run  # type: ignore[method-assign]
    try:
        yield
    finally:
        Flask.run = original  # type: ignore[method-assign]


def _find(module: ModuleType, name: str, target: str) -> Any:
    if name.endswith(")"):
        return _call_factory(module, name, target)
    if name:
        app = _attribute(module, name, target)
        return app if not inspect.isfunction(app) or not _is_factory(app) else _called(app, (), {}, target)
    for candidate in ("app", "application"):
        if isinstance(getattr(module, candidate, None), Flask):
            return getattr(module, candidate)
    apps = [value for value in vars(module).values() if isinstance(value, Flask)]
    if len(apps) == 1:
        return apps[0]
    for candidate in FACTORIES:
        if inspect.isfunction(getattr(module, candidate, None)):
            return _called(getattr(module, candidate), (), {}, target)
    raise AppLoadError(f"{module.__name__} holds {len(apps) or 'no'} Flask apps; say which: {target}:NAME")


def _is_factory(function: Any) -> bool:
    """Tell a factory from a WSGI function, which takes environ and start_response."""
    required = [
        parameter
        for parameter in inspect.signature(function).parameters.values()
        if parameter.default is parameter.empty
        and parameter.kind in (parameter.POSITIONAL_ONLY, parameter.POSITIONAL_OR_KEYWORD)
    ]
    return not required


def _call_factory(module: ModuleType, name: str, target: str) -> Any:
    try:
        call = ast.parse(name, mode="eval").body
        if not isinstance(call, ast.Call) or not isinstance(call.func, ast.Name):
            raise ValueError
        args = tuple(ast.literal_eval(arg) for arg in call.args)
        kwargs = {word.arg or "": ast.literal_eval(word.value) for word in call.keywords}
    except (SyntaxError, ValueError):
        raise AppLoadError(f"{name!r} is no plain call; write create_app() or create_app('production')") from None
    return _called(_attribute(module, call.func.id, target), args, kwargs, target)


def _called(factory: Any, args: tuple[Any, ...], kwargs: dict[str, Any], target: str) -> Any:
    try:
        return factory(*args, **kwargs)
    except SystemExit as error:
        raise AppLoadError(f"{target}: the factory called exit({error.code!r}); raise an error instead") from error
    except Exception as error:
        raise AppLoadError(f"{target}: the factory failed: {_where(error)}") from error


def _attribute(module: ModuleType, name: str, target: str) -> Any:
    found: Any = module
    for part in name.split("."):
        if not hasattr(found, part):
            apps = [key for key, value in vars(module).items() if isinstance(value, Flask)]
            hint = f"it has {', '.join(apps)}" if apps else "it has no Flask app"
            raise AppLoadError(f"{module.__name__} has no {name!r} ({target}); {hint}")
        found = getattr(found, part)
    return found


def _missing_module(place: str, error: ModuleNotFoundError) -> str:
    if error.name and (place == error.name or place.startswith(f"{error.name}.")):
        return f"no module {error.name!r} (looked from {Path.cwd()}); give a path, or run from its folder"
    return (
        f"{place} needs the module {error.name!r}, which {sys.executable} does not have; "
        "install the app's requirements, or name their interpreter with --python"
    )


def _where(error: BaseException) -> str:
    """Return the error and the last line of the app's own code that led to it, in one line."""
    text = " ".join(str(error).split())[:300]
    trace = error.__traceback__
    place = library = ""
    while trace is not None:
        name = trace.tb_frame.f_code.co_filename
        ours = Path(name).parent == Path(__file__).parent
        if "site-packages" in name:
            library = f" in {name.rpartition('site-packages/')[2].partition('/')[0].removesuffix('.py')}"
        elif not ours and not name.startswith(("<", STANDARD_LIBRARY)):
            place, library = f" ({name}:{trace.tb_lineno})", ""
        trace = trace.tb_next
    kind = f"{type(error).__name__}{library}"
    return f"{kind}: {text}{place}" if text else f"{kind}{place}"
