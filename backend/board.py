"""One worker's figures in a file that is mapped into its memory, where they outlive the worker.

An increment is a store into shared memory, a tenth of a microsecond; `kill -9` loses none, because the pages are
the kernel's. Nothing is sent, locked between processes, or written at exit.

    8 bytes   what kind of file this is, and its version
    8 bytes   which table of metrics its cells follow
    8 bytes   where the list of series ends (a whole number)
    ...       the list: a JSON line per series, [metric, [label values], first cell, cells]
    ...       the cells, 8-byte floats

prometheus_client's own multiprocess mode does not fit here: it has to be set by an environment variable before
its import, it then changes the app's own metrics as well, leaves a file per worker for ever unless somebody
tells it of each death, and a full folder kills the process (SIGBUS at a store into a page that cannot be had).
Here the pages are asked for when the file is made; where they cannot be had, the figures live in this process's
own memory, and that is logged.
Must not import Flask or the pool. If this is wrong, totals are.
"""

from __future__ import annotations

import errno
import json
import logging
import mmap
import os
import struct
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

from .summed_log import SummedLog

log = logging.getLogger(__name__)
_unreadable = SummedLog(log, 600.0)  # it comes back at each scrape
MAGIC = b"HARDENB1"
SIZE, LIST_AT, CELLS_AT = 1 << 20, 24, 1 << 19
MOST_CELLS = (SIZE - CELLS_AT) // 8
WASTE = 64  # cells at the front that nobody reads: for what has no room at all
_HEAD = struct.Struct("<8s8sQ")


@dataclass(frozen=True)
class Series:
    """One series of a board, as a reader sees it."""

    metric: str
    labels: tuple[str, ...]
    values: tuple[float, ...]


class Board:
    """This worker's own board. Not locked: one lock of the caller's guards cells and series alike.

    Args:
        path: the file to make; None for the process's own memory.
        schema: 8 bytes; boards with others are not read together.

    Attributes:
        path: where it is; None when only this process can see it.
        cells: the numbers. `board.cells[at] += 1`
    """

    def __init__(self, path: Path | None, schema: bytes) -> None:
        self.path, self._memory = _mapped(path)
        self._list_end, self._free = LIST_AT, WASTE
        self._memory[:LIST_AT] = _HEAD.pack(MAGIC, schema, LIST_AT)
        self.cells = memoryview(self._memory)[CELLS_AT:].cast("d")

    def series(self, metric: str, labels: Sequence[str], cells: int) -> int | None:
        """Make a series; the caller keeps in mind which there are.

        Args:
            metric: its name.
            labels: their values.
            cells: how many numbers it takes.

        Returns:
            its first cell; None when there is no room.
        """
        line = json.dumps([metric, list(labels), self._free, cells]).encode() + b"\n"
        end = self._list_end + len(line)
        if end > CELLS_AT or self._free + cells > MOST_CELLS:
            return None
        self._memory[self._list_end : end] = line
        struct.pack_into("<Q", self._memory, 16, end)  # only now is the line there for readers
        first, self._list_end, self._free = self._free, end, self._free + cells
        return first

    def read(self) -> list[Series]:
        """Return what is on it."""
        return list(parse(bytes(self._memory), bytes(self._memory[8:16])))

    def close(self) -> None:
        """Let go of the memory; the file stays. A forked child does so with its parent's."""
        self.cells.release()
        self._memory.close()


def read(path: Path, schema: bytes) -> list[Series] | None:
    """Return what is on another worker's board.

    Returns:
        None when there is no such file; nothing of what is no board, or one with another schema.
    """
    try:
        with path.open("rb") as file:
            return list(parse(file.read(SIZE), schema))
    except FileNotFoundError:
        return None
    except (OSError, ValueError, TypeError, RecursionError, struct.error) as error:
        _unreadable.warning(f"cannot read the figures in {path}: {error}")
        return []


def parse(data: bytes, schema: bytes) -> Iterator[Series]:
    """Yield the series of a board's bytes.

    Raises:
        ValueError: they are no board.
    """
    if len(data) != SIZE:
        raise ValueError(f"{len(data)} bytes instead of {SIZE}")
    magic, its_schema, end = _HEAD.unpack_from(data)
    if magic == bytes(8) or its_schema != schema:
        return  # just being made, or by a release with other metrics
    if magic != MAGIC or not LIST_AT <= end <= CELLS_AT:
        raise ValueError("not a board")
    for line in data[LIST_AT:end].splitlines():
        metric, labels, first, cells = json.loads(line)
        values = struct.unpack_from(f"={cells}d", data, CELLS_AT + 8 * first)
        yield Series(str(metric), tuple(map(str, labels)), values)


def _mapped(path: Path | None) -> tuple[Path | None, mmap.mmap]:
    """Return a file's memory, or memory alone where there can be no such file."""
    if path is None:
        return None, mmap.mmap(-1, SIZE)
    try:
        return path, _file(path)
    except (OSError, ValueError) as error:
        _unlink(path)
        log.warning("cannot share this worker's figures (%s); it shows them alone; see HARDEN_RUN_DIR", error)
        return None, mmap.mmap(-1, SIZE)


def _file(path: Path) -> mmap.mmap:
    file = os.open(path, os.O_RDWR | os.O_CREAT | os.O_EXCL | os.O_CLOEXEC | os.O_NOFOLLOW, 0o600)
    try:
        # Every page now: in a sparse file on a full disk the first store into a new one ends the process.
        if hasattr(os, "posix_fallocate"):
            os.posix_fallocate(file, 0, SIZE)
        elif os.write(file, bytes(SIZE)) < SIZE:  # macOS
            raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))
        return mmap.mmap(file, SIZE, mmap.MAP_SHARED)
    finally:
        os.close(file)


def _unlink(path: Path) -> None:
    try:
        path.unlink(missing_ok=True)
    except OSError:
        pass  # the folder itself cannot be used, which is why we are here
