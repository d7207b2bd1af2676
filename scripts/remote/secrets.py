"""The same secrets on all hosts of an app: read from one that has them, given to those that have none.

They pass through this machine's memory: no file of it, no argument and no line of output ever has them.
"""

from __future__ import annotations

from collections.abc import Mapping

from ..errors import CommandError
from .failures import last_line
from .readiness import Remote

# `test` first: a file that is missing is no failure, and one that cannot be read is one.
READ = 'if test -e "$1"; then exec cat -- "$1"; fi'


def read(remote: Remote, path: str) -> bytes:
    """Return a host's file of secrets; b"" when it has none.

    Raises:
        CommandError: it is there and cannot be read.
    """
    done = remote.connection.run(remote.command("sh", "-c", READ, "sh", path))
    if done.returncode:
        why = last_line(done.stderr.decode(errors="replace"))
        raise CommandError(f"{path} on {remote.host} cannot be read: {why or f'exit code {done.returncode}'}")
    return done.stdout


def shared(found: Mapping[str, bytes]) -> bytes:
    """Return the secrets that all hosts are to have; b"" when none has any yet.

    Args:
        found: what each host's file says, by host.

    Raises:
        CommandError: two hosts have different ones; names the variables and not their values.
    """
    holders = [(host, text) for host, text in found.items() if text]
    if not holders:
        return b""
    first, secrets = holders[0]
    for host, text in holders[1:]:
        different = differences(secrets, text)
        if different:
            raise CommandError(
                f"{first} and {host} have different secrets ({', '.join(different)}); give both what is right: "
                "--secrets FILE after taking these lines out of the wrong one"
            )
    return secrets


def differences(one: bytes, other: bytes) -> list[str]:
    """Return the variables that two files give different values to; those that one of them lacks are none."""
    left, right = _variables(one), _variables(other)
    return sorted(name for name in left.keys() & right.keys() if left[name] != right[name])


def _variables(text: bytes) -> dict[str, str]:
    lines = [line.strip() for line in text.decode(errors="replace").splitlines()]
    return dict(line.partition("=")[::2] for line in lines if "=" in line and not line.startswith("#"))
