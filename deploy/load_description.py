"""Reads `harden.toml`: one pass over all of it, every problem in one error, each with its line and the next step.

Knows the dataclasses of `description`. Must not start anything or look at a host. If this is wrong, a typo
becomes a default in silence.
"""

from __future__ import annotations

import difflib
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import MISSING, fields
from pathlib import Path
from typing import Any

from . import description_environment, description_rules
from .description import SECTIONS, Description, DescriptionError
from .description_example import EXAMPLES
from .description_text import Where, read, tables_of
from .description_values import ValueProblem, checked, shown
from .secret_words import is_secret_name

ENVIRONMENT = "environment"


def load(path: Path | str) -> Description:
    """Return the description that a file holds.

    Raises:
        DescriptionError: it cannot be read, or not be used; with every problem.
    """
    return parse(read(Path(path)), str(path))


def parse(text: str, name: str = "harden.toml") -> Description:
    """Return the description that a text holds.

    Args:
        text: TOML.
        name: what problems call it.

    Raises:
        DescriptionError: it cannot be used; with every problem.
    """
    reading = _Reading(Where(name, text))
    description = reading.description(tables_of(text, name))
    if reading.problems:
        raise DescriptionError(reading.problems)
    return description


def warnings_of(description: Description) -> list[str]:
    """Return what works and should not stay so: a line each, such as TLS to the database that proves nothing."""
    return description_rules.warnings_of(description)


class _Reading:
    """Collects the problems of one file.

    Attributes:
        problems: all so far, a line each.
        wrong: keys, as section.key, whose values are not what the file means.
    """

    def __init__(self, where: Where) -> None:
        self.where = where
        self.problems: list[str] = []
        self.wrong: set[str] = set()

    def description(self, tables: Mapping[str, Any]) -> Description:
        """Return the description, with defaults for what is wrong, so that the rules between keys can be asked."""
        unknown = list(_unknown_sections(tables))
        self.problems += [self.where(section, "", problem) for section, problem in unknown]
        values = {section: self._section(section, tables.get(section, {})) for section in SECTIONS}
        environ = self._environ(tables.get(ENVIRONMENT, {}))
        built = {section: SECTIONS[section](**found) for section, found in values.items()}
        description = Description(**built, environ=environ)
        if not unknown:  # else a rule would speak of a key that stands in a section of another name
            self._rules(description)
        return description

    def _rules(self, description: Description) -> None:
        for problem in description_rules.problems_of(description):
            if not any(key in problem for key in self.wrong):
                self.problems.append(self.where.said(problem))

    def _section(self, section: str, table: Any) -> dict[str, Any]:
        if not isinstance(table, dict):
            self.problems.append(self.where(section, "", f"is {shown(table)}; it must be a section, [{section}]"))
            table = {}
        known = {field.name: field for field in fields(SECTIONS[section])}
        values = {}
        for key, value in table.items():
            if key not in known:
                self._refuse(section, key, _unknown_key(section, key, known))
                self.wrong.update(f"{section}.{close}" for close in _close(key, known))
                continue
            try:
                values[key] = checked(value, known[key])
            except ValueProblem as problem:
                self._refuse(section, key, str(problem))
        for key, field in known.items():
            if field.default is MISSING and key not in table:
                self._refuse(section, key, f"is missing; it says: {field.metadata['doc']}")
            if field.default is MISSING:
                values.setdefault(key, EXAMPLES[section, key])
        return values

    def _refuse(self, section: str, key: str, problem: str) -> None:
        self.problems.append(self.where(section, key, problem))
        self.wrong.add(f"{section}.{key}")

    def _environ(self, table: Any) -> dict[str, str]:
        if not isinstance(table, dict):
            problem = f'is {shown(table)}; it must be a section of NAME = "value" lines'
            self.problems.append(self.where(ENVIRONMENT, "", problem))
            return {}
        for name, problem in description_environment.problems_of(table).items():
            self._refuse(ENVIRONMENT, name, problem)
        return dict(table)


def _unknown_sections(tables: Mapping[str, Any]) -> Iterator[tuple[str, str]]:
    for section, value in tables.items():
        if section in (*SECTIONS, ENVIRONMENT):
            continue
        homes = [name for name, kind in SECTIONS.items() if section in {field.name for field in fields(kind)}]
        if isinstance(value, dict):
            yield section, f"is no section{_closest(section, (*SECTIONS, ENVIRONMENT))}"
        elif is_secret_name(section):
            yield section, f"cannot stand here: {description_environment.SECRETS_FILE}"
        elif homes:
            yield section, f"stands before any section; it belongs into [{homes[0]}]"
        else:
            yield section, "stands before any section and is no key of one"


def _unknown_key(section: str, key: str, known: Iterable[str]) -> str:
    close = _closest(key, known)
    is_path = close.endswith("certificate_key?")  # of a file with a secret, so its name is no secret's
    if is_secret_name(key) and not is_path:
        return f"cannot stand here: {description_environment.SECRETS_FILE}"
    homes = [name for name, kind in SECTIONS.items() if key in {field.name for field in fields(kind)}]
    if homes and "did you mean" not in close:
        close = f"; it is one of [{'] and ['.join(homes)}]"
    return f"is no key of [{section}]{close}"


def _closest(name: str, names: Iterable[str]) -> str:
    names = list(names)
    found = _close(name, names)
    return f"; did you mean {found[0]}?" if found else f"; there are {', '.join(names)}"


def _close(name: str, names: Iterable[str]) -> list[str]:
    return difflib.get_close_matches(name, list(names), n=1, cutoff=0.6)
