"""A queueing model of an app: from what a request needs to what so many users will see.

`Demands` say what a request of each task takes from the app's processes, the database and the rest; a `System`
says how many of everything there are. `simulate` plays people on it event by event; `bounds` has the formulas
beside it, for a first guess and as a check. Knows nothing of how demands are measured: that is `scripts.plan`.
"""

from .bounds import Bounds, bounds_of
from .demands import Demands, TaskDemand
from .outcome import Outcome
from .simulate import simulate
from .system import System

__all__ = ["Bounds", "Demands", "Outcome", "System", "TaskDemand", "bounds_of", "simulate"]
