"""How fixed code names what it takes from the vendored runtime: `adopt`, `hardened.adopt` where that is taken."""

from __future__ import annotations

from ..fixer import Context, Import
from ..imports import NameTaken, import_edits

VENDOR_FIRST = "vendor the runtime first: scripts/harden vendor PATH"


def reference(context: Context, path: str, name: str) -> tuple[str, Import] | None:
    """Return how a file calls a name of the runtime, with the import for that; None when both ways are taken."""
    ways = [(name, Import(path, context.kit, name))]
    if "." not in context.kit:
        ways.append((f"{context.kit}.{name}", Import(path, context.kit)))
    for text, wanted in ways:
        try:
            import_edits(context.source(path), [wanted])
        except NameTaken:
            continue
        return text, wanted
    return None
