"""Reads PgBouncer's files as its own parsers do (cfparser.c, loader.c, hba.c), and refuses what they shrug off."""

from __future__ import annotations

import re
from dataclasses import dataclass, field

PAIR = re.compile(r" *([^= ]+) *= *(?:'((?:[^']|'')+)'(?: |$)|([^' ][^ ]*)(?: |$))")
TOKEN = re.compile(r'\s*(?:"((?:[^"]|"")*)"|([^\s,#"]+)|(,))')


@dataclass
class Ini:
    """A parsed file: keys of [pgbouncer], and pairs of each entry by section and name."""

    keys: dict[str, str] = field(default_factory=dict)
    entries: dict[str, dict[str, dict[str, str]]] = field(default_factory=dict)


def read_ini(text: str) -> Ini:
    """Return what a pgbouncer.ini says; asserts that nothing stands there twice and nothing is included."""
    found, section = Ini(), ""
    for line in re.sub(r"\n\s+", "\n", text).split("\n"):  # space at a line's start is nothing to it
        assert not line.startswith("%include"), line
        if not line or line[0] in "#;":
            continue
        if line.startswith("["):
            assert re.fullmatch(r"\[(databases|users|peers|pgbouncer)\]", line), line
            section = line[1:-1]
            continue
        key, value = re.fullmatch(r"([A-Za-z0-9_.*-]+)[ \t]*=[ \t]*(.*?)\s*", line).groups()  # type: ignore[union-attr]
        if section == "pgbouncer":
            assert key not in found.keys, key
            found.keys[key] = value
        else:
            entries = found.entries.setdefault(section, {})
            assert key not in entries, key
            entries[key] = read_pairs(value)
    return found


def read_pairs(text: str) -> dict[str, str]:
    """Return the pairs of a connection string."""
    pairs: dict[str, str] = {}
    position = 0
    while position < len(text):
        pair = PAIR.match(text, position)
        assert pair is not None, text[position:]
        assert pair[1] not in pairs, pair[1]
        pairs[pair[1]] = pair[2].replace("''", "'") if pair[2] else pair[3]
        position = pair.end()
    return pairs


def read_hba(text: str) -> list[list[str]]:
    """Return the tokens of each rule; a quoted one begins with a quote, so that it is no key word."""
    return [_tokens(line) for line in text.split("\n") if line.strip() and not line.startswith("#")]


def _tokens(line: str) -> list[str]:
    tokens: list[str] = []
    position = 0
    while position < len(line):
        token = TOKEN.match(line, position)
        assert token is not None, line[position:]
        tokens.append(f'"{token[1]}' if token[1] is not None else token[2] or token[3])
        position = token.end()
    return tokens
