"""N+1 at run time: one line that runs the same statement again and again within one request.

What repeats above the limit is reported once per request and function: its lines, the count of all of them, the
time lost and the rewrite that fits. A line is left out by a comment with a reason:

    cur.execute(sql, (row["id"],))  # harden: allow-repeats: three services at most
    cur.execute(sql, (row["id"],))  # harden: allow-repeats until 2027-03-01: until the report is rewritten

Pages of one call, such as `execute_values`, are no loop. Blind spots: one query in each of many requests; loops
whose every statement is another text even without its values.
Knows nothing of Flask. If this is wrong, loops go unseen, or people learn to ignore the report.
"""

from __future__ import annotations

import linecache
import re
from collections.abc import Iterable
from datetime import date

from .callsite import file_and_line
from .events import QueryGroup, RepeatedLine, Repeats, RequestEnded
from .rewrites import advice_for

COUNTED = frozenset({"SELECT", "WITH", "INSERT", "UPDATE", "DELETE", "MERGE", "CALL", "VALUES", "TABLE"})
FULL_PAGE = 10  # rows; calls that send pages send full ones, a loop around such a call sends few
_ALLOWED = re.compile(r"#\s*harden:\s*allow-repeats(?:\s+until\s+(?P<until>\d{4}-\d{2}-\d{2}))?\s*:\s*\S")


def repeats_of(ended: RequestEnded, limit: int) -> list[Repeats]:
    """Return what repeated in a request.

    Args:
        ended: the request.
        limit: so many runs of one statement from one line are no repeats yet.
    """
    loops: dict[str, list[QueryGroup]] = {}
    for group in _by_statement(ended.groups):
        if group.count > limit and is_loop(group) and not is_allowed(group.site):
            loops.setdefault(_function(group.site), []).append(group)
    return [_report(ended, groups) for groups in loops.values()]


def _by_statement(groups: Iterable[QueryGroup]) -> list[QueryGroup]:
    """Return the groups with those joined whose texts differed in their values alone."""
    found: dict[tuple[str, str], QueryGroup] = {}
    for group in groups:
        key = (group.statement.id, group.site)
        known = found.get(key)
        found[key] = group if known is None else _joined(known, group)
    return list(found.values())


def _joined(one: QueryGroup, other: QueryGroup) -> QueryGroup:
    return QueryGroup(
        one.statement, one.site, one.count + other.count, one.seconds + other.seconds,
        max(one.slowest, other.slowest), one.durations, one.rows + other.rows, one.errors + other.errors,
        one.is_batch and other.is_batch, one.stack or other.stack, False, one.method,
    )  # fmt: skip


def is_loop(group: QueryGroup) -> bool:
    """Tell a loop of the app's from the pages of one call, and from statements that are no queries."""
    if group.method not in ("execute", "callproc", "executemany") or group.statement.kind not in COUNTED:
        return False
    return not group.is_batch or group.rows < FULL_PAGE * group.count


def is_allowed(site: str) -> bool:
    """Tell whether the line, or the one above it, says that it may repeat, with a reason and not for too long."""
    name, number = file_and_line(site)
    for at in (number, number - 1):
        found = _ALLOWED.search(linecache.getline(name, at)) if name and at > 0 else None
        if found and (at == number or linecache.getline(name, at).lstrip().startswith("#")):
            return found["until"] is None or found["until"] >= date.today().isoformat()
    return False


def _function(site: str) -> str:
    return f"{file_and_line(site)[0]} {site.rpartition(' in ')[2]}"


def _report(ended: RequestEnded, groups: list[QueryGroup]) -> Repeats:
    groups.sort(key=lambda group: group.seconds, reverse=True)
    lines = tuple(RepeatedLine(group.site, group.statement, group.count, group.seconds) for group in groups)
    seconds = sum(line.seconds for line in lines)
    advice, rewrite = advice_for(groups[0])
    share = min(1.0, seconds / ended.seconds) if ended.seconds else 0.0
    return Repeats(
        lines, sum(line.count for line in lines), seconds, share, ended.route, ended.request_id, groups[0].stack,
        advice, rewrite,
    )  # fmt: skip


def message(found: Repeats) -> str:
    """Return a report as one line: what, where, how often, the time, the next step."""
    first = found.lines[0]
    where = "; ".join(f"{line.site}: {line.count} x {_short(line.statement.text)}" for line in found.lines[:4])
    more = f"; and {len(found.lines) - 4} more lines" if len(found.lines) > 4 else ""
    called = f", called from {found.stack[1]}" if len(found.stack) > 1 and found.stack[0] == first.site else ""
    return (
        f"{found.count} repeated queries in {found.route or 'one block'}, {found.seconds * 1000:.0f} ms "
        f"({found.share:.0%} of it): {where}{more}{called}; {found.advice}"
    )


def _short(text: str) -> str:
    return text if len(text) <= 120 else f"{text[:117]}..."
