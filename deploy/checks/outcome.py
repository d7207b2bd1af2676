"""What a check says: nothing, findings with their next step, or why it could not look.

Knows no check. If a check that could not look came out as "ok", nobody would look again.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable
from dataclasses import dataclass, replace

from ..errors import InputError
from .subject import Subject

OK, FINDING, SKIPPED = "ok", "finding", "skipped"


@dataclass(frozen=True)
class Finding:
    """One thing that is wrong.

    Attributes:
        text: what, with the numbers.
        mend: the next step.
        key: a name of its own, by which it can be accepted; "" for the check's.
    """

    text: str
    mend: str
    key: str = ""


class Skip(Exception):
    """A check cannot look here; the argument says why, and what would help."""


@dataclass(frozen=True)
class Said:
    """What a check found.

    Attributes:
        findings: none when all is well.
        looked_at: what it has looked at, for people.
    """

    findings: tuple[Finding, ...] = ()
    looked_at: str = ""


def said(findings: Iterable[Finding], looked_at: str = "") -> Said:
    """Return what a check found."""
    return Said(tuple(findings), looked_at)


@dataclass(frozen=True)
class Check:
    """A check.

    Attributes:
        name: as it is shown, and accepted.
        about: what it makes sure of, in half a sentence.
        look: looks; raises Skip where it cannot.
    """

    name: str
    about: str
    look: Callable[[Subject], Said]


@dataclass(frozen=True)
class Outcome:
    """What came out of one check.

    Attributes:
        name, about: the check's.
        state: "ok", "finding" or "skipped".
        findings: those that nobody has accepted.
        accepted: those that somebody has.
        text: what was looked at, or why nothing was.
    """

    name: str
    about: str
    state: str
    findings: tuple[Finding, ...] = ()
    accepted: tuple[Finding, ...] = ()
    text: str = ""


def outcome(check: Check, subject: Subject) -> Outcome:
    """Return what a check says of a service; what it trips over is a finding, and no end of the others."""
    blank = Outcome(check.name, check.about, OK)
    try:
        found = check.look(subject)
    except Skip as skip:
        return replace(blank, state=SKIPPED, text=str(skip))
    except OSError as error:
        return replace(blank, state=SKIPPED, text=f"it cannot look: {error}")
    except InputError as error:
        found = Said((Finding(str(error), "see the reason, and run the check again"),))
    taken = {key for key in subject.accepted if key}
    open_ones = tuple(each for each in found.findings if not {check.name, each.key} & taken)
    accepted = tuple(each for each in found.findings if each not in open_ones)
    state = FINDING if open_ones else OK
    return replace(blank, state=state, findings=open_ones, accepted=accepted, text=found.looked_at)
