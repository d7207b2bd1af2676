"""Where the peers are installed; pip itself is a double, for the network is none of ours."""

from __future__ import annotations

import sys
from collections.abc import Sequence
from pathlib import Path

import pytest

from scripts.bench import environment
from scripts.bench.environment import Peers
from scripts.bench.pool.subjects import BY_KEY
from scripts.errors import CommandError


class Pip:
    """Stands for every command; remembers what was to be installed, and cannot have some of it."""

    def __init__(self, *refused: str) -> None:
        self.refused = refused
        self.installed: list[Sequence[str]] = []

    def __call__(self, command: Sequence[str]) -> str | None:
        if "venv" in command:
            Path(command[-1]).mkdir(parents=True)
        if "install" not in command:
            return None
        names = command[command.index("--disable-pip-version-check") + 1 :]
        self.installed.append(names)
        return "ERROR: no such package" if set(self.refused) & set(names) else None


@pytest.fixture
def said() -> list[str]:
    return []


def _peers(tmp_path: Path, said: list[str], pip: Pip, monkeypatch: pytest.MonkeyPatch) -> Peers:
    monkeypatch.setattr(environment, "_runs", pip)
    return Peers(tmp_path / "peers", said.append)


def test_subjects_that_need_nothing_run_in_this_interpreter(tmp_path: Path, said: list[str]) -> None:
    peers = Peers(tmp_path / "peers", said.append)
    assert peers.prepare([BY_KEY["ours"], BY_KEY["semaphore"]]) == sys.executable
    assert (said, list(tmp_path.iterdir())) == ([], [])


def test_a_second_run_installs_nothing(tmp_path: Path, said: list[str], monkeypatch: pytest.MonkeyPatch) -> None:
    pip = Pip()
    subjects = [BY_KEY["dbutils"], BY_KEY["sqlalchemy"], BY_KEY["sqlalchemy-ping"]]
    for _ in range(2):
        python = _peers(tmp_path, said, pip, monkeypatch).prepare(subjects)
    assert python == str(tmp_path / "peers" / "bin" / "python")
    assert pip.installed == [[*environment.OWN, "dbutils", "sqlalchemy"]]
    assert len(said) == 2 and "installing" in said[1]


def test_a_later_peer_is_added(tmp_path: Path, said: list[str], monkeypatch: pytest.MonkeyPatch) -> None:
    pip = Pip()
    _peers(tmp_path, said, pip, monkeypatch).prepare([BY_KEY["dbutils"]])
    _peers(tmp_path, said, pip, monkeypatch).prepare([BY_KEY["dbutils"], BY_KEY["psycopg-pool"]])
    assert pip.installed[1] == ["psycopg[binary]", "psycopg_pool"]


def test_a_package_that_cannot_be_had_leaves_the_others(
    tmp_path: Path, said: list[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    pip = Pip("dbutils")
    peers = _peers(tmp_path, said, pip, monkeypatch)
    peers.prepare([BY_KEY["dbutils"], BY_KEY["sqlalchemy"]])
    assert peers.missing == {"dbutils": "ERROR: no such package"}
    assert ["sqlalchemy"] in pip.installed


def test_without_the_driver_nothing_can_be_measured(
    tmp_path: Path, said: list[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    peers = _peers(tmp_path, said, Pip("psycopg2-binary>=2.9"), monkeypatch)
    with pytest.raises(CommandError, match=r"psycopg2-binary.*check the network"):
        peers.prepare([BY_KEY["dbutils"]])


def test_a_folder_that_cannot_be_written_is_an_error(tmp_path: Path, said: list[str]) -> None:
    (tmp_path / "file").write_text("")
    with pytest.raises(CommandError, match="cannot write to"):
        Peers(tmp_path / "file" / "peers", said.append).prepare([BY_KEY["dbutils"]])
