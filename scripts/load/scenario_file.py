"""Read a scenario from TOML, and refuse what is wrong in it before anything is sent.

All problems are told at once, each with the task and the key that it is about.
"""

from __future__ import annotations

import csv
import os
import re
import sys
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from .scenario import METHODS, Scenario, ScenarioError, Step, Task, Think
from .sources import Source
from .templates import HOLE, names_in

if sys.version_info >= (3, 11):
    import tomllib
else:
    import tomli as tomllib

LARGEST_BYTES = 1024 * 1024
MOST_ITEMS = 1_000_000
TOP = {"name", "think", "headers", "values", "login", "task"}
STEP = {*METHODS, "name", "headers", "json", "form", "expect", "contains", "save"}
SECONDS = r"(\d+(?:\.\d+)?)(ms|s|min)"
UNITS = {"ms": 0.001, "s": 1.0, "min": 60.0}
SAVED = re.compile(r"(json|header|text):(.+)", re.DOTALL)
HEADER = re.compile(r"[!#$%&'*+.^_`|~0-9A-Za-z-]+")


def read_scenario(path: Path) -> Scenario:
    """Return the scenario of a file; files that it names are looked for beside it.

    Raises:
        ScenarioError: it cannot be read, or is wrong; says where.
    """
    try:
        data = path.read_bytes()[: LARGEST_BYTES + 1]
        if len(data) > LARGEST_BYTES:
            raise ScenarioError(f"{path} is larger than {LARGEST_BYTES // 1024} kB; it is no scenario")
        text = data.decode("utf-8-sig")
    except OSError as error:
        raise ScenarioError(f"cannot read {path}: {error.strerror}; check the path") from None
    except UnicodeDecodeError:
        raise ScenarioError(f"{path} is no UTF-8; save it as UTF-8") from None
    return parse_scenario(text, str(path), path.parent)


def parse_scenario(text: str, name: str = "scenario", folder: Path | None = None) -> Scenario:
    """Return the scenario of a TOML text.

    Args:
        name: of the file, for messages.
        folder: where files of values are; None refuses them.

    Raises:
        ScenarioError: it is wrong; has every problem.
    """
    try:
        tables = tomllib.loads(text)
    except (ValueError, RecursionError) as error:
        raise ScenarioError(f"{name} is no TOML: {error}") from None
    return _Reader(name, folder).scenario(tables)


def parse_seconds(text: str) -> float:
    """Return seconds of `300ms`, `2s` or `1.5min`.

    Raises:
        ValueError: it is none of these.
    """
    found = re.fullmatch(SECONDS, text.strip())
    if not found:
        raise ValueError(f"{text!r} is no time; write 300ms, 2s or 5min")
    return float(found[1]) * UNITS[found[2]]


def parse_think(text: str) -> Think:
    """Return the think time of `2s`, `1s to 5s`, `exp 3s` or `every 5s`.

    Raises:
        ValueError: it is none of these.
    """
    words = str(text).strip()
    if " to " in words:
        low, high = (parse_seconds(part) for part in words.split(" to ", 1))
        if high < low:
            raise ValueError(f"{text!r} ends before it begins")
        return Think("uniform", low, high)
    for word, kind in (("exp ", "exponential"), ("every ", "every")):
        if words.startswith(word):
            seconds = parse_seconds(words.removeprefix(word))
            if seconds == 0:
                raise ValueError(f"{text!r} needs a time above 0")
            return Think(kind, seconds)
    return Think("constant", 0.0 if words == "0" else parse_seconds(words))


class _Reader:
    """Turns tables into a scenario and collects what is wrong with them."""

    def __init__(self, name: str, folder: Path | None) -> None:
        self._name = name
        self._folder = folder
        self._problems: list[str] = []

    def scenario(self, tables: Mapping[str, Any]) -> Scenario:
        self._unknown(tables, TOP, "the scenario")
        values = {key: self._source(key, given) for key, given in self._table(tables, "values").items()}
        login = self._login(tables.get("login", []))
        tasks = self._tasks(tables.get("task", []))
        headers = self._headers(tables.get("headers", {}), "headers")
        think = self._think(tables.get("think", "1s to 5s"))
        self._check_names(values, login, tasks, headers)
        if self._problems:
            raise ScenarioError(f"{self._name}: {'; '.join(self._problems)}")
        kept = {key: source for key, source in values.items() if source is not None}
        return Scenario(str(tables.get("name", Path(self._name).stem)), tasks, think, headers, kept, login)

    def _wrong(self, text: str) -> None:
        self._problems.append(text)

    def _unknown(self, table: Mapping[str, Any], known: set[str], where: str) -> None:
        for key in sorted(set(table) - known):
            self._wrong(f"{where} has no key {key!r} (there are {', '.join(sorted(known))})")

    def _table(self, tables: Mapping[str, Any], key: str) -> Mapping[str, Any]:
        found = tables.get(key, {})
        if isinstance(found, Mapping):
            return found
        self._wrong(f"{key} is no table")
        return {}

    def _think(self, given: Any) -> Think:
        try:
            return parse_think(given)
        except ValueError as error:
            self._wrong(f"think: {error}")
            return Think()

    def _login(self, given: Any) -> list[Step]:
        steps = [given] if isinstance(given, Mapping) else given
        if not isinstance(steps, list):
            self._wrong("login is neither a step nor a list of steps")
            return []
        return [self._step(step, f"login {number}" if len(steps) > 1 else "login", "login")
                for number, step in enumerate(steps, 1)]  # fmt: skip

    def _tasks(self, given: Any) -> list[Task]:
        if not isinstance(given, list) or not given:
            self._wrong("it has no [[task]]; a scenario needs one at least, such as get = \"/\"")
            return []
        return [self._task(task, f"task {number}") for number, task in enumerate(given, 1)]

    def _task(self, given: Any, where: str) -> Task:
        if not isinstance(given, Mapping):
            self._wrong(f"{where} is no table")
            return Task(where, 1.0, [])
        weight = given.get("weight", 1)
        if isinstance(weight, bool) or not isinstance(weight, int | float) or not 0 < weight <= 1e6:
            self._wrong(f"{where}: weight {weight!r} is no number above 0")
            weight = 1
        own = {key: value for key, value in given.items() if key not in ("weight", "step")}
        if "step" not in given:
            step = self._step(own, where, "")
            return Task(step.name, float(weight), [step])
        self._unknown(own, {"name"}, f"{where} with steps")
        name = str(given.get("name", where))
        steps = given["step"]
        if not isinstance(steps, list) or not steps:
            self._wrong(f"{where}: step is no list of steps")
            steps = []
        read = [self._step(step, f"{where}, step {number}", "") for number, step in enumerate(steps, 1)]
        return Task(name, float(weight), read)

    def _step(self, given: Any, where: str, name: str) -> Step:
        if not isinstance(given, Mapping):
            self._wrong(f"{where} is no table")
            return Step(where, "get", "/")
        self._unknown(given, STEP, where)
        method, path = self._request(given, where)
        bodies = [key for key in ("json", "form") if key in given]
        if len(bodies) > 1 or (bodies and method == "get"):
            self._wrong(f"{where}: {' and '.join(bodies)} cannot go with {method}; give one, and not with get")
        form = given.get("form")
        if form is not None and not isinstance(form, Mapping):
            self._wrong(f"{where}: form is no table")
            form = None
        return Step(
            str(given.get("name") or name or f"{method.upper()} {path}"), method, path,
            self._headers(given.get("headers", {}), where), given.get("json"), form,
            self._expect(given.get("expect", []), where), str(given.get("contains", "")),
            self._save(given.get("save", {}), where),
        )  # fmt: skip

    def _request(self, given: Mapping[str, Any], where: str) -> tuple[str, str]:
        methods = [method for method in METHODS if method in given]
        if len(methods) != 1:
            self._wrong(f"{where} needs one of {', '.join(METHODS)} with a path; it has {len(methods)}")
            return "get", "/"
        path = given[methods[0]]
        if not isinstance(path, str) or not re.fullmatch(r"/([^/\s]\S*)?", path):
            self._wrong(f"{where}: path {path!r} must begin with one / and have no spaces")
            path = "/"
        elif not path.isascii():
            self._wrong(f"{where}: path {path!r} must be percent-encoded")
        self._braces(path, f"{where}: path")
        return methods[0], path

    def _braces(self, text: str, where: str) -> None:
        if re.search(r"[{}]", HOLE.sub("", text)):
            self._wrong(f"{where} {text!r} has a brace that is no {{name}}; write {{{{ or }}}} for a brace itself")

    def _headers(self, given: Any, where: str) -> dict[str, str]:
        if not isinstance(given, Mapping):
            self._wrong(f"{where}: headers is no table")
            return {}
        for name, value in given.items():
            if not HEADER.fullmatch(name) or not isinstance(value, str) or re.search(r"[\r\n\0]", value):
                self._wrong(f"{where}: header {name!r} has characters that HTTP does not allow, or no text")
        return {str(name): str(value) for name, value in given.items()}

    def _expect(self, given: Any, where: str) -> tuple[int, ...]:
        codes = given if isinstance(given, list) else [given]
        for code in codes:
            if isinstance(code, bool) or not isinstance(code, int) or not 100 <= code <= 599:
                self._wrong(f"{where}: expect {code!r} is no HTTP status")
        return tuple(codes)

    def _save(self, given: Any, where: str) -> dict[str, str]:
        if not isinstance(given, Mapping):
            self._wrong(f"{where}: save is no table")
            return {}
        for name, way in given.items():
            found = SAVED.fullmatch(way) if isinstance(way, str) else None
            if not found:
                self._wrong(f"{where}: save {name} = {way!r} is none of json:PATH, header:NAME, text:REGEX")
            elif found[1] == "text" and not _is_pattern(found[2]):
                self._wrong(f"{where}: save {name}: {found[2]!r} is no regular expression with a group")
        return {str(name): str(way) for name, way in given.items()}

    def _source(self, name: str, given: Any) -> Source | None:
        if isinstance(given, list):
            return self._listed(name, given)
        if isinstance(given, Mapping):
            return self._from_file(name, given)
        words = str(given).strip()
        found = re.fullmatch(r"(-?\d{1,18}) to (-?\d{1,18})", words)
        if found and int(found[1]) <= int(found[2]):
            return Source("range", int(found[1]), int(found[2]))
        if counted := re.fullmatch(r"sequence(?: from (\d{1,18}))?", words):
            return Source("sequence", int(counted[1] or 1))
        if words == "uuid":
            return Source("uuid")
        if words.startswith("env:"):
            return self._from_environment(name, words.removeprefix("env:"))
        self._wrong(f"values.{name} = {given!r} is none of \"1 to 50\", a list, \"sequence\", \"uuid\", "
                    "\"env:NAME\", {file = ..., column = ...}")  # fmt: skip
        return None

    def _listed(self, name: str, items: list[Any]) -> Source | None:
        if not items or len(items) > MOST_ITEMS:
            self._wrong(f"values.{name} has {len(items)} items; give 1 to {MOST_ITEMS}")
            return None
        return Source("list", items=items)

    def _from_environment(self, name: str, variable: str) -> Source | None:
        value = os.environ.get(variable)
        if value is None:
            self._wrong(f"values.{name}: the environment has no {variable}; set it")
            return None
        return Source("list", items=[value])

    def _from_file(self, name: str, given: Mapping[str, Any]) -> Source | None:
        self._unknown(given, {"file", "column"}, f"values.{name}")
        if self._folder is None or not isinstance(given.get("file"), str):
            self._wrong(f"values.{name} needs file = \"...\" beside the scenario's own file")
            return None
        path = self._folder / given["file"]
        try:
            with path.open(newline="", encoding="utf-8-sig") as file:
                items = _column(file, given["column"]) if "column" in given else file.read().split()
        except (OSError, UnicodeDecodeError, csv.Error) as error:
            self._wrong(f"values.{name}: cannot read {path}: {getattr(error, 'strerror', None) or error}")
            return None
        except KeyError:
            self._wrong(f"values.{name}: {path} has no column {given['column']!r}")
            return None
        return self._listed(name, items)

    def _check_names(
        self, values: Mapping[str, Any], login: list[Step], tasks: list[Task], headers: Mapping[str, str]
    ) -> None:
        """Check that every name is known when it is used: a value, or saved by a step before."""
        known = set(values)
        for step in login:
            self._check_step(step, known, "login", {})
            known |= set(step.save)
        for number, task in enumerate(tasks, 1):
            here = set(known)
            for step in task.steps:
                self._check_step(step, here, f"task {number}", headers)
                here |= set(step.save)

    def _check_step(self, step: Step, known: set[str], where: str, headers: Mapping[str, str]) -> None:
        used = dict.fromkeys(names_in([step.path, {**headers, **step.headers}, step.json, step.form or {}]))
        for name in used:
            if name not in known:
                self._wrong(f"{where}: {{{name}}} in {step.name!r} is unknown; add it to [values], or save it")


def _column(file: Any, column: str) -> list[str]:
    return [row[column] for row in csv.DictReader(file)]


def _is_pattern(text: str) -> bool:
    try:
        return re.compile(text).groups >= 1
    except re.error:
        return False
