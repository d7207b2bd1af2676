"""The demo's prototype is audited: what the demo shows breaking under load is found by reading it."""

from __future__ import annotations

import shutil
from pathlib import Path

import pytest

import scripts.demo
from scripts.audit.rules import RULES
from scripts.audit.run import Result, audit

SHOP = Path(scripts.demo.__file__).with_name("legacy_shop.py")


@pytest.fixture(scope="module")
def found(tmp_path_factory: pytest.TempPathFactory) -> Result:
    """What the audit says of the prototype, alone in a folder: the kit's deployment files do not speak for it."""
    folder = tmp_path_factory.mktemp("legacy")
    shutil.copy(SHOP, folder)
    return audit(folder, RULES)


def _lines(found: Result, rule: str) -> list[str]:
    source = SHOP.read_text(encoding="utf-8").splitlines()
    return [source[each.place.line - 1].strip() for each in found.findings if each.name == rule]


def test_each_helper_call_opens_a_connection(found: Result) -> None:
    (line,) = _lines(found, "connect-per-request")
    assert "psycopg2.connect(os.environ" in line
    (finding,) = (each for each in found.findings if each.name == "connect-per-request")
    assert len(finding.routes) == found.routes
    assert len(finding.more) == SHOP.read_text(encoding="utf-8").count("conn = get_db_connection()")


def test_the_sixty_one_statements_of_a_profile_are_one_finding_with_three_places(found: Result) -> None:
    nested, listed = [each for each in found.findings if each.name == "n-plus-one"]
    assert "3 statements" in nested.message
    assert 1 + len(nested.more) == 3
    assert nested.routes == ("GET /api/admin/customers/<int:customer_id>", "GET /api/me")
    assert listed.routes == ("GET /api/appointments",)


def test_loops_over_what_the_client_sends_are_told_apart_from_loops_over_rows(found: Result) -> None:
    assert _lines(found, "query-in-loop") == [
        "for vehicle_id in vehicle_ids:", "for service_id in sorted(service_ids):", "for service in services:",
    ]  # fmt: skip


@pytest.mark.parametrize("rule", ["dev-server", "debug-on"])
def test_how_it_is_started_is_found(found: Result, rule: str) -> None:
    assert _lines(found, rule) == ["app.run(debug=True, threaded=True)"]


@pytest.mark.parametrize(
    "rule", ["sql-injection", "leaked-connection", "hardcoded-credentials", "global-shared-connection"]
)
def test_what_the_prototype_does_well_is_left_alone(found: Result, rule: str) -> None:
    """It binds its values, closes in `finally`, and takes its DSN from the environment."""
    assert not _lines(found, rule)
