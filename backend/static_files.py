"""Static files that may be kept for a year: names with a hash of their contents, by `url_for` and without an edit.

    write_hashed("shop/static")     # at release: app.js -> app.3f2a9c1b4d5e.js beside it
    hashed_static(app)       # url_for("static", filename="app.js") is /static/app.3f2a9c1b4d5e.js from now on
    serve_static(app)        # by WhiteNoise, where no nginx serves the folder

nginx as rendered serves the folder and keeps such names for a year; others are kept for five minutes. In
development, without a list of hashed names, nothing changes. What files name inside themselves (`url(...)` in CSS)
stays as it is.
If this is wrong, a browser keeps yesterday's script for a year.
"""

from __future__ import annotations

import hashlib
import importlib
import json
import os
import re
import shutil
from pathlib import Path
from typing import Any

from flask import Flask

LIST = "hashed-names.json"
SHORTEST = 12  # hexadecimal digits
YEAR, MINUTES = 31_536_000, 300
# The front's own rule (deploy/templates/nginx-site.conf.j2): a letter and a digit, or a date would pass for one.
_HASHED = re.compile(r"[.-](?=[0-9]*[a-f])(?=[a-f]*[0-9])[0-9a-f]{8,64}\.[^/]*\Z")


def write_hashed(folder: str | Path) -> dict[str, str]:
    """Copy each file of a folder to a name with its hash, and write the list; same contents, same names.

    Args:
        folder: the static folder of a release.

    Returns:
        the hashed name of each name, both relative to the folder.

    Raises:
        OSError: the folder cannot be read or written.
    """
    folder, names = Path(folder), {}
    for path in sorted(folder.rglob("*")):
        name = path.relative_to(folder).as_posix()
        is_hidden = any(part.startswith(".") for part in Path(name).parts)
        if not path.is_file() or path.is_symlink() or is_hashed(name) or is_hidden or name == LIST:
            continue
        hashed = _hashed_name(name, hashlib.sha256(path.read_bytes()).hexdigest())
        if not (folder / hashed).exists():
            _copy(path, folder / hashed)
        names[name] = hashed
    partial = folder / f".{LIST}.{os.getpid()}"
    partial.write_text(json.dumps(names, indent=1, sort_keys=True) + "\n", encoding="utf-8")
    partial.replace(folder / LIST)
    return names


def is_hashed(name: str) -> bool:
    """Tell whether a name has a hash, as the front sees it."""
    return _HASHED.search(name) is not None


def hashed_static(app: Flask) -> None:
    """Have `url_for("static", ...)` return hashed names, where a release has written the list of them.

    Raises:
        ValueError: the list is there and is none.
    """
    names = _names(app)

    @app.url_defaults
    def add_hash(endpoint: str, values: dict[str, Any]) -> None:
        if endpoint == "static" and values.get("filename") in names:
            values["filename"] = names[values["filename"]]


def serve_static(app: Flask) -> None:
    """Serve the static folder by WhiteNoise, before Flask is asked: hashed names a year, others five minutes.

    Raises:
        RuntimeError: the package whitenoise is not there.
    """
    try:
        library = importlib.import_module("whitenoise")
    except ImportError:
        raise RuntimeError("static files by the app need the package whitenoise: pip install whitenoise") from None
    if app.static_folder is None or not Path(app.static_folder).is_dir():
        return
    served: Any = library.WhiteNoise(
        app.wsgi_app, root=app.static_folder, prefix=(app.static_url_path or "static").strip("/") + "/",
        max_age=MINUTES, immutable_file_test=lambda path, url: is_hashed(url), add_headers_function=_add_headers,
        allow_all_origins=False,
    )  # fmt: skip
    app.wsgi_app = served  # type: ignore[method-assign]


def _names(app: Flask) -> dict[str, str]:
    path = Path(app.static_folder or "/nowhere") / LIST
    if not path.exists():
        return {}
    try:
        names = json.loads(path.read_text(encoding="utf-8"))
        return {str(name): str(hashed) for name, hashed in names.items()}
    except (ValueError, AttributeError):
        raise ValueError(f"{path} is no list of hashed names; write_hashed() writes it anew") from None


def _add_headers(headers: Any, path: str, url: str) -> None:
    headers["X-Content-Type-Options"] = "nosniff"
    if is_hashed(url):
        headers["Cache-Control"] = f"public, max-age={YEAR}, immutable"


def _hashed_name(name: str, digest: str) -> str:
    length = SHORTEST
    path = Path(name)
    while not is_hashed(f".{digest[:length]}.x") and length < len(digest):
        length += 1
    stem, dot, rest = path.name.partition(".")
    return (path.parent / f"{stem}.{digest[:length]}{dot}{rest or ''}").as_posix() if dot else name


def _copy(source: Path, target: Path) -> None:
    partial = target.with_name(f".{target.name}.{os.getpid()}")
    shutil.copy2(source, partial)
    partial.replace(target)
