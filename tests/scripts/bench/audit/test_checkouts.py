"""The labelled code: it is there at the right commit, or one line says what to do."""

from __future__ import annotations

import subprocess
from pathlib import Path

import pytest

from scripts.bench.audit import checkouts
from scripts.bench.audit.labels import Repository
from scripts.errors import CommandError

COMMIT = "1" * 40
REPOSITORIES = (Repository("a/b", COMMIT, (), (), ()), Repository("c/d", "2" * 40, (), (), ()))


def test_folders_without_git_are_taken_as_they_are(tmp_path: Path) -> None:
    for name in ("a+b", "c+d"):
        (tmp_path / name).mkdir()
    found = checkouts.present(REPOSITORIES, tmp_path, given=True)
    assert found == {"a/b": tmp_path / "a+b", "c/d": tmp_path / "c+d"}


@pytest.mark.parametrize(("given", "hint"), [(True, "check them out"), (False, "--fetch")])
def test_missing_ones_are_counted_and_named(tmp_path: Path, given: bool, hint: str) -> None:
    with pytest.raises(CommandError, match=r"2 of 2 .*a\+b and others.*" + hint):
        checkouts.present(REPOSITORIES, tmp_path, given=given)


@pytest.mark.parametrize("is_detached", [True, False])
def test_a_checkout_at_another_commit_is_refused(tmp_path: Path, is_detached: bool) -> None:
    git = tmp_path / "a+b" / ".git"
    (git / "refs" / "heads").mkdir(parents=True)
    head = "3" * 40
    (git / "HEAD").write_text(head if is_detached else "ref: refs/heads/main\n", encoding="ascii")
    (git / "refs" / "heads" / "main").write_text(head + "\n", encoding="ascii")
    with pytest.raises(CommandError, match=f"is at {head}"):
        checkouts.present(REPOSITORIES[:1], tmp_path, given=True)


def test_one_commit_is_fetched_whole_and_only_once(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    origin = tmp_path / "origin"
    origin.mkdir()
    git = ["git", "-C", str(origin), "-c", "user.name=x", "-c", "user.email=x@example.org"]
    subprocess.run([*git, "init", "--quiet"], check=True)
    (origin / "app.py").write_text("x = 1\n", encoding="utf-8")
    subprocess.run([*git, "add", "."], check=True)
    subprocess.run([*git, "commit", "--quiet", "-m", "one"], check=True)
    commit = subprocess.run([*git, "rev-parse", "HEAD"], check=True, capture_output=True, text=True).stdout.strip()
    monkeypatch.setattr(checkouts, "GITHUB", str(tmp_path))
    repository = Repository("origin", commit, (), (), ())
    said: list[str] = []
    for _ in range(2):
        checkouts.fetch([repository], tmp_path / "cache", said.append)
    found = checkouts.present([repository], tmp_path / "cache", given=False)
    assert (found["origin"] / "app.py").read_text(encoding="utf-8") == "x = 1\n"
    assert said == ["fetching origin"]
    assert [each.name for each in (tmp_path / "cache").iterdir()] == ["origin"]


def test_what_cannot_be_fetched_is_one_line(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(checkouts, "GITHUB", str(tmp_path / "nowhere"))
    with pytest.raises(CommandError, match=r"cannot fetch a/b: .*--checkouts DIR"):
        checkouts.fetch(REPOSITORIES, tmp_path / "cache", lambda _: None)
    assert not (tmp_path / "cache" / "a+b").exists()
