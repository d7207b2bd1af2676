"""Load an HTTP server and measure it.

`run_load` drives a scenario (a small file: tasks, weights, think time, logins) with Locust and measures from the
intended start of each request. `run_closed` is the raw figure: as many requests as so many connections can have
answered, without a pause. Both run their generator in a process of its own, so that the caller's GIL and garbage
do not show up as latency.
"""

from .closed import run_closed
from .drive import run_load, try_steps
from .measured import Figures, Measured, Second
from .result import LoadError, Result
from .scenario import Scenario, ScenarioError, Step, Task, Think
from .scenario_file import parse_scenario, read_scenario
from .target import RemoteTarget, Target, TargetError, parse_target
from .workload import Request, Workload

__all__ = [
    "Figures",
    "LoadError",
    "Measured",
    "RemoteTarget",
    "Request",
    "Result",
    "Scenario",
    "ScenarioError",
    "Second",
    "Step",
    "Target",
    "TargetError",
    "Task",
    "Think",
    "Workload",
    "parse_scenario",
    "parse_target",
    "read_scenario",
    "run_closed",
    "run_load",
    "try_steps",
]
