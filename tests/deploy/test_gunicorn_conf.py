"""deploy/gunicorn.conf.py by Gunicorn itself: its check passes, wrong settings are one line, sizes fit."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from collections.abc import Mapping
from pathlib import Path

import pytest

from tests.scripts.stack.running import ROOT, clean_environ

CONFIG = ROOT / "deploy" / "gunicorn.conf.py"
SHOW = """
import json, runpy, sys
found = runpy.run_path(sys.argv[1])
print(json.dumps({name: value for name, value in found.items() if isinstance(value, int)}))
"""


def _check(environ: Mapping[str, str], cwd: Path = ROOT) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [sys.executable, "-m", "gunicorn", "--check-config", "--config", str(CONFIG), "wsgi:application"],
        capture_output=True, text=True, cwd=cwd, env={**clean_environ(), **environ}, timeout=60,
    )  # fmt: skip


def _settings(environ: Mapping[str, str]) -> dict[str, object]:
    done = subprocess.run(
        [sys.executable, "-c", SHOW, str(CONFIG)], capture_output=True, text=True, check=True, timeout=60,
        env={**clean_environ(), **environ},
    )  # fmt: skip
    return dict(json.loads(done.stdout))


def test_gunicorns_own_check_passes_from_any_folder(url: str, tmp_path: Path) -> None:
    done = _check({"DATABASE_URL": url}, cwd=tmp_path)
    assert (done.returncode, done.stdout, done.stderr) == (0, "", "")


@pytest.mark.parametrize(
    ("environ", "line"),
    [
        ({"WORKERS": "abc"}, "WORKERS='abc' (environment) is not a whole number"),
        ({"WORKERS": "0"}, "WORKERS='0' (environment) is below 1"),
        ({"THREADS": "-1"}, "THREADS='-1' (environment) is below 1; its default is 8"),
        ({"DATABASE_URL": "mysql://app:hunter2@db/x"}, "DATABASE_URL (environment) is not a PostgreSQL URL"),
    ],
    ids=lambda value: ",".join(value) if isinstance(value, dict) else "",
)
def test_a_wrong_setting_ends_the_start_with_one_line_and_code_2(environ: dict[str, str], line: str) -> None:
    done = _check({"DATABASE_URL": "postgresql://app@127.0.0.1:1/app", **environ})
    assert done.returncode == 2
    assert done.stdout == ""
    (said,) = done.stderr.splitlines()
    assert said.startswith(f"harden: error: {line}")
    assert "hunter2" not in said


def test_sizes_come_from_the_cores_and_each_timeout_is_longer_than_what_it_waits_for() -> None:
    """The ladder in the file's comment: pool 10 < statement 20 < graceful 25 < worker 30 < front 35."""
    found = _settings({"DATABASE_URL": "postgresql://app@127.0.0.1:1/app"})
    assert found["workers"] == max(2, len(os.sched_getaffinity(0)))
    assert found["threads"] == 8
    assert found["preload_app"] is False
    assert 20 < int(str(found["graceful_timeout"])) < int(str(found["timeout"])) < 35
    assert int(str(found["keepalive"])) > 60


@pytest.mark.parametrize(
    ("environ", "workers"),
    [({"WEB_CONCURRENCY": "5"}, 5), ({"WORKERS": "3", "WEB_CONCURRENCY": "5"}, 3)],
)
def test_workers_are_as_many_as_the_environment_says(environ: dict[str, str], workers: int) -> None:
    found = _settings({"DATABASE_URL": "postgresql://app@127.0.0.1:1/app", "THREADS": "4", **environ})
    assert (found["workers"], found["threads"]) == (workers, 4)


def test_an_app_that_is_not_there_ends_the_start_before_a_worker_does(tmp_path: Path) -> None:
    done = _check({"HARDEN_APP": "nowhere/app.py:app"}, cwd=tmp_path)
    assert done.returncode in (2, 4)
    (said,) = done.stderr.splitlines()
    assert said.startswith("harden: error: ")
    assert "nowhere/app.py" in said


def test_without_an_app_or_a_database_the_shop_says_what_it_needs() -> None:
    done = _check({})
    assert done.returncode in (2, 4)
    assert done.stderr.startswith("harden: error: DATABASE_URL is not set")
    assert len(done.stderr.splitlines()) == 1
