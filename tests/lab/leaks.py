"""Looks for secrets on a running host, wherever somebody without rights, or a reader of logs, could meet one.

The looking itself is `leak_probe.py`, in the host. If it were blind, every proof that uses it would pass; so
`test_leaks.py` plants a secret in each place.
"""

from __future__ import annotations

import json
import subprocess
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from urllib.parse import unquote, urlsplit

from deploy.host import env_file

from .errors import LabError
from .host import Host

PROBE = "/srv/leak_probe.py"
SHORTEST = 8  # characters; shorter ones are found everywhere by chance


@dataclass
class Watch:
    """What has been seen of processes while a block ran.

    Attributes:
        found: places with the names of secrets; filled in when the block ends.
    """

    found: list[str] = field(default_factory=list)


def secrets_of(host: Host, path: str) -> dict[str, str]:
    """Return the secrets in a file of NAME=value lines, and the parts of them that are secrets by themselves.

    Args:
        host: where it lies.
        path: such as /etc/shop/secrets.env.

    Raises:
        LabError: the file is not there, or has no secret.
    """
    found: dict[str, str] = {}
    for name, value in env_file.parse(host.read(path)).items():
        found |= _parts(name, value)
    long = {name: value for name, value in found.items() if len(value) >= SHORTEST}
    if not long:
        raise LabError(f"{host.name}: {path} has no secrets to look for")
    return long


def find(host: Host, secrets: Mapping[str, str], logs: tuple[str, ...] = ("/var/log",)) -> list[str]:
    """Return where secrets are found in files, units and logs: a line each, with the secret's name only.

    Args:
        host: where to look.
        secrets: by name.
        logs: files and folders that get copied about, whatever their modes.

    Raises:
        LabError: the probe failed.
    """
    host.copy(Path(__file__).with_name("leak_probe.py"), PROBE)
    job = json.dumps({"secrets": dict(secrets), "logs": list(logs)}) + "\n"
    found: list[str] = []
    for look in ("files", "units", "logs"):
        found += _lines(host.run("python3", PROBE, look, input=job, timeout=300).stdout)
    return found


@contextmanager
def watched(host: Host, secrets: Mapping[str, str]) -> Iterator[Watch]:
    """Look at all processes and units of a host, some hundred times a second, for as long as the block runs.

    Raises:
        LabError: the probe failed.
    """
    host.copy(Path(__file__).with_name("leak_probe.py"), PROBE)
    watch = Watch()
    command = host.command("python3", PROBE, "processes")
    with subprocess.Popen(
        command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True
    ) as probe:
        assert probe.stdin is not None and probe.stderr is not None
        probe.stdin.write(json.dumps({"secrets": dict(secrets)}) + "\n")
        probe.stdin.flush()
        said = probe.stderr.readline()
        try:
            yield watch
        finally:
            out, err = probe.communicate(timeout=60)
    if probe.returncode or "watching" not in said:
        raise LabError(f"{host.name}: nobody watched the processes: {said}{err}")
    watch.found += _lines(out)


def in_text(text: str, secrets: Mapping[str, str]) -> list[str]:
    """Return the names of secrets in what a command has printed."""
    return sorted(name for name, value in secrets.items() if value in text)


def _parts(name: str, value: str) -> dict[str, str]:
    parts = {name: value}
    if "://" in value:
        password = urlsplit(value).password or ""
        parts[f"{name}'s password"] = unquote(password)
    if value.startswith("SCRAM-SHA-256$"):
        stored, _, server = value.rpartition("$")[2].partition(":")
        parts |= {f"{name}'s StoredKey": stored, f"{name}'s ServerKey": server}
    return parts


def _lines(text: str) -> list[str]:
    return [f"{name} in {place}" for place, name in json.loads(text)]
