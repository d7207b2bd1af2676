"""The files that a repository needs beside the copy: how it is started, configured, and what it requires.

Made where they are missing; a person's file is never changed, except that lines are added to requirements.txt.
"""

from __future__ import annotations

import codecs
import json
import re
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

from ..init.document import document
from ..init.draft import draft_of
from ..init.repository import Repository
from ..init.target import find_target
from .place import Place

_ROOT = Path(__file__).resolve().parents[2]
REQUIRED = {"flask": "flask", "psycopg2": "psycopg2-binary>=2.9", "gunicorn": "gunicorn>=27"}
_SAME = {"psycopg2-binary": "psycopg2"}
_OTHERS = ("pyproject.toml", "Pipfile", "setup.cfg", "setup.py", "environment.yml")
_BOMS = ((codecs.BOM_UTF16_LE, "utf-16"), (codecs.BOM_UTF16_BE, "utf-16"), (codecs.BOM_UTF8, "utf-8-sig"))

WSGI = '''\
"""What Gunicorn serves: `gunicorn -c gunicorn.conf.py wsgi:application`."""

import os{path}

os.environ.setdefault("HARDEN_APP", {target})

from {package}.serving import create_application  # noqa: E402

application = create_application()
'''


@dataclass(frozen=True)
class Beside:
    """A file beside the copy.

    Attributes:
        path: Relative to the repository.
        data: What is to be in it; None when nothing is written.
        told: What is said of it.
    """

    path: str
    data: bytes | None
    told: str


def beside(place: Place) -> Iterator[Beside]:
    """Yield what is to be written, and what is left as it is."""
    repository = Repository(place.root)
    found, candidate = find_target(repository)
    target = str(found.value) if candidate is not None else ""
    if not place.is_at_root:
        parent, name = place.folder.rpartition("/")[0], place.package
        yield Beside("wsgi.py", None, f"not made: {parent}/ is no package, so {name} is imported from there")
    elif target:
        yield from _missing(place, "wsgi.py", _wsgi(place, target), f"serves {target}")
        yield from _missing(place, "gunicorn.conf.py", _gunicorn(place, target), "workers, threads and timeouts")
    else:
        yield Beside("wsgi.py", None, "not made: no Flask(...) was found; write it once you know what is served")
    yield from _requirements(place.root)
    try:
        draft = document(draft_of(place.root, False))
    except Exception as error:  # a repository that cannot be described is adopted all the same
        yield Beside("harden.toml", None, f"not made ({type(error).__name__}); run scripts/harden init")
    else:
        if not (place.root / "harden.toml").exists():
            yield Beside("harden.toml", draft.encode(), "what is deployed, for scripts/harden plan and release")


def _missing(place: Place, name: str, text: str, what: str) -> Iterator[Beside]:
    there = place.root / name
    if not there.exists() and not there.is_symlink():
        yield Beside(name, text.encode(), what)
    elif there.is_file() and there.read_bytes() != text.encode():
        yield Beside(name, None, f"is there already and stays; the kit's would be: {what}")


def _wsgi(place: Place, target: str) -> str:
    path = "\nfrom pathlib import Path" if target.partition(":")[0].endswith(".py") else ""
    return WSGI.format(target=_expression(target), package=place.package, path=path)


def _expression(target: str) -> str:
    """Return a target as code; a file's path is that beside wsgi.py, wherever Gunicorn is started."""
    path, colon, name = target.partition(":")
    if not path.endswith(".py"):
        return json.dumps(target)
    return f'f"{{Path(__file__).resolve().parent}}/{path}{colon}{name}"'


def _gunicorn(place: Place, target: str) -> str:
    """Return the kit's own configuration, for the copy."""
    text = (_ROOT / "deploy" / "gunicorn.conf.py").read_text()
    text = text.replace("gunicorn -c deploy/gunicorn.conf.py", "gunicorn -c gunicorn.conf.py")
    old = (
        "_root = Path(__file__).resolve().parent.parent\n"
        '_runtime = runpy.run_path(str(_root / "backend" / "importing.py"))["import_for_environment"]()\n'
    )
    new = (
        "_root = Path(__file__).resolve().parent\n"
        f'os.environ.setdefault("HARDEN_APP", {_expression(target)})\n'
        "if str(_root) not in sys.path:\n    sys.path.insert(0, str(_root))\n"
        f'_runtime = importlib.import_module("{place.package}")\n'
    )
    if old not in text:
        raise RuntimeError("deploy/gunicorn.conf.py finds its runtime in another way; change scripts/vendor too")
    return text.replace(old, new).replace("import runpy\n", "")


def _requirements(root: Path) -> Iterator[Beside]:
    path = root / "requirements.txt"
    others = [name for name in _OTHERS if (root / name).exists()]
    if not path.exists() and others:
        needed = ", ".join(REQUIRED.values())
        yield Beside(others[0], None, f"is yours: see that it requires {needed}")
        return
    data = path.read_bytes() if path.is_file() else b""
    encoding = next((name for bom, name in _BOMS if data.startswith(bom)), "utf-8")
    try:
        text = data.decode(encoding)
    except UnicodeDecodeError:
        yield Beside(path.name, None, f"is in no encoding that is known; add {', '.join(REQUIRED.values())}")
        return
    has = {_name(line) for line in text.splitlines()}
    lines = [line for name, line in REQUIRED.items() if name not in has]
    if lines:
        end = "\r\n" if "\r\n" in text else "\n"
        start = text if not text or text.endswith("\n") else text + end
        yield Beside(path.name, (start + "".join(f"{line}{end}" for line in lines)).encode(encoding),
                     f"requires {', '.join(lines)}")  # fmt: skip


def _name(line: str) -> str:
    found = re.match(r"\s*([A-Za-z0-9][\w.-]*)", line)
    name = re.sub(r"[-_.]+", "-", found[1]).lower() if found else ""
    return _SAME.get(name, name)
