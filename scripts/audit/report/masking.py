"""Hides secrets in lines of source that a report shows.

Whatever stands in quotes goes, and so does what is assigned to a telling name without quotes: better a line that
shows too little than a password in a build log. Names of keys stay, for without them the line says nothing.
"""

from __future__ import annotations

import re

HIDDEN = "***"
_QUOTED = re.compile(
    r"(?P<prefix>(?<!\w)[rbuf]{0,2}|)(?P<quote>\"\"\"|'''|\"|')(?P<body>(?:\\.|(?!(?P=quote)).)*)(?P<end>(?P=quote)|$)",
    re.IGNORECASE,
)
_KEY = re.compile(r"\s*(:(?!//)|\]\s*=(?!=)|\]\s*\.)")
_PLAIN = re.compile(
    r"(?P<name>[\w.-]*(?:pass|pwd|pw|secret|token|key|dsn|url|uri|auth|cred)[\w.-]*\s*[=:]\s*)(?P<value>\S.*)$",
    re.IGNORECASE,
)
_URL = re.compile(r"(://[^\s:/@]*:)[^\s@]+(@)")
_KEYWORD = re.compile(r"(\bpassword\s*=\s*)\S+", re.IGNORECASE)
_RANDOM = re.compile(r"(?<![\w+/=.-])(?=[^\s]*\d)(?=[^\s]*[A-Za-z])[\w+/=.-]{16,}(?![\w+/=.-]|\s*\()")
_ENDS = re.compile(r"(\"\"\"|''')\W*$")


def masked(line: str) -> str:
    """Return a line without the values that it holds; its length may change."""
    line = _URL.sub(rf"\1{HIDDEN}\2", line)
    end = _ENDS.search(line)
    if end and line.count(end[1]) == 1 and not line[: end.start()].rstrip().endswith(("=", "(")):
        return _unquoted(line[: end.start()]) + end[0]  # the last line of a longer text
    shown, at = "", 0
    for match in _QUOTED.finditer(line):
        shown += _bare(line[at : match.start()]) + _shown(match, line)
        at = match.end()
    rest = line[at:]
    return shown + (rest if at else _unquoted(rest))


def _shown(match: re.Match[str], line: str) -> str:
    """Return a quoted text, hidden unless it is a key."""
    body = match["body"]
    is_first = line[: match.start()].rstrip()[-1:] in ("", "{", ",", "[", "(")
    if not body or (is_first and _KEY.match(line, match.end()) and re.fullmatch(r"[\w.-]{1,40}", body)):
        return match[0]
    return f"{match['prefix']}{match['quote']}{HIDDEN}{match['end']}"


def _bare(text: str) -> str:
    return _RANDOM.sub(HIDDEN, text)


def _unquoted(line: str) -> str:
    """Hide the values of a line without quotes: a `.env`, YAML, a part of a longer text."""
    line = _KEYWORD.sub(rf"\1{HIDDEN}", line)
    line = _PLAIN.sub(rf"\g<name>{HIDDEN}", line)
    return _RANDOM.sub(HIDDEN, line)
