"""What the vendored runtime is imported as in a repository: `hardened`, or `app.hardened`."""

from __future__ import annotations

from pathlib import Path, PurePosixPath

from ..audit.model.kit_copy import kit_folders
from ..audit.model.project import Project


def kit_name(project: Project, root: Path) -> str:
    """Return the dotted name, from the folder that the packages around the copy are imported from; "" for none.

    The folder nearest to the root counts where there are several.
    """
    folders = [each.rstrip("/") for each in kit_folders(project) if each]
    if not folders:
        return ""
    folder = PurePosixPath(min(folders, key=lambda each: (each.count("/"), each)))
    names = [folder.name]
    for parent in folder.parents:
        if parent == PurePosixPath() or not (root / parent / "__init__.py").is_file():
            break
        names.insert(0, parent.name)
    return ".".join(names)
