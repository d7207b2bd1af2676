"""N+1 at run time: one line that runs the same statement again and again within one request.

What repeats above the limit is reported once per request and function: its lines, the count of all of them, the
time lost and the rewrite that fits. A line is left out by a comment with a reason, see allowed.py. Where the line
is in a helper that others call, the report names the line that loops over it as well.

Left alone: the pages of one call, such as `execute_values`; walks through a long list page by page; what sets
or locks. Blind spots: one query in each of many requests; loops whose every statement is another text even
without its values.
Knows nothing of Flask. If this is wrong, loops go unseen, or people learn to ignore the report.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator
from functools import lru_cache

from .allowed import judge
from .callsite import file_and_line
from .events import QueryGroup, RepeatedLine, Repeats, RequestEnded
from .fingerprint import SHOWN
from .rewrites import advice_for
from .source_lines import source_of

COUNTED = frozenset({"SELECT", "WITH", "INSERT", "UPDATE", "DELETE", "MERGE", "CALL", "VALUES", "TABLE"})
FULL_PAGE = 10  # rows; calls that send pages send full ones, a loop around such a call sends few
WALK = 100  # rows a query; a LIMIT that brings as many is a walk through a list, and no child of each row
# Rows of one `executemany` that are worth a report. It is a round trip for each; but whoever wrote it meant one
# call, and for a handful there is little to win.
MANY = 20
_ASIDE = re.compile(r"select (?:pg_catalog\.)?(?:set_config|pg_(?:try_)?advisory\w+|pg_sleep\w*|pg_notify)\b")
_LIMITED = re.compile(r"\blimit\b|\bfetch (?:first|next)\b")


def repeats_of(ended: RequestEnded, limit: int) -> list[Repeats]:
    """Return what repeated in a request.

    Args:
        ended: the request.
        limit: so many runs of one statement from one line are no repeats yet.
    """
    loops: dict[str, list[tuple[QueryGroup, str, str]]] = {}
    for group in _repeated(ended.groups, limit):
        caller = caller_of(group)
        is_allowed, remark = judge([group.site, caller])
        if not is_allowed:
            place = caller if caller and not _is_in_loop(group.site) else group.site
            loops.setdefault(_function(place), []).append((group, caller, remark))
    return [_report(ended, found) for found in loops.values()]


def _repeated(groups: Iterable[QueryGroup], limit: int) -> Iterator[QueryGroup]:
    """Yield what ran more often than the limit; texts that differ in their values alone are one statement."""
    lines: dict[tuple[str, str], list[QueryGroup]] = {}
    for group in groups:
        lines.setdefault((group.statement.id, group.site), []).append(group)
    for same in lines.values():
        if sum(map(round_trips, same)) <= limit:
            continue
        for group in _by_caller(same):
            if round_trips(group) > limit and is_loop(group):
                yield group


def by_statement(groups: Iterable[QueryGroup]) -> list[QueryGroup]:
    """Return the groups joined by statement and line, whoever called them."""
    found: dict[tuple[str, str], QueryGroup] = {}
    for group in groups:
        key = (group.statement.id, group.site)
        known = found.get(key)
        found[key] = group if known is None else _joined(known, group)
    return list(found.values())


def _by_caller(groups: list[QueryGroup]) -> list[QueryGroup]:
    """Return one line's groups joined, or one for each of its callers where they are known."""
    callers: dict[str, QueryGroup] = {}
    are_known = all(group.stack for group in groups)
    for group in groups:
        caller = caller_of(group) if are_known else ""
        known = callers.get(caller)
        callers[caller] = group if known is None else _joined(known, group)
    return list(callers.values())


def _joined(one: QueryGroup, other: QueryGroup) -> QueryGroup:
    return QueryGroup(
        one.statement, one.site, one.count + other.count, one.seconds + other.seconds,
        max(one.slowest, other.slowest), one.durations, one.rows + other.rows, one.errors + other.errors,
        one.is_batch and other.is_batch, one.stack or other.stack, False, one.method,
    )  # fmt: skip


def round_trips(group: QueryGroup) -> int:
    """Return how often the server was asked; `executemany` sends each row alone."""
    if group.method != "executemany":
        return group.count
    # Only what inserts rows says how many there were: an UPDATE may change any number by one statement.
    is_row_by_row = group.statement.kind == "INSERT" and " select " not in group.statement.text
    return group.rows if is_row_by_row and group.rows >= MANY else group.count


def is_loop(group: QueryGroup) -> bool:
    """Tell a loop of the app's from the pages of one call, and from statements that are no queries."""
    statement = group.statement
    if group.method not in ("execute", "callproc", "executemany") or statement.kind not in COUNTED:
        return False
    if _ASIDE.match(statement.text):
        return False
    if group.is_batch:
        return not _is_full_page(group) and any(map(_is_in_loop, (group.site, *group.stack)))
    return group.rows < WALK * group.count or not _LIMITED.search(statement.text)


def _is_full_page(group: QueryGroup) -> bool:
    if group.rows >= FULL_PAGE * group.count:
        return True
    text = group.statement.text.rstrip("; ")
    statements = text.count(";") + 1  # execute_batch joins them, and the driver tells the rows of the last one
    return statements >= FULL_PAGE or (statements > 1 and len(group.statement.text) >= SHOWN)


def caller_of(group: QueryGroup) -> str:
    """Return the line that loops over a helper; "" when the query's own line loops, or none is known."""
    outer = [site for site in group.stack if site != group.site]
    for site in outer:
        if _is_in_loop(site):
            return site
    if not outer or _is_in_loop(group.site):
        return ""
    here = file_and_line(group.site)[0]
    return next((site for site in outer if file_and_line(site)[0] != here), outer[0])


@lru_cache(maxsize=4096)  # asked for each caller of each line that repeats, at the end of each such request
def _is_in_loop(site: str) -> bool:
    name, line = file_and_line(site)
    return source_of(name).is_in_loop(line)


def _function(site: str) -> str:
    return f"{file_and_line(site)[0]} {site.rpartition(' in ')[2]}"


def _report(ended: RequestEnded, found: list[tuple[QueryGroup, str, str]]) -> Repeats:
    found.sort(key=lambda each: each[0].seconds, reverse=True)
    first = found[0][0]
    lines = tuple(
        RepeatedLine(group.site, group.statement, round_trips(group), group.seconds, caller)
        for group, caller, _ in found
    )
    seconds = sum(line.seconds for line in lines)
    advice, rewrite = advice_for(first)
    advice = "; ".join([advice, *dict.fromkeys(remark for _, _, remark in found if remark)])
    share = min(1.0, seconds / ended.seconds) if ended.seconds else 0.0
    return Repeats(
        lines, sum(line.count for line in lines), seconds, share, ended.route, ended.request_id, first.stack,
        advice, rewrite,
    )  # fmt: skip


def message(found: Repeats) -> str:
    """Return a report as one line: what, where, how often, the time, the next step."""
    shown = (f"{place_of(line)}: {line.count} x {_short(line.statement.text)}" for line in found.lines[:4])
    where = "; ".join(shown)
    more = f"; and {len(found.lines) - 4} more lines" if len(found.lines) > 4 else ""
    return (
        f"{found.count} repeated queries in {found.route or 'one block'}, {found.seconds * 1000:.0f} ms "
        f"({found.share:.0%} of it): {where}{more}; {found.advice}"
    )


def place_of(line: RepeatedLine) -> str:
    """Return where a line is, and where it is called from when that is where it loops."""
    return f"{line.site}, called from {line.caller}" if line.caller else line.site


def _short(text: str) -> str:
    return text if len(text) <= 120 else f"{text[:117]}..."
