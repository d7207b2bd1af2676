"""Each tool on one repository: what it is called with, and which of its rules stands for which of ours.

What a tool reports under a rule that has no counterpart here is left out: the comparison is about the faults that
are labelled. Tests are left out as well, since nobody labelled them. A tool that is wrongly translated looks worse
than it is, so the translation stands here in one table each.
"""

from __future__ import annotations

import json
import shutil
import subprocess
import sys
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from importlib.util import find_spec
from pathlib import Path, PurePosixPath
from typing import Any

from ...errors import CommandError
from . import corpus
from .scoring import Row

ROOT = Path(__file__).resolve().parents[3]
LONGEST = 900.0  # seconds for one repository
BANDIT = {
    "B608": "sql-injection", "B201": "debug-on", "B105": "hardcoded-credentials", "B106": "hardcoded-credentials",
    "B107": "hardcoded-credentials",
}  # fmt: skip
RUFF = {
    "S608": "sql-injection", "S201": "debug-on", "S105": "hardcoded-credentials", "S106": "hardcoded-credentials",
    "S107": "hardcoded-credentials",
}  # fmt: skip
SEMGREP = {  # the last part of a rule's id
    "formatted-sql-query": "sql-injection", "sqlalchemy-execute-raw-query": "sql-injection",
    "psycopg-sqli": "sql-injection", "tainted-sql-string": "sql-injection", "debug-enabled": "debug-on",
    "avoid_hardcoded_config_DEBUG": "debug-on", "avoid_hardcoded_config_SECRET_KEY": "hardcoded-credentials",
    "jwt-python-hardcoded-secret": "hardcoded-credentials", "detected-generic-secret": "hardcoded-credentials",
    "hardcoded-password-default-argument": "hardcoded-credentials",
    "python-psycopg2-hardcoded-secret": "hardcoded-credentials",
}  # fmt: skip
Translate = Callable[[Any, str, Path], Iterator[Row]]


@dataclass(frozen=True)
class Tool:
    """One tool.

    Attributes:
        command: What it is started with, before the folder.
        rows: From what it printed, the repository's name and its folder to rows.
        version: Prints its version.
        codes: The exit codes of a run that went well.
        seconds: Of each repository that it looked at, by name.
    """

    name: str
    command: tuple[str, ...]
    rows: Translate
    version: tuple[str, ...]
    codes: tuple[int, ...] = (0,)
    seconds: dict[str, float] = field(default_factory=dict)

    def look(self, repo: str, folder: Path) -> list[Row]:
        """Return what it reports of a repository, and note how long it took.

        Raises:
            CommandError: It failed, or printed no JSON.
        """
        started = time.monotonic()
        try:
            done = subprocess.run(
                [*self.command, str(folder.resolve())], capture_output=True, text=True, errors="replace",
                timeout=LONGEST, stdin=subprocess.DEVNULL, cwd=ROOT,
            )  # fmt: skip
        except subprocess.TimeoutExpired:
            raise CommandError(f"{self.name} took more than {LONGEST:.0f} s for {folder}") from None
        self.seconds[repo] = time.monotonic() - started
        try:
            found = json.loads(done.stdout) if done.returncode in self.codes else None
        except ValueError:
            found = None
        if found is None:
            lines = done.stderr.strip().splitlines() or [f"exit code {done.returncode}"]
            raise CommandError(f"{self.name} failed on {folder}: {lines[-1]}")
        return [row for row in self.rows(found, repo, folder) if not _is_test(row.path)]


def ours() -> Tool:
    """The audit."""
    harden = (sys.executable, "-c", "import sys; from scripts.cli import main; sys.exit(main(sys.argv[1:]))")
    command = (*harden, "audit", "--format", "json", "--fail-on", "never")
    return Tool("ours", command, lambda found, repo, _: corpus.rows(found, repo), (*harden, "--version"), (0, 2))


def peers(semgrep_rules: Path | None) -> dict[str, Tool | str]:
    """Return the peers by name; one that cannot run here is the reason why.

    Args:
        semgrep_rules: A folder of semgrep's rules; it would fetch them from the network otherwise.
    """
    return {"bandit": _bandit(), "ruff": _ruff(), "semgrep": _semgrep(semgrep_rules)}


def _bandit() -> Tool | str:
    if find_spec("bandit") is None:
        return "bandit is not installed (pip install bandit)"
    start = (sys.executable, "-m", "bandit")
    return Tool("bandit", (*start, "-q", "-f", "json", "--exit-zero", "-r"), _of_bandit, (*start, "--version"))


def _ruff() -> Tool | str:
    ruff = _program("ruff")
    if ruff is None:
        return "ruff is not installed (pip install ruff)"
    options = ("check", "--select", "S", "--isolated", "--no-cache", "--no-respect-gitignore", "--exit-zero",
               "--output-format", "json")  # fmt: skip
    return Tool("ruff", (ruff, *options), _of_ruff, (ruff, "--version"))


def _semgrep(rules: Path | None) -> Tool | str:
    semgrep = _program("semgrep")
    if semgrep is None:
        return "semgrep is not installed (pipx install semgrep)"
    if rules is None:
        return "semgrep fetches its rules from the network; give --semgrep-rules DIR"
    options = ("scan", "--config", str(rules), "--json", "--quiet", "--metrics", "off", "--disable-version-check",
               "--no-git-ignore")  # fmt: skip
    return Tool("semgrep", (semgrep, *options), _of_semgrep, (semgrep, "--version"))


def version(tool: Tool) -> str:
    """Return a tool's version, the first thing in its output that looks like one."""
    done = subprocess.run(
        tool.version, capture_output=True, text=True, errors="replace", stdin=subprocess.DEVNULL, cwd=ROOT
    )
    words = done.stdout.split()
    return next((word for word in words if word[:1].isdigit()), "unknown")


def _program(name: str) -> str | None:
    """Return a program beside the interpreter, or on the path."""
    beside = Path(sys.executable).with_name(name)
    return str(beside) if beside.is_file() else shutil.which(name)


def _of_bandit(found: Any, repo: str, folder: Path) -> Iterator[Row]:
    for each in found["results"]:
        last = max([each["line_number"], *each["line_range"]])
        yield from _row(BANDIT, each["test_id"], repo, folder, each["filename"], each["line_number"], last)


def _of_ruff(found: Any, repo: str, folder: Path) -> Iterator[Row]:
    for each in found:
        first, last = each["location"]["row"], each["end_location"]["row"]
        yield from _row(RUFF, each["code"], repo, folder, each["filename"], first, last)


def _of_semgrep(found: Any, repo: str, folder: Path) -> Iterator[Row]:
    seen = set()  # several of its rules say the same of a line
    for each in found["results"]:
        rule = each["check_id"].rpartition(".")[2]
        for row in _row(SEMGREP, rule, repo, folder, each["path"], each["start"]["line"], each["end"]["line"]):
            if row not in seen:
                seen.add(row)
                yield row


def _row(
    rules: Mapping[str, str], rule: str | None, repo: str, folder: Path, file: str, first: int, last: int
) -> Sequence[Row]:
    if rule is None or rule not in rules:
        return ()
    path = Path(file).resolve().relative_to(folder.resolve()).as_posix()
    return (Row(repo, path, first, max(first, last), rules[rule]),)


def _is_test(path: str) -> bool:
    place = PurePosixPath(path)
    return place.name.startswith("test_") or "tests" in place.parts[:-1]
