"""Whether a disk rotates, told from files as Linux has them."""

from __future__ import annotations

import os
from pathlib import Path

import pytest

from scripts.doctor.disks import is_rotating


@pytest.mark.parametrize(("said", "expected"), [("1\n", True), ("0\n", False)])
def test_the_disk_says_so_and_of_a_partition_its_disk(said: str, expected: bool, tmp_path: Path) -> None:
    device = tmp_path.stat().st_dev
    disk = tmp_path / "devices" / "sda"
    (disk / "queue").mkdir(parents=True)
    (disk / "queue" / "rotational").write_text(said)
    (disk / "sda1").mkdir()
    system = tmp_path / "block"
    system.mkdir()
    (system / f"{os.major(device)}:{os.minor(device)}").symlink_to(disk / "sda1")
    assert is_rotating(str(tmp_path), system) is expected


def test_what_nobody_says_is_not_known(tmp_path: Path) -> None:
    assert is_rotating(str(tmp_path), tmp_path) is None
    assert is_rotating(str(tmp_path / "absent")) is None
