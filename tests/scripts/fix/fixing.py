"""Writes a small repository, runs fixers over it and says what came of it."""

from __future__ import annotations

import tempfile
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from textwrap import dedent

from scripts.audit.model.reading import parsed
from scripts.fix.engine import Options, fix
from scripts.fix.fixer import Change, Fixer, Left
from scripts.fix.fixers import fixers_of
from scripts.fix.result import Result
from scripts.fix.source import Source


@dataclass(frozen=True)
class Outcome:
    """What came of it.

    Attributes:
        files: Every file's text afterwards, with "\\n" as line end; `bytes` has it exactly.
        left: The findings of the fixers' rules that are left alone.
        unsafe: The changes that are only made with `unsafe=True`.
    """

    files: dict[str, str]
    changes: tuple[Change, ...]
    left: tuple[Left, ...]
    unsafe: tuple[Change, ...]
    bytes: dict[str, bytes]
    result: Result

    @property
    def reasons(self) -> list[str]:
        """Why findings are left alone."""
        return [each.reason for each in self.left]


def fixed(files: Mapping[str, str | bytes], *rules: str, kit: str = "hardened", unsafe: bool = False) -> Outcome:
    """Return what the fixers of these rules make of files; texts are dedented, bytes are taken as they are.

    It is asserted that each Python file parses, that no fixer fails, and that a second run changes nothing.
    """
    fixers = fixers_of(*rules)
    assert fixers, f"no fixer answers {rules}; is it in FIXERS?"
    return fixed_by(fixers, files, *rules, kit=kit, unsafe=unsafe)


def fixed_by(
    fixers: tuple[Fixer, ...], files: Mapping[str, str | bytes], *rules: str, kit: str = "hardened",
    unsafe: bool = False,
) -> Outcome:  # fmt: skip
    """Do the same with fixers that need not be in FIXERS."""
    options = Options(fixers, frozenset(rules), kit, unsafe)
    with tempfile.TemporaryDirectory() as folder:
        root = Path(folder) / "app"
        written = {path: text if isinstance(text, bytes) else dedent(text).lstrip("\n").encode()
                   for path, text in files.items()}  # fmt: skip
        _write(root, written)
        first = fix(root, options)
        assert _read(root) == written, "the repository itself was changed"
        after = written | {each.path: each.after for each in first.files}
        _write(root, after)
        again = fix(root, options)
    failed = [each.reason for each in (*first.left, *again.left) if "fixer failed" in each.reason]
    assert not failed, failed
    assert [each.path for each in again.files] == [], "a second run changes something"
    for path, data in after.items():
        if path.endswith(".py") and _parses(written.get(path, b"")):
            assert _parses(data), f"{path} does not parse any more:\n{data.decode(errors='replace')}"
    texts = {path: data.decode("latin-1" if b"latin-1" in data[:99] else "utf-8").replace("\r\n", "\n")
             for path, data in after.items()}  # fmt: skip
    return Outcome(texts, first.changes, first.left, first.unsafe, after, first)


def _write(root: Path, files: Mapping[str, bytes]) -> None:
    for path, data in files.items():
        (root / path).parent.mkdir(parents=True, exist_ok=True)
        (root / path).write_bytes(data)


def _read(root: Path) -> dict[str, bytes]:
    return {path.relative_to(root).as_posix(): path.read_bytes() for path in root.rglob("*") if path.is_file()}


def _parses(data: bytes) -> bool:
    try:
        parsed(Source.read("", data).text)
    except (SyntaxError, ValueError):
        return False
    return True
