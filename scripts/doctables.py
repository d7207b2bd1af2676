"""Keeps the tables in README.md and docs/ equal to what the code says: settings, errors, commands, options.

    python -m scripts.doctables           rewrites them
    python -m scripts.doctables --check   exits 1 when one has drifted (the tests run this)
"""

from __future__ import annotations

import argparse
import dataclasses
import importlib
import inspect
import re
import sys
from pathlib import Path

from backend import PoolOptions, errors, metric_names, settings
from backend.pool_options import CHOICES
from deploy.description_example import key_tables

from .atomic import write_atomically
from .audit.report.rule_pages import page as rule_page
from .audit.rules import RULES
from .cli import VERBS
from .doctor.rules import RULES as DOCTOR_RULES
from .fix.fixers import FIXERS

ROOT = Path(__file__).resolve().parent.parent
README = ROOT / "README.md"
PAGES = (README, *(ROOT / "docs" / f"{name}.md" for name in (
    "pool", "metrics", "describe", "audit-rules", "doctor-rules", "fix",
)))  # fmt: skip
UNITS = {"s": "seconds", "ms": "milliseconds", "count": "", "": ""}


def settings_table() -> str:
    """Return the settings, essential ones first, in the order of the code's table."""
    rows = ["| setting | default | what it is |", "| --- | --- | --- |"]
    for group in ("essential", "frequent", "rare"):
        for setting in settings.TABLE:
            if setting.group == group:
                rows.append(f"| `{setting.name}` | {_default(setting)} | {setting.text} |")
    return "\n".join(rows)


def _default(setting: settings.Setting) -> str:
    if setting.default is None:
        return "unset"
    value = f"{setting.default:g}" if isinstance(setting.default, float) else str(setting.default)
    return " ".join(filter(None, (f"`{value}`", UNITS[setting.unit])))


def error_codes() -> dict[str, type[errors.HardenError]]:
    """Return every public error of the runtime by its code."""
    found = {}
    for value in vars(errors).values():
        if isinstance(value, type) and issubclass(value, errors.HardenError) and "code" in vars(value):
            found[value.code] = value
    return dict(sorted(found.items()))


def errors_table() -> str:
    """Return the errors with their codes and their first sentences."""
    rows = ["| code | error | when |", "| --- | --- | --- |"]
    for code, error in error_codes().items():
        if error is not errors.HardenError:
            summary = (error.__doc__ or "").strip().splitlines()[0]
            rows.append(f"| {code} | `{error.__name__}` | {summary} |")
    return "\n".join(rows)


def commands_table() -> str:
    """Return the verbs with their options."""
    rows = ["| command | what it does | options |", "| --- | --- | --- |"]
    for verb, (module, summary) in VERBS.items():
        parser = argparse.ArgumentParser(add_help=False)
        importlib.import_module(module).add_arguments(parser)
        parts = parts_of(parser)
        for name, part in parts.items():
            rows.append(f"| `scripts/harden {verb} {name}` | {part.description} | {_options(part)} |")
        if not parts:
            rows.append(f"| `scripts/harden {verb}` | {summary} | {_options(parser)} |")
    return "\n".join(rows)


def parts_of(parser: argparse.ArgumentParser) -> dict[str, argparse.ArgumentParser]:
    """Return the parsers of a verb's second word, by that word; empty when it has none."""
    for action in parser._actions:
        if isinstance(action, argparse._SubParsersAction):
            return dict(action.choices)
    return {}


def _options(parser: argparse.ArgumentParser) -> str:
    names = [action.option_strings[-1] for action in parser._actions if action.option_strings]
    return ", ".join(f"`{name}`" for name in names if name != "--help")


def options_table() -> str:
    """Return a pool's options with their defaults and the docstring's words."""
    texts = attributes_of(PoolOptions)
    rows = ["| option | default | what it is |", "| --- | --- | --- |"]
    for field in dataclasses.fields(PoolOptions):
        default = getattr(field.default, "__name__", None) or field.default
        choices = f" (`{'`, `'.join(CHOICES[field.name])}`)" if field.name in CHOICES else ""
        rows.append(f"| `{field.name}` | `{default}`{choices} | {texts[field.name]} |")
    return "\n".join(rows)


def attributes_of(documented: type) -> dict[str, str]:
    """Return the texts of a docstring's Attributes section by name."""
    section = inspect.cleandoc(documented.__doc__ or "").partition("Attributes:\n")[2].partition("\n\n")[0]
    found = re.findall(r"^    (\w+): (.*(?:\n {8}.*)*)", section, re.MULTILINE)
    return {name: re.sub(r"\s+", " ", text) for name, text in found}


def metrics_table() -> str:
    """Return the metrics as they are named on `/metrics`."""
    rows = ["| metric | kind | labels | what it says |", "| --- | --- | --- | --- |"]
    for metric in metric_names.TABLE:
        name = metric.name + ("_total" if metric.kind == "counter" else "")
        labels = ", ".join(f"`{label}`" for label in metric.labels)
        rows.append(f"| `{name}` | {metric.kind} | {labels} | {metric.help} |")
    return "\n".join(rows)


def fixers_table() -> str:
    """Return the fixers in the order in which they run, with what they leave alone."""
    rows = ["| rule | what is done | left alone |", "| --- | --- | --- |"]
    for fixer in sorted(FIXERS, key=lambda each: (each.stage, each.rules)):
        rules = ", ".join(f"`{rule}`" for rule in fixer.rules)
        rows.append(f"| {rules} | {fixer.title} | {' '.join(fixer.leaves_alone)} |")
    return "\n".join(rows)


TABLES = {
    "settings": settings_table,
    "errors": errors_table,
    "commands": commands_table,
    "pool options": options_table,
    "metrics": metrics_table,
    "describe": key_tables,
    "fixers": fixers_table,
    "audit rules": lambda: rule_page(RULES),
    "doctor rules": lambda: rule_page(DOCTOR_RULES),
}


def filled(text: str) -> str:
    """Return the text with each marked table as the code says it is.

    Raises:
        ValueError: a mark names a table that there is not.
    """
    for name in re.findall(r"<!-- table: (.*?) -->", text):
        if name not in TABLES:
            raise ValueError(f"there is no table {name!r}; there are {', '.join(TABLES)}")
        pattern = re.compile(rf"(<!-- table: {name} -->\n).*?(<!-- end: {name} -->)", re.DOTALL)
        fresh = TABLES[name]()
        text = pattern.sub(lambda found, fresh=fresh: f"{found[1]}{fresh}\n{found[2]}", text)  # type: ignore[misc]
    return text


def main(arguments: list[str]) -> int:
    """Rewrite or check; returns the exit code."""
    drifted = 0
    for page in PAGES:
        text = page.read_text(encoding="utf-8")
        fresh = filled(text)
        if "--check" not in arguments:
            write_atomically(page, fresh)
        elif fresh != text:
            advice = "run: .venv/bin/python -m scripts.doctables"
            print(f"{page.name} has drifted from the code; {advice}", file=sys.stderr)
            drifted = 1
    return drifted


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
