"""The shape of a statement: its text without values, comments and differences of spelling.

Most texts have no quoted names, comments or backslashes, and take a few passes of C code; the others are first
stripped of these. Each pattern runs in linear time, whatever the text. A quoted name stands there as one character
of Unicode's private use area meanwhile, so that no pass looks into it.
Knows nothing of caches. If this is wrong, one query counts as many, or many as one, or a log shows values.
"""

from __future__ import annotations

import re

LONGEST_NAME = 63  # bytes, PostgreSQL's NAMEDATALEN - 1: what is longer is no name, whatever its quotes
_FIRST_NAME, _MOST_NAMES = 0xE000, 1000

# Each search begins with one set of characters, so that it skips all others; then comes what each of them begins.
# What hides other marks: strings with escapes, dollar quotes, quoted names, comments.
_HIDING = re.compile(r"""['"$/-](?:(?<=['"$])|(?<=-)-|(?<=/)\*)""")
_STRING = re.compile(r"'[^']*(?:'|\Z)(?:\s*'[^']*(?:'|\Z))*")
_ESCAPED = re.compile(r"'(?:[^'\\]+|''|\\.?)*(?:'|\Z)", re.DOTALL)
_DOLLAR = re.compile(r"\$((?:[^\W\d]\w*)?)\$.*?(?:\$\1\$|\Z)", re.DOTALL)
_QUOTED = re.compile(r'"[^"]*(?:"|\Z)(?:"[^"]*(?:"|\Z))*')
_LINE = re.compile(r"[^\r\n]*")
_BLOCK = re.compile(r"/\*|\*/")
_PRIVATE = re.compile("[\ue000-\uf8ff]")
_VALUE = re.compile(
    r"['%0-9](?:"
    r"(?<=')[^']*(?:'|\Z)(?:\s*'[^']*(?:'|\Z))*"
    r"|(?<=%)(?:s|\(\w*\)s)"
    r"|(?<=[0-9])(?<![\w$][0-9])[\w.]*(?:(?<=[eE])[+-]\d[\w.]*)?)"
)
_NUMBERED = re.compile(r"\$\d+")
_PREFIX = re.compile(r"(?<![\w$])(?:[ebxn]|u&)\?")
_FRACTION = re.compile(r"\.\?(?<![\w)\]\"\ue000-\uf8ff]\.\?)")
_CONSTANT = re.compile(r"(?<!is )(?<!not )(?<!set )(?<![\w.$])(?:null|true|false)(?![\w(.$])")
_SIGN = re.compile(r"[-+] ?\?")
_BEFORE_SIGN = re.compile(
    r"(?:[(,=<>+*/%|\[]|- |\A|(?<![\w.$])(?:select|and|or|not|between|then|else|when|case|limit|offset|return|by|"
    r"like|in|where|having|on|default|values|set|to)) ?\Z"
)
_SPACED_OPERATORS = (" = ", " >= ", " <= ", " > ", " < ", " <> ")
_ANY_OPERATOR = re.compile(r"[-+/=<>!|~@#&^]")
_OPERATOR = re.compile(r"([-+/=<>!|~@#&^][-+/=<>!|~@#&^*]*)")
_CAST = (
    r"(?:::[\w.\ue000-\uf8ff]+(?: varying| precision| with(?:out)? time zone)?(?:\(\?(?:, \?)?\))?(?:\[\??\])*)*"
)
_ITEM = (
    r"(?:(?:date|time|timestamp|timestamptz|interval) )?(?:\?|(?:array)?\[(?:\.\.\.)?\]|\(\.\.\.\)|default(?!\w))"
    + _CAST
)
_ITEMS = rf"{_ITEM}(?:, {_ITEM})*"
_ARRAY = re.compile(rf"array\[{_ITEMS}(?:\]|\Z)|(?<=[\[ ])\[{_ITEMS}(?:\]|\Z)")
_BRACKETED = re.compile(r"(?<=[-+/=<>!|] )\(\?\)|(?<=like )\(\?\)")
_WHOLE = re.compile(r"(?<= where )\(([^()]*)\)(?=\Z| order by | group by | limit | returning | for |;)")
_LIST = re.compile(rf"(?<=[ (])\({_ITEMS}(?:\)|\Z)")
_ROWS = re.compile(r"(?<=[ (])\(\.\.\.\)(?:, \(\.\.\.\))+")
_SAME_ROWS = re.compile(r"(?<= )(\([^()]*(?:\([^()]*\)[^()]*)*\))(?:, \1)+")
_SPACED = (
    " in(", " values(", " and(", " or(", " as(", " from(", " where(", " not(", " on(", " exists(", " union(",
    " all(", "(values(",
)  # fmt: skip
_PASSING = re.compile(
    r"((?:savepoint|release(?: savepoint)?|rollback(?: work| transaction)? to(?: savepoint)?|declare|close"
    r"|(?:fetch|move)(?: [\w?-]+)*? (?:from|in)|deallocate(?: prepare)?|prepare|execute) )"
    r"(?!all\b|transaction\b|savepoint\b|prepare\b)[\w$\ue000-\uf8ff]+"
)
_PASSES = (
    "savepoint", "release", "rollback", "declare", "close", "fetch", "move", "deallocate", "prepare", "execute",
)  # fmt: skip


def normalise(sql: str, is_cut: bool = False) -> str:
    """Return a statement's text without values, comments and differences of spelling.

    Args:
        sql: the text.
        is_cut: whether it is the head of a longer one: what its last comma begins is left out.
    """
    names: dict[str, str] = {}
    has_strings = "'" in sql
    if '"' in sql or "--" in sql or "/*" in sql or "$" in sql or "\\" in sql:
        sql, names = _stripped(sql)
    if is_cut:
        sql = sql.rstrip("%(abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ_")
    text = _evenly(" ".join(_VALUE.sub("?", sql).split()).lower())
    if has_strings and ("e?" in text or "b?" in text or "x?" in text or "n?" in text or "&?" in text):
        text = _PREFIX.sub("?", text)
    if ".?" in text:
        text = _FRACTION.sub("?", text)
    if "null" in text or "true" in text or "false" in text:
        text = _CONSTANT.sub("?", text)
    if "-?" in text or "- ?" in text or "+?" in text or "+ ?" in text:
        text = _SIGN.sub(_unsigned, text)
    rest = text
    for operator in _SPACED_OPERATORS:
        rest = rest.replace(operator, " ")
    if _ANY_OPERATOR.search(rest):
        text = " ".join(filter(None, map(str.strip, _OPERATOR.split(text))))
    if is_cut:
        text = (text.rpartition(", ")[0] or text).rstrip(" ,(")
    text = _listed(text, is_cut)
    if text.startswith(_PASSES):
        text = _PASSING.sub(r"\1?", text, count=1)
    for stand_in, name in names.items():
        text = text.replace(stand_in, name)
    return text if text.isprintable() else "".join(map(_printable, text))


def _printable(letter: str) -> str:
    return letter if letter.isprintable() else "\ufffd"


def _unsigned(found: re.Match[str]) -> str:
    """Return a number with its sign as one value; after a name, a bracket or a value the sign is an operator."""
    start = found.start()
    return "?" if _BEFORE_SIGN.search(found.string, max(0, start - 12), start) else found[0]


def _stripped(sql: str) -> tuple[str, dict[str, str]]:
    """Return a text whose strings and dollar quotes are `?`, without comments, and what stands for its names."""
    if not sql.isascii():
        sql = _PRIVATE.sub("\ufffd", sql)
    names: dict[str, str] = {}
    parts, at = [], 0
    while (found := _HIDING.search(sql, at)) is not None:
        start = found.start()
        parts.append(sql[at:start])
        at, instead = _passed(sql, start, found.end(), names)
        parts.append(instead)
    parts.append(sql[at:])
    return "".join(parts), {stand_in: name for name, stand_in in names.items()}


def _passed(sql: str, start: int, end: int, names: dict[str, str]) -> tuple[int, str]:
    """Return where what begins at a mark ends, and what stands in its place."""
    mark = sql[start]
    if mark == "'":
        is_escaped = _is_after(sql, start, "eE")
        found = (_ESCAPED if is_escaped else _STRING).match(sql, start)
        return (found.end() if found else len(sql)), "?"
    if mark == '"':
        found = _QUOTED.match(sql, start)
        return (found.end(), _stand_in(found[0], names)) if found else (len(sql), "?")
    if mark == "-":
        found = _LINE.match(sql, end)
        return (found.end() if found else len(sql)), " "
    if mark == "/":
        return _end_of_block(sql, end), " "
    if start and (sql[start - 1].isalnum() or sql[start - 1] in "_$"):
        return end, mark  # part of a name
    found = _DOLLAR.match(sql, start) or _NUMBERED.match(sql, start)
    return (found.end(), "?") if found else (end, mark)


def _is_after(sql: str, start: int, letters: str) -> bool:
    """Tell whether one of the letters stands before a place, as a word of its own."""
    if not start or sql[start - 1] not in letters:
        return False
    return start == 1 or not (sql[start - 2].isalnum() or sql[start - 2] in "_$")


def _stand_in(name: str, names: dict[str, str]) -> str:
    is_name = 2 < len(name) <= LONGEST_NAME + 2 and name[-1] == '"' and name.isprintable()
    if not is_name or len(names) >= _MOST_NAMES:
        return "?"  # never ended, or too long for one: it may hold a value
    return names.setdefault(name, chr(_FIRST_NAME + len(names)))


def _end_of_block(sql: str, at: int) -> int:
    """Return where a comment ends; PostgreSQL's comments nest."""
    depth = 1
    for mark in _BLOCK.finditer(sql, at):
        depth += 1 if mark[0] == "/*" else -1
        if not depth:
            return mark.end()
    return len(sql)


def _evenly(text: str) -> str:
    """Return a text with its spaces where they always are."""
    if "(" in text:
        text = text.replace(" (", "(").replace("( ", "(").replace(" )", ")")
    if "[" in text:
        text = text.replace(" [", "[").replace("[ ", "[").replace(" ]", "]")
    text = text.replace(" ,", ",").replace(", ", ",").replace(",", ", ")
    if "(" in text:
        for word in _SPACED:
            if word in text:
                text = text.replace(word, f"{word[:-1]} (")
        if text.startswith("values("):
            text = f"values ({text[7:]}"
    if "::" in text:
        text = text.replace(" ::", "::").replace(":: ", "::")
    if ";" in text:
        text = text.rstrip("; ").replace(" ;", ";").replace("; ", ";").replace(";", "; ")
    return text.replace("%%", "%") if "%%" in text else text


def _listed(text: str, is_cut: bool) -> str:
    """Return a text whose lists of values have one length."""
    text = text.replace(" in ?", " in (...)")
    if "values ?" in text:
        text = text.replace("values ?", "values (...)")
    if "[" in text:
        for _ in range(4):  # nested ones, the inner ones first
            text = _ARRAY.sub(lambda found: "array[...]" if found[0][0] == "a" else "[...]", text)
    if "(?" in text or " (" in text:
        text = _WHOLE.sub(r"\1", _BRACKETED.sub("?", text))
        for _ in range(2):
            text = _ROWS.sub("(...)", _LIST.sub("(...)", text))
    if "), (" in text:
        text = _SAME_ROWS.sub(r"\1", text)
    return text.removesuffix(", (...)") if is_cut else text
