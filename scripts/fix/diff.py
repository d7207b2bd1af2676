"""A unified diff as git writes it, byte for byte, so that `git apply` takes it.

Line ends and encodings are those of the files: a line is what ends with a line feed, whatever is in it.
"""

from __future__ import annotations

import difflib
from collections.abc import Iterable, Iterator

from .result import Changed

CONTEXT = 3  # lines around a change
_ESCAPES = {7: "a", 8: "b", 9: "t", 10: "n", 11: "v", 12: "f", 13: "r", 34: '"', 92: "\\"}


def diff(files: Iterable[Changed]) -> bytes:
    """Return the diff of all files."""
    return b"".join(line for each in files for line in _file(each))


def _file(changed: Changed) -> Iterator[bytes]:
    old, new = _name(f"a/{changed.path}"), _name(f"b/{changed.path}")
    yield b"diff --git %s %s\n" % (old, new)
    if changed.before is None:
        yield b"new file mode 100644\n"
    yield b"--- %s\n" % (b"/dev/null" if changed.before is None else _ended(old))
    yield b"+++ %s\n" % _ended(new)
    yield from _hunks(_lines(changed.before or b""), _lines(changed.after))


def _lines(data: bytes) -> list[bytes]:
    return [line + b"\n" for line in data.split(b"\n")[:-1]] + list(filter(None, [data.split(b"\n")[-1]]))


def _hunks(old: list[bytes], new: list[bytes]) -> Iterator[bytes]:
    # Without the guess that frequent lines are of no interest: it makes large diffs of small changes.
    matcher = difflib.SequenceMatcher(None, old, new, autojunk=False)
    for group in matcher.get_grouped_opcodes(CONTEXT):
        first, last = group[0], group[-1]
        yield b"@@ -%s +%s @@\n" % (_range(first[1], last[2]), _range(first[3], last[4]))
        for kind, start, end, new_start, new_end in group:
            if kind == "equal":
                yield from (_line(b" ", line) for line in old[start:end])
                continue
            yield from (_line(b"-", line) for line in old[start:end])
            yield from (_line(b"+", line) for line in new[new_start:new_end])


def _line(mark: bytes, line: bytes) -> bytes:
    return mark + line if line.endswith(b"\n") else mark + line + b"\n\\ No newline at end of file\n"


def _range(start: int, end: int) -> bytes:
    length = end - start
    if length == 1:
        return b"%d" % (start + 1)
    return b"%d,%d" % (start + 1 if length else start, length)


def _name(path: str) -> bytes:
    """Return a path as git writes it: quoted when there is something odd in it."""
    data = path.encode("utf-8", "surrogateescape")
    if all(32 <= byte < 127 and byte not in b'"\\' for byte in data):
        return data
    shown = (f"\\{_ESCAPES[byte]}" if byte in _ESCAPES else chr(byte) if 32 <= byte < 127 else f"\\{byte:03o}"
             for byte in data)  # fmt: skip
    return f'"{"".join(shown)}"'.encode()


def _ended(name: bytes) -> bytes:
    """Return a name of the two header lines; one with a space ends with a tab."""
    return name + b"\t" if b" " in name and not name.startswith(b'"') else name
