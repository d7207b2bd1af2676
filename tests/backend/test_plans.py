"""What one connection keeps: the statements used last, and nothing that is run once."""

from __future__ import annotations

from backend.plans import Form, Plans

ONE, TWO, THREE = (Form(name, f"PREPARE {name}", f"EXECUTE {name}") for name in ("h_1", "h_2", "h_3"))


def test_the_first_time_is_plain_the_second_prepares_the_third_executes() -> None:
    plans = Plans(2)
    assert [plans.text_for(ONE) for _ in range(4)] == [None, "PREPARE h_1; EXECUTE h_1", "EXECUTE h_1", "EXECUTE h_1"]


def test_the_least_recently_used_makes_room() -> None:
    plans = Plans(2)
    for form in (ONE, ONE, TWO, TWO, ONE, THREE):
        plans.text_for(form)
    assert plans.text_for(THREE) == "DEALLOCATE h_2; PREPARE h_3; EXECUTE h_3"
    assert plans.text_for(ONE) == "EXECUTE h_1"


def test_statements_that_come_once_each_are_forgotten() -> None:
    plans = Plans(2)
    for number in range(1000):
        form = Form(f"h_{number}", "PREPARE", "EXECUTE")
        assert plans.text_for(form) is None
    assert len(plans._seen) <= 4
    assert not plans._kept


def test_a_session_that_lost_its_plans_starts_again_and_one_that_keeps_losing_them_stops() -> None:
    plans = Plans(2)
    for _ in range(2):
        plans.text_for(ONE)
    plans.lose(ONE, "26000")
    assert plans.text_for(ONE) == "PREPARE h_1; EXECUTE h_1"
    plans.lose(ONE, "42P05")
    assert plans.text_for(ONE) == "EXECUTE h_1"
    assert not plans.is_off
    plans.lose(ONE, "26000")
    assert plans.is_off
