"""What Python files show of the start: a server that is imported and run, a WSGI entry, Gunicorn's settings."""

from __future__ import annotations

import ast
import re
from collections.abc import Iterator

from ..finding import Place
from ..model.code import Module
from .deployment import Fact, Mention, Sizes
from .nodes import nodes
from .purpose import is_for_development, is_sample
from .requirements import requirements

IMPORTED = {
    "waitress": "waitress", "gevent.pywsgi": "gevent", "gevent.wsgi": "gevent", "cheroot": "cheroot",
    "cheroot.wsgi": "cheroot", "cherrypy": "cherrypy", "cherrypy.wsgiserver": "cherrypy", "bjoern": "bjoern",
    "tornado.wsgi": "tornado", "gunicorn.app.base": "gunicorn", "gunicorn.app.wsgiapp": "gunicorn",
    "eventlet.wsgi": "eventlet", "hypercorn.asyncio": "hypercorn", "uvicorn": "uvicorn", "meinheld": "meinheld",
    "twisted.web.wsgi": "twisted", "fastwsgi": "fastwsgi", "serverless_wsgi": "serverless-wsgi",
    "mangum": "mangum", "apig_wsgi": "apig-wsgi", "awsgi": "aws-wsgi", "asgiref.wsgi": "uvicorn",
}  # fmt: skip
GUNICORN_FILES = ("gunicorn.conf.py", "gunicorn_conf.py", "gunicorn_config.py", "gunicorn.py", "gconfig.py")
_PORT = re.compile(r"(environ(\.get)?|getenv)\s*[\[(]\s*[\"']PORT[\"']")
ENTRIES = {"wsgi.py": "wsgi", "passenger_wsgi.py": "passenger"}


def code(module: Module) -> Iterator[Fact]:
    """Yield what a module shows."""
    name = module.path.rpartition("/")[2]
    if is_for_development(module.path) or is_sample(module.path):
        return
    if name in GUNICORN_FILES:
        yield Mention(Place(module.path, 1), "gunicorn", f"{module.path} configures Gunicorn")
        yield _sizes(module)
    if name in ENTRIES and _binds_an_app(module.tree):
        yield Mention(Place(module.path, 1), ENTRIES[name], f"{module.path} is an entry for a WSGI server")
    if name == "setup.py":
        yield from requirements(module.path, "\n".join(module.lines))
    yield from _imports(module)
    yield from _port(module)


def _port(module: Module) -> Iterator[Mention]:
    """Yield that a module takes its port from the environment, as platforms with a router want it."""
    for number, line in enumerate(module.lines, 1):
        if _PORT.search(line):
            yield Mention(Place(module.path, number), "router", f"{module.path} takes PORT as platforms give it")
            return


def _imports(module: Module) -> Iterator[Mention]:
    for node in nodes(module, ast.Import, ast.ImportFrom):
        if isinstance(node, ast.Import):
            names = [alias.name for alias in node.names]
        elif isinstance(node, ast.ImportFrom) and node.module and not node.level:
            names = [node.module, *(f"{node.module}.{alias.name}" for alias in node.names)]
        else:
            continue
        server = next((IMPORTED[each] for each in names if IMPORTED.get(each)), "")
        if server:
            yield Mention(module.place(node), server, f"{module.path} imports {server}")


def _binds_an_app(tree: ast.Module) -> bool:
    """Whether a module has `app` or `application` at its top."""
    bound: set[str] = set()
    for node in tree.body:
        if isinstance(node, (ast.Import, ast.ImportFrom)):
            bound.update(alias.asname or alias.name for alias in node.names)
        elif isinstance(node, ast.Assign):
            bound.update(target.id for target in node.targets if isinstance(target, ast.Name))
    return bool(bound & {"app", "application", "server"})


def _sizes(module: Module) -> Sizes:
    found: dict[str, int] = {}
    for node in module.tree.body:
        value = node.value if isinstance(node, ast.Assign) else None
        if isinstance(node, ast.Assign) and isinstance(value, ast.Constant) and isinstance(value.value, int):
            found.update({target.id: value.value for target in node.targets if isinstance(target, ast.Name)})
    return Sizes(Place(module.path, 1), found.get("workers"), found.get("threads"))
