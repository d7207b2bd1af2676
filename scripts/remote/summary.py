"""What several hosts have come to, in words: which are done, which is not, and how they get together again."""

from __future__ import annotations

from collections.abc import Sequence

DONE = {
    "install": "installed", "uninstall": "uninstalled", "release": "on the new release", "rollback": "rolled back",
    "restart": "restarted",
}  # fmt: skip


def summary(verb: str, hosts: Sequence[str], done: Sequence[str]) -> list[str]:
    """Return lines for people; none for a single host, whose own words say all.

    Args:
        verb: what was to be done.
        hosts: all of them, in turn.
        done: those that have it behind them; the one after them failed.
    """
    if len(hosts) < 2 or len(done) == len(hosts):
        return []
    failed, *rest = hosts[len(done) :]
    word = DONE.get(verb, "done")
    lines = [f"{', '.join(done)}: {word}; {failed}: not" if done else f"{failed}: not {word}"]
    lines[0] += f"; not tried: {', '.join(rest)}" if rest else ""
    flag = " --no-migrate" if verb == "release" and done else ""
    again = f"scripts/harden {verb}{flag} {_flags([failed, *rest])}"
    lines.append(f"when {failed} is mended: {again}, with the same other arguments")
    if verb == "release" and done:
        lines.append(f"or back to the release before: scripts/harden rollback {_flags(done)}")
    return lines


def _flags(hosts: Sequence[str]) -> str:
    return " ".join(f"--ssh {host}" for host in hosts)
