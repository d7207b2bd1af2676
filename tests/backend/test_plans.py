"""What one connection keeps: the statements used last, and nothing that is run once."""

from __future__ import annotations

from backend.plans import Form, Plans

ONE, TWO, THREE = (Form(name, f"PREPARE {name}", f"EXECUTE {name}") for name in ("h_1", "h_2", "h_3"))


def sent(plans: Plans, form: Form) -> str | None:
    """Return what is sent for it; it succeeds."""
    text = plans.text_for(form)
    if text is not None and text is not form.execute:
        plans.keep(form)
    return text


def test_the_first_time_is_plain_the_second_prepares_the_third_executes() -> None:
    plans = Plans(2)
    assert [sent(plans, ONE) for _ in range(4)] == [None, "PREPARE h_1; EXECUTE h_1", "EXECUTE h_1", "EXECUTE h_1"]


def test_the_least_recently_used_makes_room() -> None:
    plans = Plans(2)
    for form in (ONE, ONE, TWO, TWO, ONE, THREE):
        sent(plans, form)
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
        sent(plans, ONE)
    plans.lose(ONE, "26000")
    assert sent(plans, ONE) == "PREPARE h_1; EXECUTE h_1"
    plans.lose(ONE, "42P05")
    assert plans.text_for(ONE) == "EXECUTE h_1"
    assert not plans.is_off
    plans.lose(ONE, "26000")
    assert plans.is_off


def test_what_failed_while_it_was_made_is_made_again_and_is_no_loss_if_it_is_there() -> None:
    plans = Plans(2)
    plans.text_for(ONE)
    for _ in range(5):
        assert plans.text_for(ONE) == "PREPARE h_1; EXECUTE h_1"
        plans.lose(ONE, "42P05")
        assert plans.text_for(ONE) == "EXECUTE h_1"
        plans._kept.clear()
    assert not plans.is_off


def test_the_one_that_was_to_make_room_is_in_doubt_when_that_failed() -> None:
    plans = Plans(1)
    for form in (ONE, ONE, TWO):
        sent(plans, form)
    for _ in range(3):
        assert plans.text_for(TWO) == "DEALLOCATE h_1; PREPARE h_2; EXECUTE h_2"
        assert plans.text_for(ONE) == "PREPARE h_1; EXECUTE h_1"
        plans.lose(ONE, "42P05")
        assert plans.text_for(ONE) == "EXECUTE h_1"
    assert not plans.is_off


def test_what_may_have_been_made_is_bounded() -> None:
    plans = Plans(2)
    texts = []
    for number in range(1000):
        form = Form(f"h_{number}", "PREPARE", "EXECUTE")
        texts += [plans.text_for(form), plans.text_for(form)]
    assert len(texts) - texts.count(None) == len(plans._doubtful) == 4
