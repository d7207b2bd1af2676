"""Reads what deployment files in YAML say, line by line: enough for `command:`, `environment:` and `image:`.

Not a YAML parser: anchors, flow mappings over several lines and merge keys are not known. A file that a real
parser would refuse is read as far as it makes sense, which is what an audit wants.
"""

from __future__ import annotations

import ast
import re
from collections.abc import Iterable, Iterator
from itertools import islice
from typing import NamedTuple

_ENTRY = re.compile(
    r"^(?P<indent>\s*)(?P<dash>- +)?(?P<key>[\w./-]+|\"[^\"]+\"|'[^']+')\s*:(?:\s+(?P<value>.*))?$"
)


class Entry(NamedTuple):
    """A key, where it stands (lines from 1), and its value: a scalar, or a list of scalars."""

    line: int
    key: str
    value: str | list[str]
    end: int


def entries(text: str) -> Iterator[Entry]:
    """Yield the keys that have a scalar or a list of scalars, in order."""
    lines = text.splitlines()
    for number, line in enumerate(lines, 1):
        match = _ENTRY.match(line)
        if not match:
            continue
        indent = len(match["indent"]) + len(match["dash"] or "")
        value = _uncommented(match["value"] or "")
        key = match["key"].strip("\"'")
        if value in ("|", ">", "|-", ">-", "|+", ">+"):
            block = _deeper(islice(lines, number, None), indent)
            yield Entry(number, key, "\n".join(block) if value[0] == "|" else " ".join(block), number + len(block))
        elif value.startswith("["):
            items, count = _flow_list(value, lines[number : number + 20])
            yield Entry(number, key, items, number + count)
        elif value:
            yield Entry(number, key, _unquoted(value), number)
        else:
            yield from _listed(number, key, lines, indent)


def _listed(number: int, key: str, lines: list[str], indent: int) -> Iterator[Entry]:
    """Yield a block list of scalars, if the key has one."""
    items = []
    for line in islice(lines, number, None):
        bare = line.strip()
        if not bare or bare.startswith("#"):
            continue
        if not bare.startswith("- ") or len(line) - len(line.lstrip()) < indent:
            break
        items.append(_unquoted(_uncommented(bare[2:].strip())))
    if items:
        yield Entry(number, key, items, number + len(items))


def _deeper(lines: Iterable[str], indent: int) -> list[str]:
    """Return the lines of a block scalar, without their indent."""
    block = []
    for line in lines:
        if line.strip() and len(line) - len(line.lstrip()) <= indent:
            break
        block.append(line.strip())
    while block and not block[-1]:
        block.pop()
    return block


def _flow_list(value: str, rest: list[str]) -> tuple[list[str], int]:
    """Return the items of `[a, "b"]`, which may go on over lines, and how many further lines it took."""
    count = 0
    while "]" not in value and count < len(rest):
        value += " " + rest[count].strip()
        count += 1
    inner = value[1 : value.rfind("]")] if "]" in value else value[1:]
    try:
        items = ast.literal_eval(f"[{inner}]")
        return [str(item) for item in items], count
    except (ValueError, SyntaxError):
        return [_unquoted(item.strip()) for item in inner.split(",") if item.strip()], count


def _unquoted(value: str) -> str:
    if len(value) > 1 and value[0] == value[-1] and value[0] in "\"'":
        return value[1:-1]
    return value


def _uncommented(value: str) -> str:
    """Drop a comment that stands behind a value."""
    if value[:1] in ("'", '"'):
        end = value.find(value[0], 1)
        return value[: end + 1] if end > 0 else value
    return re.split(r"(?:^|\s)#", value, maxsplit=1)[0].strip()
