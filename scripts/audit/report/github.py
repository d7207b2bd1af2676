"""The report as GitHub's workflow commands: each finding stands beside its line in the pull request.

Source: https://docs.github.com/en/actions/reference/workflow-commands-for-github-actions
"""

from __future__ import annotations

from ..finding import Finding, Severity
from .report import Report, numbered

LEVELS = {Severity.critical: "error", Severity.high: "error", Severity.medium: "warning", Severity.low: "notice"}


def render(report: Report) -> str:
    """Return a line for each finding, and one for all."""
    lines = [_line(each) for each in report.shown]
    lines.append(f"{numbered(len(report.shown), 'finding')}; readiness {report.score} of 100")
    return "\n".join([*lines, *report.notes]) + "\n"


def _line(finding: Finding) -> str:
    place = finding.place
    fields: dict[str, str | int] = {}
    if place.line:
        fields = {"file": place.path, "line": place.line, "endLine": place.end_line, "col": place.col}
    if place.line and place.end_line == place.line and place.end_col > place.col:
        fields["endColumn"] = place.end_col
    fields["title"] = f"{finding.rule} {finding.name} ({finding.severity.name})"
    shown = ",".join(f"{name}={_value(str(value))}" for name, value in fields.items())
    at = "" if place.line else f"{place.path}: "
    text = f"{at}{finding.message}\n{finding.fix}".strip()
    return f"::{LEVELS[finding.severity]} {shown}::{_escaped(text)}"


def _escaped(text: str) -> str:
    """Escape as the runner undoes it; a message of a stranger must not start a command."""
    return text.replace("%", "%25").replace("\r", "%0D").replace("\n", "%0A")


def _value(text: str) -> str:
    return _escaped(text).replace(":", "%3A").replace(",", "%2C")
