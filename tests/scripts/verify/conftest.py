"""What the tests of `verify` share: a made-up shop, as a git repository whose working tree can be changed."""

from __future__ import annotations

import json
import os
import shutil
import subprocess
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest

from scripts import cli

from ..stack.running import TELLING, short_state

FILES = Path(__file__).resolve().parent / "shop"


@dataclass
class Repository:
    """A git repository of a test."""

    path: Path

    def git(self, *arguments: str) -> str:
        done = subprocess.run(
            ["git", "-C", str(self.path), "-c", "user.name=t", "-c", "user.email=t@example.com", *arguments],
            capture_output=True, text=True, check=True,
        )  # fmt: skip
        return done.stdout

    def commit(self) -> None:
        self.git("add", ".")
        self.git("commit", "--quiet", "--message", "as it was")

    def change(self, old: str, new: str) -> None:
        file = self.path / "server.py"
        text = file.read_text()
        assert old in text
        file.write_text(text.replace(old, new))


@pytest.fixture
def state(monkeypatch: pytest.MonkeyPatch) -> Iterator[Path]:
    """HARDEN_STATE for this test."""
    with short_state() as folder:
        for name in [name for name in os.environ if name.startswith(TELLING)]:
            monkeypatch.delenv(name)
        monkeypatch.setenv("HARDEN_STATE", str(folder))
        yield folder


@pytest.fixture
def shop(tmp_path: Path) -> Repository:
    """The shop, committed."""
    path = tmp_path / "shop"
    shutil.copytree(FILES, path)
    repository = Repository(path)
    repository.git("init", "--quiet")
    repository.commit()
    return repository


Verify = Callable[..., tuple[int, dict[str, Any]]]


@pytest.fixture
def verify(state: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> Verify:
    """A function that runs the verb and returns its code and its JSON; the error's line under "error"."""

    def run(path: Path, *arguments: str, recipe: str = "") -> tuple[int, dict[str, Any]]:
        if recipe:
            (tmp_path / "recipe.toml").write_text(recipe)
            arguments = ("--recipe", str(tmp_path / "recipe.toml"), *arguments)
        for option, value in (("--workers", "1"), ("--repeats", "2")):
            arguments = arguments if option in arguments else (option, value, *arguments)
        code = cli.main(["verify", str(path), "--format", "json", *arguments])
        said = capsys.readouterr()
        return code, json.loads(said.out) if said.out else {"error": said.err.splitlines()[-1]}

    return run
