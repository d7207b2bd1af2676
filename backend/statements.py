"""Does a statement change the session, beyond its transaction?

Told from its text. Strings, quoted names and comments are left out of sight; several statements in one text
are judged one by one. Taken on trust: what functions, triggers and views of the application's own do inside,
what DO blocks do, text that a parameter brings in unquoted, and the values that sequences last returned.
Every pattern here reads a text of any shape in linear time: none may have two ways to match the same part.
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

_CHANGES = re.compile(  # without one of these no rule below applies, and most statements have none
    r"\b(?:set|reset|listen|unlisten|prepare|deallocate|discard|temp|temporary|hold|load)\b"
    r"|advisory|set_config|pg_temp|pg_settings",
    re.IGNORECASE,
)
# What is no code. It begins with a set of characters: the search then skips all others at once.
_QUOTED = (
    r"""(?<=')[^']*(?:'|\Z)(?:'[^']*(?:'|\Z))*|(?<=")[^"]*(?:"|\Z)(?:"[^"]*(?:"|\Z))*"""
    r"""|(?<=[eE])(?<![\w$][eE])'[^'\\]*(?:(?:\\.|'')[^'\\]*)*(?:'|\\?\Z)|(?<=-)-[^\r\n]*"""
    r"""|(?<=\$)(?<![\w$]\$)(?P<tag>(?:[^\W\d]\w*)?)\$.*?(?:\$(?P=tag)\$|\Z)"""
)
_SIMPLE = re.compile(rf"""['"$eE-](?:{_QUOTED})""", re.DOTALL)
# With comments, which nest; and with what is kept: names that mean the same in quotes, and 'true' for set_config.
_NAMES = r"true|pg_temp(?:_\d+)?|pg_settings|set_config|pg_(?:try_)?advisory_\w+"
_HIDDEN = re.compile(
    rf"""(?P<first>['"$eE/-])(?:(?<=['"])(?P<kept>{_NAMES})(?P=first)(?!(?P=first))|{_QUOTED}"""
    r"""|(?<=/)\*(?:[^*/]|\*(?!/)|/(?!\*))*\*/|(?<=/)(?P<deep>\*))""",
    re.DOTALL,
)
_NEEDS_MORE = re.compile(rf"""/\*|(?P<quote>['"])(?:{_NAMES})(?P=quote)""")
_NESTED = re.compile(r"/\*(?:[^*/]|\*(?!/)|/(?!\*))*/\*")
_COMMENT_EDGE = re.compile(r"/\*|\*/")
_BEFORE_STATEMENT = re.compile(r";[\s(;]*")


def _compiled(pattern: str) -> re.Pattern[str]:
    return re.compile(pattern, re.IGNORECASE | re.DOTALL)


# Statements that only mention what they name, and plans that are not executed.
_INERT = _compiled(r";(?:(?:grant|revoke|comment|drop|alter)\b|explain\b(?![^;]*\banaly[sz]e\b))[^;]*")
_FIRST_WORD = _compiled(
    r";(set|reset|listen|unlisten|prepare|deallocate|discard|load|create|select|with|explain|declare|update)\b"
)
_DROPPED = _compiled(r"\bon\s+commit\s+drop\b")
_INTO = (
    r"\b(?:insert|merge)\s+into\b"  # a table may be called temp
    r"|\binto\s+(?:(?P<into>(?:(?:local|global)\s+)?temp(?:orary)?)\b|(?P<schema>pg_temp(?:_\d+)?)\s*\.)"
)
_CREATE = r"(?:or\s+replace\s+)?(?:(?:global|local)\s+)?temp(?:orary)?\b"
_OF_TRANSACTION = _compiled(
    r"\s+(?:(?:local|transaction|constraints)\b(?!\s*\.)|transaction_(?:isolation|read_only|deferrable)\b)"
)
_TWO_PHASE = _compiled(r"\s+transaction\b(?!\s*(?:as\b|\())")
_CREATES = _compiled(rf"\s+{_CREATE}|.*?\bpg_temp(?:_\d+)?\s*\.")
_CREATES_EXPLAINED = _compiled(rf"\bcreate\s+(?:{_CREATE}|table\s+(?:if\s+not\s+exists\s+)?pg_temp(?:_\d+)?\s*\.)")
_SELECTS_INTO = _compiled(_INTO)
_HOLDS = _compiled(r"\bwith\s+hold\b|(?P<query>\bfor\b)")
_UPDATES_SETTINGS = _compiled(r"\s+(?:only\s+)?(?:pg_catalog\s*\.\s*)?pg_settings\b")
_LOCKS = _compiled(r"\bpg_(?:try_)?advisory_(?:lock|unlock)\w*\s*\(")
_CONFIG = _compiled(r"\bset_config\s*\(")
_IN_CALL = _compiled(r"\bset_config\s*\(|[(),]")
_IS_TRUE = _compiled(r"\s*true\s*(?:::\s*bool(?:ean)?\s*)?")
_ALWAYS = {
    "reset": SETTING, "listen": LISTENING, "unlisten": LISTENING, "deallocate": PREPARED, "discard": WIPE,
    "load": LIBRARY,
}  # fmt: skip
_PLAIN = _compiled(
    r";(?!(?:select|insert|update|delete|merge|with|values|table|begin|start|commit|end|rollback|abort|savepoint"
    r"|release|fetch|move|close|declare|show|explain|copy|lock|set|truncate|analyze|notify)\b|;|\Z)"
)
LONGEST_KEPT = 4096
LONGEST_CALL = 5000  # commas and parentheses; a longer call of set_config counts as a change


def session_change(text: str) -> Change | None:
    """Return what a statement changes in its session, with what to do instead; None when nothing."""
    return _kept_change(text) if len(text) <= LONGEST_KEPT else _change(text)


def may_change_session(text: str) -> bool:
    """Tell whether a statement may change its session; also when its kind is not known to leave it alone."""
    return _kept_doubt(text) if len(text) <= LONGEST_KEPT else _doubt(text)


def _doubt(text: str) -> bool:
    return session_change(text) is not None or _PLAIN.search(_code(text)) is not None


def _change(text: str) -> Change | None:
    if _CHANGES.search(text) is None:
        return None
    code = _INERT.sub(";", _code(text))
    for first in _FIRST_WORD.finditer(code):
        end = code.find(";", first.end())
        change = _judged(first[1].lower(), code, first.end(), len(code) if end < 0 else end)
        if change is not None:
            return change
    if _LOCKS.search(code) is not None:
        return LOCK
    return SETTING if _sets_for_session(code) else None


_kept_change = lru_cache(maxsize=1024)(_change)
_kept_doubt = lru_cache(maxsize=1024)(_doubt)


def _judged(word: str, code: str, start: int, end: int) -> Change | None:
    """Judge the statement that begins with this word and goes on from start to end."""
    if word in _ALWAYS:
        return _ALWAYS[word]
    if word == "set":
        return None if _OF_TRANSACTION.match(code, start, end) else SETTING
    if word == "prepare":
        return None if _TWO_PHASE.match(code, start, end) else PREPARED
    if word == "update":
        return SETTING if _UPDATES_SETTINGS.match(code, start, end) else None
    if word == "declare":
        found = _HOLDS.search(code, start, end)
        return HELD if found is not None and not found["query"] else None
    return TEMPORARY if _makes_temporary(word, code, start, end) else None


def _makes_temporary(word: str, code: str, start: int, end: int) -> bool:
    if word == "create":
        is_made = _CREATES.match(code, start, end) is not None
    else:
        is_made = any(into["into"] or into["schema"] for into in _SELECTS_INTO.finditer(code, start, end))
        if word == "explain" and not is_made:
            is_made = _CREATES_EXPLAINED.search(code, start, end) is not None
    return is_made and _DROPPED.search(code, start, end) is None


def _sets_for_session(code: str) -> bool:
    """Tell whether a call of set_config is not of the form `set_config(..., true)`; a placeholder is not."""
    call = _CONFIG.search(code)
    while call is not None:
        end = _end_if_local(code, call.start())
        if end is None:
            return True
        call = _CONFIG.search(code, end)
    return False


def _end_if_local(code: str, start: int) -> int | None:
    """Return where a call of set_config ends; None when it, or one within it, is for the session."""
    calls: list[list[int]] = []  # of each parenthesis that is open: whether it is such a call, its last argument
    for count, token in enumerate(_IN_CALL.finditer(code, start)):
        if count > LONGEST_CALL:
            break
        if token[0] == ",":
            calls[-1][1] = token.end()
        elif token[0] != ")":
            calls.append([len(token[0]) > 1, token.end()])
        else:
            is_config, last = calls.pop()
            if is_config and _IS_TRUE.fullmatch(code, last, token.start()) is None:
                break
            if not calls:
                return token.end()
    return None


def _code(text: str) -> str:
    """Return the statements of a text without what is no code, each right after a semicolon."""
    if _NEEDS_MORE.search(text) is None:
        seen = _SIMPLE.sub(" ", text)
    else:
        seen = _HIDDEN.sub(r" \g<kept> ", _without_nested_comments(text))
    return _BEFORE_STATEMENT.sub(";", f";{seen}")


def _without_nested_comments(text: str) -> str:
    if text.rfind("*/") > text.rfind("/*") and _NESTED.search(text) is None:
        return text  # as nearly always
    kept, since, at = [], 0, 0
    while (hidden := _HIDDEN.search(text, at)) is not None:
        at = hidden.end()
        if hidden["deep"]:
            kept.append(text[since : hidden.start()])
            since = at = _comment_end(text, at)
    return " ".join((*kept, text[since:]))


def _comment_end(text: str, start: int) -> int:
    depth = 1
    for edge in _COMMENT_EDGE.finditer(text, start):
        depth += 1 if edge[0] == "/*" else -1
        if not depth:
            return edge.end()
    return len(text)
