"""A run's JSON as data, refused with one sentence where it is something else.

Keys that are not known are passed over, so that a newer run can be read by an older kit of the same version.
"""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from ...errors import CommandError

KIND, VERSION = "harden-load", 1
LARGEST_BYTES = 64 * 1024 * 1024
LONGEST = 200  # characters of a text that is shown
FIGURES = (
    "p50_ms", "p75_ms", "p90_ms", "p95_ms", "p99_ms", "p999_ms", "max_ms", "mean_ms", "rps", "service_p50_ms",
    "service_p95_ms", "service_p99_ms",
)  # fmt: skip


class ReportError(CommandError):
    """A file that is no run."""


@dataclass(frozen=True)
class Part:
    """The figures of one step, or of all; latencies are milliseconds, None for too few samples.

    Attributes:
        curve: percent and milliseconds.
    """

    answered: int
    failed: int
    error_kinds: Mapping[str, int]
    values: Mapping[str, float | None]
    curve: Sequence[tuple[float, float]]

    def __getitem__(self, name: str) -> float | None:
        return self.values[name]

    @property
    def error_share(self) -> float:
        """Failed requests of all, 0 to 1."""
        return self.failed / max(self.answered + self.failed, 1)


@dataclass(frozen=True)
class Run:
    """One run."""

    label: str
    date: str
    command: str
    machine: Mapping[str, Any]
    target: str
    scenario: str
    think: str
    model: str
    users: int
    rate: float | None
    seconds: float
    ramp: float
    warmup: float
    totals: Part
    steps: Mapping[str, Part]
    timeline: Sequence[Mapping[str, float | None]]
    generator_cpu: float
    generator_lag_ms: float | None
    warnings: Sequence[str]
    budgets: Sequence[tuple[str, str, bool]]

    @property
    def people(self) -> str:
        """Who asked, in words."""
        return f"{self.users:,} users" if self.rate is None else f"{self.rate:g} arrivals/s"


def read_runs(paths: Sequence[Path]) -> list[Run]:
    """Return the runs of some files.

    Raises:
        ReportError: one cannot be read or is no run; says which.
    """
    return [_read(path) for path in paths]


def _read(path: Path) -> Run:
    try:
        with path.open("rb") as file:
            data = file.read(LARGEST_BYTES + 1)
    except OSError as error:
        why = f"cannot read {path}: {error.strerror}"
        raise ReportError(f"{why}; give files that harden load --json wrote") from None
    if len(data) > LARGEST_BYTES:
        raise ReportError(f"{path} is larger than {LARGEST_BYTES >> 20} MiB; it is no run")
    try:
        document = json.loads(data)
    except (ValueError, RecursionError):
        raise ReportError(f"{path} is no JSON; give files that harden load --json wrote") from None
    return parse_run(document, str(path))


def parse_run(document: Any, name: str = "the run") -> Run:
    """Return the run of a document.

    Raises:
        ReportError: it is none.
    """
    if not isinstance(document, dict) or document.get("kind") != KIND:
        raise ReportError(f"{name} is no run of harden load; give a file that harden load --json wrote")
    if document.get("version") != VERSION:
        found = document.get("version")
        raise ReportError(f"{name} is of version {found!r}, this kit reads {VERSION}; measure anew")
    try:
        return _run(document)
    except (KeyError, TypeError, ValueError, AttributeError) as error:
        raise ReportError(f"{name} is damaged ({type(error).__name__}: {error}); measure anew") from None


def _run(document: Mapping[str, Any]) -> Run:
    scenario, generator = document["scenario"], document["generator"]
    return Run(
        label=_text(document["label"]),
        date=_text(document["date"]),
        command=_text(document["command"], 2000),
        machine={_text(name): value for name, value in document["machine"].items()},
        target=_text(document["target"]),
        scenario=_text(scenario["name"]),
        think=_text(scenario["think"]),
        model=_text(document["model"]),
        users=int(document["users"]),
        rate=_number(document["rate"]),
        seconds=float(document["seconds"]),
        ramp=float(document.get("ramp", 0.0)),
        warmup=float(document.get("warmup", 0.0)),
        totals=_part(document["totals"]),
        steps={_text(name): _part(part) for name, part in document["steps"].items()},
        timeline=[{name: _number(value) for name, value in second.items()} for second in document["timeline"]],
        generator_cpu=float(generator["cpu"]),
        generator_lag_ms=_number(generator["lag_ms"]),
        warnings=[_text(line, 1000) for line in document["warnings"]],
        budgets=[
            (_text(each["text"]), _text(each["reached"]), bool(each["holds"])) for each in document["budgets"]
        ],
    )


def _part(given: Mapping[str, Any]) -> Part:
    return Part(
        int(given["answered"]),
        int(given["failed"]),
        {_text(kind): int(count) for kind, count in given["error_kinds"].items()},
        {name: _number(given.get(name)) for name in FIGURES},
        [(float(percent), float(value)) for percent, value in given.get("curve", [])],
    )


def _number(value: Any) -> float | None:
    return None if value is None else float(value)


def _text(value: Any, longest: int = LONGEST) -> str:
    """Return a text as one line of printable signs, since it is shown in a terminal."""
    shown = str(value)[:longest]
    return " ".join("".join(sign if sign.isprintable() else " " for sign in shown).split())
