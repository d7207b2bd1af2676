"""What is at a dotted path outside the project: data where a fact says so, else the path itself."""

from __future__ import annotations

from . import facts
from .values import NOTHING, Data, External, Site, Values

LONGEST = 9  # steps from an import: `sqlalchemy.create_engine().raw_connection().cursor().execute` has seven


def at_path(path: str, site: Site) -> Values:
    """Return what is there; `site` is where the code asks."""
    path = facts.canonical(path)
    shape = facts.request_shape(path)
    if shape is not None:
        return frozenset([Data("request", shape, site)])
    if path.startswith(facts.SESSION[0]) and path != facts.SESSION[0]:
        return frozenset([Data("session", "value", site) if path.endswith("[]") else External(path, site)])
    if path in ("os.environ[]", "os.getenv()"):
        return frozenset([External(path, site)])
    if facts.REMOTE.search(path):
        return frozenset([Data("remote", "rows", site)])
    if facts.FILES.search(path):
        return frozenset([Data("file", "rows", site)])
    if path.count(".") + path.count("(") + path.count("[") > LONGEST:
        return NOTHING  # something that is taken apart in a loop, and nothing that a fact is known of
    return frozenset([External(path, site if path.endswith("]") else None)])
