"""Lines that may repeat, because a comment in the app says so, with a reason and perhaps not for ever.

    cur.execute(sql, (row["id"],))  # harden: allow-repeats: three services at most
    cur.execute(sql, (row["id"],))  # harden: allow-repeats until 2027-03-01: until the report is rewritten

It stands on any line of the statement, or alone above it. One without a reason does not count, nor does one whose
day is over, and the report says so. If this is wrong, a loop that somebody accepted is reported again and again.
"""

from __future__ import annotations

import re
from collections.abc import Iterable
from datetime import date

from .callsite import file_and_line
from .source_lines import source_of

_MEANT = re.compile(r"#\s*harden:\s*allow[-_ ]?repeats?\b", re.IGNORECASE)
_ALLOWED = re.compile(r"#\s*harden:\s*allow-repeats(?:\s+until\s+(?P<until>[^\s:]+))?\s*:\s*(?P<reason>\S.*)")


def judge(sites: Iterable[str]) -> tuple[bool, str]:
    """Return whether one of these lines may repeat; if not, why a comment there does not count, or "".

    Args:
        sites: places as `file:line in function`; empty ones are passed over.
    """
    remark = ""
    for site in filter(None, sites):
        name, line = file_and_line(site)
        for comment in source_of(name).comments_on(line):
            if _MEANT.search(comment):
                fault = _fault(comment)
                if not fault:
                    return True, ""
                remark = f"the comment at {name}:{line} does not count: {fault}"
    return False, remark


def _fault(comment: str) -> str:
    found = _ALLOWED.search(comment)
    if found is None:
        return "it gives no reason, as in `# harden: allow-repeats: three rows at most`"
    if found["until"] is None:
        return ""
    try:
        until = date.fromisoformat(found["until"])
    except ValueError:
        return f"{found['until'][:20]!r} is no date such as 2027-03-01"
    return f"it was valid until {until}" if until < date.today() else ""
