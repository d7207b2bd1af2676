"""What is said of a machine that had other things to do."""

from __future__ import annotations

from pathlib import Path

from scripts.bench.noise import Listener, Noise


def test_a_quiet_machine_is_called_so() -> None:
    assert Noise(0.2, 1.8, 0.001, 2).verdict().startswith("quiet: load average 0.20 before, 1.80 after")


def test_load_before_and_steal_are_named_as_reasons() -> None:
    said = Noise(1.5, 2.0, 0.1, 2).verdict()
    assert said.startswith("NOISY: the machine was busy before it began and the host gave processor time")
    assert "steal 10.0%" in said


def test_load_counts_per_core_and_load_after_is_our_own() -> None:
    assert Noise(1.5, 9.0, 0.0, 8).verdict().startswith("quiet")


def test_steal_is_a_share_of_the_time_between(tmp_path: Path) -> None:
    stat = tmp_path / "stat"
    stat.write_text("cpu  100 0 100 800 0 0 0 0 0 0\ncpu0 ...\n")
    listener = Listener(stat)
    stat.write_text("cpu  130 0 110 850 0 0 0 10 0 0\n")
    assert listener.heard().steal == 0.1


def test_a_system_without_that_file_has_no_steal(tmp_path: Path) -> None:
    assert Listener(tmp_path / "missing").heard().steal == 0.0
