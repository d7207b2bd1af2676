"""Calls of what is outside the project, by the dotted path."""

from __future__ import annotations

import ast
from typing import TYPE_CHECKING

from . import containers, facts, routes, text
from .values import (
    NOTHING,
    ClassValue,
    Composed,
    Connection,
    Container,
    Cursor,
    Data,
    External,
    FunctionValue,
    Instance,
    Pool,
    Site,
    Text,
    Values,
)

if TYPE_CHECKING:
    from .calling import Arguments, Calling, Outcome


def call(calling: Calling, value: External, node: ast.Call, given: Arguments, outcome: Outcome) -> None:
    """Call it."""
    path = facts.canonical(value.path)
    outcome.target = outcome.target or path
    for act in (_database, _sql_text, _flask, _given_on):
        if act(calling, path, node, given, outcome):
            return
    if path in facts.SLEEPS:
        outcome.does = "sleep"
    elif facts.HTTP.search(path):
        outcome.does = "http"
    if path == "functools.partial":
        outcome.add(frozenset(each for each in given.get(0) if isinstance(each, FunctionValue)))
    elif path in facts.AS_GIVEN or path.startswith("itertools."):
        outcome.add(given.get(0))
    else:
        outcome.add(_result(calling, path, node, given))


def _result(calling: Calling, path: str, node: ast.Call, given: Arguments) -> Values:
    """Return what comes back: data where the path says so, else the call's own path."""
    if path.startswith("flask.request.") and path.endswith(
        (".get", ".getlist", ".get_json", ".get_data", ".to_dict")
    ):
        return calling.evaluate.outside(f"{path}()", node)
    if path in ("flask.session.get", "flask.session.pop"):
        return frozenset([Data("session", "value", calling.frame.site(node))])
    if path in ("flask.g.get", "flask.g.pop", "flask.g.setdefault"):
        name = containers.key(given.get(0))
        return calling.frame.heap.read(("outside", "flask.g", name), calling.frame.function) | given.get(1)
    if path.endswith((".get", ".pop", ".setdefault")) and given.plain:
        name = containers.key(given.get(0))
        base = path.rpartition(".")[0]
        found = calling.frame.heap.read(("outside", base, f"[{name}]"), calling.frame.function)
        if found:
            return found | given.get(1)
    told = given.get(2, "string") if path == "re.sub" else NOTHING
    if told and all(isinstance(each, Text) and not each.holes for each in told):
        return told  # the name of a class made into a table's
    if path in ("hash", "uuid.UUID", "decimal.Decimal", "datetime.datetime.strptime",
                "datetime.date.fromisoformat",
                "datetime.datetime.fromisoformat", "dateutil.parser.parse"):  # fmt: skip
        site = calling.frame.site(node)
        found = frozenset(
            Data(each.source, "number", site) for each in containers.provenance(calling.frame, given.get(0))
        )
        return found or frozenset([External(f"{path}()")])
    return calling.evaluate.outside(f"{path}()", node)


def _database(calling: Calling, path: str, node: ast.Call, given: Arguments, outcome: Outcome) -> bool:
    site = calling.frame.site(node)
    if path in facts.CONNECTS:
        outcome.does = "connect"
        outcome.result.add(Connection(site, "", facts.CONNECTS[path]))
    elif path in facts.POOLS or path.endswith((".ThreadedConnectionPool", ".SimpleConnectionPool")):
        outcome.does = "pool"
        outcome.result.add(Pool(site, path))
    elif path in facts.BATCHED:
        outcome.does = "executemany"
        outcome.sql = given.get(1, "sql")
        outcome.add(given.get(0, "cur") if path.endswith("values") else NOTHING)
    elif path.startswith(("psycopg2.extras.register_", "psycopg2.extensions.register_")):
        return True
    elif facts.READERS.search(path):
        outcome.does = "execute"
        outcome.sql = given.get(0, "sql", "query")
        outcome.result.add(Data("row", "rows", site))
    elif any(path.startswith(f"{engine}()") for engine in facts.ENGINES) or path.endswith("sessionmaker()"):
        return _engine(calling, path, node, given, outcome)
    elif (path.endswith(".cursor") and "()" in path) or path.endswith(".connection.cursor"):
        outcome.does = "cursor"
        outcome.result.add(Cursor(site, Connection(site, "library", "")))
    else:
        return _kit(path, site, given, outcome)
    return True


def _kit(path: str, site: Site, given: Arguments, outcome: Outcome) -> bool:
    """Our own helpers, under whatever name the kit was copied in."""
    name = path.rpartition(".")[2]
    if name == "connection_per_request" and "()" not in path:  # it opens nothing: each request leases its own
        outcome.result.add(Connection(site, "harden"))
        return True
    if name == "cursor_per_request" and "()" not in path:
        made = (value for value in given.get(0, "connection") if isinstance(value, Connection))
        outcome.result.add(Cursor(site, next(made, Connection(site, "harden"))))
        return True
    if name not in ("get_db_connection", "transaction") or (
        "backend" not in path and "database_helper" not in path
    ):
        return False
    outcome.does = "getconn"
    outcome.result.add(Connection(site, "harden"))
    return True


def _engine(calling: Calling, path: str, node: ast.Call, given: Arguments, outcome: Outcome) -> bool:
    """SQLAlchemy, as far as it runs texts: its pool, its connections."""
    site = calling.frame.site(node)
    name = path.rpartition(".")[2]
    connection = Connection(site, "sqlalchemy", "sqlalchemy")
    if name in ("connect", "begin", "raw_connection", "sessionmaker()"):
        outcome.does = "getconn"
        outcome.result.add(connection)
        return True
    if name in ("execute", "scalar", "scalars", "exec_driver_sql"):
        calling.methods.connection(connection, name, node, given, outcome)
        return True
    if name in ("commit", "rollback"):
        outcome.does = name
        return True
    return False


def _sql_text(calling: Calling, path: str, node: ast.Call, given: Arguments, outcome: Outcome) -> bool:
    if (
        path.startswith(facts.SQL_MODULE)
        or path in facts.QUOTING
        or path.startswith("psycopg2.extensions.adapt()")
    ):
        values = given.get(0, "string") if path.endswith(".SQL") else NOTHING
        parts = text.as_text(values, calling.frame.site(node)) if values else []
        only = parts[0] if len(parts) == 1 else None
        outcome.result.add(Composed(tuple(hole for each in parts for hole in each.holes), only))
        return True
    return False


def _flask(calling: Calling, path: str, node: ast.Call, given: Arguments, outcome: Outcome) -> bool:
    """What hangs functions on the app by a call."""
    frame = calling.frame
    name = path.rpartition(".")[2]
    if name == "add_url_rule":
        rule = routes.rule_of(given.get(0, "rule"))
        methods = routes.methods_of(frame, "route", given.get(5, "methods"))
        if rule is not None:
            routes.add_values(frame, given.get(2, "view_func"), rule, methods, node)
        return True
    if name == "add_resource":
        for values in given.plain[1:]:
            rule = routes.rule_of(values)
            if rule is not None:
                routes.add_values(frame, given.get(0, "resource"), rule, ("GET",), node)
        return True
    if name in facts.HOOKS:
        for values in given.plain:
            for value in values:
                if isinstance(value, FunctionValue) and name not in value.function.hooks:
                    value.function.hooks.append(name)
        outcome.result.add(External(f"{path}()"))
        return True
    return False


def _given_on(calling: Calling, path: str, node: ast.Call, given: Arguments, outcome: Outcome) -> bool:
    """A function that is handed to somebody who runs it: a thread, an executor, a scheduler."""
    from .calling import Arguments, Outcome

    name = path.rpartition(".")[2]
    if name in facts.MAPS and len(given.plain) > 1:
        calling.builtins.call("map", node, given, outcome)
        return True
    is_handed = name in facts.RUNS_LATER or name in ("Thread", "Process", "Timer")
    functions = [value for values in given.everything() for value in values if isinstance(value, FunctionValue)]
    if not is_handed or not functions:
        return False
    inner = given.named.get("args", NOTHING)
    rest = [containers.at_index(calling.frame, inner, index) for index in range(6)] if inner else given.plain[1:]
    for value in functions:
        calling.invoke(value, node, Arguments(rest), made := Outcome())
        outcome.callees.update(made.callees)
    outcome.result.add(External(f"{path}()"))
    return True


def base_made(calling: Calling, path: str, node: ast.Call, given: Arguments, outcome: Outcome) -> None:
    """Make an object of a project class whose base is a library's: a pool, a connection."""
    if path in facts.POOLS:
        outcome.does = "pool"
        outcome.target = outcome.target or path


__all__ = ["ClassValue", "Composed", "Container", "Instance", "Pool", "Text", "Values", "base_made", "call"]
