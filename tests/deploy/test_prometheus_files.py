"""Prometheus' own checks take the files, and no value becomes a job."""

from __future__ import annotations

import shutil
import subprocess
from dataclasses import replace
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from deploy import prometheus_files
from deploy.description import App, Description, Front, Hosts, Watch
from deploy.errors import InputError

from .golden_files import assert_golden
from .unit_samples import one_host, three_hosts

WATCH = Watch(scrape_from=("10.0.0.9",))
BALANCED = three_hosts(front=replace(three_hosts().front, balancer=True))
WATCHED = {
    "plain": one_host(watch=WATCH),
    "tls": three_hosts(),
    "tls-one": three_hosts(hosts=Hosts(app=("10.0.0.11",))),
    "balanced": BALANCED,
}


def _targets(description: Description) -> list[str]:
    text = prometheus_files.files(description)[0].text
    return [line.strip()[3:-1] for line in text.partition("targets:\n")[2].splitlines()]


@pytest.mark.parametrize("sample", WATCHED)
def test_files_are_the_golden_ones(sample: str) -> None:
    assert_golden(f"prometheus/{sample}", prometheus_files.files(WATCHED[sample])[:1])


@pytest.mark.skipif(shutil.which("promtool") is None, reason="promtool is not there (apt-get install prometheus)")
@pytest.mark.parametrize("sample", WATCHED)
def test_promtool_takes_the_files(sample: str, tmp_path: Path) -> None:
    description = WATCHED[sample]
    token = prometheus_files.token_path(description)
    (tmp_path / "token").write_text("0123456789abcdef")
    for file in prometheus_files.files(description):
        text = file.text.replace(token, str(tmp_path / "token"))
        text = text.replace("/etc/prometheus/harden", f"{tmp_path}/harden")
        (tmp_path / Path(file.path).name).write_text(text)
    config = tmp_path / f"{description.app.name}.yml"
    done = subprocess.run(["promtool", "check", "config", str(config)], capture_output=True, text=True, timeout=60)
    assert done.returncode == 0, done.stdout + done.stderr
    assert "SUCCESS: 1 rule files found" in done.stdout
    config.write_text(config.read_text().replace("scheme:", "schema:"))
    done = subprocess.run(["promtool", "check", "config", str(config)], capture_output=True, text=True, timeout=60)
    assert done.returncode != 0


def test_each_host_is_asked_and_a_lone_one_by_its_name() -> None:
    assert _targets(WATCHED["plain"]) == ["localhost"]
    assert _targets(WATCHED["tls"]) == ["10.0.0.11", "10.0.0.12", "10.0.0.13"]
    assert _targets(WATCHED["tls-one"]) == ["shop.example"]


def test_behind_a_balancer_hosts_speak_plain_http() -> None:
    assert "scheme: http\n" in prometheus_files.files(BALANCED)[0].text
    assert 'server_name: "shop.example"' in prometheus_files.files(WATCHED["tls"])[0].text


@pytest.mark.parametrize("description", [one_host(), one_host(watch=WATCH, front=Front(kind="none"))])
def test_nothing_is_read_where_nobody_may(description: Description) -> None:
    assert prometheus_files.files(description) == ()


hostile = st.text(max_size=20) | st.sampled_from(
    ["a\n  - job_name: b", 'a"', "a: b", "#", "{}", "a\\", "%", "\x85"]
)


@settings(deadline=None, max_examples=60)
@given(name=hostile, host=hostile, domain=hostile)
def test_no_value_becomes_a_key(name: str, host: str, domain: str) -> None:
    base = three_hosts()
    lines = len(prometheus_files.files(base)[0].text.split("\n"))
    for description in (
        replace(base, app=App(name=name, target="app:app")),
        replace(base, hosts=Hosts(app=(host, "b", "c"))),
        replace(base, front=replace(base.front, domains=(f"x{domain}",))),
    ):
        try:
            text = prometheus_files.files(description)[0].text
        except InputError:
            continue
        assert len(text.split("\n")) == lines
        assert text.isascii()
