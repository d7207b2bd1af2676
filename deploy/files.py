"""A file as it is to lie on a host: where, whose, with which mode and which text.

Renderers return tuples of these; whoever writes them decides where.
Knows nothing of what is in them.
"""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True)
class File:
    """One file.

    Attributes:
        path: absolute, on the host.
        text: its contents; the same bytes for the same description.
        mode: permission bits.
        owner, group: names on the host; those of the app are its name.
        is_secret: whether the text must not be shown: no diff prints it.
        reload: what takes it over without a restart, such as "systemctl reload nginx"; "" when nothing has to.
    """

    path: str
    text: str
    mode: int = 0o644
    owner: str = "root"
    group: str = "root"
    is_secret: bool = False
    reload: str = ""
