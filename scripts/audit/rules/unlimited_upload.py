"""H305: uploads of any size."""

from __future__ import annotations

from collections.abc import Iterator

from ..evidence import evidence
from ..finding import Confidence, Evidence, Finding, Severity
from ..model.project import Project
from ..rule import Rule
from .web_use import home, mentions, reads

SHOWN = 5


def _check(project: Project) -> Iterator[Finding]:
    uses = [
        (module.place(node), module.lines[node.lineno - 1].strip()[:80])
        for module in project.modules
        for node in reads(module, "request.files", "flask.request.files")
    ]
    if not uses or mentions(project, "MAX_CONTENT_LENGTH|max_content_length|content_length|from_prefixed_env"):
        return
    if _is_limited_in_front(project):
        return
    place = home(project) or uses[0][0]
    message = (
        "MAX_CONTENT_LENGTH is not set: one upload can fill the disk, or keep a worker for as long as it likes"
    )
    said = tuple(Evidence(each, line) for each, line in uses[:SHOWN])
    yield RULE.at(place, message, evidence=said, confidence=Confidence.medium)


def _is_limited_in_front(project: Project) -> bool:
    """Whether an nginx of the repository stands in front: it takes 1 MB unless it is told otherwise."""
    paths = {each.place.path for each in evidence(project).proxies if each.name == "nginx"}
    texts = [_text(project, path) for path in sorted(paths)]
    return bool(texts) and not any("client_max_body_size 0" in text for text in texts)


def _text(project: Project, path: str) -> str:
    try:
        return project.text(path)
    except OSError:
        return ""


RULE = Rule(
    id="H305",
    name="unlimited-upload",
    finds="An app that reads `request.files` and sets no `MAX_CONTENT_LENGTH`.",
    why="Werkzeug writes an upload to disk before the view runs, whatever its size. A few requests fill `/tmp`,"
    " and a slow one holds a worker until the server's timeout: with four workers, four uploads are an outage.",
    fix="`app.config['MAX_CONTENT_LENGTH'] = 10 * 1024 * 1024`, and the same as `client_max_body_size` in nginx.",
    leaves_alone=(
        "An app that sets the limit, in code or by the environment, or checks `content_length` itself.",
        "An app behind an nginx of the same repository, which takes 1 MB by default.",
    ),
    severity=Severity.medium,
    check=_check,
    example="from flask import Flask, request\n\napp = Flask(__name__)\n\n\n"
    "@app.route('/photo', methods=['POST'])\ndef photo():\n"
    "    request.files['photo'].save('/srv/photo')\n    return ''\n",
    instead="from flask import Flask, request\n\napp = Flask(__name__)\n"
    "app.config['MAX_CONTENT_LENGTH'] = 10 * 1024 * 1024\n\n\n"
    "@app.route('/photo', methods=['POST'])\ndef photo():\n"
    "    request.files['photo'].save('/srv/photo')\n    return ''\n",
)
