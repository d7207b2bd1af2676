"""`harden: ignore[RULE] reason` in the database's own comments: COMMENT ON TABLE, INDEX, COLUMN or DATABASE.

One stands where the thing is, survives dumps, and is seen by whoever looks at it. A table's comment speaks for its
indexes and columns too, the database's for everything.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass

from ..audit.ignores import COMMENT, words_of
from ..audit.selection import closest, named
from .advice import Advice, LiveRule
from .catalog import Catalog
from .names import quoted


@dataclass(frozen=True)
class Ignore:
    """One comment.

    Attributes:
        where: The thing's full name.
        speaks_for: Names of findings that it lets stand; empty for all.
    """

    where: str
    words: tuple[str, ...]
    reason: str
    speaks_for: frozenset[str]


def ignores(catalog: Catalog, database: str) -> list[Ignore]:
    """Return every comment that lets something stand, in the order of names."""
    return sorted(_all(catalog, database), key=lambda each: each.where)


def _all(catalog: Catalog, database: str) -> Iterator[Ignore]:
    yield from _of(catalog.database_comment, quoted(database), ())
    for table in catalog.tables.values():
        if "harden:" in table.comment:
            inner = [each.full for each in catalog.of(table.oid)]
            yield from _of(table.comment, table.full, [table.full, *inner, *map(table.column, table.by_name)])
    for index in catalog.indexes:
        yield from _of(index.comment, index.full, [index.full])
    for name, text in catalog.column_comments.items():
        yield from _of(text, name, [name])


def _of(text: str, where: str, names: Iterable[str]) -> Iterator[Ignore]:
    for match in COMMENT.finditer(text):
        words, reason = words_of(match)
        yield Ignore(where, words, reason, frozenset(names))


def left(found: Iterable[Advice], comments: Sequence[Ignore], rules: Sequence[LiveRule]) -> Iterator[Advice]:
    """Yield what no comment speaks for."""
    meant = {each: _rules(each, rules) for each in comments}
    for advice in found:
        names = {advice.place.path, *advice.names}
        if not any(advice.rule in ids and (not each.speaks_for or each.speaks_for & names)
                   for each, ids in meant.items()):  # fmt: skip
            yield advice


def _rules(ignore: Ignore, rules: Sequence[LiveRule]) -> set[str]:
    return {rule.id for word in ignore.words for rule in named(word, rules)}


def faults(comments: Iterable[Ignore], found: Sequence[Advice], ran: Sequence[LiveRule],
           known: Sequence[LiveRule]) -> Iterator[tuple[str, str]]:  # fmt: skip
    """Yield what is wrong with comments: the thing's name, and a sentence.

    Args:
        found: What was found before any comment was heard.
        ran: The rules that looked and could see.
        known: Every rule that a comment may name.
    """
    looked = {rule.id for rule in ran}
    for each in comments:
        if not each.words:
            yield each.where, "this comment names no rule: write ignore[RULE] and the reason"
        elif not each.reason:
            yield each.where, f"{', '.join(each.words)} is ignored without a reason"
        for word in each.words:
            meant = {rule.id for rule in named(word, known)}
            if not meant:
                yield each.where, f"there is no rule {word!r} to ignore{closest(word, known)}"
            elif meant <= looked and not any(_is_hit(advice, each, meant) for advice in found):
                yield each.where, f"{word} has nothing to ignore here"


def _is_hit(advice: Advice, ignore: Ignore, rules: set[str]) -> bool:
    names = {advice.place.path, *advice.names}
    return advice.rule in rules and (not ignore.speaks_for or bool(ignore.speaks_for & names))
