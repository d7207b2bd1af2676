"""Debian hosts with real systemd in namespaces of this machine, to prove on them what is said about deploying.

`with Lab() as lab: (db,) = lab.boot("db")` is the whole of it; see docs/lab.md. Must not be imported by anything
but tests: it needs root.
"""

from .errors import LabError
from .host import Host
from .lab import Lab

__all__ = ["Host", "Lab", "LabError"]
