import os
from pathlib import Path

import pytest

from scripts.demo.report import describe_machine, machine

from .sample import MACHINE


def write(root: Path, path: str, text: str) -> None:
    file = root / path
    file.parent.mkdir(parents=True, exist_ok=True)
    file.write_text(text)


@pytest.fixture
def root(tmp_path: Path) -> Path:
    write(
        tmp_path,
        "proc/cpuinfo",
        "processor\t: 0\nmodel name\t: AMD: EPYC\n\nprocessor\t: 1\nmodel name\t: other\n",
    )
    write(tmp_path, "proc/meminfo", "MemTotal:        8388608 kB\nMemFree: 1 kB\n")
    write(tmp_path, "etc/os-release", 'NAME="Debian"\nPRETTY_NAME="Debian GNU/Linux 12 (bookworm)"\n')
    return tmp_path


def test_names_and_sizes_are_read(root: Path) -> None:
    described = describe_machine("16.6", "1.25.0", root)
    assert described["cpu"] == "AMD: EPYC"
    assert described["memory_gib"] == 8.0
    assert described["os"] == "Debian GNU/Linux 12 (bookworm)"
    assert (described["postgresql"], described["pgbouncer"]) == ("16.6", "1.25.0")
    assert list(described) == list(MACHINE)


def test_the_limits_of_a_container_count(root: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(os, "sched_getaffinity", lambda pid: set(range(64)), raising=False)
    assert describe_machine("16", root=root)["cores"] == 64
    write(root, "sys/fs/cgroup/cpu.max", "150000 100000\n")
    write(root, "sys/fs/cgroup/memory.max", f"{2 * 2**30}\n")
    described = describe_machine("16", root=root)
    assert (described["cores"], described["memory_gib"]) == (2, 2.0)


def test_no_limit_is_no_limit(root: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(os, "sched_getaffinity", lambda pid: {0, 1}, raising=False)
    write(root, "sys/fs/cgroup/cpu.max", "max 100000\n")
    write(root, "sys/fs/cgroup/memory.max", "max\n")
    described = describe_machine("16", root=root)
    assert (described["cores"], described["memory_gib"]) == (2, 8.0)


def test_a_machine_without_these_files_is_described_all_the_same(tmp_path: Path) -> None:
    described = describe_machine("16", root=tmp_path)
    assert described["cpu"]
    assert described["memory_gib"] == 0.0
    assert described["pgbouncer"] is None


def test_what_is_not_installed_is_said(monkeypatch: pytest.MonkeyPatch) -> None:
    assert machine._version("no-such-distribution") == "not installed"
    assert machine._version("no-such-distribution", "flask").count(".") >= 1


def test_the_real_machine_has_memory_and_cores() -> None:
    described = describe_machine("16")
    assert described["memory_gib"] > 0
    assert described["cores"] >= 1
