"""Sends requests in threads to the apps of a folder, and prints what came back: `drive.py FOLDER THREADS`.

Each subfolder has an app of its own, and a database schema of the same name. Run in a process of its own, since
adopting an app changes psycopg2 for all of it.
"""

from __future__ import annotations

import importlib
import json
import os
import sys
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

REQUESTS = 24


def answers(app: Any, number: int) -> dict[str, Any]:
    """Return what one visitor gets: a page that reads, one that writes, and one that fails."""
    client = app.test_client()
    found: dict[str, Any] = {}
    for path in (f"/read/{number % 3}", f"/add/{number}", f"/read/{number % 3}", f"/fail/{number}"):
        answer = client.post(path) if path.startswith("/add") else client.get(path)
        found[path] = [answer.status_code, answer.get_data(as_text=True)]
    return found


def driven(folder: Path, threads: int, dsn: str) -> dict[str, Any]:
    """Import an app and return its answers, with the figures of the pools that it made."""
    os.environ["DSN"] = f"{dsn} options='-c search_path={folder.name}'"
    known = len(_pools())
    sys.path.insert(0, str(folder))
    app = importlib.import_module("app").app
    del sys.modules["app"], sys.path[0]
    app.logger.disabled = True
    found = answers(app, 0)  # what an app makes at first use is made
    with ThreadPoolExecutor(threads) as pool:
        for each in pool.map(lambda number: answers(app, number), range(1, REQUESTS)):
            found.update(each)
    return {"answers": found, "pools": _pools()[known:]}


def _pools() -> list[dict[str, Any]]:
    """Return the figures of the pools behind psycopg2.connect; none when nothing is pooled."""
    if "hardened" not in sys.modules:
        return []
    dropin = importlib.import_module("hardened.dropin").installed()
    return dropin.stats() if dropin else []


def main(folder: str, threads: int) -> None:
    """Drive all apps of a folder."""
    sys.path.insert(0, folder)
    apps = sorted(path.parent for path in Path(folder).glob("*/app.py"))
    dsn = os.environ["DSN"]
    print(json.dumps({app.name: driven(app, threads, dsn) for app in apps}))


if __name__ == "__main__":
    main(sys.argv[1], int(sys.argv[2]))
