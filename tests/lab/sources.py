"""Which package sources a base is built from: those of this machine, for another suite when that is asked for.

Knows the two formats of apt and no mirror by name. A mistake here is seen at once: mmdebstrap finds no packages.
"""

from __future__ import annotations

import re
from collections.abc import Iterable
from pathlib import Path

from .errors import LabError

APT = Path("/etc/apt")
OS_RELEASE = Path("/etc/os-release")
POCKETS = ("", "-updates", "-security")  # of a Debian suite; other archives' suites have names of their own


def find(suite: str, apt: Path = APT, os_release: Path = OS_RELEASE) -> str:
    """Return the machine's Debian sources, rewritten for a suite, in deb822 format.

    Args:
        suite: such as "bookworm".
        apt: the folder with sources.list and sources.list.d.
        os_release: says which suite the machine itself runs.

    Raises:
        LabError: the machine has no Debian source to build from.
    """
    own = _codename(os_release)
    stanzas = []
    for text in _texts(apt):
        stanzas += [_for_suite(stanza, own, suite) for stanza in text]
    found = [stanza for stanza in stanzas if stanza]
    if not any(suite in _field(stanza, "Suites").split() for stanza in found):
        raise LabError(
            f"no package source for {suite}: {apt} has none for Debian {own or '(unknown suite)'}; "
            "name a file of apt sources with HARDEN_LAB_SOURCES"
        )
    return "\n".join(found)


def named(path: Path) -> str:
    """Return a file of sources as it is, in deb822 format whichever it has.

    Raises:
        LabError: it cannot be read, or has no source.
    """
    try:
        text = path.read_text()
    except OSError as error:
        raise LabError(f"{path} cannot be read: {error.strerror}; see HARDEN_LAB_SOURCES") from None
    lines = [stanza for line in text.splitlines() if (stanza := _from_line(line))]
    if not lines and not _field(text, "URIs"):
        raise LabError(f"{path} has no source of packages; see HARDEN_LAB_SOURCES")
    return "\n".join(lines) or text


def _codename(os_release: Path) -> str:
    try:
        found = re.search(r"^VERSION_CODENAME=\"?([a-z]+)", os_release.read_text(), re.MULTILINE)
    except OSError:
        return ""
    return found[1] if found else ""


def _texts(apt: Path) -> Iterable[list[str]]:
    """Yield the stanzas of each file."""
    for path in sorted(apt.glob("sources.list.d/*.sources")):
        plain = "\n".join(line for line in path.read_text().splitlines() if not line.startswith("#"))
        yield [stanza + "\n" for stanza in re.split(r"\n\s*\n", plain) if stanza.strip()]
    for path in [apt / "sources.list", *sorted(apt.glob("sources.list.d/*.list"))]:
        if path.exists():
            yield [stanza for line in path.read_text().splitlines() if (stanza := _from_line(line))]


def _from_line(line: str) -> str:
    """Return a one-line source as a stanza; "" for anything else."""
    found = re.match(r"deb\s+(?:\[(?P<options>[^]]*)\]\s+)?(?P<uri>\S+)\s+(?P<suite>\S+)\s+(?P<parts>[^#]+)", line)
    if not found:
        return ""
    stanza = f"Types: deb\nURIs: {found['uri']}\nSuites: {found['suite']}\nComponents: {found['parts'].strip()}\n"
    signed = re.search(r"signed-by=(\S+)", found["options"] or "")
    return stanza + (f"Signed-By: {signed[1]}\n" if signed else "")


def _for_suite(stanza: str, own: str, suite: str) -> str:
    """Return a stanza with the suites of the machine replaced; "" when it is no source of packages of Debian."""
    if "deb" not in _field(stanza, "Types").split() or _field(stanza, "Enabled").lower() == "no":
        return ""
    known = {f"{name}{pocket}": f"{suite}{pocket}" for name in (own, suite) for pocket in POCKETS if name}
    suites = list(dict.fromkeys(known[name] for name in _field(stanza, "Suites").split() if name in known))
    if not suites:
        return ""
    return re.sub(r"(?mi)^Suites:.*$", f"Suites: {' '.join(suites)}", stanza)


def _field(stanza: str, name: str) -> str:
    found = re.search(rf"(?mi)^{name}:(.*)$", stanza)
    return found[1].strip() if found else ""
