"""Load an HTTP server on this machine and measure it: a closed model, from pip packages alone.

`run_closed` is the whole surface. The generator runs in a process of its own, so that the caller's GIL and
garbage do not show up as latency; only that process needs `httptools` and `uvloop` (the `tools` extra).
"""

from .closed import run_closed
from .result import LoadError, Result
from .target import RemoteTarget, Target, TargetError, parse_target
from .workload import Request, Workload

__all__ = [
    "LoadError",
    "RemoteTarget",
    "Request",
    "Result",
    "Target",
    "TargetError",
    "Workload",
    "parse_target",
    "run_closed",
]
