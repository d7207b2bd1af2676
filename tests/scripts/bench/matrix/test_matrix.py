"""The matrix: cells measured on real servers, what a step brings, and the picture."""

from __future__ import annotations

from itertools import pairwise
from xml.etree import ElementTree

import pytest

from scripts.bench.matrix.configs import LADDER, Config, everything
from scripts.bench.matrix.effects import effects
from scripts.bench.matrix.measure import Bench, Cell, middle
from scripts.bench.matrix.picture import ladder_svg
from scripts.bench.matrix.table import lines
from scripts.bench.queries.shop import DATABASE, ROLE, SETTINGS, fill_shop
from scripts.stack import Stack


def cell(config: Config, rps: float, errors: int = 0) -> Cell:
    return Cell(config.server, config.pool, config.path, config.queries, rps, 1.0, 2.0, None, errors, 100,
                {"http 500": errors} if errors else {}, 1.0, 0, 1)  # fmt: skip


def test_every_cell_is_there_once_and_each_step_of_the_ladder_is_one_of_them() -> None:
    cells = list(everything())
    assert len(cells) == len(set(cells)) == 4 * 3 * 3 * 2
    assert {config for _, config in LADDER} <= set(cells)


def test_each_step_of_the_ladder_changes_one_word() -> None:
    configs = [config for _, config in LADDER]
    for before, after in pairwise(configs):
        changed = [name for name in vars(before) if getattr(before, name) != getattr(after, name)]
        assert len(changed) == 1


def test_an_effect_is_the_median_over_pairs_that_differ_in_one_word() -> None:
    cells = [
        cell(Config("gthread", pool, path, queries), rps)
        for path, queries, none, ours in (
            ("direct", "loop", 10.0, 20.0), ("direct", "batched", 100.0, 110.0), ("session", "loop", 10.0, 50.0),
        )
        for pool, rps in (("none", none), ("ours", ours))
    ]  # fmt: skip
    found = {effect.text: effect for effect in effects(cells)}
    ours = found["our pool instead of none"]
    assert (ours.median, ours.low, ours.high, ours.pairs) == (2.0, 1.1, 5.0, 3)
    assert "gevent instead of gthread" not in found


def test_a_pair_with_a_cell_that_fails_requests_is_left_out() -> None:
    cells = [
        cell(Config("gthread", pool, path, "loop"), rps, errors)
        for path, pool, rps, errors in (
            ("direct", "none", 10.0, 0), ("direct", "ours", 30.0, 1), ("session", "none", 5.0, 2),
            ("session", "ours", 9.0, 0),
        )
    ]  # fmt: skip
    (ours,) = (effect for effect in effects(cells) if effect.text == "our pool instead of none")
    assert (ours.median, ours.pairs, ours.left_out) == (3.0, 1, 1)


def test_of_several_rounds_the_middle_one_is_shown_with_their_spread_and_all_their_errors() -> None:
    config = LADDER[0][1]
    found = middle([cell(config, 30.0), cell(config, 10.0, errors=2), cell(config, 20.0, errors=1)])
    assert (found.rps, found.lowest, found.highest) == (20.0, 10.0, 30.0)
    assert (found.errors, found.requests, found.error_kinds) == (3, 300, {"http 500": 3})
    text = "\n".join(lines([found], 50, 1.0))
    assert "10.0..30.0" in text and "1.00 %" in text
    assert "min to max" in ladder_svg([found], 50, "now")


def test_the_picture_is_xml_and_says_its_figures_in_words() -> None:
    cells = [cell(config, 10.0 * 2**number, errors=number == 0) for number, (_, config) in enumerate(LADDER)]
    root = ElementTree.fromstring(ladder_svg(cells, 50, 'a "quoted" <caption> & more'))
    texts = "".join(root.itertext())
    assert '<caption> & more' in texts
    assert "640" in texts
    assert "1.00 % failed" in texts
    assert len(root.findall("{http://www.w3.org/2000/svg}rect")) == 1 + len(LADDER)


def test_the_table_names_each_step_with_its_gain_and_what_failed() -> None:
    cells = [cell(config, 10.0 * 2**number, errors=number == 0) for number, (_, config) in enumerate(LADDER)]
    text = "\n".join(lines(cells, 50, 1.0))
    assert "one query instead of 1 + 3N (x 2.00)" in text
    assert "failed: http 500" in text


@pytest.fixture(scope="module")
def bench(stack: Stack):  # type: ignore[no-untyped-def]
    if stack.binaries.pgbouncer is None:
        pytest.skip("pgbouncer is not installed (apt-get install pgbouncer)")
    with Stack() as own:
        cluster = own.postgres({**SETTINGS, "log_connections": "on", "fsync": "off"})
        fill_shop(cluster)
        bouncer = own.pgbouncer(cluster, [DATABASE], [ROLE])
        assert bouncer is not None
        yield Bench(own, cluster, {"transaction": bouncer}, 4, 0.7)


@pytest.mark.parametrize(
    ("words", "queries", "opens"),
    [
        (("dev", "none", "direct", "loop"), 61.0, True),
        (("gthread", "psycopg2", "transaction", "loop"), 61.0, False),
        (("gthread", "ours", "transaction", "batched"), 1.0, False),
        (("gevent", "ours", "direct", "batched"), 1.0, False),
    ],
    ids=lambda value: " ".join(value) if isinstance(value, tuple) else "",
)
def test_a_cell_asks_and_connects_as_its_words_say(
    bench: Bench, words: tuple[str, str, str, str], queries: float, opens: bool
) -> None:
    measured = bench.measure(Config(*words))
    assert measured.errors == 0, measured.error_kinds
    assert measured.rps > 0
    assert measured.queries == pytest.approx(queries, rel=0.02)
    answered = measured.requests - measured.errors
    assert (measured.opened >= answered) is opens
