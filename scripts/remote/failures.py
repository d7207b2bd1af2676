"""What ssh says when it cannot, as one line with the next step. What is looked for are OpenSSH's own words."""

from __future__ import annotations

import re

UNPRINTABLE = re.compile(r"[^\x20-\x7e\u00a0-\uffff]+")
# The first that fits counts: a changed key is told with the words of an unknown one, too.
ADVICE = (
    ("IDENTIFICATION HAS CHANGED",
     "{host} has another host key than before; ask who runs it, then ssh-keygen -R {name} and ssh {host}"),
    ("Host key verification failed",
     "the host key of {host} is not known; look at it once: ssh {host}"),
    ("Permission denied",
     "{host} does not let you in ({last}); try ssh {host}, then ssh-add, or name the key: --ssh-option='-i FILE'"),
    ("Could not resolve hostname",
     "{name} is no host that can be found; check its name, or give it an entry in ~/.ssh/config"),
    ("Connection refused",
     "{host} answers, but not to ssh; is sshd running there, and on this port (--ssh-option='-p 2222')?"),
    ("timed out",
     "{host} does not answer; is it up, and does its firewall let you in at ssh's port?"),
    ("No route to host",
     "{host} cannot be reached from here; is it up, and are you on its network?"),
    ("Network is unreachable",
     "{host} cannot be reached from here; is it up, and are you on its network?"),
    ("Too many authentication failures",
     "{host} was offered too many keys; name the one to use: --ssh-option='-i FILE -o IdentitiesOnly=yes'"),
)  # fmt: skip


def reason(host: str, said: str) -> str:
    """Return why a host could not be reached, and what to do.

    Args:
        host: as the user named it.
        said: ssh's stderr.
    """
    for words, advice in ADVICE:
        if words.lower() in said.lower():
            return advice.format(host=host, name=host.rpartition("@")[2], last=last_line(said))
    return f"ssh {host} failed: {last_line(said) or 'it said nothing'}; try it by hand: ssh {host}"


def last_line(said: str) -> str:
    """Return the last line that says something, without what a terminal would obey."""
    lines = [UNPRINTABLE.sub(" ", line).strip() for line in said.splitlines()]
    return next((line[:300] for line in reversed(lines) if line), "")
