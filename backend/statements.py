"""Does a statement change the session, beyond its transaction?

Told from its text. Strings, quoted names and comments are left out of sight; several statements in one text
are judged one by one. Taken on trust: what functions, triggers and views of the application's own do inside,
and the values that sequences last returned.
Knows nothing of connections. If this is wrong, one client's session state reaches another client.
"""

from __future__ import annotations

import re
from functools import lru_cache

POLICIES = ("refuse", "report", "allow")

# What each change is called, and what to do instead where sessions are shared.
SETTING = ("a setting of the session", "use SET LOCAL in a transaction, or ALTER ROLE ... SET")
LISTENING = ("LISTEN", "listen on a connection of its own that does not go through PgBouncer")
PREPARED = ("a prepared statement", "send the statement itself")
TEMPORARY = ("a temporary table", "create it ON COMMIT DROP, in the transaction that uses it")
HELD = ("a cursor WITH HOLD", "read it in the transaction that declared it")
LOCK = ("an advisory lock of the session", "use pg_advisory_xact_lock")
WIPE = ("DISCARD", "leave it out; the pool cleans what it hands out")
LIBRARY = ("LOAD", "set session_preload_libraries for the role")
Change = tuple[str, str]

_HINT = re.compile(
    r"\b(?:set|reset|listen|unlisten|prepare|deallocate|discard|temp|temporary|pg_temp|hold|load|set_config)\b"
    r"|advisory",
    re.IGNORECASE,
)
_HIDDEN = re.compile(
    r"""'(?:[^']|'')*'|"(?:[^"]|"")*"|--[^\n]*|/\*.*?\*/|\$([A-Za-z_]\w*)?\$.*?\$(?(1)\1)\$""", re.DOTALL
)
_ESCAPED = re.compile(r"\b[eE]'(?:[^'\\]|\\.|'')*'", re.DOTALL)
_RULES: tuple[tuple[re.Pattern[str], Change], ...] = tuple(
    (re.compile(pattern, re.IGNORECASE | re.DOTALL), change)
    for pattern, change in (
        (r"set\s+(?!local\b|transaction\b|constraints\b)", SETTING),
        (r"reset\b", SETTING),
        (r"(?:un)?listen\b", LISTENING),
        (r"(?:prepare\s+(?!transaction\b)|deallocate\b)", PREPARED),
        (
            r"create\s+(?:or\s+replace\s+)?(?:(?:global|local)\s+)?temp(?:orary)?\s"
            r"(?!.*\bon\s+commit\s+drop\b)",
            TEMPORARY,
        ),
        (r"create\s.*?\bpg_temp\s*\.", TEMPORARY),
        (r"(?:select|with)\b.*\binto\s+(?:local\s+)?temp(?:orary)?\b", TEMPORARY),
        (r"declare\b.*\bwith\s+hold\b", HELD),
        (r"discard\b", WIPE),
        (r"load\b", LIBRARY),
    )
)
_CALLS = re.compile(
    r"\b(?P<lock>pg_(?:try_)?advisory_(?:lock|unlock)\w*)\s*\(|\b(?P<config>set_config)\s*\(", re.IGNORECASE
)
# A transaction-local set_config ends in `, true)`; a placeholder there may be anything.
_LOCAL_CONFIG = re.compile(r"\bset_config\s*\((?:[^()]|\([^()]*\))*,\s*true\s*\)", re.IGNORECASE)
_WORDS = """
    select insert update delete merge with values table begin start commit end rollback abort savepoint release
    fetch move close declare show explain copy lock set truncate analyze
"""
_PLAIN = frozenset(_WORDS.split())
LONGEST_KEPT = 4096


def session_change(text: str) -> Change | None:
    """Return what a statement changes in its session, with what to do instead; None when nothing."""
    return _kept(text) if len(text) <= LONGEST_KEPT else _judged(text)


def may_change_session(text: str) -> bool:
    """Tell whether a statement may change its session; also when its kind is not known to leave it alone."""
    if session_change(text) is not None:
        return True
    return any(_first_word(part) not in _PLAIN for part in _parts(text))


def _judged(text: str) -> Change | None:
    if _HINT.search(text) is None:
        return None
    for part in _parts(text):
        for pattern, change in _RULES:
            if pattern.match(part):
                return change
        call = _CALLS.search(_LOCAL_CONFIG.sub("", part))
        if call is not None:
            return LOCK if call["lock"] else SETTING
    return None


_kept = lru_cache(maxsize=1024)(_judged)


def _parts(text: str) -> list[str]:
    """Return the statements of a text, without what cannot be code."""
    seen = _HIDDEN.sub(" '' ", _ESCAPED.sub(" '' ", text))
    return [part.strip().lstrip("(").lstrip() for part in seen.split(";") if part.strip()]


def _first_word(part: str) -> str:
    match = re.match(r"[A-Za-z]+", part)
    return match[0].lower() if match else ""
