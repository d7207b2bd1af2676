"""Files of secrets are read as systemd reads them, and refused where others could read them, too."""

from __future__ import annotations

import re
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from deploy.host.env_file import parse, read
from deploy.host.errors import HostError
from deploy.unit_templates import env_value

CONTROLS = [chr(code) for code in (*range(9), *range(11, 32), 127)]
values = st.text(st.characters(exclude_categories=("Cs", "Cn"), exclude_characters=CONTROLS))
SECRET = "s3cret-word"


@pytest.mark.parametrize(
    ("text", "found"),
    [
        ("A=1\nB=two words  \n", {"A": "1", "B": "two words"}),
        ("# A=1\n;B=2\n\n  C=3", {"C": "3"}),
        ("A = x\n", {"A": "x"}),
        ("A=\nB=\n", {"A": "", "B": ""}),
        ("A=1\nA=2\n", {"A": "2"}),
        ("A='it is \"so\" \\n'\n", {"A": 'it is "so" \\n'}),
        ('A="a\\"b\\\\c\\$d\\`e\\nf"\n', {"A": 'a"b\\c$d`e\\nf'}),
        ('A="one\\\ntwo"\n', {"A": "onetwo"}),
        ('A="one\ntwo"\nB=1\n', {"A": "one\ntwo", "B": "1"}),
        ("A='one' \"two\"three 'four'\n", {"A": "onetwothree 'four'"}),
        ("A=one\\\ntwo\n", {"A": "onetwo"}),
        ("A=one\\ \n", {"A": "one "}),
        ("A=x#y ; z\n", {"A": "x#y ; z"}),
        ("A=x\r\nB=y\r\n", {"A": "x", "B": "y"}),
        ("A=https://h/?a=b&c=d\n", {"A": "https://h/?a=b&c=d"}),
    ],
)
def test_a_file_is_read_as_systemd_reads_it(text: str, found: dict[str, str]) -> None:
    assert parse(text) == found


@given(values)
def test_what_the_kit_writes_is_read_back(value: str) -> None:
    assert parse(f"# before\nA={env_value(value)}\nB=after\n") == {"A": value, "B": "after"}


@pytest.mark.parametrize(
    ("text", "reason"),
    [
        (f"A=1\n{SECRET}\n", "line 2 is not like NAME=value"),
        (f"export A={SECRET}\n", "line 1 is not like NAME=value"),
        (f'A="{SECRET}\n', "line 1: the quote is never closed"),
        (f"# said so \\\nA={SECRET}\n", "line 1: a comment must not end with a backslash"),
        (f"A={SECRET}\0\n", "line 1: the value of A has a NUL"),
    ],
)
def test_what_systemd_would_drop_is_refused_and_not_shown(text: str, reason: str) -> None:
    with pytest.raises(HostError, match=re.escape(reason)) as error:
        parse(text)
    assert SECRET not in str(error.value)


def test_a_file_is_its_owners_alone(tmp_path: Path) -> None:
    path = tmp_path / "secrets.env"
    path.write_text(f"A={SECRET}\n")
    path.chmod(0o600)
    assert read(path) == {"A": SECRET}
    for mode in (0o604, 0o640, 0o620, 0o644):
        path.chmod(mode)
        with pytest.raises(HostError, match=f"has mode {mode:04o}.*chmod 0600"):
            read(path)


def test_what_is_no_file_is_refused_in_a_line(tmp_path: Path) -> None:
    with pytest.raises(HostError, match="cannot be read: No such file"):
        read(tmp_path / "none")
    with pytest.raises(HostError, match="cannot be read: Is a directory"):
        read(tmp_path)
    latin = tmp_path / "latin.env"
    latin.write_bytes(b"A=\xfc\n")
    latin.chmod(0o600)
    with pytest.raises(HostError, match="not UTF-8"):
        read(latin)
