"""What Dockerfiles and compose files show: a container's command and environment, and what stands in front.

A file that says by its name that it is for development or tests is not evidence of production.
"""

from __future__ import annotations

import json
import re
from collections.abc import Iterator

from ..finding import Place
from . import commands
from .deployment import Fact, Mention, Setting, Start
from .requirements import named_servers
from .yaml_lines import Entry, entries

_INSTRUCTION = re.compile(r"^\s*(?P<word>[A-Za-z]+)\s+(?P<rest>.*)$", re.DOTALL)
_PAIR = re.compile(r"([A-Za-z_]\w*)=(\"[^\"]*\"|'[^']*'|\S*)")
PROXY_IMAGES = ("nginx", "traefik", "caddy", "haproxy", "envoy", "httpd")
SERVER_IMAGES = {
    "tiangolo/uwsgi-nginx": "uwsgi", "tiangolo/meinheld": "gunicorn", "tiangolo/uvicorn": "uvicorn",
    "phusion/passenger": "passenger", "nginx/unit": "unitd", "unit": "unitd",
}  # fmt: skip


def dockerfile(path: str, text: str) -> Iterator[Fact]:
    """Yield the facts of a Dockerfile; of a name that is said twice, the last stage's command counts."""
    entry: list[str] | str = []
    entry_place = Place(path, 1)
    last: dict[str, list[Start]] = {}
    for line, word, rest in _instructions(text):
        place = Place(path, line)
        if word == "FROM":
            last.clear()
            entry = []
            yield from _image(rest.split()[0] if rest.split() else "", place)
        elif word == "ENTRYPOINT":
            entry, entry_place = _exec_form(rest), place
            last["ENTRYPOINT"] = list(commands.starts(entry, place))
        elif word == "CMD":
            last["CMD"] = list(commands.starts(_joined(entry, _exec_form(rest)), place))
        elif word == "ENV":
            yield from _environment(rest, place)
        elif word == "RUN":
            yield from named_servers(rest, place, "installed in the image")
    if "CMD" not in last and isinstance(entry, list):
        last.setdefault("ENTRYPOINT", list(commands.starts(entry, entry_place)))
    yield from last.get("CMD") or last.get("ENTRYPOINT") or []


def _instructions(text: str) -> Iterator[tuple[int, str, str]]:
    """Yield line, instruction and the rest, continued lines joined."""
    start, held = 0, ""
    for number, line in enumerate(text.splitlines(), 1):
        bare = line.strip()
        if not held and (not bare or bare.startswith("#")):
            continue
        start = start or number
        held += " " + bare.removesuffix("\\") if not bare.startswith("#") else ""
        if bare.endswith("\\"):
            continue
        match = _INSTRUCTION.match(held)
        if match:
            yield start, match["word"].upper(), match["rest"].strip()
        start, held = 0, ""


def _exec_form(rest: str) -> list[str] | str:
    if rest.startswith("["):
        try:
            words = json.loads(rest)
            return [str(word) for word in words]
        except ValueError:
            return [word.strip(" \"'") for word in rest.strip("[] ").split(",")]
    return rest


def _joined(entry: list[str] | str, command: list[str] | str) -> list[str] | str:
    """Put a command behind its entry point, as Docker does for the exec form."""
    if isinstance(entry, list) and isinstance(command, list):
        return [*entry, *command]
    return command


def _environment(rest: str, place: Place) -> Iterator[Setting]:
    pairs = _PAIR.findall(rest)
    if not pairs and len(rest.split(None, 1)) == 2:
        pairs = [tuple(rest.split(None, 1))]
    for name, value in pairs:
        yield Setting(place, name, value.strip("\"'"))


def _image(image: str, place: Place) -> Iterator[Mention]:
    for prefix, server in SERVER_IMAGES.items():
        if image.startswith(prefix) and image[len(prefix) :][:1] in ("", ":", "-"):
            yield Mention(place, server, f"the image {image} brings {server}")


def compose(path: str, text: str) -> Iterator[Fact]:
    """Yield the facts of a compose file."""
    for entry in entries(text):
        place = Place(path, entry.line, 1, entry.end)
        if entry.key in ("command", "entrypoint"):
            yield from commands.starts(entry.value, place)
        elif entry.key == "image" and isinstance(entry.value, str):
            yield from _front(entry.value, place)
        elif entry.key == "environment" and isinstance(entry.value, list):
            yield from _listed(entry, path)
        elif isinstance(entry.value, str) and re.fullmatch(r"[A-Z][A-Z0-9_]+", entry.key):
            yield Setting(place, entry.key, entry.value)


def _listed(entry: Entry, path: str) -> Iterator[Setting]:
    for offset, item in enumerate(entry.value, 1):
        name, equals, value = item.partition("=")
        if equals:
            yield Setting(Place(path, entry.line + offset), name.strip(), value.strip())


def _front(image: str, place: Place) -> Iterator[Mention]:
    name = image.rpartition("/")[2].partition(":")[0]
    found = next((proxy for proxy in PROXY_IMAGES if proxy in name), "")
    if found:
        yield Mention(place, found, f"{found} stands in front: image {image}")
    yield from _image(image, place)
