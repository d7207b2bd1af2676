"""The description by itself: what works and should not stay so, sizes, timeouts, and whether files can be made.

Looks at no host and starts nothing.
"""

from __future__ import annotations

from collections.abc import Iterator

from .. import ladder, load_description, plan_problems, plan_warnings
from .outcome import Finding, Said, Skip, said
from .subject import Subject


def description(subject: Subject) -> Said:
    """Find what the description allows and should not."""
    found = load_description.warnings_of(subject.description)
    return said((Finding(text, f"change it in {subject.source.name}") for text in found), str(subject.source))


def sizes(subject: Subject) -> Said:
    """Find sizes that can exhaust PostgreSQL, or that are not meant."""
    plan, made = subject.plan, subject.description
    lines = [*plan_problems.problems(made, plan), *plan_warnings.warnings(made, plan)]
    text = f"{plan.server_connections + made.database.direct} of {plan.server_limit} connections at the worst"
    return said((Finding(line, "harden plan shows the whole chain") for line in lines), text)


def timeouts(subject: Subject) -> Said:
    """Find a timeout that is not below the next."""
    rungs = " < ".join(f"{rung.name.removeprefix('timeouts.')} {rung.seconds}" for rung in ladder.rungs(
        subject.description))  # fmt: skip
    lines = ladder.problems(subject.description)
    return said((Finding(line, "harden plan shows the whole ladder") for line in lines), f"{rungs} s")


def files(subject: Subject) -> Said:
    """Find files that cannot be made."""
    count = sum(map(len, subject.files.values()))
    return said(_unmade(subject), f"{count} files for {' and '.join(subject.kinds)}")


def _unmade(subject: Subject) -> Iterator[Finding]:
    for kind, why in subject.broken.items():
        yield Finding(f"files for {kind}: {why}", f"change it in {subject.source.name}")


def known_secrets(subject: Subject) -> Said:
    """Find secrets that are missing where a host has a file of them."""
    if not {"app", "database"} & set(subject.kinds):
        raise Skip("this kind of host has none of the app's secrets")
    if subject.no_secrets:
        raise Skip(subject.no_secrets)
    needed = {"DATABASE_URL": "the app's way to its database", "SECRET_KEY": "what signs sessions"}
    missing = [
        Finding(f"{name} is missing in the file of secrets: {what}", "harden install makes it, or add the line")
        for name, what in needed.items()
        if "app" in subject.kinds and not subject.secrets.get(name)
    ]
    rest = [
        Finding(f"{why}, so that {path} cannot be rendered", "harden install makes it, or add the line")
        for path, why in subject.left_out.items()
    ]
    return said([*missing, *rest], f"{len(subject.secrets)} variables")
