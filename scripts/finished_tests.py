"""A pytest plugin that notes each test as it ends, so that a run which stops in the middle can be gone on with.

Loaded by scripts/run_tests.py alone (`-p`; `--finished-tests` names the file). Only pytest's first process writes,
one line per test.
"""

from __future__ import annotations

from pathlib import Path

import pytest

OPTION = "--finished-tests"
OVER = "over"
MARKS = {"passed": ".", "failed": "F"}


class Finished:
    """What such a file says.

    Args:
        path: it need not exist.
    """

    def __init__(self, path: Path) -> None:
        self.path = path

    @property
    def is_over(self) -> bool:
        """Whether pytest came to its own end."""
        return OVER in self._lines()

    def names(self) -> set[str]:
        """Return the tests that ended, whichever way."""
        return {line[2:] for line in self._lines() if line != OVER}

    def failed(self) -> list[str]:
        """Return those that failed, by name."""
        return sorted({line[2:] for line in self._lines() if line.startswith(MARKS["failed"])})

    def last(self) -> float:
        """Return when a test ended last, in seconds since the epoch; 0 for never."""
        try:
            return self.path.stat().st_mtime
        except FileNotFoundError:
            return 0.0

    def _lines(self) -> list[str]:
        try:
            return self.path.read_text(encoding="utf-8").splitlines()
        except FileNotFoundError:
            return []


class Notes:
    """Writes such a file, as a plugin."""

    def __init__(self, path: Path) -> None:
        self.path = path

    def pytest_runtest_logreport(self, report: pytest.TestReport) -> None:
        """Note a test at its teardown, and at whatever failed."""
        if report.failed:
            self._note(f"{MARKS['failed']} {report.nodeid}")
        elif report.when == "teardown":
            self._note(f"{MARKS['passed']} {report.nodeid}")

    def pytest_sessionfinish(self) -> None:
        """Note that all is done."""
        self._note(OVER)

    def _note(self, line: str) -> None:
        with self.path.open("a", encoding="utf-8") as file:
            file.write(f"{line}\n")


def pytest_addoption(parser: pytest.Parser) -> None:
    """Take the file's path."""
    parser.addoption(OPTION, type=Path, help="note each test there as it ends")


def pytest_configure(config: pytest.Config) -> None:
    """Begin to note, unless this is one of xdist's further processes."""
    path = config.getoption(OPTION)
    if path is not None and not hasattr(config, "workerinput"):
        config.pluginmanager.register(Notes(path))
