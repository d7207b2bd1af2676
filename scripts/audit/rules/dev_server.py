"""H401: the repository starts with Flask's development server and nothing else."""

from __future__ import annotations

from collections.abc import Iterator

from ..evidence import Deployment, Start, as_evidence, evidence
from ..evidence.purpose import is_for_development, is_sample
from ..finding import Confidence, Evidence, Finding, Place, Severity
from ..model.code import Call
from ..model.project import Project
from ..rule import Rule
from .flask_app import MANAGER, runs

NAMES = {
    "werkzeug.serving.run_simple": "run_simple()", "flask_socketio.SocketIO().run": "socketio.run()",
    "flask_script.Manager().run": "manager.run()",
}  # fmt: skip


def _check(project: Project) -> Iterator[Finding]:
    deployment = evidence(project)
    calls = _by_module(runs(project))
    if any(start.is_production for start in deployment.starts):
        yield from _reached_by_a_server(project, deployment, calls)
        return
    starts = [start for start in deployment.starts if _starts_the_app(start, calls)]
    if all(mention.is_listed for mention in deployment.mentions) and starts:
        yield from _started(deployment, starts, calls)
    elif not deployment.mentions:
        for group in _entries(calls):
            yield _only_way(deployment, group)


def _by_module(calls: list[Call]) -> dict[str, list[Call]]:
    """Group calls by their module's path, in order."""
    groups: dict[str, list[Call]] = {}
    for call in calls:
        groups.setdefault(call.function.path, []).append(call)
    return groups


def _entries(calls: dict[str, list[Call]]) -> list[list[Call]]:
    """Return the entries that are not just a developer's or a sample's, unless there is nothing else.

    Flask-Script's manager starts other things as well, so that it counts where there is no `app.run`.
    """
    rest = [group for path, group in calls.items() if not (is_for_development(path) or is_sample(path))]
    rest = rest or list(calls.values())
    return [group for group in rest if group[0].target != MANAGER] or rest


def _starts_the_app(start: Start, calls: dict[str, list[Call]]) -> bool:
    if start.server == "flask":
        return True
    return start.server == "python" and any(_is_of(start, path) for path in calls)


def _is_of(start: Start, path: str) -> bool:
    """Whether a command runs a file; a container's folders are not the repository's, so the end has to fit."""
    name = path.removesuffix(".py").removesuffix("/__main__").replace("/", ".")
    module = start.module.strip(".")
    return bool(module) and (name == module or name.endswith("." + module) or module.endswith("." + name))


def _only_way(deployment: Deployment, group: list[Call]) -> Finding:
    """Report an entry of a repository that shows no server at all."""
    first, *others = group
    looked = f"{len(deployment.read)} deployment files" if len(deployment.read) > 1 else "its deployment file"
    where = f"no WSGI server in {looked}" if deployment.read else "no Procfile, Dockerfile or requirements"
    commands = [start for start in deployment.starts if _starts_the_app(start, {first.function.path: group})]
    message = f"{_name(first)} is the only way this repository starts: {where}"
    confidence = Confidence.high if commands or deployment.read else Confidence.medium
    looked_at = _looked_at(deployment, commands)
    more = tuple(call.place for call in others)
    return RULE.at(first.place, message, confidence=confidence, evidence=looked_at, more=more)


def _looked_at(deployment: Deployment, commands: list[Start]) -> tuple[Evidence, ...]:
    """Return the commands that run it; without one, the files in which none was found."""
    if commands:
        return tuple(as_evidence(start) for start in commands)
    return tuple(Evidence(Place(path, 1), "no WSGI server in here") for path in deployment.read[:5])


def _started(deployment: Deployment, starts: list[Start], calls: dict[str, list[Call]]) -> Iterator[Finding]:
    """Report commands that start the development server; where code has the start, there."""
    listed = ", ".join(sorted({mention.name for mention in deployment.mentions}))
    but = f", although {listed} is installed" if listed else ""
    reported = set()
    for start in starts:
        path = next((path for path in calls if start.server == "python" and _is_of(start, path)), "")
        if not path and calls and not listed:
            path = next(iter(calls))
        place = calls[path][0].place if path else start.place
        if place in reported:
            continue
        reported.add(place)
        message = f"`{start.text}` in {start.place.path} starts Flask's development server{but}"
        yield RULE.at(place, message, evidence=(as_evidence(start),))


def _reached_by_a_server(
    project: Project, deployment: Deployment, calls: dict[str, list[Call]]
) -> Iterator[Finding]:
    """Report an `app.run` that runs when a server imports its module: the server gets no further."""
    for start in deployment.starts:
        for path, group in calls.items():
            reached = [call for call in group if project.reach.is_import_time(call) and not call.is_guarded]
            if start.is_production and start.app and reached and _is_of(start, path):
                message = f"{_name(reached[0])} runs when {start.server} imports {path}: the import never ends"
                said = (as_evidence(start),)
                yield RULE.at(reached[0].place, message, evidence=said, severity=Severity.critical)
                return


def _name(call: Call) -> str:
    return NAMES.get(call.target, "app.run()")


RULE = Rule(
    id="H401",
    name="dev-server",
    finds="An app whose only start is Flask's development server: `app.run()` or `flask run`.",
    why="Werkzeug's server is made for one developer: one process, a thread for each connection without a limit,"
    " no timeouts, no restart of a worker that hangs, no graceful stop. One core is all it ever uses, and a deploy"
    " is an outage. Its own documentation says not to use it in production.",
    fix="Start the app with Gunicorn: `deploy/gunicorn.conf.py` and `wsgi.py` of the kit, `gunicorn wsgi:app` in"
    " the Procfile or Dockerfile. Keep `app.run()` under `if __name__ == '__main__':` for development.",
    leaves_alone=(
        "`app.run()` under a guard where a Procfile, Dockerfile, unit file or requirement shows a WSGI server.",
        "A repository without any `app.run()` or `flask run`: how it starts is not in it.",
        "Files and compose overrides whose names say development or tests.",
    ),
    severity=Severity.high,
    check=_check,
    example='from flask import Flask\n\napp = Flask(__name__)\n\nif __name__ == "__main__":\n    app.run()\n',
    instead="from flask import Flask\nfrom waitress import serve\n\napp = Flask(__name__)\n\n"
    'if __name__ == "__main__":\n    serve(app)\n',
)
