"""Debugging is asked for by the environment."""

from __future__ import annotations

import pytest

from ..fixing import fixed

HEAD = "import os\nfrom flask import Flask\napp = Flask(__name__)\n"
ASKED = 'os.environ.get("FLASK_DEBUG") == "1"'


def _body(source: str, *, unsafe: bool = False) -> str:
    return fixed({"app.py": HEAD + source}, "debug-on", unsafe=unsafe).files["app.py"].removeprefix(HEAD)


def _guarded(run: str) -> str:
    return f'if __name__ == "__main__":\n    {run}\n'


@pytest.mark.parametrize(
    "before, after",
    [
        pytest.param(_guarded("app.run(debug=True)"), _guarded(f"app.run(debug={ASKED})"), id="keyword"),
        pytest.param(_guarded('app.run("h", 80, 1)'), _guarded(f'app.run("h", 80, {ASKED})'), id="position"),
        pytest.param(
            _guarded("app.run(debug = True , port=1)"), _guarded(f"app.run(debug = {ASKED} , port=1)"), id="layout"
        ),
        pytest.param(
            _guarded("app.run(use_debugger=True)"), _guarded(f"app.run(use_debugger={ASKED})"), id="debugger"
        ),
        pytest.param("app.debug = True\n", f"app.debug = {ASKED}\n", id="attribute"),
        pytest.param('app.config["DEBUG"] = True\n', f'app.config["DEBUG"] = {ASKED}\n', id="element"),
        pytest.param(
            'app.config.update(DEBUG=True, X="")\n', f'app.config.update(DEBUG={ASKED}, X="")\n', id="update"
        ),
        pytest.param(
            "class Config:\n    DEBUG = True\n\napp.config.from_object(Config)\n",
            f"class Config:\n    DEBUG = {ASKED}\n\napp.config.from_object(Config)\n",
            id="class",
        ),
        pytest.param(
            "DEBUG = True\n" + _guarded("app.run(debug=DEBUG)"),
            f"DEBUG = {ASKED}\n" + _guarded("app.run(debug=DEBUG)"),
            id="variable",
        ),
        pytest.param(
            _guarded('app.run(debug=os.getenv("X", "1") == "1")'),
            _guarded('app.run(debug=os.getenv("X", "0") == "1")'),
            id="a default that is compared",
        ),
        pytest.param(
            _guarded('app.run(debug=os.environ.get("X", "True").lower() == "True")'),
            _guarded('app.run(debug=os.environ.get("X", "False").lower() == "True")'),
            id="lowered",
        ),
        pytest.param(
            _guarded('app.run(debug=bool(os.getenv("X", "True")))'),
            _guarded('app.run(debug=bool(os.getenv("X", "")))'),
            id="any text is true",
        ),
        pytest.param(
            _guarded('app.run(debug=int(os.getenv("X", "1")))'),
            _guarded('app.run(debug=int(os.getenv("X", "0")))'),
            id="a number",
        ),
        pytest.param(
            _guarded('app.run(debug=os.getenv("X", True))'),
            _guarded('app.run(debug=os.getenv("X", False))'),
            id="a default that is no text",
        ),
    ],
)
def test_a_literal_becomes_a_question(before: str, after: str) -> None:
    assert _body(before) == after


def test_os_is_imported_and_quotes_are_the_files() -> None:
    source = "from flask import Flask\n\napp = Flask('x')\napp.debug = True\n"
    made = "import os\n" + source.replace("True", "os.environ.get('FLASK_DEBUG') == '1'")
    assert fixed({"app.py": source}, "debug-on").files["app.py"] == made


def test_a_name_that_is_taken_refuses_the_change() -> None:
    source = "from flask import Flask\nos = 1\napp = Flask('x')\napp.debug = True\n"
    outcome = fixed({"app.py": source}, "debug-on")
    assert outcome.files["app.py"] == source
    assert outcome.reasons == [
        "the change was refused: 'import os' is needed, and line 2 uses the name 'os' for something else"
    ]


def test_a_variable_that_decides_more_is_unsafe() -> None:
    source = "DEBUG = True\nif DEBUG:\n    name = 1\n" + _guarded("app.run(debug=DEBUG)")
    assert _body(source) == source
    assert _body(source, unsafe=True) == source.replace("True", ASKED, 1)
    (change,) = fixed({"app.py": HEAD + source}, "debug-on").unsafe
    assert "app.py:5" in change.note


def test_a_setting_that_another_file_decides_by_is_unsafe() -> None:
    files = {
        "app.py": HEAD + "import settings\napp.config.from_object(settings)\nif settings.DEBUG:\n    x = 1\n",
        "settings.py": "DEBUG = True\n",
    }
    assert fixed(files, "debug-on").files == files
    files["app.py"] = files["app.py"].replace("if settings.DEBUG:\n    x = 1", "app.run(debug=settings.DEBUG)")
    assert "FLASK_DEBUG" in fixed(files, "debug-on").files["settings.py"]


@pytest.mark.parametrize(
    "files, words",
    [
        pytest.param(
            {"app.py": HEAD + 'os.environ["FLASK_ENV"] = "development"\n'}, "delete the line", id="writes it"
        ),
        pytest.param({"app.py": HEAD + 'app.config["ENV"] = "development"\n'}, "not a switch", id="ENV"),
        pytest.param(
            {"app.py": HEAD + 'options = {"debug": True}\n' + _guarded("app.run(**options)")},
            "**",
            id="from a dict",
        ),
        pytest.param(
            {"app.py": HEAD, "Dockerfile": "FROM python\nENV FLASK_DEBUG=1\nCMD flask run\n"},
            "no Python",
            id="Dockerfile",
        ),
    ],
)
def test_the_rest_is_left_alone_with_a_reason(files: dict[str, str], words: str) -> None:
    outcome = fixed(files, "debug-on")
    assert outcome.files == files
    assert any(words in each for each in outcome.reasons)
