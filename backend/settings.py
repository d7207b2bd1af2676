"""All settings of the runtime: one table, read once, then frozen.

Precedence: keyword > `app.config` > environment > default. Nothing is clamped in silence: `load` collects
every problem and raises one `SettingsError` that lists them. A name that looks like ours and is not is a
problem too, with the closest match. The table drives parsing, the docs and the test that they agree.
The only module that reads `os.environ`. Must not import Flask, or anything of ours but the table
and the errors.
"""

from __future__ import annotations

import difflib
import os
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from .errors import SettingsError
from .settings_table import BY_NAME, FALSE, SECRETS, TABLE, Setting

__all__ = ["BY_NAME", "SECRETS", "TABLE", "Setting", "Settings", "environment_name", "load", "variable"]

PREFIXES = ("DB_POOL_", "DB_PGBOUNCER", "DB_STATEMENT_", "DB_SLOW_QUERY", "DB_REPEAT", "HARDEN_")
ALIASES: Mapping[str, str] = {"WEB_CONCURRENCY": "WORKERS"}


@dataclass(frozen=True)
class Settings:
    """The effective settings: `settings["DB_POOL_MAX"]`, and what is derived from several of them."""

    values: Mapping[str, Any]

    def __getitem__(self, name: str) -> Any:
        return self.values[name]

    @property
    def pool_max(self) -> int:
        """DB_POOL_MAX, or one connection per thread (never below DB_POOL_MIN)."""
        if self["DB_POOL_MAX"] is not None:
            return int(self["DB_POOL_MAX"])
        return max(int(self["THREADS"]), int(self["DB_POOL_MIN"]), 1)

    @property
    def environment(self) -> str:
        """Which environment this is: production, development or test."""
        return str(self["HARDEN_ENV"])

    def require_database_url(self) -> str:
        """Return DATABASE_URL.

        Raises:
            SettingsError: it is not set.
        """
        if self["DATABASE_URL"] is None:
            raise SettingsError(
                ["DATABASE_URL is not set; set it to postgresql://user:password@host:5432/dbname"]
            )
        return str(self["DATABASE_URL"])

    def require_servable(self) -> None:
        """Check what can be checked before an app is imported.

        Raises:
            SettingsError: HARDEN_APP names a file that does not exist, or nothing names a database for the shop.
        """
        target = self["HARDEN_APP"]
        if target is None:
            self.require_database_url()
            return
        path = Path(target.partition(":")[0])
        if path.suffix == ".py" and not path.is_file():
            raise SettingsError([f"HARDEN_APP names {path}, which does not exist (looked from {Path.cwd()})"])

    def __repr__(self) -> str:
        # Secrets never in a repr: a DSN holds a password.
        shown = {name: value for name, value in self.values.items() if not _secret(name)}
        return f"Settings({shown})"


def _secret(name: str) -> bool:
    return name in SECRETS


def load(
    keywords: Mapping[str, Any] | None = None,
    config: Mapping[str, Any] | None = None,
    environ: Mapping[str, str] | None = None,
) -> Settings:
    """Read and check all settings.

    Args:
        keywords: values given in code, by setting name; None values count as not given.
        config: an `app.config`-like mapping; None values count as not given.
        environ: the environment; the process's own when None.

    Raises:
        SettingsError: with every problem found.
    """
    environ = os.environ if environ is None else environ
    problems = _unknown(_ours(environ), "environment") + _unknown(_ours(config or {}), "app.config")
    problems += _unknown(keywords or {}, "keyword")
    values: dict[str, Any] = {}
    for setting in TABLE:
        raw, source = _find(setting.name, keywords or {}, config or {}, environ)
        try:
            values[setting.name] = setting.default if raw is None else _checked(setting, raw)
        except ValueError as error:
            problems.append(_problem(setting, raw, source, str(error)))
            values[setting.name] = setting.default
    values["HARDEN_ENV"] = values["HARDEN_ENV"] or _flask_environment(environ)[0]
    problems += _contradictions(values)
    if problems:
        raise SettingsError(problems)
    return Settings(values)


def _find(
    name: str, keywords: Mapping[str, Any], config: Mapping[str, Any], environ: Mapping[str, str]
) -> tuple[Any, str]:
    names = [name, *(alias for alias, target in ALIASES.items() if target == name)]
    for mapping, source in ((keywords, "keyword"), (config, "app.config"), (environ, "environment")):
        for candidate in names:
            if mapping.get(candidate) is not None:
                return mapping[candidate], source
    return None, "default"


def _checked(setting: Setting, raw: Any) -> Any:
    value = setting.parse(raw)
    if setting.low is not None and value < setting.low:
        raise ValueError(f"is below {setting.low:.0f}")
    if setting.high is not None and value > setting.high:
        raise ValueError(f"is above {setting.high:.0f}")
    return value


def _problem(setting: Setting, raw: Any, source: str, reason: str) -> str:
    shown = "" if _secret(setting.name) else f"={str(raw)[:60]!r}"
    place = f"{setting.name}{shown} ({source})"
    default = "" if setting.default is None else f"; its default is {setting.default}"
    return f"{place} {reason}{default}"


def _ours(names: Iterable[Any]) -> list[str]:
    """Return the names that look like ours; an environment and an app's config hold others as well."""
    return [name for name in names if isinstance(name, str) and name.startswith(PREFIXES)]


def _unknown(names: Iterable[str], source: str) -> list[str]:
    problems = []
    for name in sorted(names):
        if name in BY_NAME or name in ALIASES:
            continue
        close = difflib.get_close_matches(name, BY_NAME, n=1, cutoff=0.5)
        hint = f"; did you mean {close[0]}?" if close else "; see the settings in README.md"
        problems.append(f"{name} ({source}) is not a setting{hint}")
    return problems


def _contradictions(values: Mapping[str, Any]) -> list[str]:
    low, high = values["DB_POOL_MIN"], values["DB_POOL_MAX"]
    if high is not None and low > high:
        return [f"DB_POOL_MIN={low} is above DB_POOL_MAX={high}; lower the one or raise the other"]
    return []


def environment_name(environ: Mapping[str, str] | None = None) -> tuple[str, str]:
    """Return which environment this is, and the variable that says so; "" when none does.

    Args:
        environ: the environment; the process's own when None.
    """
    environ = os.environ if environ is None else environ
    named = environ.get("HARDEN_ENV", "").strip().lower()
    if named in ("production", "development", "test"):
        return named, "HARDEN_ENV"
    return _flask_environment(environ)


def variable(name: str) -> str | None:
    """Return a variable of the process that is no setting of ours: what a supervisor or a container sets."""
    return os.environ.get(name)


def _flask_environment(environ: Mapping[str, str]) -> tuple[str, str]:
    named = environ.get("FLASK_ENV", "").strip().lower()
    if named in ("development", "test", "testing"):
        return "development" if named == "development" else "test", "FLASK_ENV"
    if environ.get("FLASK_DEBUG", "").strip().lower() not in FALSE:
        return "development", "FLASK_DEBUG"
    return "production", ""
