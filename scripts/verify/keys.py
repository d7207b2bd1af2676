"""Values for the parameters of routes: keys that the database really has, and one that it does not.

`<int:question_id>` is matched to the table `question` or `questions`, `<id>` to what stands before it in the path,
any other name to a column of that name. A parameter without a match is guessed, and said to be.
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from typing import Any
from urllib.parse import quote

from psycopg2 import sql

from ..errors import CommandError

KEYS = """
    SELECT n.nspname, c.relname, a.attname, coalesce(i.indisprimary, false), t.typcategory = 'N'
    FROM pg_class c JOIN pg_namespace n ON n.oid = c.relnamespace
    JOIN pg_attribute a ON a.attrelid = c.oid AND a.attnum > 0 AND NOT a.attisdropped
    JOIN pg_type t ON t.oid = a.atttypid
    LEFT JOIN pg_index i ON i.indrelid = c.oid AND i.indisprimary AND i.indnatts = 1 AND a.attnum = i.indkey[0]
    WHERE c.relkind = 'r' AND n.nspname NOT IN ('pg_catalog', 'information_schema') ORDER BY 1, 2, a.attnum"""
PARAMETER = re.compile(r"<(?:[^:<>]*:)?(\w+)>")
MISSING_NUMBER, MISSING_TEXT = 987654321, "no-such-thing"
GUESSES: dict[str, list[Any]] = {
    "FloatConverter": ["1.5"], "UUIDConverter": ["00000000-0000-4000-8000-000000000001"],
}  # fmt: skip


@dataclass(frozen=True)
class Key:
    """A column that a parameter may stand for."""

    schema: str
    table: str
    column: str
    is_primary: bool
    is_number: bool


class Keys:
    """The columns of a database.

    Args:
        conn: to the template or a copy.
        given: of the recipe: values, or "table.column", by parameter.
    """

    def __init__(self, conn: Any, given: dict[str, Any]) -> None:
        self._conn, self._given = conn, given
        with conn.cursor() as cursor:
            cursor.execute(KEYS)
            self._keys = [Key(*row) for row in cursor.fetchall()]
        self.guessed: set[str] = set()

    def paths(self, rule: str, converters: dict[str, str]) -> list[str]:
        """Return the paths that a rule is asked with: real values, and one missing value for each parameter."""
        names = PARAMETER.findall(rule)
        if not names:
            return [rule]
        values = {name: self._values(name, rule, converters.get(name, "")) for name in names}
        rounds = max(len(each) for each in values.values())
        chosen = [{name: each[number % len(each)] for name, each in values.items()} for number in range(rounds)]
        first = chosen[0]
        for name in names:
            chosen.append({**first, name: _missing(converters.get(name, ""), first[name])})
        paths = [PARAMETER.sub(lambda match, each=each: quote(str(each[match[1]]), safe="/"), rule)  # type: ignore[misc]
                 for each in chosen]  # fmt: skip
        return list(dict.fromkeys(paths))

    def _values(self, name: str, rule: str, converter: str) -> list[Any]:
        given = self._given.get(f"{rule} {name}", self._given.get(name))
        if isinstance(given, list):
            return given
        key = self._named(str(given)) if given else self._match(name, rule, converter)
        found = self._of(key) if key else []
        if found:
            return found
        self.guessed.add(f"<{name}> of {rule}")
        return GUESSES.get(converter, [1, 2])

    def _named(self, text: str) -> Key:
        for key in self._keys:
            if text in (f"{key.table}.{key.column}", f"{key.schema}.{key.table}.{key.column}"):
                return key
        raise CommandError(f"the database has no column {text!r}; correct [keys] in the recipe")

    def _match(self, name: str, rule: str, converter: str) -> Key | None:
        wants_number = converter in ("IntegerConverter", "FloatConverter")
        usable = [key for key in self._keys if key.is_number or not wants_number]
        stem = re.sub(r"_?(?:id|pk|no|number|key)$", "", name.lower())
        before = rule.partition(f"{name}>")[0].rpartition("<")[0].strip("/").split("/")
        nouns = [part.lower().replace("-", "_") for part in reversed(before) if part and "<" not in part]
        primary = [key for key in usable if key.is_primary]
        same = [key for key in usable if key.column.lower() == name.lower()]
        same.sort(key=lambda key: not key.is_primary)
        of_stem = [key for key in primary if stem and _is_name_of(stem, key.table)]
        same_there = [key for noun in nouns for key in same if _is_name_of(noun, key.table)]
        of_noun = [key for noun in nouns for key in primary if _is_name_of(noun, key.table)]
        is_id = stem != name.lower()
        found = [*of_stem, *same_there, *(of_noun if is_id else []), *same, *of_noun]
        return found[0] if found else None

    def _of(self, key: Key) -> list[Any]:
        """Return the smallest, a middle and the largest value."""
        with self._conn.cursor() as cursor:
            cursor.execute(
                sql.SQL("SELECT DISTINCT {0} FROM {1} WHERE {0} IS NOT NULL ORDER BY 1 LIMIT 1000").format(
                    sql.Identifier(key.column), sql.Identifier(key.schema, key.table)
                )
            )
            found = [row[0] for row in cursor.fetchall() if str(row[0])]
        return list(dict.fromkeys([found[0], found[len(found) // 2], found[-1]])) if found else []


def _is_name_of(noun: str, table: str) -> bool:
    table = table.lower()
    names = {noun, f"{noun}s", f"{noun}es", f"{noun.removesuffix('y')}ies", noun.removesuffix("s"),
             f"{noun.removesuffix('ies')}y", noun.removesuffix("es")}  # fmt: skip
    return table in names or table.rpartition("_")[2] in names


def _missing(converter: str, example: Any) -> Any:
    if converter in ("IntegerConverter", "FloatConverter") or isinstance(example, (int, float)):
        return f"{MISSING_NUMBER}.5" if converter == "FloatConverter" else MISSING_NUMBER
    return "00000000-0000-4000-8000-00000000dead" if converter == "UUIDConverter" else MISSING_TEXT
