"""What the rules of missing indexes share: proposals of one kind, with their gain, as findings."""

from __future__ import annotations

from collections.abc import Iterator

from ....audit.finding import Confidence, Evidence, Place, Severity
from ...advice import Advice, LiveRule
from ...index_changes import created
from ...proof.gain import Gain, gains
from ...sizes import bytes_text
from ...target import Target
from ...workload.proposals import Proposal, proposals
from ...workload.statements import Asked

SHOWN = 3  # statements as evidence
LONGEST = 160  # characters of one
HIGH_MS = 60_000.0  # of the server's time, all calls together


def found(target: Target, rule: LiveRule, why: str) -> Iterator[Advice]:
    """Yield the proposals of one kind that pay.

    Raises:
        NotSeen: there is no workload to look at.
    """
    made = proposals(target)
    known = target.once("gains", lambda: gains(target, made))
    for number, each in enumerate(made):
        if each.why == why and known[number].pays:
            yield _advice(target, rule, each, known[number])


def _advice(target: Target, rule: LiveRule, proposal: Proposal, gain: Gain) -> Advice:
    table = proposal.table
    change = created(target.catalog, table, proposal.columns, keys=proposal.keys, method=proposal.method,
                     probes=[each.text for each in proposal.asked[:SHOWN]])  # fmt: skip
    is_there = proposal.needs in ("", *target.server.extensions)
    first = "" if is_there else f"`CREATE EXTENSION {proposal.needs};`, then "
    calls = f"{gain.calls:,} calls" if gain.calls >= 0 else "calls not counted"
    return rule.on(
        table.full, f"{table.full} ({', '.join(proposal.keys)}): no index for {_count(proposal)}, {calls}",
        severity=_severity(proposal), confidence=Confidence.low if gain.by == "estimate" else Confidence.medium,
        evidence=tuple(_evidence(table.full, proposal)), routes=_routes(proposal),
        gain=f"cost {gain.before:,.0f} -> {gain.after:,.1f}, {gain.times:,.0f} times less ({gain.by})",
        risk=f"about {bytes_text(gain.size_bytes)}, and a part of each write: {gain.writes:,} rows were written"
        " since the counters began", change=change, names=tuple(map(table.column, proposal.columns)),
        fix=f"{first}`{change.up[-1]};` outside a transaction, or scripts/harden migrate.",
        key=", ".join((proposal.method, *proposal.keys)),
    )  # fmt: skip


def _count(proposal: Proposal) -> str:
    return "1 statement" if len(proposal.asked) == 1 else f"{len(proposal.asked)} statements"


def _severity(proposal: Proposal) -> Severity:
    total = sum(each.total_ms for each in proposal.asked)
    return Severity.high if total >= HIGH_MS else Severity.medium if total or _routes(proposal) else Severity.low


def _routes(proposal: Proposal) -> tuple[str, ...]:
    return tuple(sorted({route for each in proposal.asked for route in each.routes}))


def _evidence(name: str, proposal: Proposal) -> Iterator[Evidence]:
    for asked in proposal.asked[:SHOWN]:
        for place in asked.places[:SHOWN] or (Place(name, 0),):
            yield Evidence(place, said(asked))


def said(asked: Asked) -> str:
    """Return a statement with its figures, short enough for a line."""
    text = " ".join(asked.text.split())
    text = text if len(text) <= LONGEST else f"{text[:LONGEST]}..."
    figures = f" ({asked.calls:,} calls, {asked.mean_ms:,.1f} ms each)" if asked.calls else ""
    routes = f" for {', '.join(asked.routes[:SHOWN])}" if asked.routes else ""
    return f"`{text}`{figures}{routes}"
