"""Finding the app that HARDEN_APP names, and saying in one line why it cannot be served."""

from __future__ import annotations

import sys
from collections.abc import Callable, Iterator
from pathlib import Path
from types import ModuleType

import pytest
from flask import Flask

from backend.app_loader import load_app
from backend.errors import AppLoadError
from backend.importing import app_folder, import_runtime

Write = Callable[[str, str], Path]
APP = "from flask import Flask\napp = Flask(__name__)\n"


@pytest.fixture
def write(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Write]:
    """Writes a file of an app; the path and the modules are as before afterwards."""
    modules, path = set(sys.modules), list(sys.path)
    monkeypatch.chdir(tmp_path)

    def write_file(name: str, text: str) -> Path:
        file = tmp_path / name
        file.parent.mkdir(parents=True, exist_ok=True)
        file.write_text(text)
        return file

    yield write_file
    sys.path[:] = path
    for name in set(sys.modules) - modules:
        del sys.modules[name]


@pytest.mark.parametrize("name", ["app", ""])
def test_file_and_name(write: Write, name: str) -> None:
    file = write("loader_one.py", APP)
    assert isinstance(load_app(f"{file}:{name}"), Flask)


def test_relative_path_module_and_attribute(write: Write) -> None:
    write("loader_two.py", APP + "class box: inner = app\n")
    assert load_app("loader_two.py:app") is load_app("loader_two:app") is load_app("loader_two:box.inner")


@pytest.mark.parametrize(
    ("target", "title"),
    [
        ("loader_three:create_app()", "plain"),
        ("loader_three:create_app('given')", "given"),
        ("loader_three:create_app(title='named')", "named"),
        ("loader_three:create_app", "plain"),
        ("loader_three", "plain"),
    ],
)
def test_factories(write: Write, target: str, title: str) -> None:
    write("loader_three.py", "from flask import Flask\ndef create_app(title='plain'):\n    return Flask(title)\n")
    assert load_app(target).import_name == title


def test_package_with_relative_imports_and_its_folder(write: Write) -> None:
    write("loader_pkg/__init__.py", "from .core import app\n")
    write("loader_pkg/names.py", "NAME = 'core'\n")
    write("loader_pkg/core.py", "from .names import NAME\n" + APP)
    assert load_app("loader_pkg") is load_app("loader_pkg/core.py:app")


def test_wsgi_function_is_served_as_it_is(write: Write) -> None:
    file = write("loader_wsgi.py", "def application(environ, start_response):\n    return []\n")
    assert load_app(f"{file}:application").__name__ == "application"


def test_module_that_is_imported_by_its_own_parts_is_loaded_once(write: Write) -> None:
    file = write("loader_main.py", "from flask import Flask\napp = Flask(__name__)\nimport loader_views\n")
    write("loader_views.py", "from loader_main import app\n@app.get('/x')\ndef x(): return 'x'\n")
    assert load_app(f"{file}:app").test_client().get("/x").data == b"x"


def test_unguarded_run_does_nothing_and_calls_after_it_are_left_out(write: Write) -> None:
    """`conn.close()` at a script's end runs when its server has stopped, not before the first request."""
    file = write("loader_script.py", APP + "log = []\napp.run(debug=True)\nlog.append('closed')\nafter = 1\n")
    load_app(f"{file}:app")
    module = sys.modules["loader_script"]
    assert (module.log, module.after) == ([], 1)


def test_calls_after_a_guarded_run_are_left_out(write: Write) -> None:
    file = write(
        "loader_guarded.py", APP + "log = []\nif __name__ == '__main__':\n    app.run()\nlog.append('closed')\n"
    )
    load_app(f"{file}:app")
    assert sys.modules["loader_guarded"].log == []


def test_calls_after_the_run_are_left_out_of_a_module_by_its_name_as_well(write: Write) -> None:
    """`main:app` is what `harden init` and `harden vendor` write for a script at the root."""
    write("loader_named.py", APP + "log = []\napp.run(debug=True)\nlog.append('closed')\n")
    load_app("loader_named:app")
    assert sys.modules["loader_named"].log == []


def test_module_of_the_name_wsgi_is_the_apps_own_while_ours_is_imported(
    write: Write, monkeypatch: pytest.MonkeyPatch
) -> None:
    """As under Gunicorn, with the kit in a folder beside the app's."""
    ours = ModuleType("wsgi")
    ours.__file__ = str(write("kit/wsgi.py", ""))
    monkeypatch.setitem(sys.modules, "wsgi", ours)
    write("wsgi.py", APP.replace("__name__", "'own'"))
    assert load_app("wsgi:app").name == "own"
    assert sys.modules["wsgi"] is ours


def test_app_of_the_name_wsgi_is_not_mistaken_for_ours(write: Write, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "wsgi", sys)
    file = write("wsgi.py", APP)
    assert isinstance(load_app(f"{file}:app"), Flask)
    assert sys.modules["wsgi"] is sys


def test_runtime_takes_another_name_beside_an_app_s_own_backend(tmp_path: Path) -> None:
    (tmp_path / "backend").mkdir()
    runtime = import_runtime(str(tmp_path))
    try:
        assert runtime.__name__ == "harden_runtime"
        assert import_runtime(str(tmp_path)) is runtime
    finally:
        for name in [name for name in sys.modules if name.split(".")[0] == "harden_runtime"]:
            del sys.modules[name]


def test_imports_start_above_the_outermost_package(tmp_path: Path) -> None:
    inner = tmp_path / "outer" / "inner"
    inner.mkdir(parents=True)
    for folder in (inner, inner.parent):
        (folder / "__init__.py").touch()
    (inner / "app.py").write_text("from . import views")
    (inner / "wsgi.py").write_text("import outer.inner")
    assert app_folder(f"{inner / 'app.py'}:app") == app_folder(f"{inner / 'wsgi.py'}:app") == tmp_path


def test_a_script_beside_a_stray_init_file_is_imported_from_its_own_folder(write: Write) -> None:
    write("stray/__init__.py", "")
    write("stray/loader_part.py", "x = 1\n")
    file = write("stray/loader_run.py", "import loader_part\n" + APP)
    assert load_app(f"{file}:app").import_name == "loader_run"


def test_error_inside_a_library_names_it_and_the_app_s_line(write: Write) -> None:
    file = write("loader_lib.py", "import flask\nflask.Flask(None)\n")
    with pytest.raises(AppLoadError, match=r"Error in \w+: .*loader_lib\.py:2"):
        load_app(f"{file}:app")


@pytest.mark.parametrize(
    ("source", "target", "said"),
    [
        (None, "nowhere.py:app", "does not exist (looked from"),
        (None, "loader_nowhere:app", "no module 'loader_nowhere'"),
        (None, ":app", "names no app"),
        (APP, "{file}:other", "has no 'other'"),
        ("x = 1\n", "{file}", "holds no Flask apps"),
        ("from flask import Flask\na = Flask('a')\nb = Flask('b')\n", "{file}", "holds 2 Flask apps"),
        ("x = 1\n", "{file}:x", "is int, not a WSGI application"),
        ("import loader_missing\n", "{file}:app", "needs the module 'loader_missing'"),
        ("raise RuntimeError('first\\nsecond')\n", "{file}:app", "RuntimeError: first second"),
        ("def broken(:\n", "{file}:app", "SyntaxError"),
        ("exit(3)\n", "{file}:app", "called exit(3)"),
        ("def create_app():\n    return 1 / 0\n", "{file}:create_app()", "the factory failed: ZeroDivisionError"),
        ("def create_app(): pass\n", "{file}:create_app(open('x'))", "is no plain call"),
    ],
)
def test_each_failure_is_one_line_with_the_next_step(
    write: Write, source: str | None, target: str, said: str
) -> None:
    file = write("loader_bad.py", source) if source is not None else Path("-")
    with pytest.raises(AppLoadError) as caught:
        load_app(target.format(file=file))
    assert said in str(caught.value)
    assert "\n" not in str(caught.value)


def test_error_names_the_app_s_own_line(write: Write) -> None:
    write("loader_deep.py", "def helper():\n    int('x')\n")
    file = write("loader_top.py", "import loader_deep\nloader_deep.helper()\n")
    with pytest.raises(AppLoadError, match=r"loader_deep\.py:2"):
        load_app(f"{file}:app")


@pytest.mark.parametrize(
    "call", ["subprocess.run(['true'], check=True)", "asyncio.run(asyncio.sleep(0))", "tasks.run()"]
)
def test_other_things_that_run_are_no_server(write: Write, call: str) -> None:
    """Taken for the server's start, they would have everything after them left out: blueprints, settings, all."""
    source = "import asyncio, subprocess\nclass tasks: run = staticmethod(lambda: None)\n"
    file = write("loader_runs.py", f"{source}{APP}log = []\n{call}\nlog.append('registered')\n")
    load_app(f"{file}:app")
    assert sys.modules["loader_runs"].log == ["registered"]


@pytest.mark.parametrize(
    "source",
    [
        "server = Flask(__name__)\nserver.run()\n",
        "import flask\nserver = flask.Flask(__name__)\nserver.run()\n",
        "def make_app(): return Flask(__name__)\nserver = make_app()\nserver.run()\n",
        "server = app = Flask(__name__)\nif __name__ == '__main__':\n    print('starting')\n    server.run()\n",
    ],
)
def test_a_server_is_known_by_what_made_it(write: Write, source: str) -> None:
    file = write("loader_serves.py", f"from flask import Flask\nlog = []\n{source}log.append('closed')\n")
    assert isinstance(load_app(f"{file}:server"), Flask)
    assert sys.modules["loader_serves"].log == []


def test_what_is_no_call_is_kept_after_the_run(write: Write) -> None:
    source = APP + "app.run()\n@app.get('/late')\ndef late(): return 'late'\nTITLE = 'x'\n"
    app = load_app(f"{write('loader_late.py', source)}:app")
    assert app.test_client().get("/late").text == "late"
    assert sys.modules["loader_late"].TITLE == "x"


def test_run_works_again_after_the_import(write: Write) -> None:
    before = Flask.run
    load_app(f"{write('loader_restores.py', APP + 'app.run()')}:app")
    assert Flask.run is before
    with pytest.raises(AppLoadError):
        load_app(f"{write('loader_fails.py', 'x')}:app")
    assert Flask.run is before


def test_a_factory_that_exits_is_one_line(write: Write) -> None:
    file = write("loader_exits.py", "import sys\ndef create_app():\n    sys.exit('set SECRET_KEY first')\n")
    with pytest.raises(AppLoadError, match=r"the factory called exit\('set SECRET_KEY first'\)"):
        load_app(f"{file}:create_app()")


@pytest.mark.parametrize(
    ("target", "said"),
    [
        ("{file}:create_app(", "has no 'create_app('"),
        ("{file}:create_app(a b)", "is no plain call"),
        ("{file}:box.create_app()", "is no plain call"),
        ("{file}:create_app(1, 2)", "the factory failed: TypeError"),
        ("{file}:missing()", "has no 'missing'"),
        ("{file}:app.nothing", "has no 'app.nothing'"),
    ],
)
def test_a_call_that_cannot_be_made_is_one_line(write: Write, target: str, said: str) -> None:
    file = write("loader_calls.py", APP + "def create_app(title): return Flask(title)\nclass box: pass\n")
    with pytest.raises(AppLoadError) as caught:
        load_app(target.format(file=file))
    assert said in str(caught.value)
    assert "\n" not in str(caught.value)


def test_a_failed_import_can_be_tried_again(write: Write) -> None:
    file = write("loader_again.py", "raise RuntimeError")
    with pytest.raises(AppLoadError):
        load_app(f"{file}:app")
    file.write_text(APP)
    assert isinstance(load_app(f"{file}:app"), Flask)


def test_an_app_named_like_a_standard_module_is_loaded_from_its_file(write: Write) -> None:
    import calendar

    app = load_app(f"{write('calendar.py', APP)}:app")
    assert isinstance(app, Flask)
    assert sys.modules["calendar"] is calendar


def test_a_missing_module_inside_a_package_is_named(write: Write) -> None:
    write("loader_holes/__init__.py", "")
    write("loader_holes/main.py", "from . import gone\n")
    with pytest.raises(AppLoadError, match=r"gone"):
        load_app("loader_holes.main:app")


def test_nothing_is_written_beside_the_app(write: Write) -> None:
    """Bytecode of the script without its last lines, found by `python app.py` later, would be a trap."""
    file = write("loader_clean.py", APP + "app.run()\nprint('bye')\n")
    load_app(f"{file}:app")
    assert not list(file.parent.rglob("*.pyc"))


def test_error_inside_the_standard_library_names_the_app_s_line(write: Write) -> None:
    file = write("loader_json.py", "import json\njson.loads('')\n")
    with pytest.raises(AppLoadError, match=r"JSONDecodeError: .* \(\S*loader_json\.py:2\)"):
        load_app(f"{file}:app")
