"""A small project with findings made by hand, so that formats are tested without any rule."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path

from scripts.audit.finding import Confidence, Evidence, Finding, Place, Severity
from scripts.audit.report.report import Report
from scripts.audit.rule import Rule
from scripts.audit.rules import RULES
from scripts.audit.run import Result, audit

SOURCE = """\
from flask import Flask

app = Flask(__name__)


@app.route("/users/<int:id>")
def users(id):
    for row in rows():
        name = one(row, "<script>alert(1)</script>")
    return name
"""
FOUND = Finding(
    "H201", "n-plus-one", Place("app.py", 9, 16, 9, 53), "a statement for each row: one() runs `SELECT 1`",
    Severity.high, Confidence.high, fix="Ask once.", gain="1 + N statements -> 2",
    evidence=(Evidence(Place("app.py", 8, 16, 8, 22), "the rows come from here"),),
    more=(Place("app.py", 10, 5), Place("app.py", 3, 1)), routes=("GET /users/<int:id>",),
)  # fmt: skip


def rule(*findings: Finding) -> Rule:
    """Return a rule that reports these."""
    return replace(RULES[0], id="H201", name="n-plus-one", check=lambda project: findings)


def result(folder: Path, findings: Sequence[Finding] = (FOUND,), source: str = SOURCE) -> Result:
    """Return an audit of `app.py` with these findings."""
    (folder / "app.py").write_text(source, encoding="utf-8")
    return audit(folder, [rule(*findings)])


def report(folder: Path, findings: Sequence[Finding] = (FOUND,), source: str = SOURCE) -> Report:
    """Return a report about it."""
    found = result(folder, findings, source)
    return Report("shop", found, found.findings, [rule()])
