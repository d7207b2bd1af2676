"""Makes edits in a text, and knows where each line of the new text comes from.

Nothing between the edits is touched: what is kept is cut from the old text as it is.
"""

from __future__ import annotations

from bisect import bisect_right
from collections.abc import Iterable, Iterator, Sequence

from .fixer import Change, Edit
from .source import ENDS, Source


def overlap(one: Edit, other: Edit) -> bool:
    """Whether two edits of different changes meddle with each other; an insertion at the other's edge does."""
    if one.path != other.path:
        return False
    if one.start == one.end or other.start == other.end:
        return one.start <= other.end and other.start <= one.end
    return one.start < other.end and other.start < one.end


def collide(change: Change, others: Iterable[Change]) -> bool:
    """Whether a change edits what one of the others edits."""
    return any(overlap(one, two) for other in others for one in change.edits for two in other.edits)


def edited(source: Source, edits: Sequence[Edit]) -> str:
    """Return the text with the edits made, with the file's line ends.

    Raises:
        ValueError: Edits overlap, or lie outside of the text.
    """
    return "".join(text for text, _, _ in _pieces(source, edits))


def origins(source: Source, edits: Sequence[Edit], lines: Sequence[int]) -> list[int]:
    """Return where each line of the edited text comes from.

    Args:
        lines: Where each line of the text as it is comes from.
    """
    found: list[int] = []
    at_start = True
    for text, old, is_kept in _pieces(source, edits):
        starts = [0] if at_start and text else []
        starts += [match.end() for match in ENDS.finditer(text) if match.end() < len(text)]
        found += [lines[_line(source, old + start * is_kept) - 1] for start in starts]
        if text:
            at_start = text.endswith(("\r", "\n"))
    return found + ([lines[-1]] if at_start else [])


def _pieces(source: Source, edits: Sequence[Edit]) -> Iterator[tuple[str, int, bool]]:
    """Yield the new text in pieces: each with the offset that it comes from, and whether it is kept as it was."""
    at = 0
    for each in sorted(edits):
        if not at <= each.start <= each.end <= len(source.text):
            raise ValueError(f"the edits of {source.path} overlap at {each.start}")
        yield source.text[at : each.start], at, True
        yield each.text.replace("\n", source.newline), each.start, False
        at = each.end
    yield source.text[at:], at, True


def _line(source: Source, offset: int) -> int:
    """Return the line that an offset is in."""
    return bisect_right(source.starts, offset)
