"""What a command line starts: `exec gunicorn -w 4 run:app` is Gunicorn with 4 processes.

Shell is read as far as start commands go: chains, variables in front, wrappers such as `poetry run` and `sh -c`.
What a variable stands for is not known.
"""

from __future__ import annotations

import re
import shlex
from collections.abc import Iterator

from ..finding import Place
from .deployment import Start

SERVERS = {
    "gunicorn": "gunicorn", "uwsgi": "uwsgi", "waitress-serve": "waitress", "waitress": "waitress",
    "hypercorn": "hypercorn", "uvicorn": "uvicorn", "daphne": "daphne", "granian": "granian",
    "mod_wsgi-express": "mod_wsgi", "twistd": "twisted", "twist": "twisted", "cheroot": "cheroot",
    "unitd": "unitd", "passenger": "passenger", "start_gunicorn": "gunicorn", "apache2ctl": "mod_wsgi",
    "apachectl": "mod_wsgi", "httpd-foreground": "mod_wsgi",
}  # fmt: skip
WRAPPERS = frozenset({
    "exec", "sudo", "nohup", "time", "poetry", "pipenv", "uv", "pdm", "hatch", "rye", "run", "dumb-init", "tini",
    "env", "newrelic-admin", "run-program", "ddtrace-run", "opentelemetry-instrument", "honcho", "dotenv", "--",
    "cross-env", "heroku", "do", "then", "-", "@", "su-exec", "gosu", "xvfb-run", "command", "start", "stdbuf",
    "conda",
})  # fmt: skip
SHELLS = frozenset({"sh", "bash", "ash", "dash", "zsh"})
WORKERS = ("-w", "--workers", "--processes", "-p", "--web-concurrency")
THREADS = ("--threads",)
_PYTHON = re.compile(r"^(python|pypy)[\d.]*$|^py$|^flask-python$")
_VARIABLE = re.compile(r"^\w+=")
_APP = re.compile(r"^[\w./-]+:[\w().'\" =]+$")


def starts(command: str | list[str], place: Place) -> Iterator[Start]:
    """Yield what a command starts, in order; a list is the exec form."""
    words = command if isinstance(command, list) else _words(command)
    for piece in _pieces(words):
        yield from _start(piece, place)


def _words(command: str) -> list[str]:
    """Split as a shell does; a command that no shell would take is split at spaces."""
    try:
        lexer = shlex.shlex(command, posix=True, punctuation_chars=";&|")
        lexer.whitespace_split = True
        return list(lexer)
    except ValueError:
        return command.split()


def _pieces(words: list[str]) -> Iterator[list[str]]:
    """Split at `&&`, `;` and the like, drop what stands in front of the program."""
    piece: list[str] = []
    for word in [*words, ";"]:
        if word and not word.strip(";&|"):
            yield _bare(piece)
            piece = []
        else:
            piece.append(word)


def _bare(words: list[str]) -> list[str]:
    """Drop variables and wrappers from the front; go into `sh -c "..."` and behind `wait-for-it db:5432 --`."""
    while words:
        first = _program(words[0])
        if first in SHELLS and len(words) > 2 and words[1].startswith("-") and "c" in words[1]:
            return [word for piece in _pieces(_words(words[2])) for word in (*piece, ";")][:-1]
        if "wait" in first and "--" in words:
            words = words[words.index("--") + 1 :]
        elif first in WRAPPERS or _VARIABLE.match(words[0]) or (words[0].startswith("-") and len(words) > 1):
            words = words[1:]
        else:
            break
    return words


def _program(word: str) -> str:
    return word.rpartition("/")[2]


def _start(words: list[str], place: Place) -> Iterator[Start]:
    if ";" in words:
        for piece in _pieces(words):
            yield from _start(piece, place)
        return
    if not words:
        return
    program = _program(words[0])
    if _PYTHON.match(program):
        yield from _python(words[1:], place)
    elif program == "flask" and "run" in words:
        yield Start(place, "flask", _value(words, ("--app", "-A")) or "", _shown(words))
    elif program in SERVERS:
        yield _server(SERVERS[program], words, place)


def _python(words: list[str], place: Place) -> Iterator[Start]:
    """Yield what Python runs: a module by `-m`, or a script."""
    while words and words[0].startswith("-") and words[0] not in ("-m", "-c"):
        words = words[1:]
    if not words or words[0] == "-c":
        return
    if words[0] == "-m":
        yield from _start_module(words[1:], place)
    else:
        yield Start(place, "python", words[0], _shown(["python", *words]))


def _start_module(words: list[str], place: Place) -> Iterator[Start]:
    if not words:
        return
    if words[0] in SERVERS or words[0] == "flask":
        yield from _start(words, place)
    elif words[0] not in ("pip", "pytest", "unittest", "venv"):
        yield Start(place, "python", words[0], _shown(["python", "-m", *words]))


def _server(server: str, words: list[str], place: Place) -> Start:
    app = next((word for word in words[1:] if _APP.match(word) and not _is_address(word)), "")
    if server == "uwsgi" and not app:
        app = _value(words, ("--module", "--wsgi-file", "-w")) or ""
    workers = WORKERS if server != "uwsgi" else ("--processes", "-p", "--workers")
    return Start(place, server, app, _shown(words), _number(words, workers), _number(words, THREADS))


def _is_address(word: str) -> bool:
    return word.rpartition(":")[2].isdigit()


def _value(words: list[str], options: tuple[str, ...]) -> str | None:
    """Return an option's value, `-w 4`, `-w4` or `--workers=4`."""
    for at, word in enumerate(words):
        name, equals, value = word.partition("=")
        if name in options:
            return value if equals else next(iter(words[at + 1 : at + 2]), None)
        for option in options:
            if len(option) == 2 and word.startswith(option) and word[2:].isdigit():
                return word[2:]
    return None


def _number(words: list[str], options: tuple[str, ...]) -> int | None:
    value = _value(words, options) or ""
    default = re.search(r":-(\d+)", value)
    if default:
        return int(default[1])
    return int(value) if value.isdigit() else None


def _shown(words: list[str]) -> str:
    """Return a command for people, cut where it gets long."""
    text = " ".join(words)
    return text if len(text) <= 80 else text[:77] + "..."
