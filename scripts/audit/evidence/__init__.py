"""How the audited app is started: `evidence(project)` reads its deployment files once and keeps the answer."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable, Iterator
from typing import TYPE_CHECKING, cast

from ..finding import Place
from . import docker, platforms
from .code import code
from .deployment import Deployment, Fact, Mention, Setting, Sizes, Start, as_evidence
from .purpose import is_document, is_for_development, is_sample
from .requirements import requirements

if TYPE_CHECKING:
    from ..model.project import Project

__all__ = ["Deployment", "Mention", "Setting", "Sizes", "Start", "as_evidence", "evidence"]

PROXIES = frozenset({
    "nginx", "traefik", "caddy", "haproxy", "envoy", "httpd", "heroku", "platform", "ingress", "router",
})  # fmt: skip
Reader = Callable[[str, str], Iterable[Fact]]
# The first that fits reads the file.
READERS: tuple[tuple[re.Pattern[str], Reader], ...] = tuple(
    (re.compile(pattern, re.IGNORECASE), reader)
    for pattern, reader in (
        (r"(^|/)Procfile[^/]*$", platforms.procfile),
        (r"(^|/)(Dockerfile[^/]*|[^/]*\.dockerfile|Containerfile)$", docker.dockerfile),
        (r"(^|/)[^/]*compose[^/]*\.ya?ml$", docker.compose),
        (r"(^|/)[^/]*requirements?[^/]*\.(txt|in)$|(^|/)requirements/[^/]*\.(txt|in)$", requirements),
        (r"(^|/)(pyproject\.toml|Pipfile|setup\.cfg|environment\.ya?ml|conda[^/]*\.ya?ml)$", requirements),
        (r"\.service$", platforms.unit),
        (r"(^|/)\.?(flask)?env(\.[\w.-]+)?$|\.env$", platforms.settings_file),
        (r"\.sh$|(^|/)(start|run|entrypoint|boot)$", platforms.script),
        (r"(^|/)Makefile$", platforms.makefile),
        (r"\.ini$", platforms.ini),
        (r"\.conf$|(^|/)Caddyfile$", platforms.proxy_conf),
        (r"\.ya?ml$|(^|/)(fly|railway|nixpacks)\.toml$|(^|/)(railway|app)\.json$", platforms.platform),
    )
)
# Where a server would be named if there were one.
_TELLING = re.compile(
    r"(^|/)(Procfile|Dockerfile|Pipfile|pyproject\.toml|setup\.cfg|[^/]*requirement[^/]*|[^/]*compose[^/]*|"
    r"supervisor[^/]*|uwsgi[^/]*|[^/]*\.service|environment\.ya?ml)$",
    re.IGNORECASE,
)
LARGEST = 300_000  # characters; nobody writes a longer file to start an app
UTF_16 = (b"\xff\xfe", b"\xfe\xff")
_KEPT = "_deployment"


def evidence(project: Project) -> Deployment:
    """Return what the repository's files show of its start; read once for each project."""
    found = vars(project).get(_KEPT)
    if found is None:
        found = vars(project)[_KEPT] = _read(project)
    return cast(Deployment, found)


def _read(project: Project) -> Deployment:
    facts = list(_facts(project))
    mentions = [fact for fact in facts if isinstance(fact, Mention)]
    return Deployment(
        tuple(sorted(fact for fact in facts if isinstance(fact, Start))),
        tuple(sorted({each for each in mentions if each.name not in PROXIES})),
        tuple(sorted(fact for fact in facts if isinstance(fact, Setting))),
        tuple(sorted({each for each in mentions if each.name in PROXIES})),
        tuple(fact for fact in facts if isinstance(fact, Sizes)),
        tuple(path for path in project.files if _TELLING.search(path) and _reader(path)),
    )


def _facts(project: Project) -> Iterator[Fact]:
    for path in project.files:
        name = path.rpartition("/")[2]
        servers = platforms.PLATFORM_SERVERS.items()
        server = next((server for start, server in servers if name.startswith(start)), "")
        if name.endswith(".wsgi"):
            server = "mod_wsgi"
        if server and not is_sample(path):
            yield Mention(Place(path, 1), server, f"{path} deploys with {server}")
        reader = _reader(path)
        if reader:
            text = _text(project, path)
            yield from reader(path, text) if len(text) <= LARGEST else ()
    for module in project.modules:
        yield from code(module)


def _reader(path: str) -> Reader | None:
    """Return what reads a file; None for one that is for developers, for copying, or for people."""
    if is_for_development(path) or is_sample(path) or is_document(path):
        return None
    return next((reader for pattern, reader in READERS if pattern.search(path)), None)


def _text(project: Project, path: str) -> str:
    """Return a file's text; one that cannot be read shows nothing here.

    What `pip freeze > requirements.txt` writes on Windows is UTF-16.
    """
    try:
        data = (project.root / path).read_bytes()
        return data.decode("utf-16", "replace") if data[:2] in UTF_16 else project.text(path)
    except OSError:
        return ""
