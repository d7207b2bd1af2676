"""The roles that a plain pg_dump names, and no other text."""

from __future__ import annotations

from pathlib import Path

import pytest

from scripts.stack.dump import roles_of_dump

HEAD = "--\n-- PostgreSQL database dump\n--\n\n"


def _roles(tmp_path: Path, text: str) -> list[str]:
    (tmp_path / "dump.sql").write_text(text)
    return roles_of_dump(tmp_path / "dump.sql")


@pytest.mark.parametrize(
    ("line", "role"),
    [
        ("ALTER TABLE public.orders OWNER TO shop;", "shop"),
        ('ALTER TABLE public."Orders" OWNER TO "Shop Owner";', "Shop Owner"),
        ('ALTER FUNCTION public.f(a integer) OWNER TO "we""ird";', 'we"ird'),
        ("GRANT SELECT,INSERT ON TABLE public.orders TO reader;", "reader"),
        ("GRANT ALL ON SCHEMA public TO boss WITH GRANT OPTION;", "boss"),
        ("REVOKE USAGE ON SCHEMA public FROM guest;", "guest"),
        ("ALTER DEFAULT PRIVILEGES FOR ROLE maker IN SCHEMA public GRANT SELECT ON TABLES TO PUBLIC;", "maker"),
    ],
)
def test_a_role_is_found_where_pg_dump_names_it(tmp_path: Path, line: str, role: str) -> None:
    assert _roles(tmp_path, f"{HEAD}{line}\n") == [role]
    assert _roles(tmp_path, f"{HEAD}{'-- comment' * 100}\n{line}\n{line}") == [role]


@pytest.mark.parametrize(
    "line",
    [
        "REVOKE USAGE ON SCHEMA public FROM PUBLIC;",
        "ALTER SCHEMA public OWNER TO pg_database_owner;",
        "-- Name: orders; Type: TABLE; Schema: public; Owner: shop",
        "INSERT INTO notes VALUES ('ALTER TABLE x OWNER TO y');",
        "CREATE TABLE public.orders (id integer);",
    ],
)
def test_what_names_no_role_to_make_is_left_alone(tmp_path: Path, line: str) -> None:
    assert _roles(tmp_path, f"{HEAD}{line}\n") == []


def test_a_file_by_hand_makes_its_own_roles(tmp_path: Path) -> None:
    """Were they there already, its CREATE ROLE would fail."""
    assert _roles(tmp_path, "CREATE ROLE shop;\nALTER TABLE orders OWNER TO shop;\n") == []
    assert _roles(tmp_path, "") == []


def test_bytes_that_are_no_utf_8_are_no_problem(tmp_path: Path) -> None:
    (tmp_path / "dump.sql").write_bytes(HEAD.encode() + b"-- caf\xe9\nALTER TABLE t OWNER TO shop;\n")
    assert roles_of_dump(tmp_path / "dump.sql") == ["shop"]
