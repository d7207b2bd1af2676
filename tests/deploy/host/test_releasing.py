"""The order of a release, on a host that can be killed at each single action of it."""

from __future__ import annotations

import errno
from collections.abc import Callable

import pytest

from deploy.host import audit, gate, operation, recovery, releasing, slots
from deploy.host.errors import GateError, HostError
from deploy.host.operation import Operation
from deploy.host.releasing import Change
from deploy.host.steps import Steps

from .fake_host import DESCRIPTION, Host, Killed, fake, host

__all__ = ["host"]

OLDER, OLD, NEW = (f"2026010{day}T000000Z-0000000{day}" for day in "123")


def change(host: Host, verb: str = "release", migrate: Callable[[], None] | None = None) -> Change:
    """Return the change to NEW; a release makes it."""
    build = (lambda: host.make(NEW, "new")) if verb == "release" else None
    return Change(verb, NEW, DESCRIPTION, host.files("new"), 5, build, migrate)


def perform(host: Host, wanted: Change) -> list[str]:
    said: list[str] = []
    releasing.perform(host.places, wanted, Steps(said.append), said.append)
    return said


@pytest.fixture
def served(host: Host) -> Host:
    """A host on which OLD serves as instance b."""
    return _served(host)


def _served(host: Host) -> Host:
    host.make(OLDER, "older")
    host.make(OLD, "old")
    slots.point(host.places, host.places.slot("a"), OLDER)
    host.serve(OLD, "old", "b")
    host.actions.clear()
    return host


def state(host: Host) -> tuple[str, str, str, set[str], set[str]]:
    places = host.places
    links = (slots.release_of(link) for link in (places.current, places.slot("a"), places.slot("b")))
    now, a, b = links
    return now, a, b, {unit for unit in host.active if "@" in unit}, host.config()


OLD_STATE = (OLD, OLDER, OLD, {"shop@b.service"}, {"app.env", "old.env", "old"})
NEW_STATE = (NEW, NEW, OLD, {"shop@a.service"}, {"app.env", "new.env", "new"})


def test_the_new_one_passes_the_gate_twice_before_the_old_one_goes(served: Host) -> None:
    perform(served, change(served))
    assert state(served) == NEW_STATE
    done = [word for word in served.actions if word.startswith(("start shop", "gate", "stop shop@", "link"))]
    short = [word.replace(str(served.places.home), "") for word in done][-9:]
    assert short == [
        "stop shop@a.service", "link /a", "start shop-candidate@a.service", "gate", "start shop@a.service", "gate",
        "link /current", "start shop.service", "stop shop@b.service",
    ]  # fmt: skip
    assert operation.read(served.places) is None
    (line,) = audit.read(served.places)
    assert (line["result"], line["release"], line["before"], line["slot"]) == ("done", NEW, OLD, "a")


def test_the_first_release_needs_no_old_one(host: Host) -> None:
    perform(host, change(host))
    assert state(host) == (NEW, NEW, "", {"shop@a.service"}, {"app.env", "new.env", "new"})


@pytest.mark.parametrize("refused", ["shop-candidate@a.service", "shop@a.service"])
def test_what_does_not_start_is_undone_with_the_last_lines_of_its_journal(served: Host, refused: str) -> None:
    served.refused = {refused}
    with pytest.raises(GateError, match=f"does not start: a line; all is as before, {OLD} serves") as caught:
        perform(served, change(served))
    assert caught.value.tail == ("a line",)
    assert state(served) == OLD_STATE
    assert NEW not in slots.releases(served.places)
    assert audit.read(served.places)[-1]["result"] == "undone"


@pytest.mark.parametrize("verb", ["release", "rollback"])
def test_a_gate_that_is_not_passed_is_undone(served: Host, monkeypatch: pytest.MonkeyPatch, verb: str) -> None:
    def refuse(*_: object) -> None:
        raise GateError("last: 503")

    monkeypatch.setattr(gate, "pass_through", refuse)
    if verb == "rollback":
        served.make(NEW, "new")
    with pytest.raises(GateError, match="last: 503"):
        perform(served, change(served, verb))
    assert state(served) == OLD_STATE
    assert (NEW in slots.releases(served.places)) == (verb == "rollback")  # that one is there to stay


@pytest.mark.parametrize("error", [KeyboardInterrupt(), SystemExit(143)])
def test_somebody_who_stops_it_finds_all_as_before(served: Host, error: BaseException) -> None:
    def stopped() -> None:
        raise error

    with pytest.raises(type(error)):
        perform(served, change(served, migrate=stopped))
    assert state(served) == OLD_STATE
    assert operation.read(served.places) is None


def test_what_cannot_be_undone_stays_on_record_and_the_next_run_tries_again(
    served: Host, monkeypatch: pytest.MonkeyPatch
) -> None:
    served.refused = {"shop@a.service"}
    with monkeypatch.context() as broken:
        broken.setattr(recovery, "apply", _refuse)
        with pytest.raises(HostError, match=r"does not start.*; and it cannot be undone: nginx refuses; run this"):
            perform(served, change(served))
    assert operation.read(served.places) is not None
    recovery.recover(served.places, print)
    assert state(served) == OLD_STATE


def test_a_full_disk_is_one_line_and_all_is_as_before(served: Host) -> None:
    def full() -> None:
        raise OSError(errno.ENOSPC, "No space left on device", "/opt/shop/x")

    with pytest.raises(GateError, match=f"^/opt/shop/x: No space left on device; all is as before, {OLD} serves$"):
        perform(served, change(served, migrate=full))
    assert state(served) == OLD_STATE
    assert audit.read(served.places)[-1]["reason"] == "/opt/shop/x: No space left on device"


def test_a_release_that_serves_is_never_removed_by_undoing(served: Host) -> None:
    again = Operation("release", OLD, "a", OLD, "", "build", "2026-01-03T00:00:00Z")
    operation.write(served.places, again)
    recovery.recover(served.places, print)
    assert OLD in slots.releases(served.places)
    assert operation.read(served.places) is None


def _refuse(*_: object) -> None:
    raise HostError("nginx refuses")


def test_a_dry_run_tells_every_step_and_changes_nothing(served: Host) -> None:
    served.actions.clear()
    said: list[str] = []
    releasing.perform(served.places, change(served, migrate=_refuse), Steps(said.append, is_dry=True), said.append)
    assert served.actions == []
    assert state(served) == OLD_STATE
    assert len(said) == 8
    assert all(line.startswith("would ") for line in said)
    assert "/etc/shop/app.env, /etc/shop/new.env, /etc/shop/old.env" in " ".join(said)


@pytest.mark.parametrize("verb", ["release", "rollback"])
@pytest.mark.parametrize("power", ["stays", "is cut"])
def test_killed_at_any_action_the_host_serves_and_ends_in_the_old_or_the_new_state(
    tmp_path_factory: pytest.TempPathFactory, monkeypatch: pytest.MonkeyPatch, verb: str, power: str
) -> None:
    """Also when what puts it right is killed in its turn, at each of its first actions."""
    ends = set()
    for left in range(100):
        for again in (None, 2, 5):
            made = _served(fake(tmp_path_factory.mktemp("host"), monkeypatch))
            if verb == "rollback":
                made.make(NEW, "new")
            made.left = left
            try:
                perform(made, change(made, verb))
                assert left > 20, made.actions
                assert ends == {OLD, NEW}
                return
            except Killed:
                pass
            _comes_back(made, power)
            if again is not None:
                made.left = again
                try:
                    recovery.recover(made.places, lambda line: None)
                except Killed:
                    _comes_back(made, power)
            made.left = None
            recovery.recover(made.places, lambda line: None)
            now = state(made)
            assert now in (OLD_STATE, NEW_STATE), (left, again, made.actions)
            assert operation.read(made.places) is None
            ends.add(now[0])
    raise AssertionError("it never came to its end")


def _comes_back(made: Host, power: str) -> None:
    if power == "is cut":
        made.reboot()
    instances = {unit for unit in made.active if unit.startswith("shop@")}
    assert instances, made.actions  # somebody serves, at every moment
