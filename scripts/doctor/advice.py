"""What the doctor says of one thing in a database: an audit's finding, with the risk and the exact statements.

A finding's place is the thing's name, with line 0, for it is in no file; places in code stand in its evidence.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable
from dataclasses import asdict, dataclass
from typing import TYPE_CHECKING, Any, ClassVar

from ..audit.finding import Confidence, Finding, Place
from ..audit.rule import Rule

if TYPE_CHECKING:
    from .target import Target


@dataclass(frozen=True)
class Change:
    """Statements that mend something, and those that take it back.

    Attributes:
        kind: "create index", "drop index", "rebuild index", "validate constraint", "maintain" or "setting".
        up: Statements without their semicolons, in order.
        down: The way back; empty where there is none.
        table: Qualified and quoted, as `names.qualified` writes it; empty for a setting.
        name: What is made, dropped or rebuilt, qualified and quoted; for a setting, its name.
        probes: Statements with `$1` for values that have to use a new index.
    """

    kind: str
    up: tuple[str, ...]
    down: tuple[str, ...] = ()
    table: str = ""
    name: str = ""
    probes: tuple[str, ...] = ()


@dataclass(frozen=True)
class Advice(Finding):
    """A finding in a database.

    Attributes:
        risk: What mending it costs, or can break; one sentence.
        change: The exact fix, when it is statements.
        names: What may carry a comment that lets it stand, qualified: the index, its table, "table.column".
            The place's own name and the database need not be among them.
        key: What sets it apart from others of its rule at the same place, in any run: columns, a fingerprint.
    """

    risk: str = ""
    change: Change | None = None
    names: tuple[str, ...] = ()
    key: str = ""

    @property
    def remarks(self) -> tuple[tuple[str, str], ...]:
        """What is said below it; statements each on a line of its own."""
        risk = (("risk", self.risk),) if self.risk else ()
        run = tuple(("run", f"{each};") for each in self.change.up) if self.change else ()
        return super().remarks + risk + run

    @property
    def more_fields(self) -> dict[str, Any]:
        """Risk and change, for documents."""
        return {"risk": self.risk, "change": asdict(self.change) if self.change else None}


@dataclass(frozen=True)
class LiveRule(Rule):
    """A rule that looks at a `Target`.

    Its `example` is SQL that plants the trouble, and `instead` SQL that a healthy database has in its place; a
    test runs both. Either may be empty where SQL cannot plant it.
    """

    check: Callable[[Target], Iterable[Advice]]  # type: ignore[assignment]

    language: ClassVar[str] = "sql"
    ignoring: ClassVar[str] = (
        "to let one stand, in the comment of its table, index, column or database:\n"
        "COMMENT ON TABLE orders IS 'harden: ignore[{id}] the reason'"
    )

    def on(self, name: str, message: str, **more: Any) -> Advice:
        """Make a finding about a thing.

        Args:
            name: of the thing, qualified as `names.qualified` writes it; "server", "pgbouncer" or "replication"
                for what is not in the database.
            message: one sentence with the numbers.
            **more: an `Advice`'s other fields.
        """
        fields = {"severity": self.severity, "confidence": Confidence.high, "fix": self.fix, **more}
        return Advice(self.id, self.name, Place(name, 0), message, **fields)
