"""The engine, with fixers made up for the purpose."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from pathlib import Path

import pytest

from scripts.fix.engine import Options, fix
from scripts.fix.fixer import Change, Context, Edit, Fixer, Import, Left, NewFile

from .fixing import fixed_by

APP = "from flask import Flask\napp = Flask(__name__)\napp.debug = True\n"
Answer = Change | Left


def _fixer(answer: Callable[[Context], Iterable[Answer]], stage: int = 1, rule: str = "debug-on") -> Fixer:
    return Fixer((rule,), "tries", stage, ("nothing",), answer)


def _replacing(old: str, new: str, **more: object) -> Fixer:
    """Return a fixer that replaces a text for every finding, where the text is."""

    def answer(context: Context) -> Iterable[Answer]:
        for finding in context.of("debug-on"):
            text = context.source(finding.place.path).text
            at = text.find(old)
            if at >= 0:
                edit = Edit(finding.place.path, at, at + len(old), new)
                yield Change((finding,), finding.place, "replaced", (edit,), **more)  # type: ignore[arg-type]

    return _fixer(answer)


def _refusal(fixer: Fixer, source: str | bytes = APP) -> str:
    outcome = fixed_by((fixer,), {"app.py": source}, "debug-on")
    assert not outcome.changes
    assert outcome.bytes["app.py"] == (source if isinstance(source, bytes) else source.encode())
    (reason,) = outcome.reasons
    return reason


def test_a_change_is_made_with_its_imports_and_files() -> None:
    fixer = _replacing(
        "True", "off()", imports=(Import("app.py", "kit", "off"),), files=(NewFile("a/b.txt", ("x",)),)
    )
    outcome = fixed_by((fixer,), {"app.py": APP}, "debug-on")
    assert outcome.files == {
        "app.py": "from flask import Flask\nfrom kit import off\napp = Flask(__name__)\napp.debug = off()\n",
        "a/b.txt": "x\n",
    }
    assert [each.place.line for each in outcome.changes] == [3]


@pytest.mark.parametrize(
    "old, new, reason",
    [
        ("True", "(", "would not parse any more at line 3"),
        ("Flask(__name__)", "None", "these calls would be gone from app.py: Flask"),
        ("True", '"""', "would not parse"),
    ],
)
def test_a_change_that_does_not_pass_is_refused_with_the_reason(old: str, new: str, reason: str) -> None:
    assert reason in _refusal(_replacing(old, new))


def test_a_call_that_is_replaced_may_go() -> None:
    source = APP.replace("True", "bool(1)")

    def answer(context: Context) -> Iterable[Answer]:
        for finding in context.findings[:1]:
            source = context.source("app.py")
            at = source.text.find("bool(1)")
            if at >= 0:
                edit = Edit("app.py", at, at + 7, "truth(1)")
                yield Change((finding,), finding.place, "t", (edit,), replaces=("bool",))

    outcome = fixed_by((_fixer(answer),), {"app.py": source})
    assert "truth(1)" in outcome.files["app.py"]


def test_an_edit_that_swallows_what_is_beside_it_is_refused() -> None:
    def answer(context: Context) -> Iterable[Answer]:
        for finding in context.of("debug-on"):
            source = context.source("app.py")
            at = source.text.index("True") + 4
            tail = len(source.text)
            edits = (Edit("app.py", at, at, '; x = """'), Edit("app.py", tail, tail, '"""\n'))
            yield Change((finding,), finding.place, "t", edits)

    assert "beside the edit would mean something else" in _refusal(_fixer(answer), APP + "y = 1\nz = 2\n")


def test_one_that_does_not_pass_does_not_keep_others_back() -> None:
    def answer(context: Context) -> Iterable[Answer]:
        for finding in context.of("debug-on"):
            source = context.source(finding.place.path)
            at = source.text.index("True")
            new = "(" if finding.place.path == "a.py" else "False"
            yield Change((finding,), finding.place, "t", (Edit(source.path, at, at + 4, new),))

    outcome = fixed_by((_fixer(answer),), {"a.py": APP, "b.py": APP}, "debug-on")
    assert outcome.files == {"a.py": APP, "b.py": APP.replace("True", "False")}
    assert [each.finding.place.path for each in outcome.left] == ["a.py"]


def test_changes_that_collide_are_made_one_after_the_other() -> None:
    """Both put something in front of the same statement."""

    def marking(mark: str) -> Fixer:
        def answer(context: Context) -> Iterable[Answer]:
            source = context.source("app.py")
            at = source.text.index("app = ")
            for finding in context.of("debug-on"):
                if mark not in source.text:
                    yield Change((finding,), finding.place, mark, (Edit("app.py", at, at, f"{mark} = 1\n"),))

        return _fixer(answer)

    outcome = fixed_by((marking("one"), marking("two")), {"app.py": APP}, "debug-on")
    assert sorted(each.title for each in outcome.changes) == ["one", "two"]
    assert outcome.files["app.py"].count(" = 1\n") == 2


def test_a_change_that_its_finding_survives_is_taken_back() -> None:
    assert "would not make the finding go away" in _refusal(_replacing("app.debug", "y = 1\napp.debug"))


def test_later_stages_see_what_earlier_ones_left() -> None:
    seen: list[str] = []

    def looks(context: Context) -> Iterable[Answer]:
        seen.append(context.source("app.py").text)
        return ()

    first = _replacing("True", "False")
    fixed_by((_fixer(looks, stage=2), first), {"app.py": APP})
    assert set(seen) == {APP.replace("True", "False")}


def test_unsafe_changes_wait_for_leave() -> None:
    fixer = _replacing("True", "False", is_safe=False)
    kept = fixed_by((fixer,), {"app.py": APP}, "debug-on")
    assert (kept.files["app.py"], len(kept.unsafe), kept.left) == (APP, 1, ())
    made = fixed_by((fixer,), {"app.py": APP}, "debug-on", unsafe=True)
    assert (made.files["app.py"], made.unsafe) == (APP.replace("True", "False"), ())


def test_a_finding_that_nobody_answers_is_left_with_the_rules_advice() -> None:
    outcome = fixed_by((_fixer(lambda context: ()),), {"app.py": APP}, "debug-on")
    assert outcome.reasons[0].startswith("no automatic fix: ")


def test_a_fixer_that_fails_leaves_its_findings_alone(tmp_path: Path) -> None:
    def fails(context: Context) -> Iterable[Answer]:
        raise ZeroDivisionError("secret")

    (tmp_path / "app.py").write_text(APP)
    result = fix(tmp_path, Options((_fixer(fails),), frozenset({"debug-on"})))
    assert [each.reason for each in result.left] == ["the fixer failed here (ZeroDivisionError)"]


def test_a_file_that_does_not_parse_is_told_and_not_touched() -> None:
    fixer = _replacing("True", "False")
    strange = b"# -*- coding: nonsense -*-\nx = 1\n"
    files: dict[str, str | bytes] = {"app.py": APP, "broken.py": "def (:\n", "strange.py": strange}
    outcome = fixed_by((fixer,), files)
    assert outcome.bytes["broken.py"] == b"def (:\n"
    told = [each.finding.place.path for each in outcome.left if each.finding.rule == "H901"]
    assert told == ["broken.py", "strange.py"]


def test_line_numbers_are_those_of_the_repositorys_file() -> None:
    def answer(context: Context) -> Iterable[Answer]:
        source = context.source("app.py")
        for finding in context.of("debug-on"):
            at = source.span(next(node for node in source.tree.body[::-1]))[0]
            if "y = 1" not in source.text:
                yield Change((finding,), finding.place, "t", (Edit("app.py", at, at, "y = 1\nz = 2\n"),))
            else:
                yield Left(finding, "that is all")

    outcome = fixed_by((_fixer(answer),), {"app.py": APP}, "debug-on")
    assert [each.place.line for each in outcome.changes] == [3]
    assert [each.finding.place.line for each in outcome.left] == [5]
    assert outcome.result.lines["app.py"] == [1, 2, 3, 3, 3, 4]


@pytest.mark.parametrize(
    "data",
    [
        pytest.param(APP.replace("\n", "\r\n").encode(), id="CRLF"),
        pytest.param(b"\xef\xbb\xbf" + APP.encode(), id="byte-order mark"),
        pytest.param(b"# coding: latin-1\nname = '\xe9'\n" + APP.encode(), id="latin-1"),
        pytest.param(APP.rstrip().encode(), id="no newline at the end"),
        pytest.param(
            b"\x0c\n" + APP.encode() + b"if 1:\n\tx = 1  \n\n\n", id="form feed, tabs, spaces at the end"
        ),
        pytest.param(b"x = 1\r\n" + APP.encode() + "y = 'é'\r\n".encode(), id="mixed line ends"),
    ],
)
def test_bytes_beside_the_edit_stay(data: bytes) -> None:
    outcome = fixed_by((_replacing("True", "False"),), {"app.py": data}, "debug-on")
    assert outcome.bytes["app.py"] == data.replace(b"True", b"False")


def test_what_only_a_newer_python_reads_is_edited_all_the_same() -> None:
    data = APP.encode() + b"def f(row):\n    return f\"{row[\"id\"]}\"\n"
    outcome = fixed_by((_replacing("True", "False"),), {"app.py": data}, "debug-on")
    assert outcome.bytes["app.py"] == data.replace(b"True", b"False")


def test_a_character_that_the_encoding_lacks_refuses_the_change() -> None:
    data = b"# coding: latin-1\n" + APP.encode()
    assert "lacks a character" in _refusal(_replacing("True", "'€'"), data)


def test_a_link_is_not_written(tmp_path: Path) -> None:
    (tmp_path / "real").mkdir()
    (tmp_path / "real" / "app.py").write_text(APP)
    (tmp_path / "repository").mkdir()
    (tmp_path / "repository" / "app.py").symlink_to(tmp_path / "real" / "app.py")
    result = fix(tmp_path / "repository", Options((_replacing("True", "False"),), frozenset({"debug-on"})))
    assert not result.files
    assert "is a link" in result.left[0].reason


@pytest.mark.parametrize("path", ["../x", "/x", "a/../../x", ""])
def test_a_new_file_stays_in_the_repository(path: str) -> None:
    assert "outside of the repository" in _refusal(_replacing("True", "False", files=(NewFile(path, ("x",)),)))


def test_the_kit_is_found_under_the_name_that_it_is_imported_by() -> None:
    names = ("database_pool", "database_helper", "dropin", "slots", "leasing", "__init__")
    seen: list[str] = []

    def looks(context: Context) -> Iterable[Answer]:
        seen.append(context.kit)
        return ()

    for folder, others in (("hardened", {}), ("src/hardened", {}), ("shop/kit", {"shop/__init__.py": ""})):
        files = {f"{folder}/{name}.py": "" for name in names} | others | {"app.py": APP}
        fixed_by((_fixer(looks),), files, kit="")
    assert list(dict.fromkeys(seen)) == ["hardened", "shop.kit"]
    seen.clear()
    fixed_by((_fixer(looks),), {"app.py": APP}, kit="")
    assert set(seen) == {""}
