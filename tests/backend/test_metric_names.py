"""Metrics, their documentation, alert rules and dashboard name the same things; promtool has the last word."""

from __future__ import annotations

import json
import re
import shutil
import subprocess
from pathlib import Path
from typing import Any

import pytest

from backend.metric_names import BY_NAME, TABLE, sample_names

ROOT = Path(__file__).resolve().parents[2]
PAGE = (ROOT / "docs" / "metrics.md").read_text(encoding="utf-8")
PROMETHEUS = ROOT / "deploy" / "prometheus"
RULES = (PROMETHEUS / "alerts.yml").read_text(encoding="utf-8")
RULE_TESTS = (PROMETHEUS / "alerts_test.yml").read_text(encoding="utf-8")
DASHBOARD = json.loads((ROOT / "deploy" / "grafana" / "dashboard.json").read_text(encoding="utf-8"))
METRIC = re.compile(r"\b(?:harden|db_pool)_[a-z_]+\b")
SELECTOR = re.compile(r"\b((?:harden|db_pool)_[a-z_]+)\{([^}]*)\}")
KNOWN = {name: metric for metric in TABLE for name in sample_names(metric)}
ADDED = {"job", "instance", "le"}  # by Prometheus
ALERTS = re.findall(r"- alert: (\w+)", RULES)


def panels() -> list[dict[str, Any]]:
    return [panel for panel in DASHBOARD["panels"] if panel["type"] != "row"]


def expressions() -> list[str]:
    return [target["expr"] for panel in panels() for target in panel["targets"]]


def rule_expressions() -> list[str]:
    return [" ".join(found.split()) for found in re.findall(r"expr:(.*?)\n {8}(?:for|labels):", RULES, re.DOTALL)]


@pytest.fixture(scope="module")
def promtool() -> str:
    found = shutil.which("promtool")
    if found is None:
        pytest.skip("promtool is not installed (apt-get install prometheus)")
    return found


def run(promtool: str, *arguments: str, cwd: Path = PROMETHEUS) -> None:
    done = subprocess.run([promtool, *arguments], capture_output=True, text=True, cwd=cwd)
    assert done.returncode == 0, done.stdout + done.stderr


@pytest.mark.parametrize("metric", TABLE, ids=lambda metric: metric.name)
def test_a_metric_is_named_as_prometheus_wants_it_and_documented(metric: Any) -> None:
    assert METRIC.fullmatch(metric.name)
    assert not metric.name.endswith(("_total", "_count", "_sum", "_bucket"))
    assert metric.help.endswith(".")
    assert all(f"`{label}`" in PAGE for label in metric.labels)
    assert f"| `{metric.name}{'_total' if metric.kind == 'counter' else ''}` |" in PAGE
    assert metric.bounds == tuple(sorted(metric.bounds))
    assert bool(metric.bounds) == (metric.kind == "histogram")


def test_names_are_unique_with_all_their_endings() -> None:
    assert len(BY_NAME) == len(TABLE)
    assert len(KNOWN) == sum(len(sample_names(metric)) for metric in TABLE)


@pytest.mark.parametrize("expression", [*rule_expressions(), *expressions()])
def test_rules_and_dashboard_ask_for_what_there_is(expression: str) -> None:
    assert METRIC.findall(expression)
    for name in METRIC.findall(expression):
        assert name in KNOWN, name
    for name, selected in SELECTOR.findall(expression):
        labels = set(re.findall(r"(\w+)\s*(?:=~|!=|=)", selected))
        assert labels <= {*KNOWN[name].labels, *ADDED}, name
    groups = re.findall(r"\b(?:by|on) \(([^)]*)\)", expression)
    grouped = {label for group in groups for label in group.split(", ")}
    assert grouped <= {*ADDED, *(label for name in METRIC.findall(expression) for label in KNOWN[name].labels)}


def test_every_rule_is_read_here() -> None:
    assert len(rule_expressions()) == len(ALERTS) == len(set(ALERTS)) >= 15


@pytest.mark.parametrize("alert", ALERTS)
def test_an_alert_says_what_to_do_is_tested_both_ways_and_documented(alert: str) -> None:
    rule = RULES.partition(f"- alert: {alert}\n")[2].partition("- alert:")[0]
    for part in ("severity:", "summary:", "description:", "action:"):
        assert part in rule
    assert f"- name: {alert} fires\n" in RULE_TESTS
    assert f"- name: {alert} is silent\n" in RULE_TESTS
    assert f"`{alert}`" in PAGE


def test_promtool_accepts_the_rules_and_they_pass_their_tests(promtool: str) -> None:
    run(promtool, "check", "rules", "alerts.yml")
    run(promtool, "test", "rules", "alerts_test.yml")


def test_promtool_understands_every_expression_of_the_dashboard(promtool: str, tmp_path: Path) -> None:
    rules = [
        {"record": f"panel:{number}", "expr": expression.replace("$__rate_interval", "5m")}
        for number, expression in enumerate(expressions())
    ]
    (tmp_path / "panels.yml").write_text(json.dumps({"groups": [{"name": "panels", "rules": rules}]}))
    run(promtool, "check", "rules", "panels.yml", cwd=tmp_path)


def test_the_dashboard_is_whole() -> None:
    assert len(panels()) >= 20
    assert len({panel["id"] for panel in DASHBOARD["panels"]}) == len(DASHBOARD["panels"])
    assert "${datasource}" in json.dumps(DASHBOARD)  # no data source of one installation
    for panel in panels():
        place = panel["gridPos"]
        assert place["x"] + place["w"] <= 24
        assert panel["title"]
    places = [(panel["gridPos"]["x"], panel["gridPos"]["y"]) for panel in DASHBOARD["panels"]]
    assert len(set(places)) == len(places)


def test_every_metric_that_a_person_watches_is_on_the_dashboard_or_in_a_rule() -> None:
    shown = {KNOWN[name].name for each in [*rule_expressions(), *expressions()] for name in METRIC.findall(each)}
    rest = {metric.name for metric in TABLE} - shown
    assert rest <= {
        "harden_repeated_queries", "db_pool_nested", "db_pool_closed", "harden_most_threads",
        "harden_pgbouncer_received_bytes", "harden_pgbouncer_sent_bytes", "harden_pgbouncer_transaction_seconds",
        "harden_pgbouncer_query_seconds", "harden_pgbouncer_wait_seconds",
    }  # fmt: skip
