"""The SQLite file: opened read-only, looked over, and held still by one read transaction until all is verified.

If this is wrong, the copy mixes two moments of the app's data, or the tool writes to the only copy there is.
"""

from __future__ import annotations

import hashlib
import sqlite3
from pathlib import Path

from ..errors import CommandError

HEADER = b"SQLite format 3\x00"  # https://www.sqlite.org/fileformat.html, section 1.3
LOCK_TIMEOUT = 10.0  # seconds
SHOWN = 5  # findings of a check in one message


class Source:
    """An open SQLite file.

    Attributes:
        path: the file.
        connection: read-only, inside a transaction.
        encoding: of its texts, in Python's words.
    """

    def __init__(self, path: Path) -> None:
        self.path = path
        _refuse_what_is_no_database(path)
        self._before = _stamp(path)
        self.connection = _connect(path)
        self._version = int(self.connection.execute("PRAGMA data_version").fetchone()[0])
        try:
            self.connection.execute("BEGIN")
            self.connection.execute("SELECT count(*) FROM sqlite_master").fetchone()  # takes the read lock
            name = str(self.connection.execute("PRAGMA encoding").fetchone()[0])
        except sqlite3.Error as error:
            raise CommandError(_reason(path, error)) from None
        self.encoding = {"UTF-8": "utf-8", "UTF-16le": "utf-16-le", "UTF-16be": "utf-16-be"}[name]

    @property
    def identity(self) -> str:
        """Return what tells this file from another one, and from itself after a write."""
        size, changed, header = self._before
        return hashlib.sha256(f"{size} {changed} {header}".encode()).hexdigest()

    @property
    def size(self) -> int:
        """Return the file's size in bytes, with its write-ahead log."""
        wal = self.path.with_name(self.path.name + "-wal")
        return self.path.stat().st_size + (wal.stat().st_size if wal.exists() else 0)

    def damage(self, thorough: bool) -> list[str]:
        """Return what SQLite's own check finds: quick_check, or with `thorough` integrity_check."""
        pragma = "integrity_check" if thorough else "quick_check"
        try:
            rows = [str(row[0]) for row in self.connection.execute(f"PRAGMA {pragma}({SHOWN})")]
        except sqlite3.DatabaseError as error:
            return [str(error)]
        return [] if rows == ["ok"] else [" ".join(row.split()) for row in rows]

    def changed(self) -> bool:
        """Return whether somebody wrote to the file since it was opened; ends the read transaction."""
        self.connection.execute("COMMIT")
        version = int(self.connection.execute("PRAGMA data_version").fetchone()[0])
        return version != self._version or _stamp(self.path)[::2] != self._before[::2]

    def close(self) -> None:
        """Let go of the file."""
        self.connection.close()


def _refuse_what_is_no_database(path: Path) -> None:
    try:
        with path.open("rb") as file:
            start = file.read(100)
    except OSError as error:
        raise CommandError(f"cannot read {path}: {error.strerror}") from None
    if not start:
        raise CommandError(f"{path} is empty (0 bytes); SQLite makes such a file when the app opens a wrong path: "
                           "look for the real one")  # fmt: skip
    if not start.startswith(HEADER):
        raise CommandError(f"{path} is no SQLite 3 file (its first 16 bytes are not SQLite's); an encrypted one "
                           "(SQLCipher) has to be exported first with sqlcipher_export")  # fmt: skip


def _connect(path: Path) -> sqlite3.Connection:
    uri = path.resolve().as_uri() + "?mode=ro"
    try:
        connection = sqlite3.connect(uri, uri=True, timeout=LOCK_TIMEOUT, isolation_level=None)
        connection.execute("PRAGMA query_only = on")
        connection.execute("PRAGMA cell_size_check = on")  # a damaged page is an error, not a wrong value
        connection.execute("PRAGMA schema_version").fetchone()
    except sqlite3.Error as error:
        raise CommandError(_reason(path, error)) from None
    return connection


def _reason(path: Path, error: sqlite3.Error) -> str:
    text = str(error)
    if "locked" in text or "busy" in text:
        return (f"{path} is locked by another process, for {LOCK_TIMEOUT:.0f} s already; stop the app "
                f"(fuser {path} names who has it open), then run this again")  # fmt: skip
    if "readonly" in text:
        return (f"{path} has a journal of a write that was cut off ({path.name}-journal); copy both files and "
                "open the copy once with sqlite3, which finishes the rollback, then give the copy")  # fmt: skip
    if "unable to open" in text:
        return (f"cannot open {path}: {text}; a file in WAL mode needs its -wal beside it and a folder this user "
                "may write to, so give a copy made with: sqlite3 FILE '.backup COPY'")  # fmt: skip
    return f"cannot read {path}: {text}; try: sqlite3 {path} .recover | sqlite3 recovered.db"


def _stamp(path: Path) -> tuple[int, int, str]:
    """Return size, time of the last change (ns) and the header with its change counter."""
    stat = path.stat()
    with path.open("rb") as file:
        return stat.st_size, stat.st_mtime_ns, file.read(100).hex()
