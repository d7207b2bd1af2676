"""The sides' files: copied without touching the repository, without junk, with what is not committed yet."""

from __future__ import annotations

from pathlib import Path

import pytest

from scripts.errors import CommandError
from scripts.verify import code

from .conftest import Repository


def _snapshot(folder: Path) -> dict[str, tuple[int, int]]:
    stats = {path: path.lstat() for path in folder.rglob("*")}
    return {str(path): (stat.st_mtime_ns, stat.st_size) for path, stat in stats.items()}


def test_a_revision_and_the_working_tree_are_copied_and_the_repository_stays(
    shop: Repository, tmp_path: Path
) -> None:
    (shop.path / ".gitignore").write_text("secret.env\n")
    (shop.path / "secret.env").write_text("x")
    (shop.path / "new.py").write_text("new = 1\n")
    (shop.path / "schema.sql").unlink()
    shop.change("welcome", "Welcome")
    before = _snapshot(shop.path)
    name = code.copy_before(shop.path, "HEAD", tmp_path / "before")
    code.copy_after(shop.path, tmp_path / "after")
    assert _snapshot(shop.path) == before
    assert name.startswith("HEAD (")
    assert "welcome" in (tmp_path / "before" / "server.py").read_text()
    assert "Welcome" in (tmp_path / "after" / "server.py").read_text()
    assert {path.name for path in (tmp_path / "after").iterdir()} == {".gitignore", "new.py", "server.py"}
    assert {path.name for path in (tmp_path / "before").iterdir()} == {"schema.sql", "server.py"}
    code.copy_extra(shop.path, ["secret.env"], [tmp_path / "before", tmp_path / "after"])
    assert (tmp_path / "before" / "secret.env").read_text() == "x"
    with pytest.raises(CommandError, match="correct `copy`"):
        code.copy_extra(shop.path, ["no.env"], [tmp_path / "before"])


def test_a_folder_inside_a_repository_is_a_side_of_its_own(shop: Repository, tmp_path: Path) -> None:
    (shop.path / "inner").mkdir()
    (shop.path / "inner" / "app.py").write_text("1\n")
    shop.commit()
    code.copy_before(shop.path / "inner", "HEAD", tmp_path / "before")
    code.copy_after(shop.path / "inner", tmp_path / "after")
    assert [path.name for path in (tmp_path / "before").iterdir()] == ["app.py"]
    assert [path.name for path in (tmp_path / "after").iterdir()] == ["app.py"]
