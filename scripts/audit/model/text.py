"""Strings as the code makes them: put together from constants and holes.

A text that has more variants or pieces than a person would write becomes a hole, so that the interpreter ends.
"""

from __future__ import annotations

import re
import string
from collections.abc import Iterable, Sequence
from itertools import product

from .values import NOTHING, Composed, Constant, Data, External, Hole, Site, Text, Values

VARIANTS = 12  # of one text: branches that each add a condition
PIECES = 120
LONGEST = 40_000
UNSEEN = "unseen"  # beside "unknown": nothing at all is known of what fills a hole, or nothing yet
GENERATORS = ("datetime.", "time.", "uuid.", "secrets.", "random.")  # no text of theirs can hold SQL
FIELD = re.compile(r"%(?:\((?P<name>[^)]*)\))?[-#0 +]*(?:\*|\d+)?(?:\.\d+)?(?P<type>[a-zA-Z%])")


def text(value: str, site: Site | None = None) -> Text:
    """Return a constant."""
    return Text((value,) if value else (), site)


def as_text(values: Values, site: Site) -> list[Text]:
    """Return what values are as parts of a string: their constants, or one hole."""
    found = [value for value in values if isinstance(value, Text)]
    numbers = [text(str(number)) for number in _numbers(values)]
    composed = [text("") for value in values if isinstance(value, Composed)][:1]
    rest = [value for value in values if not isinstance(value, (Text, Constant, Composed))]
    choices = sorted({*found, *numbers, *composed}, key=lambda each: each.with_holes("\0"))
    if rest or not choices or len(choices) > VARIANTS:
        return [Text((hole(values, site),), site)]
    return choices


def open_parts(values: Values) -> Values:
    """Return values as a composition takes them: the SQL among them, or what is quoted, which is a hole."""
    return frozenset(
        value.text or External("psycopg2.sql") if isinstance(value, Composed) else value for value in values
    )


def hole(values: Values, site: Site) -> Hole:
    """Return a hole that values fill."""
    sources: set[str] = set()
    is_number = bool(values)
    for value in values:
        if isinstance(value, Data):
            sources.add(value.source)
            is_number = is_number and value.shape == "number"
        elif isinstance(value, (Constant, Composed)):
            sources.add("constant")
        elif isinstance(value, Text):
            sources.update(source for each in value.holes for source in each.sources)
            sources.update(() if value.holes else ("constant",))
            is_number = is_number and bool(value.holes) and all(each.is_number for each in value.holes)
        elif isinstance(value, External) and value.path.startswith(("os.environ", "os.getenv")):
            sources.add("environment")
            is_number = False
        elif isinstance(value, External) and value.path.startswith(GENERATORS):
            sources.add("generated")
            is_number = False
        else:
            sources.add("unknown")
            is_number = False
    return Hole(site, tuple(sorted(sources or {"unknown", UNSEEN})), is_number)


def _numbers(values: Values) -> list[object]:
    found = [value.value for value in values if isinstance(value, Constant)]
    return [number for number in found if isinstance(number, (int, float))]


def joined(parts: Sequence[Sequence[Text]], site: Site) -> Values:
    """Put parts, each with its variants, one behind the other."""
    while _count(parts) > VARIANTS:
        widest = max(range(len(parts)), key=lambda index: len(parts[index]))
        choices = frozenset(parts[widest])
        parts = [*parts[:widest], [Text((hole(choices, site),), site)], *parts[widest + 1 :]]
    return frozenset(_together(each, site) for each in product(*parts)) if parts else frozenset([text("", site)])


def _count(parts: Sequence[Sequence[Text]]) -> int:
    count = 1
    for part in parts:
        count *= max(len(part), 1)
    return count


def _together(texts: Iterable[Text], site: Site) -> Text:
    pieces: list[str | Hole] = []
    first: Site | None = None
    for each in texts:
        first = first or (each.site if each.pieces else None)
        for piece in each.pieces:
            if isinstance(piece, str) and pieces and isinstance(pieces[-1], str):
                pieces[-1] += piece
            else:
                pieces.append(piece)
    if len(pieces) > PIECES or sum(len(piece) for piece in pieces if isinstance(piece, str)) > LONGEST:
        return Text((hole(NOTHING, site),), site)
    return Text(tuple(pieces), first or site)


def percent(
    template: Text, arguments: Sequence[Values], named: dict[str, Values], spread: Values, site: Site
) -> Values:
    """Return `template % (arguments)`; `spread` fills what is not among them."""
    taken = 0
    parts: list[Sequence[Text]] = []
    for piece in template.pieces:
        if isinstance(piece, Hole):
            parts.append([Text((piece,), template.site)])
            continue
        end = 0
        for match in FIELD.finditer(piece):
            parts.append([text(piece[end : match.start()], template.site)])
            end = match.end()
            if match["type"] == "%":
                parts.append([text("%")])
                continue
            if match["name"] is not None:
                values = named.get(match["name"], spread)
            else:
                values = arguments[taken] if taken < len(arguments) else spread
                taken += 1
            parts.append(as_text(_number(values) if match["type"] in "dixXofFeEgG" else values, site))
        parts.append([text(piece[end:], template.site)])
    return joined(parts, template.site or site)


def _number(values: Values) -> Values:
    """Return values as a numeric field takes them: nothing else gets through it."""
    sources = {value.source if isinstance(value, Data) else "unknown" for value in values} or {"unknown"}
    return frozenset(Data(source, "number", Site("", 0, 0)) for source in sources)


def formatted(
    template: Text, arguments: Sequence[Values], named: dict[str, Values], spread: Values, site: Site
) -> Values:
    """Return `template.format(...)`."""
    parts: list[Sequence[Text]] = []
    taken = 0
    for piece in template.pieces:
        if isinstance(piece, Hole):
            parts.append([Text((piece,), template.site)])
            continue
        try:
            fields = list(string.Formatter().parse(piece))
        except ValueError:  # braces that are no fields
            parts.append([text(piece, template.site), Text((hole(spread, site),), site)])
            continue
        for before, name, _, _ in fields:
            parts.append([text(before, template.site)])
            if name is None:
                continue
            head = re.split(r"[.\[]", name, maxsplit=1)[0]
            index = int(head) if head.isdigit() else taken
            taken += not head
            values = named.get(head, spread) if head and not head.isdigit() else (
                arguments[index] if index < len(arguments) else spread
            )  # fmt: skip
            parts.append(as_text(values, site))
    return joined(parts, template.site or site)
