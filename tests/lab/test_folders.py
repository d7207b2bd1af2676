"""What is removed lies below the lab's own folder, and no mount is below it."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pytest

from . import cgroups, folders
from .errors import LabError

ROOT = Path(__file__).resolve().parents[2]


@pytest.fixture
def state(tmp_path: Path) -> Path:
    return folders.state_folder({"HARDEN_LAB_DIR": str(tmp_path.resolve() / "labs-of-a-test")})


def test_a_folder_below_the_state_is_removed_and_its_neighbours_stay(state: Path) -> None:
    (state / "labs/a/deep").mkdir(parents=True)
    (state / "labs/b").mkdir()
    folders.remove_tree(state, state / "labs/a")
    assert sorted(path.name for path in (state / "labs").iterdir()) == ["b"]
    folders.remove_tree(state, state / "labs/a")  # again is no error


def test_nothing_outside_the_state_is_removed(state: Path, tmp_path: Path) -> None:
    outside = tmp_path / "outside"
    (outside / "kept").mkdir(parents=True)
    (state / "labs/link").symlink_to(outside)
    for folder in (outside, state, state / "labs/link", state / "labs/link/kept", state / "../outside"):
        with pytest.raises(LabError, match="is not removed"):
            folders.remove_tree(state, folder)
    assert (outside / "kept").exists()


@pytest.mark.skipif(os.geteuid() != 0, reason="mounting needs root")
def test_a_folder_with_a_mount_below_it_is_not_removed(state: Path) -> None:
    """In a mount namespace of its own, so that the machine sees nothing of it."""
    (state / "labs/a/mounted").mkdir(parents=True)
    (state / "labs/a/mounted/kept").touch()
    script = (
        "import sys; from pathlib import Path; from tests.lab import folders\n"
        "state = Path(sys.argv[1]); folders.remove_tree(state, state / 'labs/a')"
    )
    shell = 'mount --bind "$1/labs/a/mounted" "$1/labs/a/mounted" && exec "$2" -c "$3" "$1"'
    own = ["unshare", "--mount", "--propagation", "private"]
    done = subprocess.run(
        [*own, "sh", "-c", shell, "-", str(state), sys.executable, script], cwd=ROOT,
        capture_output=True, text=True,
    )  # fmt: skip
    if "unshare failed" in done.stderr or "permission denied" in done.stderr:
        pytest.skip("this machine gives no mount namespaces")
    assert "is a mount; unmount it yourself" in done.stderr
    assert (state / "labs/a/mounted/kept").exists()


@pytest.mark.parametrize("value", ["/", "/tmp", "relative/folder", "/var/tmp/a,b", "/var/a:b", "/var/tmp/../x"])
def test_a_folder_that_cannot_hold_labs_is_refused(value: str) -> None:
    with pytest.raises(LabError, match="cannot hold labs"):
        folders.state_folder({"HARDEN_LAB_DIR": value})


def test_a_folder_that_others_can_write_to_is_refused(tmp_path: Path) -> None:
    open_folder = tmp_path.resolve() / "open"
    open_folder.mkdir()
    open_folder.chmod(0o777)
    with pytest.raises(LabError, match="is not ours alone"):
        folders.state_folder({"HARDEN_LAB_DIR": str(open_folder)})


def test_a_control_group_of_somebody_else_is_not_removed(tmp_path: Path) -> None:
    with pytest.raises(LabError, match="is no lab's"):
        cgroups.remove(tmp_path / "system.slice")
    assert tmp_path.exists()
