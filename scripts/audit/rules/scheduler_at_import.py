"""H405: a scheduler or a thread that starts with each worker."""

from __future__ import annotations

import ast
import re
from collections.abc import Iterator

from ..finding import Evidence, Finding, Severity
from ..model.code import Call, Function
from ..model.project import Project
from ..model.values import FunctionValue
from ..rule import Rule
from .starting import Start, is_opted_in, starting

SCHEDULERS = re.compile(r"apscheduler\.schedulers\.(?!blocking)\w+\.\w+\(\)\.start$"
                        r"|flask_apscheduler\.APScheduler\(\)\.start$"
                        r"|^schedule\.run_(pending|all)$|schedule\.Scheduler\(\)\.run_pending$")  # fmt: skip
THREADS = re.compile(r"(^|\.)(threading\.(Thread|Timer)|multiprocessing\.(\w+\.)?Process)\(\)\.start$"
                     r"|^_thread\.start_new_thread$|^(gevent|eventlet)\.spawn(_n)?$"
                     r"|SocketIO\(\)\.start_background_task$")  # fmt: skip
ONE_ONLY = re.compile(r"fcntl|advisory_lock|filelock|portalocker|\bredlock\b|msvcrt", re.IGNORECASE)


def _check(project: Project) -> Iterator[Finding]:
    starts = starting(project)
    for call in project.calls():
        if (
            not call.target
            or call.is_guarded
            or not (SCHEDULERS.search(call.target) or THREADS.search(call.target))
        ):
            continue
        start = starts.get(call.function)
        if start is None or is_opted_in(call) or _is_locked(call.function):
            continue
        yield _scheduler(project, call, start) if SCHEDULERS.search(call.target) else _thread(call, start)


def _scheduler(project: Project, call: Call, start: Start) -> Finding:
    jobs = [
        each
        for each in project.calls()
        if re.search(r"cheduler\w*(\(\))?\.(add_job|scheduled_job|task)$", each.target)
    ]
    count = f" {len(jobs)} job{'s' if len(jobs) != 1 else ''}" if jobs else " jobs"
    message = (
        f"a scheduler starts {start.when}: each worker runs its{count}, so that 4 workers do everything four times"
    )
    evidence = [Evidence(job.place, "a job that it runs") for job in jobs[:5]]
    return RULE.at(call.place, message, evidence=(*_way(start), *evidence))


def _thread(call: Call, start: Start) -> Finding:
    work = _work(call)
    endless = next((each for each in work if _is_endless(each)), None)
    name = f" for {work[0].name}()" if work else ""
    if endless is not None:
        message = (
            f"an endless thread{name} starts {start.when}: one per worker, and none in workers forked after"
            f" --preload"
        )
        evidence = (
            *_way(start),
            Evidence(endless.module.place(endless.node), "the loop without an end is in here"),
        )
        return RULE.at(call.place, message, severity=Severity.medium, evidence=evidence)
    message = (
        f"a thread{name} starts {start.when}: each worker does its work again, and with --preload it runs"
        f" before the fork"
    )
    return RULE.at(call.place, message, severity=Severity.low, evidence=tuple(_way(start)))


def _work(call: Call) -> list[Function]:
    """Return the functions that a thread runs, if the code says it near the start."""
    values = [value for each in (*call.arguments, *call.keywords.values()) for value in each]
    found = [value.function for value in values if isinstance(value, FunctionValue)]
    inner = (
        call.node.func.value
        if isinstance(call.node, ast.Call) and isinstance(call.node.func, ast.Attribute)
        else None
    )
    for each in call.function.calls:
        if each.target.rpartition(".")[2] in ("Thread", "Timer", "Process") and _is_made_for(each, inner, call):
            found.extend(callee for callee in each.callees if callee not in found)
    for value in call.receiver:
        run = value.cls.method("run") if hasattr(value, "cls") else None
        if run is not None:
            found.append(run)
    return found


def _is_made_for(made: Call, receiver: ast.expr | None, start: Call) -> bool:
    """Whether a thread that is made here is the one that is started: the same expression, or bound to its name."""
    if made.node is receiver:
        return True
    statement = made.function.module.statement(made.node)
    targets = statement.targets if isinstance(statement, ast.Assign) else []
    return receiver is not None and any(ast.unparse(each) == ast.unparse(receiver) for each in targets)


def _is_endless(function: Function) -> bool:
    loops = [each for each in ast.walk(function.node) if isinstance(each, ast.While)]
    return any(isinstance(each.test, ast.Constant) and each.test.value for each in loops) or any(
        "run_pending" in ast.unparse(each) or "sleep" in ast.unparse(each) for each in loops
    )


def _is_locked(function: Function) -> bool:
    """Whether the function takes a lock that all workers share before it starts anything."""
    module = function.module
    node = function.node
    first, last = getattr(node, "lineno", 1), getattr(node, "end_lineno", None) or len(module.lines)
    return bool(ONE_ONLY.search("\n".join(module.lines[first - 1 : last])))


def _way(start: Start) -> Iterator[Evidence]:
    if start.call is not None:
        yield Evidence(start.call.place, "this call gets there when a worker starts")


RULE = Rule(
    id="H405",
    name="scheduler-at-import",
    finds="A scheduler, or a background thread, that starts when a module is imported or in the app's factory.",
    why="Gunicorn imports the app in each worker, so four workers have four schedulers: a mail goes out four"
        " times, and a"
    " clean-up races with itself. With `--preload` it is the other way round: the thread lives in the master only,"
    " since a fork does not take threads along, and its connections are shared with every worker.",
    fix="Run it as a process of its own (a second unit or container, cron, rq or celery beat), or let one worker"
        " take"
    " `pg_try_advisory_lock` before the scheduler starts.",
    leaves_alone=(
        "A start under `if __name__ == \"__main__\"`, in a script, or in a function that no import and no factory"
        " runs.",
        "A start under a condition on the environment or the configuration, which one process can be singled out"
        " by.",
        "A start behind a lock that all workers share: `fcntl`, `pg_try_advisory_lock`, a lock file.",
        "Threads that a request starts.",
    ),
    severity=Severity.high,
    check=_check,
    example="from apscheduler.schedulers.background import BackgroundScheduler\n"
    "from flask import Flask\n\n"
    "app = Flask(__name__)\n"
    "scheduler = BackgroundScheduler()\n"
    "scheduler.start()\n\n\n"
    '@app.get("/")\n'
    "def index():\n"
    '    return ""\n',
    instead="import os\n\n"
    "from apscheduler.schedulers.background import BackgroundScheduler\n"
    "from flask import Flask\n\n"
    "app = Flask(__name__)\n"
    "scheduler = BackgroundScheduler()\n"
    'if os.environ.get("RUN_SCHEDULER"):\n'
    "    scheduler.start()\n\n\n"
    '@app.get("/")\n'
    "def index():\n"
    '    return ""\n',
)  # fmt: skip
