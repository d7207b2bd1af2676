"""What differs between two texts, and which of it differs between two runs of one side as well.

Words are compared, not characters: a token of one run and a token of the next share letters by chance, and a mask
of letters would fit no third one. Lines are aligned first, then the words of lines that differ.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from difflib import SequenceMatcher

WORD = re.compile(r"[^\s<>\"'&=;,(){}\[\]]+|\s+|.", re.DOTALL)
MOST_WORDS = 4000  # of one differing passage that is aligned word by word; a longer one is one passage
Span = tuple[int, int]


def words_of(text: str) -> list[str]:
    """Return a text's words, spaces and signs; joined they are the text."""
    return WORD.findall(text)


def differences(first: list[str], second: list[str]) -> list[tuple[Span, Span]]:
    """Return the passages that differ, as spans of both."""
    if first == second:
        return []
    if len(first) == len(second):
        return _by_place(first, second)
    found: list[tuple[Span, Span]] = []
    lines = (_lines(first), _lines(second))
    one = ["".join(first[start:end]) for start, end in lines[0]]
    other = ["".join(second[start:end]) for start, end in lines[1]]
    for tag, i, j, k, m in SequenceMatcher(None, one, other, autojunk=False).get_opcodes():
        if tag != "equal":
            outer = (_around(lines[0], i, j, len(first)), _around(lines[1], k, m, len(second)))
            found += _within(first, second, *outer)
    return found


def _by_place(first: list[str], second: list[str]) -> list[tuple[Span, Span]]:
    places = [number for number, (one, other) in enumerate(zip(first, second, strict=True)) if one != other]
    if len(places) > len(first) // 2:
        return [((0, len(first)), (0, len(second)))]
    return [((place, place + 1), (place, place + 1)) for place in places]


def _lines(words: list[str]) -> list[Span]:
    found, start = [], 0
    for number, word in enumerate(words):
        if "\n" in word:
            found.append((start, number + 1))
            start = number + 1
    return [*found, (start, len(words))] if start < len(words) else found


def _around(lines: list[Span], start: int, end: int, size: int) -> Span:
    place = lines[start][0] if start < len(lines) else size
    return (place, lines[end - 1][1]) if end > start else (place, place)


def _within(first: list[str], second: list[str], one: Span, other: Span) -> Iterator[tuple[Span, Span]]:
    if max(one[1] - one[0], other[1] - other[0]) > MOST_WORDS:
        yield one, other
        return
    matcher = SequenceMatcher(None, first[slice(*one)], second[slice(*other)], autojunk=False)
    for tag, i, j, k, m in matcher.get_opcodes():
        if tag != "equal":
            yield (one[0] + i, one[0] + j), (other[0] + k, other[0] + m)


class Mask:
    """The words of a text that vary.

    Args:
        text: of the first run.
        others: the same of further runs.
    """

    def __init__(self, text: str, others: list[str]) -> None:
        self.words = words_of(text)
        self.spans = sorted({
            span for other in others for span, _ in differences(self.words, words_of(other))
        })  # fmt: skip
        self._masked = {place for start, end in self.spans for place in range(start, end)}

    @property
    def compared(self) -> float:
        """The share of the characters that does not vary; 1 for an empty text."""
        total = sum(map(len, self.words))
        return 1 - sum(len(self.words[place]) for place in self._masked) / total if total else 1.0

    def against(self, text: str) -> list[tuple[str, str]]:
        """Return the passages in which another text differs where nothing varies: ours and its."""
        words = words_of(text)
        return [
            ("".join(self.words[slice(*one)]), "".join(words[slice(*other)]))
            for one, other in differences(self.words, words)
            if not self._is_masked(one)
        ]

    def _is_masked(self, span: Span) -> bool:
        if span[0] == span[1]:
            return any(start <= span[0] <= end for start, end in self.spans)
        return all(place in self._masked for place in range(*span))
