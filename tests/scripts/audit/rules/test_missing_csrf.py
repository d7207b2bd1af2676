"""H304."""

from __future__ import annotations

from pathlib import Path

import pytest

from scripts.audit.rules.missing_csrf import RULE

from ..looking import findings, places

APP = """
    from flask import Flask, request, session

    app = Flask(__name__)

    @app.route("/items", methods=["POST"])
    def add():
        save(session["user"], request.form["name"])
        return ""
"""


def test_forms_without_a_token_are_one_finding_at_the_app(tmp_path: Path) -> None:
    form = '<p>\n<form action="/items" METHOD="POST">\n'
    [finding] = findings(RULE, tmp_path, {"app.py": APP, "templates/add.html": form})
    assert (finding.place.line, finding.place.col) == (3, 7)
    assert (
        finding.message
        == "1 route changes data from a form with the session's cookie and no CSRF token: POST /items"
    )
    assert [(each.place.path, each.place.line) for each in finding.evidence][1:] == [("templates/add.html", 2)]


@pytest.mark.parametrize("line, place", [
    ("app.config['WTF_CSRF_ENABLED'] = False", "app.py:4:34"),
    ("app.config.update(WTF_CSRF_ENABLED=False)", "app.py:4:36"),
    ("app.config.update(WTF_CSRF_CHECK_DEFAULT=False)", "app.py:4:42"),
])  # fmt: skip
def test_protection_that_is_off_is_found_where_it_is_said(tmp_path: Path, line: str, place: str) -> None:
    code = f"from flask import Flask\nfrom flask_wtf import CSRFProtect\napp = Flask(__name__)\n{line}\n"
    assert places(RULE, tmp_path, {"app.py": code}) == [place]


@pytest.mark.parametrize("files", [
    pytest.param({"app.py": APP.replace('methods=["POST"]', 'methods=["GET"]')}, id="nothing is changed"),
    pytest.param({"app.py": APP.replace("request.form[", "request.get_json()[")}, id="JSON"),
    pytest.param({"app.py": APP.replace('session["user"]', "1")}, id="no session"),
    pytest.param({"app.py": APP.replace("def add", "def login")}, id="a log-in"),
    pytest.param({"app.py": APP + "\n    from flask_wtf import CSRFProtect\n    CSRFProtect(app)\n"}, id="WTF"),
    pytest.param({"app.py": APP, "templates/a.html": '<input name="csrf_token">'}, id="tokens in templates"),
    pytest.param({"app.py": APP + "\n    def check_csrf():\n        pass\n"}, id="tokens of its own"),
])  # fmt: skip
def test_what_needs_no_token_or_has_one_is_left_alone(tmp_path: Path, files: dict[str, str]) -> None:
    assert places(RULE, tmp_path, files) == []
