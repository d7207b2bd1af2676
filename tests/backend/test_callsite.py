"""Whose line it is: the app's, however it is installed, and never a library's or the kit's."""

from __future__ import annotations

import os
import sys
import threading
from collections.abc import Iterator
from pathlib import Path
from types import FrameType, ModuleType
from typing import Any

import flask
import psycopg2.extras
import pytest

from backend import Hardening, callsite, monitor
from backend.callsite import add_app_folder, app_stack, file_and_line, is_app_file, outward, site_of_code

STANDARD = str(Path(os.__file__).parent)


@pytest.fixture(autouse=True)
def _as_before(monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    monkeypatch.setattr(callsite, "_app_folders", ())
    callsite._files.clear()
    yield
    callsite._files.clear()


def _module(path: Path, text: str) -> ModuleType:
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(text)
    made = ModuleType(path.stem)
    exec(compile(text, str(path), "exec"), vars(made))
    return made


def _here() -> str:
    frame, instruction = outward(sys._getframe(1))
    return site_of_code(frame.f_code, instruction)


@pytest.mark.parametrize(
    ("name", "is_app"),
    [
        ("/srv/shop/views.py", True),
        ("views.py", True),
        ("/srv/shop/venv/lib/python3.11/site-packages/flask/app.py", False),
        ("/usr/lib/python3/dist-packages/flask/app.py", False),
        (f"{STANDARD}/threading.py", False),
        ("<string>", False),
        ("<frozen importlib._bootstrap>", False),
        ("<template>", False),
        (flask.__file__, False),
        (psycopg2.extras.__file__, False),
        (monitor.__file__, False),
        (str(Path(monitor.__file__).parent / "shop" / "queries.py"), True),
        (str(Path(sys.executable).parent / "gunicorn"), False),
        (__file__, True),
    ],
)
def test_files_of_the_app_are_told_from_others(name: str, is_app: bool) -> None:
    assert is_app_file(name) is is_app


def test_an_app_that_is_installed_is_the_app_once_its_folder_is_known() -> None:
    folder = "/opt/lib/site-packages/shop"
    assert not is_app_file(f"{folder}/views.py")
    add_app_folder(folder)
    add_app_folder(f"{folder}/")
    assert is_app_file(f"{folder}/views.py")
    assert not is_app_file("/opt/lib/site-packages/shopping/views.py")
    assert not is_app_file("/opt/lib/site-packages/flask/app.py")


def test_a_virtual_environment_in_the_app_s_folder_is_not_the_app() -> None:
    add_app_folder("/srv/app")
    assert is_app_file("/srv/app/views.py")
    assert not is_app_file("/srv/app/venv/lib/python3.11/site-packages/flask/app.py")


def test_a_copy_of_the_kit_in_the_app_s_folder_is_not_the_app() -> None:
    kit = Path(monitor.__file__).parent
    add_app_folder(str(kit.parent))
    assert not is_app_file(str(kit / "nested.py"))
    assert is_app_file(str(kit / "shop" / "queries.py"))


@pytest.mark.parametrize(
    "folder", ["/", "/opt/lib/site-packages", "/opt/lib/dist-packages/", str(Path(STANDARD).parent)]
)
def test_a_folder_of_libraries_is_never_taken_for_the_app(folder: str) -> None:
    add_app_folder(folder)
    assert callsite._app_folders == ()


def test_the_line_is_the_innermost_one_of_the_app(tmp_path: Path) -> None:
    library = _module(tmp_path / "site-packages" / "orm.py", "def fetch(f):\n    return f()\n")
    app = _module(tmp_path / "views.py", "def profile(fetch, f):\n    x = 1\n    return fetch(f)\n")
    library_end = _module(tmp_path / "site-packages" / "driver.py", "def ask(here):\n    return lambda: here(3)\n")
    stack: list[Any] = []

    def here(_: int) -> None:
        frame: FrameType = sys._getframe(1)
        stack.append(outward(frame))

    app.profile(library.fetch, library_end.ask(here))
    frame, instruction = stack[0]
    assert site_of_code(frame.f_code, instruction).endswith("views.py:3 in profile")


def test_comprehensions_are_named_by_their_function() -> None:
    class Views:
        def profile(self) -> list[str]:
            return [_here() for _ in range(1)]

    names = {site.rpartition(" in ")[2] for site in [*Views().profile(), *(_here() for _ in range(1))]}
    expected = {"profile", "test_comprehensions_are_named_by_their_function"}
    assert names == expected if sys.version_info >= (3, 11) else names


def test_lambdas_generators_and_threads_have_their_own_lines() -> None:
    found: list[str] = []
    thread = threading.Thread(target=lambda: found.append(_here()))
    thread.start()
    thread.join()

    def generator() -> Iterator[str]:
        yield _here()

    found += list(generator())
    assert [site.rpartition(" in ")[2] for site in found] == ["<lambda>", "generator"]


def test_code_made_at_run_time_is_its_maker_s_line() -> None:
    scope: dict[str, Any] = {"here": _here, "found": []}
    exec("found.append(here())", scope)
    assert scope["found"][0].endswith(" in test_code_made_at_run_time_is_its_maker_s_line")


def test_a_line_called_from_c_is_found() -> None:
    found = sorted([1, 2], key=lambda _: file_and_line(_here())[1])
    assert found == [1, 2]


def test_recursion_is_seen_to_a_depth() -> None:
    def down(n: int) -> tuple[str, ...]:
        return app_stack(sys._getframe()) if not n else down(n - 1)

    stack = down(50)
    assert len(stack) == callsite.DEPTH
    assert len(set(stack)) == 1


@pytest.mark.parametrize("path", ["/", "/stream"])
def test_who_sends_a_request_is_no_caller_of_what_it_asks(url: str, path: str) -> None:
    app, found = flask.Flask(__name__), list[tuple[str, ...]]()

    @app.get("/")
    def index() -> str:
        found.append(app_stack(sys._getframe()))
        return ""

    @app.get("/stream")
    def stream() -> flask.Response:
        return flask.Response(part() for part in [index])

    Hardening(app, DATABASE_URL=url)
    with app.test_client().get(path) as response:
        assert response.data == b""
    assert {site.rpartition(" in ")[2] for site in found[0]} <= {"index", "stream"}


def test_pages_of_one_call_are_marked(tmp_path: Path) -> None:
    found: list[int] = []

    class Cursor:
        connection = type("C", (), {"encoding": "UTF8"})()

        def mogrify(self, *_: Any) -> bytes:
            return b"()"

        def execute(self, _: bytes) -> None:
            found.append(outward(sys._getframe(1))[1])

    cursor: Any = Cursor()
    psycopg2.extras.execute_batch(cursor, "SELECT 1", [(1,), (2,)])
    assert found
    assert all(instruction < 0 for instruction in found)
    assert callsite.line_of(test_pages_of_one_call_are_marked.__code__, found[0]) > 0


@pytest.mark.parametrize(
    ("site", "place"),
    [("views.py:88 in profile", ("views.py", 88)), ("C:/a b/in x.py:7 in f", ("C:/a b/in x.py", 7)), ("", ("", 0)),
     ("nothing", ("", 0))],
)  # fmt: skip
def test_a_site_is_read_back(site: str, place: tuple[str, int]) -> None:
    assert file_and_line(site) == place


def test_a_working_directory_that_is_gone_costs_nothing(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(callsite, "_texts", {})
    folder = tmp_path / "gone"
    folder.mkdir()
    monkeypatch.chdir(folder)
    folder.rmdir()
    assert " in test_a_working_directory_that_is_gone" in _here()
    monkeypatch.undo()


def test_what_is_known_stays_bounded(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(callsite, "MOST_KNOWN", 10)
    for number in range(100):
        is_app_file(f"/srv/made-{number}.py")
    assert len(callsite._files) <= 10
