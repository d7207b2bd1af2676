"""Prometheus' own checks on a copy of its files: the configuration, and the alert rules.

Knows where they are, not what is in them.
"""

from __future__ import annotations

from collections.abc import Iterator

from ..prometheus_files import token_path
from . import staging
from .outcome import Finding, Said, Skip, said
from .programs import last_line, program, run
from .subject import Subject

FOLDER = "/etc/prometheus/"
MEND = "it is rendered from harden.toml: change what it names there"


def prometheus(subject: Subject) -> Said:
    """Find what promtool refuses."""
    files = subject.files.get("monitoring", ())
    if not files:
        raise Skip("nothing is rendered for Prometheus on this kind of host, or watch.scrape_from is empty")
    tool = program("promtool", "prometheus")
    root = subject.scratch / "prometheus"
    token = staging.place(root, token_path(subject.description))
    token.touch(mode=0o600)
    token.write_text("stand-in")
    staging.copy(root, files, staging.replacing({FOLDER: f"{root}{FOLDER}"}))
    return said(_findings(tool, subject, str(root)), f"{len(files)} files")


def _findings(tool: str, subject: Subject, root: str) -> Iterator[Finding]:
    config = f"{root}{FOLDER}{subject.name}.yml"
    for what, path in (("config", config), ("rules", f"{root}{FOLDER}harden-alerts.yml")):
        done = run([tool, "check", what, path])
        if done.returncode:
            yield Finding(f"promtool check {what}: {last_line(done).replace(root, '')}", MEND)
