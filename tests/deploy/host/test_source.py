"""What goes into a release, by real git, and from folders that are no repositories."""

from __future__ import annotations

import os
import shutil
import subprocess
from pathlib import Path

import pytest

from deploy.host import source
from deploy.host.errors import HostError

needs_git = pytest.mark.skipif(shutil.which("git") is None, reason="git is not there (apt-get install git)")


def git(folder: Path, *words: str) -> str:
    who = ["-c", "user.name=a", "-c", "user.email=a@b", "-c", "commit.gpgsign=false"]
    done = subprocess.run(["git", *who, *words], cwd=folder, check=True, capture_output=True, text=True)
    return done.stdout.strip()


@pytest.fixture
def repository(tmp_path: Path) -> Path:
    """A repository with two commits."""
    folder = tmp_path / "repo"
    (folder / "sub").mkdir(parents=True)
    git(folder, "init", "-q")
    for number in ("1", "2"):
        (folder / "app.py").write_text(number)
        (folder / "sub" / "inner.py").write_text(number)
        git(folder, "add", "-A")
        git(folder, "commit", "-qm", number)
    return folder


def tree(folder: Path) -> dict[str, str]:
    return {path.relative_to(folder).as_posix(): path.read_text() for path in folder.rglob("*") if path.is_file()}


@needs_git
def test_a_commit_is_released_and_not_what_lies_about(repository: Path, tmp_path: Path) -> None:
    (repository / "app.py").write_text("not committed")
    (repository / ".env").write_text("SECRET=1")
    found = source.find(repository)
    source.copy(found, tmp_path / "out")
    assert tree(tmp_path / "out") == {"app.py": "2", "sub/inner.py": "2"}
    assert found.commit == git(repository, "rev-parse", "HEAD")
    assert found.stamp == found.commit[:8]
    assert [each for each in found.warnings if "2 files differ" in each]
    assert source.text_of(found, "app.py") == "2"
    assert source.text_of(found, "none.py") is None
    assert source.size(found) == 2


@needs_git
def test_a_revision_is_what_git_knows_by_it(repository: Path, tmp_path: Path) -> None:
    git(repository, "tag", "v1", "HEAD~1")
    found = source.find(repository, "v1")
    source.copy(found, tmp_path / "out")
    assert tree(tmp_path / "out")["app.py"] == "1"
    assert found.warnings == ()


@needs_git
@pytest.mark.parametrize("rev", ["nowhere", "--output=/tmp/x", "HEAD:app.py"])
def test_a_revision_that_is_none_is_refused(repository: Path, rev: str) -> None:
    with pytest.raises(HostError, match=r"no commit|no revision"):
        source.find(repository, rev)


@needs_git
def test_no_program_that_a_repository_names_is_run(repository: Path, tmp_path: Path) -> None:
    ran = tmp_path / "ran"
    program = tmp_path / "program"
    program.write_text(f"#!/bin/sh\necho >{ran}\n")
    program.chmod(0o755)
    git(repository, "config", "core.fsmonitor", str(program))
    (repository / "changed").write_text("")
    source.copy(source.find(repository), tmp_path / "out")
    assert not ran.exists()


@needs_git
@pytest.mark.skipif(os.geteuid() != 0, reason="needs root, to give a folder to somebody else")
def test_somebody_elses_repository_is_read_as_that_user(repository: Path, tmp_path: Path) -> None:
    for path in (tmp_path, *tmp_path.parents[:-2]):
        if path.stat().st_mode & 0o001 == 0:
            path.chmod(path.stat().st_mode | 0o011)
    for path in (repository, *repository.rglob("*")):
        os.lchown(path, 65534, 65534)
    source.copy(source.find(repository), tmp_path / "out")
    assert tree(tmp_path / "out")["app.py"] == "2"


def test_a_plain_folder_goes_without_what_is_made_from_it_and_without_secrets(tmp_path: Path) -> None:
    folder = tmp_path / "app"
    for path in ("app.py", "pkg/mod.py", "venv/lib/x.py", "own/pyvenv.cfg", "own/x.py", "node_modules/a/b.js",
                 "pkg/__pycache__/mod.pyc", ".env", ".env.production", ".env.example", ".git.txt"):  # fmt: skip
        (folder / path).parent.mkdir(parents=True, exist_ok=True)
        (folder / path).write_text(path)
    (folder / "run.sh").write_text("")
    (folder / "run.sh").chmod(0o700)
    (folder / "link").symlink_to("app.py")
    found = source.find(folder)
    source.copy(found, tmp_path / "out")
    assert set(tree(tmp_path / "out")) == {"app.py", "pkg/mod.py", ".env.example", ".git.txt", "run.sh", "link"}
    assert (tmp_path / "out/run.sh").stat().st_mode & 0o777 == 0o755
    assert (tmp_path / "out/app.py").stat().st_mode & 0o777 == 0o644
    assert (tmp_path / "out/link").readlink() == Path("app.py")
    assert found.commit == ""
    (warning,) = found.warnings
    assert ".env, .env.production left out" in warning


def test_the_stamp_follows_contents_names_and_modes_alone(tmp_path: Path) -> None:
    stamps = []
    for change in ("", "text", "name", "mode"):
        folder = tmp_path / f"app{change}"
        folder.mkdir()
        (folder / ("b.py" if change == "name" else "a.py")).write_text("2" if change == "text" else "1")
        if change == "mode":
            (folder / "a.py").chmod(0o755)
        stamps.append(source.find(folder).stamp)
    assert len(set(stamps)) == 4
    shutil.copytree(tmp_path / "app", tmp_path / "again")
    assert source.find(tmp_path / "again").stamp == stamps[0]


def test_what_is_no_folder_or_has_no_revisions_is_refused(tmp_path: Path) -> None:
    with pytest.raises(HostError, match="is no folder"):
        source.find(tmp_path / "none")
    with pytest.raises(HostError, match="no git repository, so it has no revision v1"):
        source.find(tmp_path, "v1")


def test_the_kit_takes_itself_along_without_caches(tmp_path: Path) -> None:
    source.copy_kit(tmp_path / "kit")
    assert {path.name for path in (tmp_path / "kit").iterdir()} == set(source.KIT)
    assert (tmp_path / "kit/deploy/gunicorn.conf.py").is_file()
    assert os.access(tmp_path / "kit/scripts/harden", os.X_OK)
    assert not [path for path in (tmp_path / "kit").rglob("*") if path.name == "__pycache__"]
