"""A machine that cannot have labs says in one line what is missing."""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

from . import base, cgroups, folders, machine
from .errors import LabError

ROOT = Path(__file__).resolve().parents[2]
RECIPE = base.Recipe()


@pytest.fixture
def state(tmp_path: Path) -> Path:
    return folders.state_folder({"HARDEN_LAB_DIR": str(tmp_path.resolve() / "labs-of-a-test")})


@pytest.fixture
def as_root(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(os, "geteuid", lambda: 0)


def refusal(state: Path, recipe: base.Recipe = RECIPE) -> str:
    with pytest.raises(LabError) as caught:
        machine.require(state, recipe)
    line = caught.value.line()
    assert "\n" not in line
    return line


def test_somebody_who_is_not_root_is_told_so(state: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(os, "geteuid", lambda: 1000)
    assert refusal(state) == "a lab needs root, for namespaces and mounts; run it with sudo"


@pytest.mark.usefixtures("as_root")
def test_a_missing_program_is_named_with_its_package(state: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(shutil, "which", lambda name: None if name == "ip" else f"/bin/{name}")
    assert refusal(state) == "ip is not installed; apt-get install iproute2"


@pytest.mark.usefixtures("as_root")
def test_a_missing_builder_is_named(state: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(machine, "_require_kernel", lambda state: None)
    monkeypatch.setattr(shutil, "which", lambda name: None if name == "mmdebstrap" else f"/bin/{name}")
    assert refusal(state) == "mmdebstrap is not installed; apt-get install mmdebstrap"


@pytest.mark.usefixtures("as_root")
def test_a_base_that_is_built_needs_no_builder(state: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(machine, "_require_kernel", lambda state: None)
    monkeypatch.setattr(shutil, "which", lambda name: None if name == "mmdebstrap" else f"/bin/{name}")
    (state / RECIPE.folder_name).mkdir()
    machine.require(state, RECIPE)


@pytest.mark.usefixtures("as_root")
def test_a_file_of_sources_that_is_not_there_is_named(state: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(machine, "_require_kernel", lambda state: None)
    monkeypatch.setattr(shutil, "which", lambda name: f"/bin/{name}")
    missing = base.Recipe(sources_file=Path("/nowhere/lab.sources"))
    assert refusal(state, missing) == "/nowhere/lab.sources is no file of apt sources; see HARDEN_LAB_SOURCES"


@pytest.mark.usefixtures("as_root")
def test_no_namespaces_and_no_overlay_are_told_apart(state: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def failing(word: str) -> object:
        def run(command: list[str], **_: object) -> subprocess.CompletedProcess[str]:
            text = " ".join(command)
            return subprocess.CompletedProcess(command, int(word in text), "", "refused\n" if word in text else "")

        return run

    monkeypatch.setattr(shutil, "which", lambda name: f"/bin/{name}")
    monkeypatch.setattr(subprocess, "run", failing("--uts"))
    assert "this machine gives no namespaces (refused)" in refusal(state)
    monkeypatch.setattr(subprocess, "run", failing("lowerdir"))
    assert f"no overlayfs on {state} (refused); set HARDEN_LAB_DIR" in refusal(state)


@pytest.mark.usefixtures("as_root")
def test_no_control_groups_of_version_2_are_named(state: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    ran = subprocess.CompletedProcess([], 0, "", "")
    monkeypatch.setattr(shutil, "which", lambda name: f"/bin/{name}")
    monkeypatch.setattr(subprocess, "run", lambda *_, **__: ran)
    monkeypatch.setattr(cgroups, "root", lambda: None)
    assert "has no cgroup2 tree" in refusal(state)


def test_the_command_says_it_in_one_line_with_exit_code_2(tmp_path: Path) -> None:
    environ = {**os.environ, "HARDEN_LAB_DIR": "/tmp"}
    done = subprocess.run(
        [sys.executable, "-m", "tests.lab", "check"], cwd=ROOT, env=environ, capture_output=True, text=True
    )
    assert done.returncode == 2
    assert done.stderr.startswith("lab: error: /tmp cannot hold labs; set HARDEN_LAB_DIR")
    assert done.stderr.count("\n") == 1
