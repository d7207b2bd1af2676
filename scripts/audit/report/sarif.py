"""The report as SARIF 2.1.0, which GitHub's code scanning and most editors read.

Paths are relative (GitHub takes no others) and start at the folder that was audited: audit the repository's root.
Source: https://docs.oasis-open.org/sarif/sarif/v2.1.0/os/sarif-v2.1.0-os.html
"""

from __future__ import annotations

import json
from collections import Counter
from typing import Any
from urllib.parse import quote

from ..finding import Confidence, Finding, Place, Severity
from ..model.project import Broken
from ..rule import Rule
from .report import Report

SCHEMA = "https://docs.oasis-open.org/sarif/sarif/v2.1.0/errata01/os/schemas/sarif-schema-2.1.0.json"
LEVELS = {Severity.critical: "error", Severity.high: "error", Severity.medium: "warning", Severity.low: "note"}
# GitHub turns these numbers into its own critical, high, medium and low.
RANKS = {Severity.critical: "9.5", Severity.high: "8.0", Severity.medium: "5.5", Severity.low: "2.0"}
PRECISION = {Confidence.high: "high", Confidence.medium: "medium", Confidence.low: "low"}


def render(report: Report) -> str:
    """Return the log."""
    rules = list(report.rules)
    places = {rule.id: number for number, rule in enumerate(rules)}
    log = {
        "$schema": SCHEMA,
        "version": "2.1.0",
        "runs": [
            {
                "tool": {"driver": {"name": report.tool, "rules": [_rule(rule) for rule in rules]}},
                "columnKind": "unicodeCodePoints",
                "originalUriBaseIds": {"SRCROOT": {"description": {"text": "the folder that was audited"}}},
                "invocations": [{
                    "executionSuccessful": not report.result.broken,
                    "toolExecutionNotifications": [
                        {"level": "error", "message": {"text": f"{_where(each)}: {each.reason}"}}
                        for each in report.result.broken
                    ],
                }],
                "results": _results(report, places),
            }
        ],
    }  # fmt: skip
    return json.dumps(log, indent=2) + "\n"


def _rule(rule: Rule) -> dict[str, Any]:
    alone = "".join(f"\n- {each}" for each in rule.leaves_alone)
    text = f"{rule.why}\n\nWhat to do: {rule.fix}\n\nLeft alone:{alone}"
    instead = f"\n\n```{rule.language}\n{rule.instead}```\n" if rule.instead else "\n"
    return {
        "id": rule.id,
        "name": rule.name,
        "shortDescription": {"text": rule.finds},
        "fullDescription": {"text": f"{rule.finds} {rule.why}"},
        "help": {"text": text, "markdown": f"{text}{instead}"},
        "defaultConfiguration": {"level": LEVELS[rule.severity]},
        "properties": {"security-severity": RANKS[rule.severity], "precision": "high",
                       "tags": ["security" if rule.id.startswith("H3") else "reliability"]},
    }  # fmt: skip


def _results(report: Report, places: dict[str, int]) -> list[dict[str, Any]]:
    seen: Counter[str] = Counter()
    found = []
    for finding in report.shown:
        digest = report.result.fingerprint(finding).digest
        seen[digest] += 1
        kind = f"{report.tool.title().replace('Harden ', 'harden')}/v1"
        found.append(_result(finding, places, {kind: f"{digest}:{seen[digest]}"}))
    return found


def _result(finding: Finding, places: dict[str, int], fingerprint: dict[str, str]) -> dict[str, Any]:
    others = [(each.place, each.text) for each in finding.evidence]
    others += [(each, "the same here") for each in finding.more]
    result: dict[str, Any] = {
        "ruleId": finding.rule,
        "level": LEVELS[finding.severity],
        "message": {"text": f"{finding.message}. {finding.fix}".strip()},
        "locations": [_location(finding.place)],
        "partialFingerprints": fingerprint,
        "properties": {
            "severity": finding.severity.name, "precision": PRECISION[finding.confidence],
            "routes": list(finding.routes), "gain": finding.gain,
        },
    }  # fmt: skip
    if finding.rule in places:
        result["ruleIndex"] = places[finding.rule]
    if others:
        result["relatedLocations"] = [
            {"id": number, **_location(place), "message": {"text": text}}
            for number, (place, text) in enumerate(others)
        ]
    return result


def _where(broken: Broken) -> str:
    return f"{broken.path}:{broken.line}" if broken.line else broken.path


def _location(place: Place) -> dict[str, Any]:
    if not place.line:
        return {"logicalLocations": [{"fullyQualifiedName": place.path}]}
    region = {"startLine": place.line, "startColumn": max(place.col, 1), "endLine": place.end_line}
    if place.end_col > 0 and (place.end_line > place.line or place.end_col >= place.col):
        region["endColumn"] = place.end_col
    path = quote(place.path, safe="/", errors="surrogatepass")
    return {"physicalLocation": {"artifactLocation": {"uri": path, "uriBaseId": "SRCROOT"}, "region": region}}
