"""Holds a lock of PostgreSQL while migrations run, so that of several hosts one migrates at a time.

Run as a program, by the python of the release, which has psycopg2; must import nothing of ours. The lock is the
session's: when this ends, however it ends, PostgreSQL lets go of it.
"""

from __future__ import annotations

import hashlib
import os
import subprocess
import sys
import time

TRY = "select pg_try_advisory_lock(%s)"


def main() -> int:
    """Run HARDEN_MIGRATE under the lock; returns its exit code, 75 when the lock was not to be had."""
    import psycopg2  # type: ignore[import-untyped,unused-ignore]

    command = os.environ.pop("HARDEN_MIGRATE")
    key = lock_key(os.environ.pop("HARDEN_MIGRATE_LOCK"))
    deadline = time.monotonic() + float(os.environ.pop("HARDEN_MIGRATE_WAIT"))
    try:
        connection = psycopg2.connect(os.environ["DATABASE_URL"], application_name="harden migrate")
    except psycopg2.OperationalError as error:
        print(f"no connection to PostgreSQL: {' '.join(str(error).split())}", file=sys.stderr)
        return 75
    connection.autocommit = True
    with connection.cursor() as cursor:
        waits = False
        while not _is_mine(cursor, key):
            if not waits:
                print("another host migrates; waiting", flush=True)
                waits = True
            if time.monotonic() > deadline:
                print("another host still migrates; try again when it is done", file=sys.stderr)
                return 75
            time.sleep(0.5)
        code = subprocess.run(["/bin/sh", "-c", command]).returncode
    connection.close()
    return code if code >= 0 else 128 - code


def lock_key(name: str) -> int:
    """Return the number of the lock of a name: 63 bits, the same on every host."""
    return int.from_bytes(hashlib.sha256(name.encode()).digest()[:8], "big") >> 1


def _is_mine(cursor: object, key: int) -> bool:
    cursor.execute(TRY, (key,))  # type: ignore[attr-defined]
    return bool(cursor.fetchone()[0])  # type: ignore[attr-defined]


if __name__ == "__main__":
    sys.exit(main())
