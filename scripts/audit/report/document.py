"""The report as JSON: for scripts, and for whatever reads it in another form."""

from __future__ import annotations

import json
from typing import Any

from ..finding import Finding, Place
from .report import Report


def render(report: Report) -> str:
    """Return the document; see docs/audit.md for its keys."""
    return json.dumps(document(report), indent=2, ensure_ascii=True) + "\n"


def document(report: Report) -> dict[str, Any]:
    """Return the document's data."""
    result = report.result
    return {
        "findings": [_finding(each, report) for each in report.shown],
        "summary": {
            "score": report.score,
            "findings": len(report.shown),
            "by_severity": {grade.name: count for grade, count in report.by_severity.items()},
            "by_rule": report.by_rule,
            **result.figures,
            "first": [{"rule": each.worst.rule, "name": each.worst.name, "findings": len(each.findings),
                       "routes": each.routes, "score_after": each.after} for each in report.steps],
            "notes": list(report.notes),
        },
        "broken": [
            {"path": each.path, "line": each.line, "col": each.col, "reason": each.reason}
            for each in result.broken
        ],
    }  # fmt: skip


def _finding(finding: Finding, report: Report) -> dict[str, Any]:
    return {
        "rule": finding.rule,
        "name": finding.name,
        **_place(finding.place),
        "message": finding.message,
        "severity": finding.severity.name,
        "confidence": finding.confidence.name,
        "evidence": [
            {"path": each.place.path, "line": each.place.line, "text": each.text} for each in finding.evidence
        ],
        "more": [_place(each) for each in finding.more],
        "routes": list(finding.routes),
        "fix": finding.fix,
        "gain": finding.gain,
        "fixable": finding.fixable,
        **finding.more_fields,
        "fingerprint": report.result.fingerprint(finding).digest,
    }


def _place(place: Place) -> dict[str, Any]:
    return {"path": place.path, "line": place.line, "col": place.col, "end_line": place.end_line,
            "end_col": place.end_col}  # fmt: skip
