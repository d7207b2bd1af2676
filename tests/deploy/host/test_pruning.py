"""What goes and what stays when old releases are removed."""

from __future__ import annotations

from deploy.host import pruning, slots

from .fake_host import Host, host

__all__ = ["host"]

ALL = [f"2026010{day}T000000Z-0000000{day}" for day in range(1, 7)]


def made(host: Host, current: int, other: int) -> Host:
    for release in ALL:
        host.make(release, "x")
    host.serve(ALL[current], "x", "a")
    slots.point(host.places, host.places.slot("b"), ALL[other])
    return host


def test_the_newest_stay(host: Host) -> None:
    made(host, 5, 4)
    said: list[str] = []
    assert pruning.prune(host.places, 3, said.append) == ALL[:3]
    assert slots.releases(host.places) == ALL[3:]
    assert said == [f"removed {release}" for release in ALL[:3]]


def test_what_a_link_leads_to_and_the_one_before_the_current_stay_however_old(host: Host) -> None:
    made(host, 2, 0)
    pruning.prune(host.places, 2, print)
    assert slots.releases(host.places) == [ALL[0], ALL[1], ALL[2], ALL[4], ALL[5]]


def test_what_interrupted_runs_have_left_goes_and_what_is_none_of_ours_does_too(host: Host) -> None:
    made(host, 5, 4)
    for name in (f".{ALL[0]}.partial", f".{ALL[1]}.gone", "20260109T000000Z-00000009"):
        (host.places.releases / name / "venv").mkdir(parents=True)
    pruning.prune(host.places, 9, print)
    assert sorted(path.name for path in host.places.releases.iterdir()) == ALL
