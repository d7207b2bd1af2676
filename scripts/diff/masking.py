"""Takes secrets out of what is shown: values that are known, and whatever has the look or the name of one.

Knows no files. If this lets something through, a password stands in a terminal's history or in a CI log.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping
from urllib.parse import unquote, urlsplit

from deploy import secret_words

HIDDEN = "***"
SHORTEST = 6  # a shorter value is in too many words to be taken out of all of them
ASSIGNED = re.compile(r"([A-Za-z][A-Za-z0-9_.-]*)(\s*[=:]\s*)(\S.*)")
URL = re.compile(r"(://[^\s/@:]*:)[^\s/]+(@)")
DSN = re.compile(r"(?i)((?:^|[\s?&;'\"+-])(?:PG)?password\s*=\s*)(\"[^\"]*\"?|'[^']*'?|[^\s&]+)")
VERIFIER = re.compile(r"SCRAM-SHA-256\$[^\s\"']*")


def is_private(text: str) -> bool:
    """Tell whether a text is none to show lines of, such as a key."""
    return "PRIVATE KEY-----" in text


def values_of(secrets: Mapping[str, str]) -> frozenset[str]:
    """Return what must not be seen: the values, each line of them, and passwords within URLs."""
    found: set[str] = set()
    for value in secrets.values():
        found |= {value, *value.splitlines(), *_passwords(value)}
    return frozenset(value for value in found if len(value) >= SHORTEST)


def masked(line: str, values: Iterable[str]) -> str:
    """Return a line without secrets.

    Args:
        line: of a diff, its sign included.
        values: what is known to be secret.
    """
    for value in sorted(values, key=len, reverse=True):
        line = line.replace(value, HIDDEN)
    line = VERIFIER.sub(HIDDEN, DSN.sub(rf"\1{HIDDEN}", URL.sub(rf"\1{HIDDEN}\2", line)))
    assigned = ASSIGNED.search(line)
    if assigned and secret_words.is_secret_name(assigned[1]) and not _is_ours(assigned[3]):
        line = f"{line[: assigned.start(3)]}{HIDDEN}"
    # `$` is where a variable begins, and so no secret to what looks for them.
    left = line.replace(f"={HIDDEN}", "=$").replace(HIDDEN, "")
    return HIDDEN if secret_words.secret_look(left) else line


def _is_ours(value: str) -> bool:
    """Tell whether a value is a path or a name of a variable: where a secret is, and none itself."""
    return re.fullmatch(r"[\"']?(?:/[\w./@+-]*|\$\w*|\*\*\*)[\"';]*", value) is not None


def _passwords(value: str) -> list[str]:
    found = [part.strip("'\"") for part in re.findall(r"password\s*=\s*(\S+)", value)]
    try:
        password = urlsplit(value).password
    except ValueError:
        return found
    return [*found, *({password, unquote(password)} if password else ())]
