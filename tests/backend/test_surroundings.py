"""Where a process runs: told from files and variables as kernels, systemd and containers make them."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
from pathlib import Path

import pytest

from backend.surroundings import environment

VARIABLES = ("HARDEN_ENV", "FLASK_ENV", "FLASK_DEBUG", "KUBERNETES_SERVICE_HOST", "INVOCATION_ID",
             "SERVER_SOFTWARE", "WERKZEUG_RUN_MAIN", "FLASK_RUN_FROM_CLI", "UWSGI_ORIGINAL_PROC_NAME")  # fmt: skip


@pytest.fixture(autouse=True)
def _nothing_is_set(monkeypatch: pytest.MonkeyPatch) -> None:
    for name in VARIABLES:
        monkeypatch.delenv(name, raising=False)


def _host(root: Path, **files: str) -> Path:
    for name, text in files.items():
        path = root / name.replace("__", "/").replace("_dot_", ".")
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(text)
    return root


def test_nothing_known_is_production_outside_of_everything(tmp_path: Path) -> None:
    found = environment(tmp_path)
    assert (found.name, found.told_by, found.container, found.service) == ("production", "", None, None)
    assert (found.memory_bytes, found.cores) == (None, len(os.sched_getaffinity(0)))
    assert found.is_production
    assert str(found) == "production"


@pytest.mark.parametrize(
    ("name", "value", "expected"),
    [("HARDEN_ENV", "test", "test"), ("FLASK_ENV", "development", "development"), ("FLASK_ENV", "testing", "test"),
     ("FLASK_DEBUG", "1", "development"), ("FLASK_DEBUG", "0", "production")],
)  # fmt: skip
def test_the_name_is_what_the_settings_say(
    name: str, value: str, expected: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv(name, value)
    found = environment(tmp_path)
    assert (found.name, found.told_by) == (expected, "" if expected == "production" else name)


@pytest.mark.parametrize(
    ("files", "expected"),
    [({"_dot_dockerenv": ""}, "docker"), ({"run___dot_containerenv": ""}, "podman"),
     ({"run__systemd__container": "systemd-nspawn\n"}, "systemd-nspawn"),
     ({"proc__self__cgroup": "0::/kubepods.slice/kubepods-pod1.slice/x\n"}, "kubernetes"),
     ({"proc__self__cgroup": "12:cpu:/docker/0123\n1:name=systemd:/docker/0123\n"}, "docker"),
     ({"proc__self__cgroup": "0::/user.slice/user-0.slice/session-1.scope\n"}, None)],
)  # fmt: skip
def test_containers_are_told_by_their_marks(files: dict[str, str], expected: str | None, tmp_path: Path) -> None:
    assert environment(_host(tmp_path, **files)).container == expected


def test_kubernetes_is_told_by_its_variable(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("KUBERNETES_SERVICE_HOST", "10.0.0.1")
    assert environment(tmp_path).container == "kubernetes"


@pytest.mark.parametrize(
    ("group", "expected"),
    [("0::/system.slice/shop.service", "shop.service"),
     ("0::/system.slice/system-shop.slice/shop@blue.service", "shop@blue.service"),
     ("0::/user.slice/user-1.slice/user@1.service/app.slice", None),
     ("0::/user.slice/user-1.slice/session-2.scope", None)],
)  # fmt: skip
def test_a_service_is_the_unit_of_the_control_group(
    group: str, expected: str | None, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("INVOCATION_ID", "0123")
    found = environment(_host(tmp_path, proc__self__cgroup=group))
    assert found.service == expected
    assert str(found) == ("production" if expected is None else f"production, systemd {expected}")


def test_without_an_invocation_there_is_no_service(tmp_path: Path) -> None:
    """A container's only process may lie in a group that is called like a unit of its host."""
    assert environment(_host(tmp_path, proc__self__cgroup="0::/system.slice/docker.service")).service is None


def test_a_quota_of_the_container_is_the_number_of_cores(tmp_path: Path) -> None:
    _host(tmp_path, sys__fs__cgroup__cpu_dot_max="50000 100000\n", sys__fs__cgroup__memory_dot_max="536870912\n")
    assert (environment(tmp_path).cores, environment(tmp_path).memory_bytes) == (0.5, 512 * 1024**2)


def test_the_narrowest_of_the_groups_around_counts(tmp_path: Path) -> None:
    _host(tmp_path, proc__self__cgroup="0::/a/b", sys__fs__cgroup__a__memory_dot_max="1000")
    _host(tmp_path, sys__fs__cgroup__a__b__memory_dot_max="max", sys__fs__cgroup__a__b__cpu_dot_max="max 100000")
    found = environment(tmp_path)
    assert (found.memory_bytes, found.cores) == (1000, len(os.sched_getaffinity(0)))


def test_limits_of_version_1_are_read(tmp_path: Path) -> None:
    _host(tmp_path, sys__fs__cgroup__memory__memory_dot_limit_in_bytes="9223372036854771712")
    for name in ("quota", "period"):
        _host(tmp_path, **{f"sys__fs__cgroup__cpu__cpu_dot_cfs_{name}_us": "100000"})
    assert (environment(tmp_path).cores, environment(tmp_path).memory_bytes) == (1.0, None)


def test_the_development_server_is_told_by_its_variable(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("FLASK_RUN_FROM_CLI", "true")
    assert (environment(tmp_path).server, environment(tmp_path).workers) == ("flask", None)


def test_gunicorn_says_how_many_workers_it_was_told_to_run(tmp_path: Path) -> None:
    """By its own arguments, in whatever spelling: asked of a real one that checks its configuration."""
    app = tmp_path / "app.py"
    app.write_text(
        "import sys, os\n"
        f"sys.path.insert(0, {str(Path(__file__).resolve().parents[2])!r})\n"
        "from backend.surroundings import environment\n"
        "found = environment()\n"
        "print('found', found.server, found.workers, file=sys.stderr, flush=True)\n"
        "def app(environ, start_response): pass\n"
    )
    child = subprocess.Popen(
        [sys.executable, "-m", "gunicorn", "--workers", "3", "--bind", "unix:app.sock", "app:app"],
        cwd=tmp_path, stderr=subprocess.PIPE, text=True,
    )  # fmt: skip
    assert child.stderr is not None
    try:
        line = next(each for each in child.stderr if each.startswith("found"))
    finally:
        child.send_signal(signal.SIGTERM)
        child.communicate(timeout=60)
    assert line.split() == ["found", "gunicorn", "3"]
