"""From `harden audit --format json` to rows that can be scored.

A finding is one row. Where one loop runs several statements, each statement is a label of its own, but the audit
reports the loop once: there the finding's other places are rows too. In all other rules they are the same thing
again (who calls the helper that connects, the other connections of a function) and have no label.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any

from .scoring import Row

EACH_PLACE = frozenset({"n-plus-one", "query-in-loop"})


def rows(document: Mapping[str, Any], repo: str) -> Iterator[Row]:
    """Yield the rows of an audit's document.

    Args:
        document: What `harden audit --format json` printed.
        repo: "owner/name", as the labels have it.
    """
    for finding in document["findings"]:
        places = [finding, *(finding["more"] if finding["name"] in EACH_PLACE else ())]
        for place in places:
            yield Row(repo, place["path"], place["line"], place["end_line"], finding["name"])
