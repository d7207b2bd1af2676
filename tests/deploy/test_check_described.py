"""Checks of the description by itself: each says something when there is something."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

from deploy.description import Database, Front, Timeouts

from .check_samples import asked, subject, text_of
from .unit_samples import one_host, three_hosts


def test_a_good_description_is_ok(tmp_path: Path) -> None:
    for name in ("description", "sizes", "timeouts", "files", "secrets"):
        found = asked(name, subject(tmp_path))
        assert (found.state, found.findings) == ("ok", ()), name


def test_plain_http_for_a_domain_is_a_finding(tmp_path: Path) -> None:
    description = one_host(front=Front(domains=("shop.example",)))
    assert "plain HTTP" in text_of(asked("description", subject(tmp_path, description)))


def test_too_few_connections_are_a_finding_with_the_key_to_change(tmp_path: Path) -> None:
    description = one_host(database=Database(name="shop", role="shop", max_connections=10))
    found = asked("sizes", subject(tmp_path, description))
    assert found.state == "finding"
    assert "database.max_connections" in text_of(found)


def test_the_ladder_is_shown_and_a_rung_that_is_too_high_is_a_finding(tmp_path: Path) -> None:
    assert "connect 2 < lock 4 < query_wait 5 < statement 20" in asked("timeouts", subject(tmp_path)).text
    description = one_host(timeouts=Timeouts(statement=40))
    found = asked("timeouts", subject(tmp_path, description))
    assert "timeouts.statement = 40 s is not below graceful = 25 s" in text_of(found)


def test_files_that_cannot_be_made_are_a_finding(tmp_path: Path) -> None:
    found = asked("files", subject(tmp_path, broken={"balancer": "the key is elsewhere"}))
    assert "files for balancer: the key is elsewhere" in text_of(found)


def test_a_secret_that_is_missing_is_a_finding(tmp_path: Path) -> None:
    service = subject(tmp_path, secrets={"SECRET_KEY": ""}, left_out={"/etc/x": "DATABASE_VERIFIER is not known"})
    said = text_of(asked("secrets", service))
    for name in ("DATABASE_URL", "SECRET_KEY", "DATABASE_VERIFIER"):
        assert name in said


def test_without_a_file_of_secrets_it_says_why_it_cannot_look(tmp_path: Path) -> None:
    found = asked("secrets", replace(subject(tmp_path), secrets={}, no_secrets="no such file"))
    assert (found.state, found.text) == ("skipped", "no such file")


def test_several_hosts_are_ok_too(tmp_path: Path) -> None:
    assert asked("sizes", subject(tmp_path, three_hosts(), "app")).state == "ok"
