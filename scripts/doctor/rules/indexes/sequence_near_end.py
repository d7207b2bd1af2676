"""H523: a sequence that is about to give out its last number."""

from __future__ import annotations

from collections.abc import Iterator

from ....audit.finding import Severity
from ...advice import Advice, Change, LiveRule
from ...catalog import Catalog, Sequence
from ...target import Target
from .integer_key_near_overflow import HIGHEST

FROM = 0.5
WIDEST = 2**63 - 1


def _check(target: Target) -> Iterator[Advice]:
    catalog = target.catalog
    for sequence in catalog.sequences:
        share = _used(sequence)
        if share >= FROM and not sequence.cycles and not _is_keys(catalog, sequence):
            yield _finding(catalog, sequence, share)


def _used(sequence: Sequence) -> float:
    if sequence.last is None:
        return 0.0
    span = sequence.highest - sequence.lowest
    gone = sequence.last - sequence.lowest if sequence.increment > 0 else sequence.highest - sequence.last
    return gone / span if span else 1.0


def _base(catalog: Catalog, sequence: Sequence) -> str:
    table = catalog.tables.get(sequence.table)
    column = table.by_name.get(sequence.column) if table else None
    return column.base if column else ""


def _is_keys(catalog: Catalog, sequence: Sequence) -> bool:
    """Whether its column is an integer key that ends no later: another rule's."""
    key = next((each for each in catalog.of(sequence.table) if each.is_primary), None)
    highest = HIGHEST.get(_base(catalog, sequence))
    return key is not None and key.columns == (sequence.column,) and highest is not None and (
        sequence.highest >= highest
    )


def _finding(catalog: Catalog, sequence: Sequence, share: float) -> Advice:
    severity = Severity.critical if share >= 0.9 else Severity.high if share >= 0.75 else Severity.medium
    end, value = ("MAXVALUE", sequence.highest) if sequence.increment > 0 else ("MINVALUE", sequence.lowest)
    up = f"ALTER SEQUENCE {sequence.full} AS bigint NO {end}"
    down = f"ALTER SEQUENCE {sequence.full} AS {sequence.type} {end} {value}"
    table = catalog.tables.get(sequence.table)
    return RULE.on(
        sequence.full, f"{sequence.full} is at {sequence.last:,}, and ends at {value:,}: {share:.0%} is given out",
        severity=severity, change=Change("other", (up,), (down,)), gain="nextval does not fail at the end",
        risk="the column that it feeds must be a bigint too", fix=f"`{up};`, and widen its column first.",
        names=(table.full, table.column(sequence.column)) if table else (),
    )  # fmt: skip


RULE = LiveRule(
    id="H523",
    name="sequence-near-end",
    finds="A sequence that does not cycle and has given out more than half of its numbers.",
    why='After the last one nextval fails: "reached maximum value of sequence", and so does each INSERT.',
    fix="Raise its end; widen the column that it feeds.",
    leaves_alone=("Sequences that CYCLE.", "Those of an integer primary key, which integer-key-near-overflow"
    " tells."),
    severity=Severity.medium,
    check=_check,
    example="CREATE SEQUENCE tickets MAXVALUE 1000;\nSELECT setval('tickets', 950);\n",
    instead="CREATE SEQUENCE tickets;\nSELECT setval('tickets', 950);\n",
)
