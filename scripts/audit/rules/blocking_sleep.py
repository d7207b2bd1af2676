"""H404: a request that sleeps, and the worker's thread with it."""

from __future__ import annotations

import ast
from collections.abc import Iterator

from ..finding import Evidence, Finding, Severity
from ..model.code import Call
from ..model.project import Project
from ..model.values import constants
from ..rule import Rule
from .waiting import Waiting, named, waiting

SHORT = 0.1  # seconds: a back-off that hardly counts
LONG = 1.0


def _check(project: Project) -> Iterator[Finding]:
    answers = waiting(project)
    for call in project.calls("sleep"):
        routes = answers.routes(call.function)
        if call.target == "time.sleep" and routes and not call.is_guarded:
            yield _finding(project, answers, call, routes)


def _finding(project: Project, answers: Waiting, call: Call, routes: tuple[str, ...]) -> Finding:
    seconds = _seconds(call)
    where = "after a failure" if _is_retry(call) else f"for {named(routes)}"
    shown = "a time that is not a constant" if seconds is None else f"{seconds:g} s"
    turn = " in each turn of a loop" if call.loops else ""
    limit = (
        ""
        if not seconds or _is_retry(call)
        else f"; a thread that does only this serves at most {1 / seconds:.3g} requests/s"
    )
    return RULE.at(
        call.place, f"sleeps {shown}{turn} {where}: the thread of the worker serves nobody meanwhile{limit}",
        severity=_severity(seconds, call), evidence=tuple(_way(project, answers, call)), routes=routes,
    )  # fmt: skip


def _severity(seconds: float | None, call: Call) -> Severity:
    if seconds is not None and seconds < SHORT:
        return Severity.low
    if _is_retry(call):
        return Severity.low if seconds is not None and seconds < LONG else Severity.medium
    return Severity.high if seconds is not None and seconds >= LONG else Severity.medium


def _seconds(call: Call) -> float | None:
    """Return the longest constant that it sleeps for; None when something else comes in."""
    values = call.argument(0, "seconds")
    found = [each for each in constants(values) if isinstance(each, (int, float)) and not isinstance(each, bool)]
    return float(max(found)) if found and len(found) == len(values) else None


def _is_retry(call: Call) -> bool:
    """Whether it sleeps only after something has gone wrong."""
    return any(isinstance(each, ast.ExceptHandler) for each in call.function.module.ancestors(call.node))


def _way(project: Project, answers: Waiting, call: Call) -> Iterator[Evidence]:
    """Yield where a route or a hook comes to the function that sleeps."""
    for start in project.functions():
        if (start.routes or start.hooks) and call.function in answers.steps(start) and start is not call.function:
            reached = answers.steps(start)[call.function]
            if reached is not None:
                yield Evidence(
                    reached.place, f"called here, for {start.routes[0].name if start.routes else start.name}"
                )
            return


RULE = Rule(
    id="H404",
    name="blocking-sleep",
    finds="`time.sleep` in what a route, a hook or a decorator runs.",
    why="A sync worker serves one request at a time and a thread worker as many as it has threads. Four workers"
        " that"
    " sleep 2 s for one route serve two such requests a second, and everybody else waits behind them, with a"
    " connection out of the pool if one was taken before.",
    fix="Answer at once with 202 and a job's ID, do the waiting in a background worker (rq, celery), and let the"
    " client ask for the result; wait for a row with LISTEN/NOTIFY or a statement's timeout, not with a loop.",
    leaves_alone=(
        "Sleeps in commands, scripts, tests, import-time code and in threads or jobs that a route hands work to.",
        "`gevent.sleep`, `eventlet.sleep` and `asyncio.sleep`, which let others run.",
        "Back-offs under 0.1 s and those after an exception are low or medium.",
    ),
    severity=Severity.medium,
    check=_check,
    example="import time\n\n"
    "from flask import Flask\n\n"
    "app = Flask(__name__)\n\n\n"
    '@app.get("/report")\n'
    "def report():\n"
    "    time.sleep(2)\n"
    '    return "done"\n',
    instead="from flask import Flask\n\n"
    "app = Flask(__name__)\n\n\n"
    '@app.get("/report")\n'
    "def report():\n"
    '    return {"status": "queued"}, 202\n',
)  # fmt: skip
