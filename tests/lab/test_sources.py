"""Package sources are the machine's own, for the suite that is asked for."""

from __future__ import annotations

from pathlib import Path

import pytest

from . import base, sources
from .errors import LabError

DEB822 = """# made by hand
Types: deb deb-src
# a pinned day
URIs: http://mirror.invalid/debian
Suites: bookworm bookworm-updates
Components: main
Signed-By: /usr/share/keyrings/debian-archive-keyring.gpg

Types: deb
URIs: http://mirror.invalid/security
Suites: bookworm-security
Components: main
"""


def machine(tmp_path: Path, **files: str) -> dict[str, Path]:
    (tmp_path / "sources.list.d").mkdir()
    (tmp_path / "os-release").write_text('NAME="Debian"\nVERSION_CODENAME=bookworm\n')
    for name, text in files.items():
        (tmp_path / name.replace("__", "/").replace("_dot_", ".")).write_text(text)
    return {"apt": tmp_path, "os_release": tmp_path / "os-release"}


def test_sources_of_the_machine_are_taken_with_their_keyrings(tmp_path: Path) -> None:
    found = sources.find("bookworm", **machine(tmp_path, sources_dot_list_dot_d__debian_dot_sources=DEB822))
    assert "Suites: bookworm bookworm-updates\n" in found
    assert "Signed-By: /usr/share/keyrings/debian-archive-keyring.gpg" in found
    assert "Suites: bookworm-security\n" in found


def test_another_suite_comes_from_the_same_mirrors(tmp_path: Path) -> None:
    found = sources.find("trixie", **machine(tmp_path, sources_dot_list_dot_d__debian_dot_sources=DEB822))
    assert "Suites: trixie trixie-updates\n" in found
    assert "http://mirror.invalid/security" in found
    assert "bookworm" not in found


def test_one_line_sources_become_stanzas_and_other_archives_stay_out(tmp_path: Path) -> None:
    lines = (
        "deb [arch=amd64 signed-by=/k.gpg] http://mirror.invalid/debian bookworm main contrib # first\n"
        "deb-src http://mirror.invalid/debian bookworm main\n"
        "deb http://other.invalid/apt bookworm-pgdg main\n"
        "# deb http://off.invalid/debian bookworm main\n"
    )
    found = sources.find("bookworm", **machine(tmp_path, sources_dot_list=lines))
    assert found == (
        "Types: deb\nURIs: http://mirror.invalid/debian\nSuites: bookworm\nComponents: main contrib\n"
        "Signed-By: /k.gpg\n"
    )


def test_a_machine_without_debian_sources_says_so_in_one_line(tmp_path: Path) -> None:
    where = machine(tmp_path, sources_dot_list="deb http://mirror.invalid/other jammy main\n")
    with pytest.raises(LabError, match=r"no package source for bookworm: .* name a file .* HARDEN_LAB_SOURCES"):
        sources.find("bookworm", **where)


def test_a_named_file_may_have_either_format(tmp_path: Path) -> None:
    named = tmp_path / "named"
    named.write_text("deb http://mirror.invalid/debian bookworm main\n")
    assert sources.named(named).splitlines()[1:] == [
        "URIs: http://mirror.invalid/debian", "Suites: bookworm", "Components: main"
    ]  # fmt: skip
    named.write_text(DEB822)
    assert sources.named(named) == DEB822
    named.write_text("nothing\n")
    with pytest.raises(LabError, match="has no source of packages"):
        sources.named(named)


def test_a_switched_off_source_is_not_used(tmp_path: Path) -> None:
    text = "Enabled: no\n" + DEB822.partition("\n\n")[0]
    where = machine(tmp_path, sources_dot_list_dot_d__debian_dot_sources=text)
    with pytest.raises(LabError, match="no package source"):
        sources.find("bookworm", **where)


def test_the_recipe_reads_the_environment_and_names_the_folder() -> None:
    ours = base.recipe_from({})
    more = base.recipe_from({"HARDEN_LAB_EXTRA": "rsync"})
    newer = base.recipe_from({"HARDEN_LAB_SUITE": "trixie"})
    assert len({each.folder_name for each in (ours, more, newer)}) == 3
    same = base.recipe_from({"HARDEN_LAB_PACKAGES": " ".join(reversed(base.PACKAGES))})
    assert ours.folder_name == same.folder_name


@pytest.mark.parametrize("value", ["rsync;reboot", "--hook=x", "a,b", "Rsync"])
def test_a_package_name_cannot_be_an_option(value: str) -> None:
    with pytest.raises(LabError, match="is no name of a Debian suite or package"):
        base.recipe_from({"HARDEN_LAB_EXTRA": value})
