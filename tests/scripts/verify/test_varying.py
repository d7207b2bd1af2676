"""What varies from run to run is left out; everything else is compared."""

from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st

from scripts.verify.varying import Mask, words_of

PAGE = "<p>{}</p>\n<input name=csrf value={}>\n<p>at {} there were {} visits</p>\n"


def test_a_token_of_another_shape_in_each_run_is_one_word() -> None:
    first, second, third = (PAGE.format("hi", token, "9:00", 3) for token in ("aB-cd_9", "zzzz.yy", "-q-q-q-"))
    assert Mask(first, [second]).against(third) == []


def test_a_change_beside_what_varies_is_found() -> None:
    first, second = (PAGE.format("hi", token, "9:00", 3) for token in ("abc", "def"))
    assert Mask(first, [second]).against(PAGE.format("hi", "ghi", "9:00", 4)) == [("3", "4")]


def test_a_missing_line_is_found_although_others_vary() -> None:
    first, second = ("\n".join(["start", f"<i>{word}</i>", "row 1", "row 2", "end"]) for word in ("a", "b"))
    (difference,) = Mask(first, [second]).against("start\n<i>c</i>\nrow 1\nend")
    assert "row 2" in difference[0]
    assert "row 2" not in difference[1]


def test_a_list_of_varying_length_is_masked_as_a_whole() -> None:
    first, second, third = ("top\n" + "".join(f"<li>{n}\n" for n in range(count)) + "end\n" for count in (2, 3, 5))
    assert Mask(first, [second]).against(third) == []
    assert Mask(first, [second]).against(third.replace("end", "END")) != []


def test_the_share_that_is_compared_counts_characters() -> None:
    assert Mask("ab cd", ["ab xy"]).compared == 0.6
    assert Mask("", []).compared == 1.0


@given(st.text())
def test_words_joined_are_the_text(text: str) -> None:
    assert "".join(words_of(text)) == text


@given(st.text("ab <\n", max_size=30), st.text("ab <\n", max_size=30), st.text("ab <\n", max_size=30))
def test_what_was_seen_before_is_never_a_difference(first: str, second: str, other: str) -> None:
    mask = Mask(first, [second])
    assert mask.against(first) == mask.against(second) == []
    if other != first:
        assert Mask(first, []).against(other) != []
