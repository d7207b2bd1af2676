"""PgBouncer: started from a copy of its files as somebody without rights, and its version's known holes.

Knows where its files are; a socket and a port of its own keep it from the one that serves.
"""

from __future__ import annotations

import re
import subprocess
import time
from collections.abc import Iterator
from pathlib import Path

from .. import pgbouncer_versions, scram
from ..files import File
from . import staging
from .outcome import Finding, Said, Skip, said
from .programs import PATH, account, as_account, give, program, run
from .subject import Subject

START_SECONDS = 15.0
UP = "process up"
LEVEL = re.compile(r"\b(?:WARNING|ERROR|FATAL)\b (.*)")
MOST = 4  # processes of one place: they differ in their number alone


def starts(subject: Subject) -> Said:
    """Find what keeps PgBouncer from starting, or makes it complain while it does."""
    files = _files(subject)
    binary = program("pgbouncer", "pgbouncer")
    who = account(f"{subject.name}-pgbouncer", "postgres")
    root = subject.scratch / "pgbouncer"
    _stage(subject, root, files, who)
    inis = sorted(path for path in (file.path for file in files) if path.endswith(".ini"))
    found = [finding for ini in inis[:MOST] for finding in _tried(binary, who, root, ini)]
    text = f"{len(inis)} started as {who or 'the one who asks'}"
    return said(found, f"{text}, with a made-up verifier: the real one is not known" if subject.left_out else text)


def version(subject: Subject) -> Said:
    """Find an installed version that is not the one that files are rendered for."""
    _files(subject)
    there, wanted = _installed(), subject.description.pgbouncer.version
    if pgbouncer_versions.read_version(there) == pgbouncer_versions.read_version(wanted):
        return said((), there)
    text = f"PgBouncer {there} is installed, pgbouncer.version is {wanted}: a key that it lacks stops its start"
    return said([Finding(text, f'set pgbouncer.version = "{there}" in {subject.source.name}')])


def holes(subject: Subject) -> Said:
    """Find the known holes of the installed version, or of the one in the description where none is installed."""
    _files(subject)
    try:
        there = _package() or _installed()
    except Skip:
        there = subject.description.pgbouncer.version
    known = pgbouncer_versions.findings(there)
    found = (Finding(f"{hole.cve}: {hole.text}", f"until then: {hole.mitigation}", hole.cve) for hole in known)
    return said(found, f"PgBouncer {there}")


def _files(subject: Subject) -> list[File]:
    folder = f"/etc/{subject.name}/pgbouncer/"
    found = [file for path, file in subject.all_files().items() if path.startswith(folder)]
    if not found:
        raise Skip("PgBouncer does not run on this kind of host")
    return found


def _installed() -> str:
    done = run([program("pgbouncer", "pgbouncer"), "--version"])
    found = re.search(r"\d+\.\d+(?:\.\d+)?", done.stdout)
    if found is None:
        raise Skip("pgbouncer --version says no version")
    return found[0]


def _package() -> str:
    """Return the package's version, which has the number of Debian's patches; "" when it is from elsewhere."""
    try:
        done = run(["dpkg-query", "--show", "--showformat=${Version}", "pgbouncer"])
    except Skip:
        return ""
    text = done.stdout.strip()
    return text if done.returncode == 0 and pgbouncer_versions.VERSION.fullmatch(text) else ""


def _stage(subject: Subject, root: Path, files: list[File], who: str) -> None:
    name, database = subject.name, subject.description.database
    etc, runtime = f"/etc/{name}/pgbouncer", f"/run/{name}-pgbouncer"
    root.mkdir(mode=0o755)
    made, key = staging.certificate(root)
    replace = staging.replacing({
        f"{etc}/server.crt": str(made), f"{etc}/server.key": str(key), etc: f"{root}{etc}",
        runtime: f"{root}{runtime}", **({database.ca: str(made)} if database.ca else {}),
    })  # fmt: skip
    (port,) = staging.free_ports(1)

    def edit(text: str) -> str:
        text = re.sub(r"(?m)^listen_addr = .*", "listen_addr = 127.0.0.1", replace(text))
        return re.sub(r"(?m)^(listen_port = |.*\.s\.PGSQL\.)\d+", rf"\g<1>{port}", text)

    staging.copy(root, files, edit)
    if subject.left_out:
        unknown = scram.make_verifier("unknown", iterations=1)
        staging.place(root, f"{etc}/userlist.txt").write_text(f'"{database.role}" "{unknown}"\n')
    for number in re.findall(r"pgbouncer-(\d+)\.ini", " ".join(file.path for file in files)):
        (root / runtime.lstrip("/") / number).mkdir(parents=True)
    give(root, who)


def _tried(binary: str, who: str, root: Path, ini: str) -> Iterator[Finding]:
    """Start one and end it at once; yield what it complained about."""
    log = root / f"{Path(ini).stem}.log"
    with log.open("wb") as stream:
        process = subprocess.Popen(
            as_account([binary, f"{root}{ini}"], who), stdin=subprocess.DEVNULL, stdout=stream,
            stderr=subprocess.STDOUT, cwd="/", env={"PATH": PATH},
        )  # fmt: skip
    try:
        is_up = _comes_up(process, log)
    finally:
        process.kill()
        process.wait()
    lines = [line.replace(str(root), "") for line in dict.fromkeys(LEVEL.findall(_read(log)))]
    if not is_up and not lines:
        lines = [f"it was not up after {START_SECONDS:.0f} s"]
    mend = "see pgbouncer.version, and the key that it names"
    yield from (Finding(f"{ini}: {line.strip()}", mend) for line in lines)


def _comes_up(process: subprocess.Popen[bytes], log: Path) -> bool:
    until = time.monotonic() + START_SECONDS
    while time.monotonic() < until:
        if UP in _read(log):
            return True
        if process.poll() is not None:
            return UP in _read(log)
        time.sleep(0.02)
    return False


def _read(log: Path) -> str:
    return log.read_text(encoding="utf-8", errors="replace")
