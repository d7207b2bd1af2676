"""Which Python runs the app: the one named, the app's own virtual environment, or the kit's."""

from __future__ import annotations

import fcntl
import hashlib
import os
import re
import shutil
import subprocess
import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

from ..errors import CommandError
from .requirements import prepared

VENV_NAMES = (".venv", "venv", "env")
# In words that Python 2 understands as well; the version comes first, whatever happens then.
ASK = (
    "import sys; sys.stdout.write('%d.%d\\n' % sys.version_info[:2]); import importlib.util as u; "
    "sys.stdout.write(' '.join([n for n in ('flask', 'psycopg2') if not u.find_spec(n)]))"
)


def choose(
    named: str | None, requirements: Path | None, app_folder: Path, progress: Callable[[str], None]
) -> str:
    """Return the interpreter for the app.

    Args:
        named: --python.
        requirements: --requirements: an environment of its own is made for it, once.
        app_folder: where to look for the app's virtual environment.
        progress: told what was chosen and installed.

    Raises:
        CommandError: there is none, it is too old, or it lacks Flask or psycopg2.
    """
    if named:
        python = shutil.which(named) or named
    elif requirements:
        python = _environment_for(requirements, progress)
    else:
        python = _found(app_folder) or sys.executable
    _check(python)
    if python != sys.executable:
        progress(f"running the app with {python}")
    return python


def kit_path(python: str) -> str:
    """Return the folders that the app's interpreter may borrow packages from, Gunicorn above all."""
    if python == sys.executable:
        return ""
    return os.pathsep.join(entry for entry in sys.path if entry.endswith("site-packages"))


def _found(app_folder: Path) -> str | None:
    active = os.environ.get("VIRTUAL_ENV")
    if active and (Path(active) / "bin" / "python").exists():
        return str(Path(active) / "bin" / "python")
    for folder in (app_folder, *list(app_folder.parents)[:2]):
        for name in VENV_NAMES:
            python = folder / name / "bin" / "python"
            if python.exists() and _is_trusted(folder / name, app_folder):
                return str(python)
        if (folder / ".git").exists():
            break
    return None


def _is_trusted(venv: Path, app_folder: Path) -> bool:
    """Tell whether we, root or the app's owner made it: an app may lie below /tmp, where all may write."""
    return venv.stat().st_uid in (os.geteuid(), 0, app_folder.stat().st_uid)


def _check(python: str) -> None:
    try:
        done = subprocess.run(
            [python, "-c", ASK], capture_output=True, text=True, errors="replace", timeout=60,
            stdin=subprocess.DEVNULL,
        )  # fmt: skip
    except (OSError, subprocess.TimeoutExpired) as error:
        reason = getattr(error, "strerror", None) or "no answer within 60 s"
        raise CommandError(f"cannot run {python} ({reason}); give --python the path of a Python") from None
    version, _, names = done.stdout.partition("\n")
    if not re.fullmatch(r"\d+\.\d+", version):
        last = (done.stderr.strip() or "it is no Python").splitlines()[-1]
        raise CommandError(f"{python} does not run: {last}; give --python another one")
    if tuple(map(int, version.split("."))) < (3, 10):
        raise CommandError(f"{python} is Python {version}; the kit needs 3.10 or newer: give --python another one")
    if done.returncode:
        last = (done.stderr.strip() or "no output").splitlines()[-1]
        raise CommandError(f"{python} does not run: {last}; give --python another one")
    missing = names.split()
    if missing:
        raise CommandError(
            f"{python} has no {' and no '.join(missing)}; install the app's requirements there, "
            "or give --requirements FILE"
        )


def _environment_for(requirements: Path, progress: Callable[[str], None]) -> str:
    try:
        text = requirements.read_bytes()
    except OSError as error:
        raise CommandError(f"cannot read {requirements} ({error.strerror}); check --requirements") from None
    cache = Path(os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache") / "harden"
    name = hashlib.sha256(text + sys.version.encode()).hexdigest()[:16]
    folder = cache / f"venv-{name}"
    python = folder / "bin" / "python"
    with _one_at_a_time(cache / f"venv-{name}.lock"):
        if not (folder / "complete").exists():
            progress(f"installing {requirements} into {folder} (once)")
            shutil.rmtree(folder, ignore_errors=True)
            _run_or_explain([sys.executable, "-m", "venv", str(folder)], f"cannot make {folder}")
            pip = [str(python), "-m", "pip", "install", "-q", "--disable-pip-version-check"]
            file = _installable(requirements, text, folder, progress)
            _run_or_explain([*pip, "-r", str(file)], f"pip could not install {requirements}")
            (folder / "complete").touch()
    return str(python)


def _installable(requirements: Path, raw: bytes, folder: Path, progress: Callable[[str], None]) -> Path:
    try:
        changed = prepared(raw)
    except ValueError as error:
        raise CommandError(f"{requirements} is not a text file ({error}); check --requirements") from None
    if changed is None:
        return requirements
    text, change = changed
    progress(f"installing {change}")
    copy = folder / "requirements.txt"
    copy.write_text(text, encoding="utf-8")
    return copy


@contextmanager
def _one_at_a_time(lock: Path) -> Iterator[None]:
    try:
        lock.parent.mkdir(parents=True, exist_ok=True)
        handle = lock.open("a")
    except OSError as error:
        raise CommandError(
            f"cannot write to {lock.parent} ({error.strerror}); set XDG_CACHE_HOME to a folder of yours"
        ) from None
    with handle:
        fcntl.flock(handle, fcntl.LOCK_EX)
        yield


def _run_or_explain(command: list[str], what: str) -> None:
    done = subprocess.run(command, capture_output=True, text=True, stdin=subprocess.DEVNULL)
    if done.returncode:
        lines = (done.stderr.strip() or done.stdout.strip() or "no output").splitlines()
        # Of pip's several lines the first names the package, the last one a page of its documentation.
        telling = [line for line in lines if "error" in line.lower()] or lines
        raise CommandError(
            f"{what}: {telling[0].strip()}; correct the file, or give --python an environment of yours"
        )
