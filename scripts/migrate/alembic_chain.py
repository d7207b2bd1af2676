"""A repository's Alembic revisions, read from its files: where they are, and which one is the last.

Nothing of the repository is imported: the app's own environment may not be this one.
"""

from __future__ import annotations

import ast
import configparser
import os
import re
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from ..errors import CommandError

_DEPTH = 3  # folders below the root in which an alembic.ini is looked for
_SKIPPED = {"node_modules", "venv", "env", "site-packages"}
MARK = "harden-migrate:"


@dataclass(frozen=True)
class Chain:
    """The revisions.

    Attributes:
        folder: Where revisions lie.
        head: The last one; None when there is none yet.
        marks: Of the changes that revisions of ours make.
    """

    folder: Path
    head: str | None
    marks: frozenset[str]


def found(root: Path, choice: str) -> Chain | None:
    """Return a repository's chain; None when it has none, or none is wanted.

    Args:
        choice: "auto", "yes" or "no".

    Raises:
        CommandError: "yes" and there is none; there are several heads, or a revision cannot be read.
    """
    if choice == "no":
        return None
    files = _inis(root)
    if not files:
        if choice == "auto":
            return None
        raise CommandError(f"no alembic.ini below {root}; name the app's folder by --code, or --alembic no")
    if len(files) > 1:
        raise CommandError(f"{len(files)} alembic.ini below {root} ({files[0]}, {files[1]}, ...); "
                           "name one app's folder by --code, or --alembic no")  # fmt: skip
    return _chain(_versions(files[0]))


def _inis(root: Path) -> list[Path]:
    files = []
    for folder, inner, names in os.walk(root):
        depth = len(Path(folder).relative_to(root).parts)
        inner[:] = sorted(
            name for name in inner if depth < _DEPTH and not name.startswith(".") and name not in _SKIPPED
        )
        files += [Path(folder, name) for name in names if name == "alembic.ini"]
    return files


def _versions(ini: Path) -> Path:
    """Return the folder of the revisions; Flask-Migrate's alembic.ini lies beside it, and names none."""
    config = configparser.RawConfigParser(strict=False)
    try:
        config.read(ini, encoding="utf-8")
    except (configparser.Error, UnicodeDecodeError) as error:
        raise CommandError(f"cannot read {ini}: {str(error).splitlines()[0]}") from None
    option = {name: _here(config.get("alembic", name, fallback=""), ini)
              for name in ("script_location", "version_locations")}  # fmt: skip
    if len(option["version_locations"].split()) > 1:
        raise CommandError(f"{ini} has several version_locations; write the revision by hand, with --alembic no")
    if ":" in option["script_location"]:
        raise CommandError(f"{ini}: script_location is in a package ({option['script_location']}); use "
                           "--alembic no, and a revision of your own with the SQL")  # fmt: skip
    scripts = ini.parent / option["script_location"]
    folder = ini.parent / option["version_locations"] if option["version_locations"] else scripts / "versions"
    if not folder.is_dir():
        raise CommandError(f"{ini} leads to {folder}, which is no folder; make it, or use --alembic no")
    return folder


def _here(text: str, ini: Path) -> str:
    return text.replace("%(here)s", str(ini.parent.resolve())).strip()


def _chain(folder: Path) -> Chain:
    down: dict[str, tuple[Any, ...]] = {}
    marks: set[str] = set()
    for path in sorted(folder.rglob("*.py")):
        try:
            text = path.read_text(encoding="utf-8")
            named = _named(ast.parse(text))
        except (OSError, SyntaxError, ValueError) as error:
            raise CommandError(f"cannot read the revision {path}: {error}") from None
        if isinstance(named.get("revision"), str):
            below = named.get("down_revision")
            down[named["revision"]] = (below,) if isinstance(below, str) else tuple(below or ())
            marks.update(re.findall(rf"{MARK} ([0-9a-f]+)", text))
    heads = sorted(set(down) - {each for below in down.values() for each in below})
    if len(heads) > 1:
        raise CommandError(f"Alembic has {len(heads)} heads ({', '.join(heads)}) in {folder}; merge them first: "
                           "alembic merge heads")  # fmt: skip
    if down and not heads:
        raise CommandError(f"Alembic's revisions in {folder} go in a circle; mend down_revision first")
    return Chain(folder, heads[0] if heads else None, frozenset(marks))


def _named(module: ast.Module) -> dict[str, Any]:
    """Return the module's plain assignments of literals: `revision = "..."`, also with a type."""
    found: dict[str, Any] = {}
    for node in module.body:
        target = node.targets[0] if isinstance(node, ast.Assign) else getattr(node, "target", None)
        value = getattr(node, "value", None)
        if isinstance(target, ast.Name) and target.id in ("revision", "down_revision") and value is not None:
            found[target.id] = ast.literal_eval(value)
    return found
