"""The formats for programs: what they must contain, and that no stranger's code breaks out of them."""

from __future__ import annotations

import json
import re
from dataclasses import replace
from pathlib import Path
from xml.etree import ElementTree

import pytest

from scripts.audit.finding import Place, Severity
from scripts.audit.report import document, github, junit, page, sarif
from scripts.audit.report.report import Report

from ..made import FOUND, report

HOSTILE = replace(FOUND, message="x\n::error::y %0A ]]> & \x00 \ud800 </script>", place=Place("a b,c:d%.py", 3))


def test_json_has_each_finding_with_relative_places(tmp_path: Path) -> None:
    found = json.loads(document.render(report(tmp_path)))
    assert {name: found["findings"][0][name] for name in ("rule", "name", "path", "line", "col", "end_line")} == {
        "rule": "H201", "name": "n-plus-one", "path": "app.py", "line": 9, "col": 16, "end_line": 9,
    }  # fmt: skip
    assert found["findings"][0]["evidence"] == [{"path": "app.py", "line": 8, "text": "the rows come from here"}]
    assert found["summary"]["score"] == 87 and found["broken"] == []
    assert str(tmp_path) not in json.dumps(found)


def test_sarif_points_from_results_to_rules_with_relative_uris(tmp_path: Path) -> None:
    log = json.loads(sarif.render(report(tmp_path, [FOUND, HOSTILE])))
    run = log["runs"][0]
    assert log["version"] == "2.1.0" and log["$schema"].endswith("sarif-schema-2.1.0.json")
    uris = [each["locations"][0]["physicalLocation"]["artifactLocation"]["uri"] for each in run["results"]]
    assert uris == ["a%20b%2Cc%3Ad%25.py", "app.py"]
    for each in run["results"]:
        assert run["tool"]["driver"]["rules"][each["ruleIndex"]]["id"] == each["ruleId"]
        assert each["locations"][0]["physicalLocation"]["region"]["startLine"] >= 1
    assert len({each["partialFingerprints"]["hardenAudit/v1"] for each in run["results"]}) == 2


def test_sarif_tells_equal_findings_apart(tmp_path: Path) -> None:
    twice = [FOUND, replace(FOUND, message="another")]
    results = json.loads(sarif.render(report(tmp_path, twice)))["runs"][0]["results"]
    first, second = (each["partialFingerprints"]["hardenAudit/v1"] for each in results)
    assert first[:-1] == second[:-1] and first != second


def test_github_commands_hold_their_line(tmp_path: Path) -> None:
    shown = github.render(report(tmp_path, [FOUND, HOSTILE])).splitlines()
    assert shown[0].startswith(
        "::error file=a b%2Cc%3Ad%25.py,line=3,endLine=3,col=1,title=H201 n-plus-one (high)::x%0A::"
    )
    assert shown[1].startswith("::error file=app.py,line=9,endLine=9,col=16,endColumn=53,")
    assert len(shown) == 3


@pytest.mark.parametrize(("severity", "level"), [(Severity.critical, "error"), (Severity.low, "notice")])
def test_github_levels_follow_the_severity(tmp_path: Path, severity: Severity, level: str) -> None:
    assert github.render(report(tmp_path, [replace(FOUND, severity=severity)])).startswith(f"::{level} ")


def test_junit_is_xml_whatever_the_code_holds(tmp_path: Path) -> None:
    tree = ElementTree.fromstring(junit.render(report(tmp_path, [FOUND, HOSTILE])).encode())
    assert tree.attrib["failures"] == "2"
    assert [case.attrib["classname"] for case in tree.iter("testcase")] == ["a b,c:d%.py", "app.py"]


def test_junit_without_findings_has_a_passed_case(tmp_path: Path) -> None:
    tree = ElementTree.fromstring(junit.render(report(tmp_path, ())).encode())
    assert tree.attrib == {"name": "harden audit", "tests": "1", "failures": "0"}


def test_the_page_escapes_code_and_messages(tmp_path: Path) -> None:
    shown = page.render(report(tmp_path, [FOUND, replace(HOSTILE, place=FOUND.place, fix="<img src=x>")]))
    assert shown.count("<script>") == 1 and "<img" not in shown
    assert "alert(1)" in shown and "&lt;script&gt;alert(1)" in shown.replace("&#34;", '"')


def test_the_page_loads_nothing(tmp_path: Path) -> None:
    shown = page.render(report(tmp_path))
    assert not re.search(r"https?://|src=|@import|url\(", shown)
    assert "default-src 'none'" in shown and re.search(r"script-src 'sha256-[\w+/]+=*'", shown)


def test_a_project_named_like_the_policys_mark_changes_no_policy(tmp_path: Path) -> None:
    made = report(tmp_path)
    shown = page.render(Report("@SCRIPT@", made.result, made.shown, made.rules))
    assert re.search(r"script-src 'sha256-", shown) and "<h1>Audit of @SCRIPT@</h1>" in shown


def test_the_page_without_findings_says_so(tmp_path: Path) -> None:
    assert "No rule found anything" in page.render(report(tmp_path, ()))
