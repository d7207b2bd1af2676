"""Plans on paper: what more people take, and where one PostgreSQL ends."""

from __future__ import annotations

import math

import pytest

from scripts.capacity import Demands, TaskDemand
from scripts.capacity.calibrated import Calibrated
from scripts.capacity.paper import LARGEST_DATABASE, ends_at, on_paper

DEMANDS = Demands([TaskDemand("page", 1.0, app=0.002, database=0.001, bouncer=0.0001)], 3.0)
CALIBRATED = Calibrated(DEMANDS)


def test_ten_thousand_people_fit_one_database() -> None:
    plan = on_paper(CALIBRATED, 10_000, 0.2)
    assert plan.rate == pytest.approx(10_000 / 3.0031)
    assert (plan.hosts, plan.bouncers, plan.database_cores) == (2, 2, 5)
    assert (plan.replicas, plan.shards) == (0, 1)


def test_a_million_take_replicas_and_half_writes_take_shards() -> None:
    few, many = (on_paper(CALIBRATED, 1_000_000, writes) for writes in (0.1, 0.5))
    assert few.database_cores > LARGEST_DATABASE
    assert (few.replicas, few.shards) == (5, 1)
    assert many.shards == 3
    assert few.hosts == math.ceil(1_000_000 / 3.0031 * 0.002 / 0.6 / 16)


def test_one_postgresql_ends_where_its_cores_are_full() -> None:
    most = ends_at(CALIBRATED)
    assert on_paper(CALIBRATED, int(most), 0.2).replicas == 0
    assert on_paper(CALIBRATED, int(most * 1.02), 0.2).replicas > 0
    assert ends_at(CALIBRATED, 0.1) == pytest.approx(10 * most)
    assert ends_at(CALIBRATED, 0.0) == math.inf
