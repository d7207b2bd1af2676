"""H408: what requests remember in the memory of one worker."""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import dataclass

from ..finding import Confidence, Evidence, Finding, Severity
from ..model.project import Project
from ..rule import Rule
from .memory import Kept, kept
from .waiting import named, waiting


@dataclass(frozen=True)
class _Kind:
    """What a name makes one think of.

    Attributes:
        breaks: What happens with four workers.
        instead: Where to keep it.
    """

    words: re.Pattern[str]
    severity: Severity
    breaks: str
    instead: str


def _words(*words: str) -> re.Pattern[str]:
    return re.compile(rf"(^|_)({'|'.join(words)})(s|es)?(_|$)")


KINDS = (
    _Kind(_words("oauth", "state", "nonce", "csrf", "verifier", "pkce", "challenge", "otp", "code"), Severity.high,
          "3 of 4 answers come to a worker that does not know it",
          "Keep it in the kit's `OAuthStates` or `OneTimeSecrets`, which work once and on every worker, or in"
          " Redis with a time to live."),
    _Kind(_words("limit", "rate", "attempt", "hit", "throttle", "failure", "failed", "lockout"), Severity.high,
          "each worker counts for itself, so the limit is four times as high and gone after a restart",
          "Count in Redis, by the kit's `rate_limits` or by Flask-Limiter with a redis:// storage."),
    _Kind(_words("session", "token", "user", "online", "logged", "login", "auth", "blacklist", "blocklist",
                 "revoked", "current", "username", "account", "member", "cart", "basket"), Severity.high,
          "3 of 4 requests come to a worker that has not seen it, and a global is the same for all users of a"
          " worker",
          "Keep it in Flask's `session`, in a table, or in Redis with a time to live."),
    _Kind(_words("job", "task", "progress", "status", "queue", "pending", "download", "upload", "result"),
          Severity.high,
          "who asks for it gets an answer from one worker in four, and a restart loses it",
          "Keep jobs in a table or in a queue (rq, celery), and their progress beside them."),
    _Kind(_words("cache", "cached", "memo", "store", "buffer"), Severity.medium,
          "each worker has a copy of its own: a change is seen by one of four, and memory is spent four times",
          "Use the kit's `Cache` on Redis, which a commit invalidates, or `cache_queries` where one request asks"
          " twice."),
)  # fmt: skip
OTHER = _Kind(_words("x"), Severity.medium,
              "with 4 workers 3 of 4 requests do not see it, and each restart loses it",
              "Keep it in the database or in Redis.")  # fmt: skip


MEMO = _Kind(_words("x"), Severity.low,
             "each worker makes and keeps a copy of its own, which nobody can empty for all of them",
             "Use `functools.lru_cache(maxsize=...)`, or Redis with a time to live where it can"
             " change.")  # fmt: skip


def _check(project: Project) -> Iterator[Finding]:
    answers = waiting(project)
    for each in kept(project):
        routes = tuple(sorted({route for function in each.writers for route in answers.routes(function)}))
        yield _finding(each, routes)


def _finding(each: Kept, routes: tuple[str, ...]) -> Finding:
    word = re.sub(r"(?<=[a-z0-9])(?=[A-Z])", "_", each.name).lower()
    kind = (
        MEMO if each.is_memo and each.grows else next((kind for kind in KINDS if kind.words.search(word)), OTHER)
    )
    bound = (
        ""
        if each.is_emptied or not each.grows
        else "; nothing is ever taken out, so it grows until the worker is killed"
    )
    message = f"{each.name} is kept in the worker's memory and changed by {named(routes)}: {kind.breaks}{bound}"
    evidence = tuple(Evidence(place, "changed here") for place in each.written[:4])
    return RULE.at(
        each.place, message, severity=kind.severity, evidence=evidence, routes=routes, fix=kind.instead,
        confidence=Confidence.medium if kind in (OTHER, MEMO) else Confidence.high,
    )  # fmt: skip


RULE = Rule(
    id="H408",
    name="state-in-memory",
    finds="A dict, list, set or counter of a module or a class that requests change and requests read.",
    why="Each worker is a process with a memory of its own. With four of them a value that one request has left"
        " is there"
    " for one of the next four requests only; log-ins by OAuth fail three times out of four, limits are four"
    " times as"
    " high, and a restart loses everything. In a worker with threads nothing protects it either.",
    fix="Keep what belongs to a user in Flask's `session`, what belongs to a request in `g`, and what all share"
        " in the"
    " database or in Redis with a time to live.",
    leaves_alone=(
        "Constants and registries that are filled at import.",
        "Objects made on first use and then kept: `if client is None: client = make()`; connections, which have"
        " rules of their own.",
        "Names that are bound again in the function, and what only scripts or background jobs change.",
        "What is only written: it is lost, but nothing depends on it.",
        "`lru_cache`, which is bounded and says that it is one.",
    ),
    severity=Severity.medium,
    check=_check,
    example="from flask import Flask, request\n\n"
    "app = Flask(__name__)\n"
    "attempts = {}\n\n\n"
    '@app.post("/login")\n'
    "def login():\n"
    '    name = request.form["name"]\n'
    "    attempts[name] = attempts.get(name, 0) + 1\n"
    '    return "", 429 if attempts[name] > 5 else 200\n',
    instead="import redis\n"
    "from flask import Flask, request\n\n"
    "app = Flask(__name__)\n"
    "client = redis.Redis()\n\n\n"
    '@app.post("/login")\n'
    "def login():\n"
    "    name = f\"attempts:{request.form['name']}\"\n"
    "    count = client.incr(name)\n"
    "    client.expire(name, 60)\n"
    '    return "", 429 if count > 5 else 200\n',
)  # fmt: skip
