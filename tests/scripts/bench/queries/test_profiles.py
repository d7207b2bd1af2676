"""What the order of the profiles makes of methods that fail or differ; the rest is in test_command."""

from __future__ import annotations

from types import SimpleNamespace
from typing import Any

import pytest

from scripts.bench.queries import profiles
from scripts.bench.queries.methods import BY_KEY
from scripts.bench.queries.plan import Plan
from scripts.bench.queries.profiles import Measurement
from scripts.bench.session import WorkerError
from scripts.errors import CommandError
from scripts.progress import Progress

PLAN = Plan(children=(0, 20), over=("tcp", "pgbouncer"))
METHODS = [BY_KEY[key] for key in ("ours", "batched", "psycopg3")]


class Worker:
    """Answers at once."""

    opens: dict[str, str] = {}
    differs: dict[str, str] = {}
    ends = False

    def __init__(self, *_: Any) -> None:
        self.keys: list[str] = []

    def __enter__(self) -> Worker:
        return self

    def __exit__(self, *_: object) -> None: ...

    def ask(self, job: str, *_: object, **arguments: Any) -> dict[str, Any]:
        if job == "open":
            self.keys = [key for key in arguments["keys"] if key not in self.opens]
            return {"failed": {key: why for key, why in self.opens.items() if key in arguments["keys"]}}
        if job == "answer":
            return {"bytes": 1024, "difference": self.differs.get(arguments["key"])}
        if job == "rounds":
            if self.ends:
                raise WorkerError("it ended: Killed")
            return {"ms": {key: [1.0] for key in self.keys}}
        return {"versions": {}, "plans": {}, "ms": 0.1}


class Shop:
    """Counts one statement for whatever happens."""

    dsn = ""
    cluster = SimpleNamespace(port=1, socket_folder="/nowhere")

    def dsn_by(self, **_: Any) -> str:
        return ""

    def customer(self, children: int) -> int:
        return children + 1

    def counted(self, action: Any) -> int:
        action()
        return 1


@pytest.fixture(autouse=True)
def _doubles(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(profiles, "Worker", Worker)


def _measured() -> profiles.Profiles:
    stack: Any = SimpleNamespace(run=None, pgbouncer=lambda *_: None)
    shop: Any = Shop()
    return Measurement(stack, shop, PLAN, "python", Progress()).measure(METHODS)


def test_without_pgbouncer_that_way_is_left_out() -> None:
    found = _measured()
    assert [(cell.way, cell.children) for cell in found.cells] == [("tcp", 0), ("tcp", 20)]
    assert found.left_out == {"PgBouncer": "PgBouncer is not installed"}


def test_a_method_that_cannot_be_opened_is_left_out_with_its_reason(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(Worker, "opens", {"psycopg3": "ImportError: no module"})
    found = _measured()
    assert found.left_out["psycopg 3, our statement"] == "ImportError: no module"
    assert all(cell.ms.keys() == {"ours", "batched"} for cell in found.cells)


def test_a_method_that_differs_ends_the_run_with_the_first_difference(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(Worker, "differs", {"batched": "$.name: 'a' against 'b'"})
    said = r"batched ANY, stitched answers .* 0 children: \$\.name: 'a' against 'b'"
    with pytest.raises(CommandError, match=said):
        _measured()


def test_without_ours_there_is_nothing_to_compare(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(Worker, "opens", {"ours": "OperationalError: gone"})
    with pytest.raises(CommandError, match="our own profile could not be measured: OperationalError: gone"):
        _measured()


def test_a_process_that_dies_is_one_line(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(Worker, "ends", True)
    with pytest.raises(CommandError, match="the profiles could not be measured: it ended: Killed"):
        _measured()
