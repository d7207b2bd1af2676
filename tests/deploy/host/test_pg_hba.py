"""The app's lines go to the top of pg_hba.conf once, and leave without a trace."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from deploy.host.pg_hba import block, with_block, without_block

DEBIAN = "# PostgreSQL\nlocal all postgres peer\nlocal all all peer\n"
OWN = "# a comment\n\nlocal \"shop\" \"shop\" scram-sha-256\nhost \"shop\" \"shop\" samehost scram-sha-256\n"


def of(name: str, version: int = 15, text: str = OWN) -> str:
    return block(name, version, f"/etc/{name}/postgresql/pg_hba.conf", text)


def test_lines_go_before_all_others_without_their_comments() -> None:
    text = with_block(DEBIAN, "shop", of("shop"))
    assert text.splitlines()[1:3] == [line for line in OWN.splitlines() if line.startswith(("local", "host"))]
    assert text.endswith(DEBIAN)


def test_from_16_on_it_is_one_line() -> None:
    assert of("shop", 16).splitlines()[1:-1] == ["include /etc/shop/postgresql/pg_hba.conf"]


@pytest.mark.parametrize("version", [15, 17])
def test_again_changes_nothing_and_two_apps_leave_one_by_one(version: int) -> None:
    one = with_block(DEBIAN, "shop", of("shop", version))
    assert with_block(one, "shop", of("shop", version)) == one
    two = with_block(one, "shop-2", of("shop-2", version))
    assert with_block(two, "shop", of("shop", version)) == two
    assert without_block(two, "shop-2") == one
    assert without_block(without_block(two, "shop"), "shop-2") == DEBIAN


def test_other_lines_take_the_place_of_the_old_ones() -> None:
    old = with_block("# first\n" + with_block(DEBIAN, "shop", of("shop")), "blog", of("blog"))
    new = with_block(old, "shop", of("shop", text='local "shop" "other" peer\n'))
    assert new == old.replace(of("shop"), of("shop", text='local "shop" "other" peer\n'))


def test_a_block_without_its_end_takes_nobodys_lines() -> None:
    damaged = with_block(DEBIAN, "shop", of("shop")).replace("# harden end shop\n", "")
    assert without_block(damaged, "shop") == damaged


@given(st.text(st.sampled_from("ab#\n "), max_size=80))
def test_whatever_stood_there_comes_back(text: str) -> None:
    assert without_block(with_block(text, "shop", of("shop")), "shop") == text
