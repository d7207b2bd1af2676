"""Which WSGI servers a repository installs: requirement files, pyproject, Pipfile, setup files, `pip install`."""

from __future__ import annotations

import re
from collections.abc import Iterator

from ..finding import Place
from .deployment import Mention

PACKAGES = {
    "gunicorn": "gunicorn", "uwsgi": "uwsgi", "pyuwsgi": "uwsgi", "waitress": "waitress", "gevent": "gevent",
    "gevent-websocket": "gevent", "eventlet": "eventlet", "mod-wsgi": "mod_wsgi", "cheroot": "cheroot",
    "cherrypy": "cherrypy", "bjoern": "bjoern", "meinheld": "meinheld", "hypercorn": "hypercorn",
    "uvicorn": "uvicorn", "daphne": "daphne", "granian": "granian", "zappa": "zappa",
    "serverless-wsgi": "serverless-wsgi", "apig-wsgi": "apig-wsgi", "aws-wsgi": "aws-wsgi",
    "fastwsgi": "fastwsgi", "netius": "netius", "mangum": "mangum",
}  # fmt: skip
_NAME = re.compile(
    r"(?<![\w.-])(" + "|".join(sorted((name.replace("-", "[-_]") for name in PACKAGES), key=len, reverse=True))
    + r")(?=$|[\s\[=<>~!;,\"'\]@])", re.IGNORECASE,
)  # fmt: skip


def requirements(path: str, text: str) -> Iterator[Mention]:
    """Yield the servers that a file of requirements lists, each once."""
    seen = set()
    for number, line in enumerate(text.splitlines(), 1):
        if line.lstrip().startswith(("#", "//", ";")):
            continue
        for mention in named_servers(line.partition(" #")[0], Place(path, number), f"listed in {path}"):
            if mention.name not in seen:
                seen.add(mention.name)
                yield mention


def named_servers(line: str, place: Place, how: str) -> Iterator[Mention]:
    """Yield the servers whose package names stand in a line."""
    for match in _NAME.finditer(line.lower()):
        name = PACKAGES[match[1].replace("_", "-")]
        where = Place(place.path, place.line, match.start() + 1, place.line, match.end() + 1)
        yield Mention(where, name, f"{name} {how}", is_listed=True)
