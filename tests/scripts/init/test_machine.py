"""What `init --here` says of a machine, and of a Debian that has nothing yet."""

from __future__ import annotations

from pathlib import Path

import pytest

from scripts.init import machine


@pytest.mark.parametrize(
    ("text", "versions"),
    [
        ('ID=debian\nVERSION_ID="12"\n', (15, "1.18.0")), ("ID=debian\nVERSION_ID=13\n", (17, "1.24.1")),
        ('ID=debian\nVERSION_ID="99"\n', None), ('ID=ubuntu\nVERSION_ID="12"\n', None), ("ID=debian\n", None),
    ],
)  # fmt: skip
def test_a_clean_debian_gets_the_versions_that_install_will_bring(
    text: str, versions: tuple[int, str] | None, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    (tmp_path / "os-release").write_text(text)
    monkeypatch.setattr(machine, "OS_RELEASE", tmp_path / "os-release")
    monkeypatch.setattr(machine.shutil, "which", lambda *_, **__: None)
    monkeypatch.setattr(Path, "glob", lambda *_: iter(()))
    found = (machine.postgresql_version(), machine.pgbouncer_version())
    assert found == (None, None) if versions is None else tuple(each and each.value for each in found) == versions
