"""Gunicorn's own check of its configuration, with the rendered unit's arguments and environment.

On a host with a release it loads that release's app; elsewhere an app of this check's own stands for it.
"""

from __future__ import annotations

import importlib.util
import re
import secrets
import shlex
import sys
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

from .. import app_files
from ..host import env_file
from .outcome import Finding, Said, Skip, said
from .programs import account, as_account, give, last_line, run
from .subject import Subject

KIT = Path(__file__).resolve().parent.parent.parent
OLDEST = 27  # older ones lose requests on kept connections when a worker stops
STAND_IN = """\
def app(environ, start_response):
    start_response("204 No Content", [])
    return []
"""


@dataclass(frozen=True)
class _Place:
    """What is looked at: a release, or the kit by itself.

    Attributes:
        gunicorn: the command.
        kit: the folder with its configuration.
        app: the folder that it works in.
        runs_as: an account; "" for ourselves.
    """

    gunicorn: tuple[str, ...]
    kit: Path
    app: Path
    runs_as: str


def gunicorn(subject: Subject) -> Said:
    """Find what keeps Gunicorn from starting."""
    unit = subject.all_files().get(f"/etc/systemd/system/{subject.name}@.service")
    if unit is None:
        raise Skip("the app does not run on this kind of host")
    release = subject.places.current
    folder = subject.scratch / "gunicorn"
    (folder / "run").mkdir(parents=True)
    has_release = (release / "venv/bin/gunicorn").exists()
    place = _release(subject, release) if has_release else _kit(folder)
    give(folder, place.runs_as)
    text = f"release {release.resolve().name}" if has_release else "the configuration, with a stand-in for the app"
    version = _version(place)
    if version < OLDEST:
        old = f"Gunicorn {version} loses requests on kept connections when a worker stops; {OLDEST} does not"
        return said([Finding(old, "write gunicorn>=27 into the app's requirements, and release it")], text)
    done = run(
        as_account([*place.gunicorn, "--check-config", *_arguments(unit.text, place.kit)], place.runs_as),
        _environ(subject, folder, has_release), place.app,
    )  # fmt: skip
    if done.returncode:
        why = f"gunicorn --check-config: {_reason(subject, last_line(done))}"
        return said([Finding(why, "mend what it names, and release again")], text)
    return said((), f"{text}, Gunicorn {version}")


def _release(subject: Subject, release: Path) -> _Place:
    who = account(subject.name)
    return _Place((str(release / "venv/bin/gunicorn"),), release / "kit", release / "app", who)


def _kit(folder: Path) -> _Place:
    if importlib.util.find_spec("gunicorn") is None:
        raise Skip("there is no release yet, and Python has no gunicorn (pip install 'gunicorn>=27')")
    (folder / "stand_in.py").write_text(STAND_IN)
    return _Place((sys.executable, "-m", "gunicorn"), KIT, folder, "")


def _version(place: _Place) -> int:
    done = run(as_account([*place.gunicorn, "--version"], place.runs_as), cwd=place.app)
    found = re.search(r"version (\d+)", done.stdout)
    if found is None:
        raise Skip(f"gunicorn --version says nothing: {last_line(done)}")
    return int(found[1])


def _arguments(unit: str, kit: Path) -> list[str]:
    """Return the arguments of the unit, for a kit that may be somewhere else."""
    line = unit.replace("\\\n", " ").partition("\nExecStart=")[2].partition("\n")[0]
    words = shlex.split(line)[1:]
    config = words.index("--config") + 1
    words[config] = str(kit / "deploy" / "gunicorn.conf.py")
    return [word.replace("%%", "%") for word in words]


def _environ(subject: Subject, folder: Path, has_release: bool) -> Mapping[str, str]:
    settings = subject.all_files()[f"/etc/{subject.name}/app.env"]
    made = {
        "DATABASE_URL": app_files.database_url(subject.description), "SECRET_KEY": secrets.token_urlsafe(48),
        **env_file.parse(settings.text), **subject.secrets,
        "HARDEN_RUN_DIR": str(folder / "run"), "PYTHONDONTWRITEBYTECODE": "1", "HOME": str(folder),
    }  # fmt: skip
    return made if has_release else {**made, "HARDEN_APP": "stand_in.py:app"}


def _reason(subject: Subject, line: str) -> str:
    for value in subject.secrets.values():
        line = line.replace(value, "***") if len(value) > 5 else line
    return line
