"""Places in the code: the app's own, in one line, without keeping anybody's variables."""

from __future__ import annotations

import contextlib
import gc
import importlib
import shutil
import sys
import threading
import weakref
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

import backend
from backend.site import DEPTH, app_line, current_site, site_of, site_text, thread_name
from tests.support.threads import DEADLINE, Running

from .conftest import MakePool


def test_the_innermost_call_comes_first() -> None:
    def inner() -> str:
        return site_text(current_site())

    def outer() -> str:
        return inner()

    first, second, third = outer().split(" < ")[:3]
    assert first.startswith(__file__)
    assert (first.rpartition(" ")[2], second.rpartition(" ")[2]) == ("inner", "outer")
    assert third.endswith("test_the_innermost_call_comes_first")


def test_the_line_is_that_of_the_call() -> None:
    line = sys._getframe().f_lineno + 1
    assert app_line() == f"{__file__}:{line} in test_the_line_is_that_of_the_call"


@pytest.mark.parametrize("depth", [0, 3, 50])
def test_a_site_is_never_longer_than_its_depth(depth: int) -> None:
    def deep(level: int) -> Any:
        return deep(level - 1) if level else current_site()

    assert len(deep(depth)) <= DEPTH


def test_a_site_keeps_no_variables_alive() -> None:
    class Big:
        pass

    def caller() -> tuple[Any, weakref.ref[Big]]:
        big = Big()
        return current_site(), weakref.ref(big)

    site, gone = caller()
    gc.collect()
    assert gone() is None
    assert "in caller" in site_text(site)


def test_nothing_is_an_empty_line() -> None:
    assert site_text(()) == ""
    assert site_of(-1) == ()


@pytest.mark.parametrize(
    ("module", "is_shown"),
    [
        ("backend.leasing", False),
        ("backend.scope", False),
        ("psycopg2", False),
        ("psycopg2.extras", False),
        ("backend.shop.views", True),
        ("backendish.views", True),
        ("other.backend.views", True),
        ("views", True),
        ("__main__", True),
        ("", True),
    ],
)
def test_frames_of_ours_and_of_the_driver_are_skipped(module: str, is_shown: bool) -> None:
    """The reference app inside our package is an app; a module that is only called alike is one too."""
    space: dict[str, Any] = {"__name__": module, "app_line": app_line}
    exec(compile("def view():\n    return app_line()", "view.py", "exec"), space)
    assert (space["view"]() == "view.py:2 in view") == is_shown
    assert is_shown or "test_frames_of_ours" in space["view"]()


def test_a_thread_is_named_while_it_lives_and_numbered_afterwards() -> None:
    thread = threading.Thread(name="worker-7", target=lambda: None)
    thread.start()
    thread.join()
    assert thread_name(threading.get_ident()) == threading.current_thread().name
    assert thread_name(-7) == "a thread that has ended (-7)"


def test_another_thread_is_seen_where_it_is() -> None:
    there, go_on, ident = threading.Event(), threading.Event(), []

    def stuck_here() -> None:
        ident.append(threading.get_ident())
        there.set()
        go_on.wait(DEADLINE)

    running = Running(stuck_here)
    assert there.wait(DEADLINE)
    text = site_text(site_of(ident[0]))
    go_on.set()
    running.join()
    assert "in stuck_here" in text
    assert site_of(ident[0]) == () or ident[0] != threading.get_ident()


def test_a_lease_is_taken_where_the_app_takes_it(make_pool: MakePool) -> None:
    pool = make_pool(1, 1, leak_after=60.0)
    for take in (pool.getconn, lambda: pool.connection().__enter__(), lambda: contextlib.ExitStack().enter_context(
        pool.connection()
    )):  # fmt: skip
        conn = take()
        assert "backend/leasing.py" not in site_text(conn._record.site)
        assert "backend/database_pool.py" not in site_text(conn._record.site)
        assert "test_a_lease_is_taken_where_the_app_takes_it" in site_text(conn._record.site)
        pool.putconn(conn)


@pytest.fixture(params=["vendored", "company.app.db"])
def copy(request: pytest.FixtureRequest, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Any]:
    """The package under another name, as people copy it into their app."""
    name: str = request.param
    place = tmp_path.joinpath(*name.split("."))
    source = Path(backend.__file__).parent
    shutil.copytree(source, place, ignore=shutil.ignore_patterns("__pycache__", "shop"))
    for parent in list(place.parents):
        if parent == tmp_path:
            break
        (parent / "__init__.py").touch()
    monkeypatch.syspath_prepend(str(tmp_path))
    yield importlib.import_module(name)
    for loaded in [each for each in sys.modules if each.split(".")[0] == name.split(".")[0]]:
        del sys.modules[loaded]


def test_a_copy_under_another_name_skips_its_own_frames(copy: Any, dsn: str) -> None:
    options = copy.PoolOptions(leak_after=60.0, reset="pgbouncer")
    pool = copy.ThreadedConnectionPool(1, 1, dsn, pool_options=options)
    try:
        with pool.connection() as conn:
            assert site_text(conn._record.site).startswith(__file__)
            with pytest.raises(copy.SessionStateError) as caught, conn.cursor() as cursor:
                cursor.execute("LISTEN x")
            assert caught.value.where.startswith(__file__)
        held = pool.getconn()
        with pytest.raises(copy.PoolTimeout) as late:
            pool.getconn(timeout=0)
        assert late.value.holders[0]["taken_at"].startswith(__file__)
        pool.putconn(held)
    finally:
        pool.closeall()
