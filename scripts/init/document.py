"""A draft as the text of a `harden.toml`: each value with where it was found, the guesses marked.

Knows TOML's form. A file's name comes from somebody else's repository: nothing of it may end a comment's line.
"""

from __future__ import annotations

import unicodedata

from backend import settings
from deploy.description_environment import WRITTEN
from deploy.description_example import title, toml_value
from deploy.description_values import NOT_TEXT
from deploy.secret_words import secret_look

from .draft import Draft
from .found import Found
from .variables import Read

HEAD = """\
# The service in one file: everything else is sized and rendered from it.
# Written by harden init; check each line. Keys that are not here have their defaults: docs/describe.md.
# No secret belongs here. They stand in /etc/{name}/secrets.env on the host, DATABASE_URL first.
"""
FRONT = """\
# What the world speaks to: its names and its certificate; without them it answers any name, over plain HTTP.
[front]
# domains = ["shop.example.com"]
# certificate = "/etc/ssl/shop.pem"
# certificate_key = "/etc/ssl/private/shop.key"
"""
MARK = "CHANGE ME"
MOST_READS = 30


def document(draft: Draft) -> str:
    """Return the whole file."""
    name = draft.values["app", "name"].value
    parts = [HEAD.format(name=name)]
    for section in dict.fromkeys(section for section, _ in draft.values):
        lines = [f"# {title(section)[:1].upper()}{title(section)[1:]}", f"[{section}]"]
        for (home, key), found in draft.values.items():
            if home == section:
                lines += _lines(key, found)
        if section == "database":
            lines.append(f"# Its password goes into /etc/{name}/secrets.env, as part of DATABASE_URL.")
        parts.append("\n".join(lines) + "\n")
    parts += [FRONT, _environment(draft)]
    return "\n".join(parts)


def one_line(text: str) -> str:
    """Return a text without what could end a comment."""
    return "".join("?" if unicodedata.category(char) in NOT_TEXT else char for char in text)


def _lines(key: str, found: Found) -> list[str]:
    comment = f"{MARK}: {found.change}" if found.change else found.where
    lines = [f"{key} = {toml_value(found.value)}  # {one_line(comment)}"]
    for value, where in found.others:
        lines.append(f"# {key} = {toml_value(value)}  # or this, {one_line(where)}")
    return lines


def _environment(draft: Draft) -> str:
    lines = []
    if draft.secrets:
        names = ", ".join(f"{read.name} ({read.place})" for read in draft.secrets[:MOST_READS])
        lines += ["# Secrets that the app reads, for the secrets file:", f"# {one_line(names)}"]
    lines += ["# Variables for the app that are no secrets.", "[environment]"]
    reads = [read for read in draft.reads if read.name not in WRITTEN and read.name not in settings.SECRETS]
    lines += [_read_line(read) for read in reads[:MOST_READS]]
    return "\n".join(lines) + "\n"


def _read_line(read: Read) -> str:
    value = read.default or ""
    shown = "" if secret_look(value) or one_line(value) != value else value
    needed = ", must be set" if read.default is None else ""
    return f"# {read.name} = {toml_value(shown)}  # read in {one_line(read.place)}{needed}"
