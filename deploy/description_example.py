"""`harden.example.toml` and the docs' tables: every key with its sentence, its default and what it takes.

    python -m deploy.description_example > deploy/harden.example.toml

Made of the dataclasses' own words, so that it cannot say anything else. Must not know a host.
"""

from __future__ import annotations

import sys
from dataclasses import MISSING, Field, fields
from typing import Any

from .description import SECTIONS, Range
from .description_values import must_be, words

HEAD = """\
# A service in one file. Everything else is sized and rendered from it: harden plan, render, check, install.
# Keys with # before them are set to what stands there already. No secret belongs here: see app.secrets.
"""
ENVIRONMENT = """\
# Variables for the app that are no secrets, as NAME = "value".
[environment]
# FEATURE_SEARCH = "on"
"""
# What the keys without a default are in the example.
EXAMPLES = {
    ("app", "name"): "shop", ("app", "target"): "app:app", ("database", "name"): "shop",
    ("database", "role"): "shop",
}  # fmt: skip


def example() -> str:
    """Return the annotated example: TOML that loads, with every default in its place."""
    return "\n".join([HEAD, *map(_section, SECTIONS), ENVIRONMENT])


def toml_value(value: Any) -> str:
    """Return a value as TOML writes it."""
    if isinstance(value, bool):
        return str(value).lower()
    if isinstance(value, int):
        return str(value)
    if isinstance(value, tuple):
        return f"[{', '.join(map(toml_value, value))}]"
    escaped = value.replace("\\", "\\\\").replace('"', '\\"')
    return f'"{escaped}"'


def takes(field: Field[Any]) -> str:
    """Return what a key takes where a person can say it: a range or some words; "" for a pattern."""
    check = field.metadata["check"]
    if isinstance(check, Range):
        return f"{check.low} to {check.high}"
    return words(check) if isinstance(check, tuple) else ""


def title(section: str) -> str:
    """Return what a section is about, from its docstring."""
    text = (SECTIONS[section].__doc__ or "").strip().splitlines()[0]
    return text.partition("`: ")[2]


def key_tables() -> str:
    """Return the keys as Markdown, a table per section, for the docs."""
    return "\n\n".join(map(_table, SECTIONS))


def _table(section: str) -> str:
    rows = [f"`[{section}]`: {title(section)}", ""]
    rows += ["| key | default | takes | what it is |", "| --- | --- | --- | --- |"]
    for field in fields(SECTIONS[section]):
        default = "must be given" if field.default is MISSING else f"`{toml_value(field.default)}`"
        kind = "a list: " if str(field.type).startswith("tuple") else ""
        what = f"{kind}{must_be(field.metadata['check'])}"
        rows.append(f"| `{field.name}` | {default} | {what} | {field.metadata['doc']} |")
    return "\n".join(rows)


def _section(section: str) -> str:
    lines = [f"# {title(section)[:1].upper()}{title(section)[1:]}", f"[{section}]"]
    for field in fields(SECTIONS[section]):
        range_of = f" ({takes(field)})" if takes(field) else ""
        lines.append(f"# {field.metadata['doc']}{range_of}")
        lines.append(_line(section, field))
    return "\n".join(lines) + "\n"


def _line(section: str, field: Field[Any]) -> str:
    if field.default is MISSING:
        return f"{field.name} = {toml_value(EXAMPLES[section, field.name])}"
    return f"# {field.name} = {toml_value(field.default)}"


if __name__ == "__main__":
    sys.stdout.write(example())
