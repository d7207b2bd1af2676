"""H410: a request that makes Redis look through every key it has, or throw them all away."""

from __future__ import annotations

import ast
import re
from collections.abc import Iterator

from ..finding import Confidence, Finding, Severity
from ..model.code import Call
from ..model.project import Project
from ..model.values import texts
from ..rule import Rule
from .literals import dotted
from .waiting import named, waiting

CLIENT = re.compile(r"redis", re.IGNORECASE)
NAMES = re.compile(r"(^|[._])(redis\w*|\w*redis|rdb|rds)$", re.IGNORECASE)
FLUSHES = ("flushall", "flushdb")


def _check(project: Project) -> Iterator[Finding]:
    answers = waiting(project)
    for call in project.calls():
        name = _command(call)
        routes = answers.routes(call.function)
        if name and routes and not call.is_guarded:
            yield _finding(call, name, routes)


def _finding(call: Call, name: str, routes: tuple[str, ...]) -> Finding:
    confidence = Confidence.high if CLIENT.search(call.target) else Confidence.medium
    if name in FLUSHES:
        message = f"{named(routes)} runs Redis' {name.upper()}: it drops everybody's sessions, caches and queues"
        fix = (
            "Delete the keys that are meant: `for key in client.scan_iter(match): client.unlink(key)`, or give"
            " the cache a database of its own."
        )
        return RULE.at(call.place, message, severity=Severity.high, confidence=confidence, routes=routes, fix=fix)
    patterns = [each.with_holes("...") for each in texts(call.argument(0, "pattern"))]
    shown = f" {patterns[0]}" if patterns else ""
    message = (
        f"{named(routes)} runs Redis' KEYS{shown}: it walks all keys of the server, and every client waits"
        f" meanwhile"
    )
    return RULE.at(call.place, message, confidence=confidence, routes=routes)


def _command(call: Call) -> str:
    """Return the command when a call is one of these on a Redis client."""
    func = call.node.func if isinstance(call.node, ast.Call) else None
    if not isinstance(func, ast.Attribute) or func.attr not in ("keys", *FLUSHES) or call.callees:
        return ""
    if func.attr == "keys" and not (call.arguments or call.keywords or CLIENT.search(call.target)):
        return ""  # a dict's
    if call.target:
        return func.attr if CLIENT.search(call.target) else ""
    is_unknown = not any(
        type(value).__name__ in ("Container", "Instance", "Text", "Constant") for value in call.receiver
    )
    return func.attr if is_unknown and NAMES.search(dotted(func.value)) else ""


RULE = Rule(
    id="H410",
    name="redis-keys",
    finds="`KEYS pattern`, `FLUSHDB` or `FLUSHALL` on a Redis client in what a request runs.",
    why="Redis serves one command at a time. KEYS is O(N) over all keys of the database, not over those that"
        " match:"
    " Redis' manual gives 40 ms per million keys on a laptop, in which nobody's session or rate limit is answered,"
    " and warns of it in production. FLUSHDB takes what other parts of the app keep in the same database.",
    fix="Walk with `scan_iter(match=..., count=500)`, or keep the keys of a group in a set of their own"
    " (`SADD` with the write, `SMEMBERS` here); what is only to be forgotten gets a tag of the kit's `Cache`.",
    leaves_alone=(
        "`.keys()` of dicts and of anything else that is no Redis client.",
        "`scan`, `scan_iter` and commands on named keys.",
        "Maintenance commands, scripts and jobs that no route waits for.",
    ),
    severity=Severity.medium,
    check=_check,
    example="import redis\n"
    "from flask import Flask\n\n"
    "app = Flask(__name__)\n"
    "client = redis.Redis()\n\n\n"
    '@app.get("/online")\n'
    "def online():\n"
    '    return {"online": len(client.keys("online:*"))}\n',
    instead="import redis\n"
    "from flask import Flask\n\n"
    "app = Flask(__name__)\n"
    "client = redis.Redis()\n\n\n"
    '@app.get("/online")\n'
    "def online():\n"
    '    return {"online": sum(1 for _ in client.scan_iter("online:*"))}\n',
)  # fmt: skip
