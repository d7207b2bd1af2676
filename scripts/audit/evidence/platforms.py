"""What the other deployment files show: Procfile, unit files, uWSGI, Supervisor, platforms, nginx, scripts."""

from __future__ import annotations

import json
import re
from collections.abc import Iterator

from ..finding import Place
from . import commands
from .deployment import Fact, Mention, Setting, Sizes
from .docker import compose
from .requirements import named_servers
from .yaml_lines import entries

_PROCESS = re.compile(r"^\s*([\w-]+)\s*:\s*(.+)$")
_ASSIGNED = re.compile(r"^\s*(?:export\s+|set\s+|ENV\s+)?([A-Za-z_]\w*)\s*=\s*(.*?)\s*$")
_COMMAND_KEYS = frozenset({
    "startCommand", "start", "entrypoint", "run", "run_command", "cmd", "command", "startupCommand",
})  # fmt: skip
PLATFORM_SERVERS = {
    "vercel.json": "vercel", "now.json": "vercel", "zappa_settings": "zappa", "serverless.yml": "serverless-wsgi",
    "azure.yaml": "azure", "passenger_wsgi": "passenger", ".platform.app.yaml": "gunicorn",
}  # fmt: skip


def procfile(path: str, text: str) -> Iterator[Fact]:
    """Yield what a Procfile starts; Heroku's router stands in front of it."""
    for number, line in enumerate(text.splitlines(), 1):
        match = _PROCESS.match(line)
        if match and not line.lstrip().startswith("#"):
            yield from commands.starts(match[2], Place(path, number, match.start(2) + 1))
            if match[1] == "web":
                yield Mention(Place(path, number), "heroku", f"{path} is for a platform with a router in front")


def unit(path: str, text: str) -> Iterator[Fact]:
    """Yield what a systemd unit starts, and its environment."""
    joined = text.replace("\\\n", " ")  # lines behind a continuation are counted from its first
    for number, line in enumerate(joined.splitlines(), 1):
        key, _, value = line.strip().partition("=")
        if key == "ExecStart":
            yield from commands.starts(value.lstrip("-+!@:"), Place(path, number))
        elif key == "Environment":
            for name, setting in re.findall(r"\"?(\w+)=([^\"\s]*)", value):
                yield Setting(Place(path, number), name, setting)


def settings_file(path: str, text: str) -> Iterator[Fact]:
    """Yield the variables of a `.env` file."""
    for number, line in enumerate(text.splitlines(), 1):
        match = _ASSIGNED.match(line)
        if match and not line.lstrip().startswith("#"):
            yield Setting(Place(path, number, match.start(2) + 1), match[1], match[2].strip("\"'"))


def script(path: str, text: str) -> Iterator[Fact]:
    """Yield what a shell script starts."""
    for number, line in enumerate(text.replace("\\\n", " ").splitlines(), 1):
        if not line.lstrip().startswith("#"):
            match = re.match(r"\s*export\s+(\w+)=(\S*)", line)
            if match:
                yield Setting(Place(path, number), match[1], match[2].strip("\"'"))
            yield from commands.starts(line.strip(), Place(path, number))


def makefile(path: str, text: str) -> Iterator[Fact]:
    """Yield the servers that a Makefile starts; a `flask run` in it is a developer's."""
    for fact in script(path, text):
        if getattr(fact, "is_production", False):
            yield fact


def ini(path: str, text: str) -> Iterator[Fact]:
    """Yield what uWSGI's, Supervisor's and PasteDeploy's files say."""
    section = ""
    workers = threads = None
    for number, line in enumerate(text.splitlines(), 1):
        bare = line.strip()
        place = Place(path, number)
        if bare.startswith("["):
            section = bare.strip("[]").lower()
            if section == "uwsgi":
                yield Mention(place, "uwsgi", f"{path} configures uWSGI")
        key, _, value = (part.strip() for part in bare.partition("="))
        if section.startswith("program:") and key == "command":
            yield from commands.starts(value, place)
        elif section.startswith("program:") and key == "environment":
            for name, setting in re.findall(r"(\w+)=\"?([^\",]*)", value):
                yield Setting(place, name, setting)
        elif section == "uwsgi" and value.isdigit():
            workers = int(value) if key in ("processes", "workers") else workers
            threads = int(value) if key == "threads" else threads
        elif section == "server:main" and key == "use" and "egg:" in value:
            yield from named_servers(value.replace("#", " ").replace(":", " "), place, f"named in {path}")
    if workers or threads:
        yield Sizes(Place(path, 1), workers, threads)


def proxy_conf(path: str, text: str) -> Iterator[Fact]:
    """Yield what a web server's file says: what it passes on to, or the app that it runs itself."""
    for number, line in enumerate(text.splitlines(), 1):
        bare = line.strip()
        place = Place(path, number)
        if re.match(r"(proxy_pass|uwsgi_pass|reverse_proxy|ProxyPass)\b", bare):
            yield Mention(place, "nginx", f"{path} passes requests on: {bare[:60]}")
        if bare.startswith("uwsgi_pass"):
            yield Mention(place, "uwsgi", f"{path} passes requests to uWSGI")
        if bare.startswith(("WSGIScriptAlias", "WSGIDaemonProcess")):
            yield Mention(place, "mod_wsgi", f"{path} runs the app in Apache's mod_wsgi")
    if "program:" in text:
        yield from ini(path, text)


def platform(path: str, text: str) -> Iterator[Fact]:
    """Yield what the file of a platform says: render.yaml, app.yaml, fly.toml, a workflow, Kubernetes."""
    name = path.rpartition("/")[2]
    place = Place(path, 1)
    if name == "app.yaml" and "runtime:" in text:
        yield Mention(place, "app-engine", f"{path}: App Engine starts Gunicorn by itself")
    if name in ("render.yaml", "app.yaml", "fly.toml", "railway.json", "railway.toml", "app.json"):
        yield Mention(place, "platform", f"{path} is for a platform with a router in front")
    if "azure/webapps-deploy" in text:
        yield Mention(place, "azure", f"{path} deploys to App Service, which starts Gunicorn")
    if re.search(r"^\s*kind:\s*[\"']?Ingress", text, re.MULTILINE):
        yield Mention(place, "ingress", f"{path} puts an ingress in front")
    yield from _json(path, text) if name.endswith(".json") else _keys(path, text)


def _keys(path: str, text: str) -> Iterator[Fact]:
    """Yield start commands of YAML or TOML."""
    if path.endswith(".toml"):
        for number, line in enumerate(text.splitlines(), 1):
            key, _, value = (part.strip() for part in line.partition("="))
            if key in _COMMAND_KEYS or key in ("web", "app"):
                yield from commands.starts(value.strip("\"'"), Place(path, number))
        return
    is_workflow = "/workflows/" in path or path.startswith(".gitlab")
    for entry in entries(text):
        if entry.key in _COMMAND_KEYS:
            command = entry.value if isinstance(entry.value, list) else entry.value.replace("\n", " ; ")
            for fact in commands.starts(command, Place(path, entry.line, 1, entry.end)):
                if fact.is_production or not is_workflow:
                    yield fact
    if not is_workflow:
        yield from (fact for fact in compose(path, text) if isinstance(fact, Setting))


def _json(path: str, text: str) -> Iterator[Fact]:
    try:
        found = json.loads(text)
    except (ValueError, RecursionError):
        return
    todo = [found]
    while todo:
        each = todo.pop()
        if isinstance(each, list):
            todo.extend(each)
        elif isinstance(each, dict):
            todo.extend(each.values())
            for key in sorted(_COMMAND_KEYS & set(map(str, each))):
                if isinstance(each[key], str):
                    yield from commands.starts(each[key], Place(path, _line_of(text, each[key])))


def _line_of(text: str, value: str) -> int:
    """Return the line that a value stands in, or 1."""
    at = text.find(json.dumps(value)[1:-1])
    return text.count("\n", 0, at) + 1 if at >= 0 else 1
