"""The report as JUnit's XML, which every CI server shows: a suite for each file, a failure for each finding."""

from __future__ import annotations

import re
from itertools import groupby
from xml.sax.saxutils import escape, quoteattr

from ..finding import Finding
from .report import Report

_ILLEGAL = re.compile("[^\t\n -\ud7ff\ue000-\ufffd\U00010000-\U0010ffff]")


def render(report: Report) -> str:
    """Return the document; one passed case where nothing is found, for an empty one counts as an error."""
    count = len(report.shown)
    lines = [
        '<?xml version="1.0" encoding="utf-8"?>',
        f'<testsuites name="{report.tool}" tests="{max(count, 1)}" failures="{count}">',
    ]
    for path, found in groupby(report.shown, key=lambda each: each.place.path):
        findings = list(found)
        lines.append(f'  <testsuite name={_attribute(path)} tests="{len(findings)}" failures="{len(findings)}">')
        lines += [_case(each) for each in findings]
        lines.append("  </testsuite>")
    if not count:
        word = report.tool.partition(" ")[2]
        case = f'<testcase classname="{word}" name="no finding"/>'
        lines.append(f'  <testsuite name="{word}" tests="1" failures="0">{case}</testsuite>')
    return "\n".join([*lines, "</testsuites>"]) + "\n"


def _case(finding: Finding) -> str:
    place = finding.place
    name = f"{finding.rule} {finding.name} {place.exactly}"
    text = f"{finding.message}\n{finding.fix}".strip()
    return (
        f"    <testcase classname={_attribute(place.path)} name={_attribute(name)}>"
        f"<failure type={_attribute(finding.severity.name)} message={_attribute(finding.message)}>"
        f"{escape(_legal(text))}</failure></testcase>"
    )


def _attribute(text: str) -> str:
    return quoteattr(_legal(text))


def _legal(text: str) -> str:
    """Replace what no XML may hold: control characters, halves of surrogate pairs."""
    return _ILLEGAL.sub("\ufffd", text)
