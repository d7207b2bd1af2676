"""Edits in a text, and where its lines come from."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from scripts.fix.apply import edited, origins, overlap
from scripts.fix.fixer import Edit
from scripts.fix.source import ENDS, Source
from scripts.fix.tree import numbered

TEXTS = st.lists(st.sampled_from(["a", "bc", "\n", "\r\n", "\r", " "]), max_size=20).map("".join)
PIECES = st.sampled_from(["", "x", "x\n", "\n", "\nx", "x\ny\n", "x\ny"])


@st.composite
def _edits(draw: st.DrawFn, text: str) -> list[Edit]:
    points = sorted(draw(st.lists(st.integers(0, len(text)), max_size=6)))
    pairs = zip(points[::2], points[1::2], strict=False)
    found, at = [], -1
    for start, end in pairs:
        if start > at and not _splits(text, start) and not _splits(text, end):
            found.append(Edit("a.py", start, end, draw(PIECES)))
            at = end
    return found


def _splits(text: str, at: int) -> bool:
    """Whether an offset is inside of a line end; no node of a tree begins there."""
    return text[at - 1 : at + 1] == "\r\n"


@given(st.data())
def test_every_line_has_an_origin_and_kept_lines_their_own(data: st.DataObject) -> None:
    source = Source("a.py", data.draw(TEXTS))
    edits = data.draw(_edits(source.text))
    made = edited(source, edits)
    lines = numbered(source.text.encode())
    found = origins(source, edits, lines)
    # A CR that is kept may meet the LF of an edit; then there is a line less than pieces say.
    assert len(found) == len(ENDS.findall(made)) + 1 or "\r\n" in made
    assert found == sorted(found)
    assert set(found) <= set(lines)
    if not edits:
        assert (made, found) == (source.text, lines)


@pytest.mark.parametrize("start, end, text, expected", [
    pytest.param(2, 2, "x\ny\n", [1, 2, 2, 2, 3], id="lines in front of the second"),
    pytest.param(2, 4, "x\n", [1, 2, 3], id="a line instead"),
    pytest.param(2, 4, "", [1, 3], id="a line less"),
    pytest.param(3, 3, "\nx", [1, 2, 2, 3], id="a line behind"),
    pytest.param(0, 0, "x\n", [1, 1, 2, 3], id="in front of all"),
    pytest.param(4, 4, "x\n", [1, 2, 3, 3], id="behind all"),
])  # fmt: skip
def test_new_lines_come_from_the_line_that_they_are_put_at(
    start: int, end: int, text: str, expected: list[int]
) -> None:
    source = Source("a.py", "a\nb\n")
    assert origins(source, [Edit("a.py", start, end, text)], [1, 2, 3]) == expected


@pytest.mark.parametrize("one, other, expected", [
    ((1, 3), (3, 5), False),
    ((1, 3), (2, 5), True),
    ((1, 3), (3, 3), True),
    ((1, 3), (1, 1), True),
    ((1, 3), (4, 4), False),
    ((2, 2), (2, 2), True),
])  # fmt: skip
def test_insertions_at_an_edge_meddle_and_neighbours_do_not(
    one: tuple[int, int], other: tuple[int, int], expected: bool
) -> None:
    first, second = Edit("a", *one, "x"), Edit("a", *other, "y")
    assert overlap(first, second) is overlap(second, first) is expected
    assert not overlap(first, Edit("b", *other, "y"))


@pytest.mark.parametrize("edits", [
    [Edit("a.py", 0, 2, ""), Edit("a.py", 1, 3, "")], [Edit("a.py", 2, 9, "")], [Edit("a.py", 2, 1, "")],
])  # fmt: skip
def test_edits_that_overlap_or_lie_outside_are_an_error(edits: list[Edit]) -> None:
    with pytest.raises(ValueError, match=r"a\.py overlap"):
        edited(Source("a.py", "abcd"), edits)


def test_line_ends_are_the_files() -> None:
    assert edited(Source("a.py", "a\r\nb\r\n"), [Edit("a.py", 0, 1, "x\ny")]) == "x\r\ny\r\nb\r\n"
