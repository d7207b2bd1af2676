"""`harden load` as a person runs it: the exit code, what is refused, what is written, and the comparison."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path

import pytest

from scripts.load import command
from scripts.load.report import parse_run, render_page, render_text

from .server import OK, Exchange, serving

ROOT = Path(__file__).resolve().parents[3]
EVIL = "<script>alert(1)</script>"


def harden(*arguments: str, cwd: Path | None = None, **environ: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [sys.executable, str(ROOT / "scripts" / "launch.py"), "load", *arguments],
        capture_output=True, text=True, timeout=120, cwd=cwd, env={**os.environ, **environ},
    )  # fmt: skip


def short(address: str, *more: str) -> subprocess.CompletedProcess[str]:
    return harden(address, "--users", "5", "--think", "20ms", "--seconds", "2", "--ramp", "0", "--warmup", "0",
                  "--timeout", "1s", *more)  # fmt: skip


def test_a_run_prints_its_table_writes_its_files_and_keeps_its_budgets(tmp_path: Path) -> None:
    with serving(lambda exchange: exchange.reply(OK)) as server:
        done = short(
            server.address, "--get", "/a", "--get", "/{b}", "--p95", "2s", "--errors", "0%", "--label", EVIL,
            "--json", str(tmp_path / "r.json"), "--html", str(tmp_path / "r.html"),
        )  # fmt: skip
    assert done.returncode == 0, done.stderr
    assert {request.split(b" ")[1] for request in server.requests} == {b"/a", b"/%7Bb%7D"}
    assert "GET /a" in done.stdout
    assert "holds  p95 at most 2000 ms" in done.stdout
    document = json.loads((tmp_path / "r.json").read_text())
    assert document["totals"]["answered"] + 2 == len(server.requests)  # two were to try the steps
    assert document["budgets"][1]["holds"]
    page = (tmp_path / "r.html").read_text()
    assert EVIL not in page
    assert "&lt;script&gt;" in page
    assert "http-equiv" in page


def test_a_broken_budget_is_exit_code_1() -> None:
    with serving(lambda exchange: exchange.reply(OK)) as server:
        done = short(server.address, "--get", "/", "--p50", "0ms")
    assert done.returncode == 1
    assert "BROKEN p50 at most 0 ms" in done.stdout


def test_errors_are_counted_by_kind_and_break_the_budget() -> None:
    def handler(exchange: Exchange) -> None:
        if len(server.requests) == 1:
            exchange.reply(OK)
        else:
            exchange.reply(b"HTTP/1.1 503 Busy\r\nContent-Length: 0\r\n\r\n")

    with serving(handler) as server:
        done = short(server.address, "--get", "/", "--errors", "1%")
    assert done.returncode == 1
    assert "x http 503" in done.stdout
    assert "BROKEN errors at most 1%: 100.00%" in done.stdout
    assert "nothing was answered" in done.stdout


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        ((), "say what to load"),
        (("http://127.0.0.1:1",), "say what to ask for"),
        (("http://127.0.0.1:1", "--get", "/"), "ended with 'refused'"),
        (("http://192.0.2.1", "--get", "/"), "refusing to load 192.0.2.1"),
        (("http://127.0.0.1:1", "--get", "x"), "is no path"),
        (("http://127.0.0.1:1", "--get", "/", "--think", "soon"), "--think: 'soon'"),
        (("http://127.0.0.1:1", "--get", "/", "--seconds", "0"), "--seconds 0: out of range"),
        (("http://127.0.0.1:1", "--get", "/", "--seconds", "nan"), "--seconds nan: out of range"),
        (("http://127.0.0.1:1", "--get", "/", "--rate", "-1"), "--rate -1: out of range"),
        (("http://127.0.0.1:1", "--get", "/", "--users", "2", "--processes", "3"), "more than 2 users"),
        (("http://127.0.0.1:1", "--scenario", "none.toml"), "cannot read none.toml"),
        (("http://127.0.0.1:1", "--get", "/", "--scenario", "none.toml"), "exclude each other"),
        (("http://127.0.0.1:1", "--get", "/", "--json", "/no/such/folder/x.json"), "does not exist"),
        (("--compare", "none.json"), "cannot read none.json"),
    ],
)
def test_what_cannot_be_run_is_one_line_and_exit_code_2(arguments: tuple[str, ...], said: str) -> None:
    done = harden(*arguments)
    assert done.returncode == 2, done.stdout
    assert said in done.stderr
    assert len([line for line in done.stderr.splitlines() if line.startswith("harden: error")]) == 1
    assert "Traceback" not in done.stderr


def test_a_step_that_fails_is_said_before_the_load_with_what_the_server_says() -> None:
    answer = b"HTTP/1.1 500 Oops\r\nContent-Length: 14\r\n\r\nno such table\n"
    with serving(lambda exchange: exchange.reply(answer)) as server:
        done = short(server.address, "--get", "/x")
    assert done.returncode == 2
    assert "'GET /x'" in done.stderr
    assert "'http 500': no such table; mend" in done.stderr
    assert len(server.requests) == 1


def test_a_server_that_hangs_is_said_before_the_load() -> None:
    with serving(lambda exchange: None) as server:
        done = short(server.address, "--get", "/")
    assert done.returncode == 2
    assert "ended with 'timeout'" in done.stderr


def test_runs_are_put_side_by_side(tmp_path: Path) -> None:
    names = []
    with serving(lambda exchange: exchange.reply(OK)) as server:
        for number in range(2):
            names.append(str(tmp_path / f"{number}.json"))
            done = short(server.address, "--get", "/", "--label", f"run {number}", "--json", names[-1])
            assert done.returncode == 0, done.stderr
    done = harden("--compare", *names, "--html", str(tmp_path / "both.html"))
    assert done.returncode == 0, done.stderr
    assert "run 0" in done.stdout.splitlines()[0]
    assert "run 1" in done.stdout.splitlines()[0]
    assert "(x " in done.stdout
    assert "run 1" in (tmp_path / "both.html").read_text()


@pytest.fixture(scope="module")
def a_run(tmp_path_factory: pytest.TempPathFactory) -> Path:
    file = tmp_path_factory.mktemp("run") / "a.json"
    with serving(lambda exchange: exchange.reply(OK)) as server:
        assert short(server.address, "--get", "/", "--json", str(file)).returncode == 0
    return file


@pytest.mark.parametrize(
    ("change", "said"),
    [({"kind": "x"}, "is no run"), ({"version": 2}, "version 2"), ({"totals": None}, "damaged"),
     ({"timeline": 3}, "damaged"), ({"users": "many"}, "damaged")],
)  # fmt: skip
def test_files_that_are_no_runs_are_refused(
    a_run: Path, tmp_path: Path, change: dict[str, object], said: str
) -> None:
    file = tmp_path / "b.json"
    file.write_text(json.dumps({**json.loads(a_run.read_text()), **change}))
    done = harden("--compare", str(a_run), str(file))
    assert done.returncode == 2
    assert said in done.stderr
    assert "b.json" in done.stderr


def test_passwords_are_not_in_what_the_report_says_was_run() -> None:
    shown = command._shown(
        ["load", "--dsn", "postgresql://a:secret@h/d", "--dsn=host=h password=secret", "--up", "x secret"]
    )
    assert "secret" not in " ".join(shown)


def test_a_run_with_nothing_but_the_least_can_be_shown() -> None:
    part = {"answered": 0, "failed": 0, "error_kinds": {}}
    document = {
        "kind": "harden-load", "version": 1, "label": EVIL, "date": "2026-11-23", "command": EVIL, "target": EVIL,
        "machine": {"cores": 2, "cpu": EVIL, "memory_gib": 1.0, "os": "x", "python": "3", "postgresql": "15"},
        "scenario": {"name": EVIL, "think": "1s"}, "model": "closed", "users": 1, "rate": None, "seconds": 1,
        "totals": part, "steps": {EVIL: part}, "timeline": [], "generator": {"cpu": 0.0, "lag_ms": None},
        "warnings": [EVIL], "budgets": [{"text": EVIL, "reached": "\x1b[31m", "holds": False}],
    }  # fmt: skip
    run = parse_run(document)
    assert EVIL not in render_page([run, run])
    assert "\x1b" not in render_text([run])


APP = """
import os

import psycopg2
from flask import Flask

app = Flask(__name__)


@app.get("/")
def index():
    conn = psycopg2.connect(os.environ["DATABASE_URL"])
    cur = conn.cursor()
    cur.execute("SELECT 1")
    text = str(cur.fetchone()[0])
    conn.close()
    return text
"""


def test_an_app_is_started_hardened_for_the_run_and_is_seen_from_inside(tmp_path: Path, url: str) -> None:
    (tmp_path / "app.py").write_text(APP, encoding="utf-8")
    done = harden(
        "app.py:app", "--get", "/", "--dsn", url, "--users", "4", "--think", "20ms", "--seconds", "5",
        "--ramp", "0", "--warmup", "1", "--errors", "0%", "--json", "r.json", cwd=tmp_path,
    )  # fmt: skip
    assert done.returncode == 0, done.stdout + done.stderr
    document = json.loads((tmp_path / "r.json").read_text())
    last = document["timeline"][-1]
    assert last["pool_size"] >= 2
    assert last["server_rss_mb"] > 20
    assert last["connections"] >= 1
    assert "pass" not in document["command"]
