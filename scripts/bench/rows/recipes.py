"""The recipes as the page has them: its code is what runs, so a figure cannot be another code's.

If this reads the page wrongly, a recipe goes unmeasured; a test counts them.
"""

from __future__ import annotations

import re
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from ...errors import CommandError

PAGE = Path(__file__).resolve().parents[3] / "docs" / "row-patterns.md"
_SECTION = re.compile(r"^## (?P<title>.+?)\n(?P<body>.*?)(?=^## |\Z)", re.MULTILINE | re.DOTALL)
_BLOCK = re.compile(r"^```python\n# (?P<when>before|after)\n(?P<code>.*?)^```$", re.MULTILINE | re.DOTALL)
_SCHEMA = re.compile(r"^```sql\n(?P<sql>.*?)^```$", re.MULTILINE | re.DOTALL)
Recipe = Callable[[Any], Any]
# Invoices of 4 KB that do not compress, of every third order; times that repeat, so that orders have to be total.
FILL = """
    INSERT INTO orders (customer_id, state, amount, paid, note, invoice, created_at)
    SELECT 1 + n %% 500, (ARRAY['open', 'done', 'sent'])[1 + n %% 3], (n * 7919 %% 100000) / 100.0, n %% 4 > 0,
           repeat('note ', n %% 9),
           CASE WHEN n %% 3 = 0 THEN (SELECT decode(string_agg(md5((n + i)::text), ''), 'hex')
                                      FROM generate_series(1, 256) AS i) END,
           timestamptz '2026-01-01' + n / 3 * interval '1 minute'
    FROM generate_series(1, %s) AS n
"""


@dataclass(frozen=True)
class Pair:
    """One recipe: what it is about, and its two functions, each called with a connection."""

    title: str
    before: Recipe
    after: Recipe


def pairs(page: str) -> list[Pair]:
    """Return the recipes of a page, in its order.

    Raises:
        CommandError: a section has one side only.
    """
    found = []
    for section in _SECTION.finditer(page):
        code = {block["when"]: block["code"] for block in _BLOCK.finditer(section["body"])}
        if not code:
            continue
        if len(code) != 2:
            missing = "after" if "before" in code else "before"
            raise CommandError(f"the recipe {section['title']!r} has no {missing}")
        found.append(Pair(section["title"], _made(code["before"], "before"), _made(code["after"], "after")))
    return found


def _made(code: str, name: str) -> Recipe:
    names: dict[str, Any] = {}
    exec(compile(code, f"row-patterns.md: {name}", "exec"), names)
    made: Recipe = names[name]
    return made


def schema(page: str) -> str:
    """Return the statements that make the page's table.

    Raises:
        CommandError: the page has none.
    """
    found = _SCHEMA.search(page)
    if found is None:
        raise CommandError("docs/row-patterns.md has no ```sql block with its table")
    return found["sql"]
