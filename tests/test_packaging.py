"""`pip install .` gives the runtime with Flask and psycopg2 alone; the data files travel along."""

from __future__ import annotations

import os
import subprocess
import sys
import zipfile
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parent.parent


@pytest.fixture(scope="module")
def source(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A copy of what git tracks: building writes into its folder."""
    copy = tmp_path_factory.mktemp("source")
    listed = subprocess.run(["git", "ls-files", "-z"], cwd=ROOT, capture_output=True)
    if listed.returncode:
        pytest.skip("not a git checkout: git ls-files failed")
    for name in filter(None, listed.stdout.decode().split("\0")):
        if (ROOT / name).is_file():
            (copy / name).parent.mkdir(parents=True, exist_ok=True)
            (copy / name).write_bytes((ROOT / name).read_bytes())
    return copy


def _run(*command: str | Path, cwd: Path | None = None) -> str:
    done = subprocess.run(list(map(str, command)), cwd=cwd, capture_output=True, text=True)
    assert done.returncode == 0, done.stdout + done.stderr
    return done.stdout


@pytest.fixture(scope="module")
def wheel(source: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("wheel")
    _run(sys.executable, "-m", "pip", "wheel", "-q", "--no-deps", "-w", folder, source)
    return next(folder.glob("*.whl"))


def test_wheel_holds_the_packages_and_their_data(wheel: Path) -> None:
    names = set(zipfile.ZipFile(wheel).namelist())
    for name in (
        "wsgi.py", "backend/database_pool.py", "backend/shop/schema.sql", "deploy/gunicorn.conf.py",
        "deploy/prometheus/alerts.yml", "deploy/grafana/dashboard.json",
        "pgbouncer/templates/pgbouncer.ini.j2", "scripts/demo/seed.sql", "scripts/demo/report/report.html.j2",
    ):  # fmt: skip
        assert name in names
    assert not [name for name in names if name.startswith("tests")]


def test_runtime_needs_flask_and_psycopg2_alone(wheel: Path) -> None:
    archive = zipfile.ZipFile(wheel)
    metadata = archive.read(next(name for name in archive.namelist() if name.endswith("METADATA"))).decode()
    needed = [line.partition(": ")[2] for line in metadata.splitlines() if line.startswith("Requires-Dist")]
    runtime = {line.split(">")[0].strip().lower() for line in needed if "extra ==" not in line}
    assert runtime == {"flask", "psycopg2-binary"}


def test_installed_runtime_serves_the_shop(wheel: Path, tmp_path: Path, url: str) -> None:
    """In an environment with nothing but the runtime's own requirements."""
    _run(sys.executable, "-m", "venv", tmp_path / "venv")
    python = tmp_path / "venv" / "bin" / "python"
    _run(python, "-m", "pip", "install", "-q", "--disable-pip-version-check", wheel)
    ask = "import wsgi; print(wsgi.application.test_client().get('/readyz').get_json()['status'])"
    done = subprocess.run(
        [python, "-c", ask], cwd=tmp_path, capture_output=True, text=True,
        env={"PATH": os.environ["PATH"], "DATABASE_URL": url},
    )  # fmt: skip
    assert (done.stdout.strip(), done.returncode) == ("ok", 0), done.stderr
