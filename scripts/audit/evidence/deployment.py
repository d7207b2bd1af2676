"""What the repository shows of how the app is started in production: the facts, each with its place.

Known are only files: a start that somebody types on a host, or that a platform's web page holds, is not seen. If
this is wrong, `dev-server` accuses an app that has a server, or misses one that has none.
"""

from __future__ import annotations

from dataclasses import dataclass

from ..finding import Evidence, Place

WSGI = frozenset({
    "gunicorn", "uwsgi", "waitress", "gevent", "eventlet", "mod_wsgi", "cheroot", "cherrypy", "bjoern", "meinheld",
    "hypercorn", "uvicorn", "daphne", "granian", "twisted", "tornado", "passenger", "zappa",
    "serverless-wsgi", "apig-wsgi", "vercel", "app-engine", "azure", "wsgi", "netius", "unitd",
    "aws-wsgi", "mangum", "fastwsgi",
})  # fmt: skip
"""What serves an app in production, platforms that start one by themselves included."""


@dataclass(frozen=True, order=True)
class Start:
    """A command that starts something.

    Attributes:
        server: "gunicorn", "uwsgi", ...; "flask" for `flask run`, "python" for a script.
        app: What is started: "run:app", or the script's path as written.
        text: The command as one reads it, without values of the environment.
        workers: Processes, when the command says so.
        threads: Of each process, when the command says so.
    """

    place: Place
    server: str
    app: str
    text: str
    workers: int | None = None
    threads: int | None = None

    @property
    def is_production(self) -> bool:
        """Whether it is a WSGI server."""
        return self.server in WSGI

    @property
    def module(self) -> str:
        """The dotted name of the module that is started."""
        name = self.app.partition(":")[0].removeprefix("./")
        return name.removesuffix(".py").replace("/", ".")


@dataclass(frozen=True, order=True)
class Setting:
    """A variable of the environment that a file sets, `FLASK_DEBUG=1`. Its value may be a secret."""

    place: Place
    name: str
    value: str


@dataclass(frozen=True, order=True)
class Mention:
    """A server or a proxy that a file names without starting it: a requirement, an import, an entry.

    Attributes:
        is_listed: Whether it is a requirement and no more: installed, but nothing shows that it is used.
    """

    place: Place
    name: str
    text: str
    is_listed: bool = False


@dataclass(frozen=True)
class Sizes:
    """Processes and threads that a configuration file sets."""

    place: Place
    workers: int | None = None
    threads: int | None = None


Fact = Start | Setting | Mention | Sizes


@dataclass(frozen=True)
class Deployment:
    """All that the files show; each in the order of places.

    Attributes:
        starts: Commands of deployment files.
        mentions: Servers that are installed, imported or described, but not started by a command.
        settings: Environment that deployment files set.
        proxies: What stands in front: nginx, traefik, a platform's router.
        sizes: Of servers' configuration files.
        read: The files that were looked at, with the facts or without.
    """

    starts: tuple[Start, ...] = ()
    mentions: tuple[Mention, ...] = ()
    settings: tuple[Setting, ...] = ()
    proxies: tuple[Mention, ...] = ()
    sizes: tuple[Sizes, ...] = ()
    read: tuple[str, ...] = ()

    @property
    def servers(self) -> tuple[Start | Mention, ...]:
        """Every sign of a WSGI server, commands first."""
        return (*(start for start in self.starts if start.is_production), *self.mentions)

    @property
    def workers(self) -> int | None:
        """Processes, where a file says so; of several, the most."""
        found: list[Start | Sizes] = [*self.starts, *self.sizes]
        return max((each.workers for each in found if each.workers), default=None)

    @property
    def threads(self) -> int | None:
        """Threads of each process, where a file says so; of several, the most."""
        found: list[Start | Sizes] = [*self.starts, *self.sizes]
        return max((each.threads for each in found if each.threads), default=None)


def as_evidence(fact: Start | Mention) -> Evidence:
    """Return a fact as a finding shows it."""
    return Evidence(fact.place, fact.text)
