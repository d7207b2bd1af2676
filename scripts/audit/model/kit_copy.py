"""The kit's own runtime in the audited repository: copied there under any name, and no code of the app.

Known by its manifest, or by what lies together in one folder, since the folder's name is the user's. If this is
wrong, rules report the pool that they recommend, or a folder of the user's stays unread.
"""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from .project import Project

MARKS = frozenset({"database_pool.py", "database_helper.py", "dropin.py", "slots.py", "leasing.py"})
MANIFEST, KIT = "VENDORED.json", "harden-flask-psycopg2"  # as `harden vendor` writes it
_KEPT = "_vendored_kit"


def kit_folders(project: Project) -> tuple[str, ...]:
    """Return the folders that hold a copy of the kit, with a slash at the end; "" stands for the root."""
    if _KEPT not in vars(project):
        names: dict[str, set[str]] = {}
        for module in project.modules:
            folder, slash, name = module.path.rpartition("/")
            names.setdefault(folder + slash, set()).add(name)
        marked = {folder for folder, found in names.items() if found >= MARKS}
        vars(project)[_KEPT] = tuple(sorted(marked | _told(project)))
    found: tuple[str, ...] = vars(project)[_KEPT]
    return found


def _told(project: Project) -> set[str]:
    """Return the folders whose manifest says so: a slice of the kit has few of its modules."""
    found = [path for path in project.files if path.rpartition("/")[2] == MANIFEST]
    return {path.removesuffix(MANIFEST) for path in found if is_manifest(project.root / path)}


def is_manifest(path: Path) -> bool:
    """Whether a file is the manifest of a vendored copy."""
    try:
        return KIT in path.read_text(encoding="utf-8", errors="replace")
    except OSError:
        return False


def is_of_kit(project: Project, path: str) -> bool:
    """Whether a file belongs to a copy of the kit."""
    return any(path.startswith(folder) for folder in kit_folders(project))


def set_aside(project: Project) -> None:
    """Take the kit's modules out of a project that is read, but not interpreted yet: they are not the app's."""
    if kit_folders(project):
        project.modules[:] = [module for module in project.modules if not is_of_kit(project, module.path)]
