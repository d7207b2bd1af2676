"""A host in a folder: real links, files and records, a systemd that only remembers. It can be killed anywhere."""

from __future__ import annotations

import os
import subprocess
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from deploy.description import App, Database, Description
from deploy.files import File
from deploy.host import building, durable, gate, migrating, recovery, releasing, slots, tree
from deploy.host.errors import HostError
from deploy.host.places import SLOTS, Places

DESCRIPTION = Description(
    app=App(name="shop", target="app:app", keep=2), database=Database(name="shop", role="shop")
)
TOML = '[app]\nname = "shop"\ntarget = "app:app"\nkeep = 2\n[database]\nname = "shop"\nrole = "shop"\n'
DURABLE = {name: getattr(durable, name) for name in ("replace", "link", "remove")}


class Killed(BaseException):
    """What kill -9 is to the one that it hits: nothing more is done, not even in a `finally`."""


class Host:
    """One that has apps' units, of which some run.

    Attributes:
        places: where it lies.
        active: units that run.
        refused: units that do not start.
        left: actions until it is killed; None for never.
        actions: what was done, for counting and for messages.
    """

    def __init__(self, root: Path) -> None:
        self.places = Places("shop", root)
        self.active: set[str] = set()
        self.refused: set[str] = set()
        self.left: int | None = None
        self.actions: list[str] = []
        for folder in (self.places.releases, self.places.state, root / "etc/shop"):
            folder.mkdir(parents=True)

    def act(self, what: str) -> None:
        """Count an action, or be dead."""
        if self.left is not None:
            if self.left <= 0:
                raise Killed
            self.left -= 1
        self.actions.append(what)

    def systemctl(self, *words: str, check: bool = True, timeout: float = 0) -> subprocess.CompletedProcess[str]:
        """Do as systemctl does, at once."""
        verb, units = words[0], [word for word in words[1:] if not word.startswith("-")]
        if verb == "show":
            return subprocess.CompletedProcess(words, 0, "0\n", "")
        self.act(" ".join(words))
        if verb == "start" and self.refused & set(units):
            if check:
                raise HostError(f"{units[0]} does not start")
            return subprocess.CompletedProcess(words, 1, "", "")
        if verb == "start":
            self.active |= set(units)
        if verb == "stop":
            self.active -= set(units)
        return subprocess.CompletedProcess(words, 0, "", "")

    def make(self, release: str, text: str) -> None:
        """Make a release with one file of configuration."""
        folder = self.places.release(release)
        folder.mkdir()
        (folder / "harden.toml").write_text(TOML)
        tree.save(folder / "etc", self.files(text))
        (folder / slots.RECORD).write_text("{}")

    def files(self, text: str) -> tuple[File, ...]:
        """Return the configuration: one file that all releases have, and one of this one's own."""
        return File("/etc/shop/app.env", text), File(f"/etc/shop/{text}.env", text)

    def serve(self, release: str, text: str, slot: str) -> None:
        """Let a release serve."""
        for link in (self.places.slot(slot), self.places.current):
            slots.point(self.places, link, release)
        for file in self.files(text):
            (self.places.root / file.path.lstrip("/")).write_text(text)
        self.active |= {self.places.unit(slot), "shop.service"}

    def config(self) -> set[str]:
        """Return the names of the files that are applied, and what the shared one says."""
        folder = self.places.root / "etc/shop"
        return {path.name for path in folder.iterdir()} | {(folder / "app.env").read_text()}

    def reboot(self) -> None:
        """Lose power and come back: systemd starts the instance of the current release, as shop.service says."""
        now = slots.current(self.places)
        self.active = {"shop.service"}
        for slot in SLOTS:
            if now and slots.release_of(self.places.slot(slot)) == now:
                self.active.add(self.places.unit(slot))
                return


def fake(root: Path, monkeypatch: pytest.MonkeyPatch) -> Host:
    """Return a host on which all modules work from now on."""
    monkeypatch.setattr(os, "fsync", lambda handle: None)  # no disk is proved here
    made = Host(root)
    for module in (building, migrating, recovery, releasing):
        monkeypatch.setattr(module, "systemctl", made.systemctl)
    for module in (slots, recovery, releasing):
        monkeypatch.setattr(module, "is_active", lambda unit: unit in made.active)
    said = subprocess.CompletedProcess((), 0, "a line\n", "")
    monkeypatch.setattr(releasing, "run", lambda *_, **__: said)
    monkeypatch.setattr(releasing, "WATCHED", 0.0)
    monkeypatch.setattr(gate, "pass_through", lambda *_: made.act("gate"))
    for name, do in DURABLE.items():
        monkeypatch.setattr(durable, name, _counted(made, name, do))
    return made


@pytest.fixture
def host(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Host:
    """A host without a release."""
    return fake(tmp_path, monkeypatch)


def _counted(host: Host, name: str, do: Callable[..., Any]) -> Callable[..., Any]:
    def counted(*words: Any, **more: Any) -> Any:
        host.act(f"{name} {words[0]}")
        # Files are pytest's user's here, whoever they would belong to.
        return do(*words[:3] if name == "replace" else words)

    return counted
