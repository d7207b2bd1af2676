"""The start goes under its guard."""

from __future__ import annotations

import pytest

from ..fixing import fixed

HEAD = "from flask import Flask\n\napp = Flask(__name__)\n\n"


def _start(source: str) -> str:
    """Return what becomes of a start behind the app."""
    return fixed({"app.py": HEAD + source}, "dev-server").files["app.py"].removeprefix(HEAD)


def _reason(source: str, **files: str) -> str:
    outcome = fixed({"app.py": HEAD + source, **files}, "dev-server")
    assert outcome.files["app.py"] == HEAD + source
    (reason,) = outcome.reasons
    return reason


@pytest.mark.parametrize(
    "before, after",
    [
        pytest.param("app.run()\n", 'if __name__ == "__main__":\n    app.run()\n', id="bare"),
        pytest.param("app.run()", 'if __name__ == "__main__":\n    app.run()', id="no newline at the end"),
        pytest.param(
            "x = 'a'\ny = 'b'\napp.run()\n",
            "x = 'a'\ny = 'b'\nif __name__ == '__main__':\n    app.run()\n",
            id="the file's quotes",
        ),
        pytest.param(
            "if x:\n\ty()\n\napp.run()\n", 'if x:\n\ty()\n\nif __name__ == "__main__":\n\tapp.run()\n', id="tabs"
        ),
        pytest.param(
            "app.run(  # here\n    port=1,\n)\n",
            'if __name__ == "__main__":\n    app.run(  # here\n        port=1,\n    )\n',
            id="several lines",
        ),
        pytest.param(
            "app.run()\n\n# the end\nconn.close()\n",
            'if __name__ == "__main__":\n    app.run()\n\n    # the end\n    conn.close()\n',
            id="what follows",
        ),
        pytest.param(
            'app.run()\nprint("""a\nb""")\n',
            'if __name__ == "__main__":\n    app.run()\n    print("""a\nb""")\n',
            id="inside of a string",
        ),
        pytest.param(
            "def main():\n    app.run()\n\n\nmain()\n",
            'def main():\n    app.run()\n\n\nif __name__ == "__main__":\n    main()\n',
            id="in a function",
        ),
        pytest.param(
            "with app.app_context():\n    create()\n    app.run()\n",
            'with app.app_context():\n    create()\n    if __name__ == "__main__":\n        app.run()\n',
            id="in the app's context",
        ),
        pytest.param(
            "if x:\n    app.run(port=1)\nelse:\n    app.run()\n",
            'if x:\n    if __name__ == "__main__":\n        app.run(port=1)\n'
            'else:\n    if __name__ == "__main__":\n        app.run()\n',
            id="two of them",
        ),
        pytest.param(
            'if __name__ == "__main__":\n  app.run()\n\nconn.close()\ncur.close()\n',
            'if __name__ == "__main__":\n  app.run()\n\n  conn.close()\n  cur.close()\n',
            id="behind the guard",
        ),
    ],
)
def test_a_start_is_guarded_with_what_follows_it(before: str, after: str) -> None:
    assert _start(before) == after


@pytest.mark.parametrize(
    "source, words",
    [
        pytest.param('if __name__ == "__main__":\n    app.run()\n', "harden vendor", id="under its guard"),
        pytest.param(
            'def main():\n    app.run()\n\nif __name__ == "__main__":\n    main()\n',
            "harden vendor",
            id="its function under the guard",
        ),
        pytest.param("def main():\n    app.run()\n", "nothing calls", id="its function not called"),
        pytest.param("try:\n    app.run()\nfinally:\n    conn.close()\n", "stands in a `try`", id="try"),
        pytest.param("with connect() as conn:\n    app.run()\n", "stands in a `with`", id="with"),
        pytest.param(
            "app.run()\n\n@app.route('/')\ndef late():\n    return ''\n", "line 8 defines", id="a late route"
        ),
        pytest.param("x = 1; app.run()\n", "shares its line", id="one line"),
        pytest.param("result = app.run()\n", "part of another", id="a result"),
        pytest.param("app.run() if x else None\n", "part of another", id="an expression"),
        pytest.param(
            'if __name__ == "__main__":\n    app.run()\n\nlate()\nconn.close()\n',
            "runs at import",
            id="a close that is not the next",
        ),
    ],
)
def test_a_start_is_left_alone_with_a_reason(source: str, words: str) -> None:
    assert words in _reason(source)


def test_a_server_of_its_own_is_left_alone() -> None:
    source = (
        "from flask import Flask\nfrom flask_socketio import SocketIO\napp = Flask(__name__)\n"
        "socketio = SocketIO(app)\nsocketio.run(app)\n"
    )
    outcome = fixed({"app.py": source}, "dev-server")
    assert outcome.files["app.py"] == source
    assert "brings a server of its own" in outcome.reasons[0]


def test_a_file_that_another_one_imports_to_start_is_left_alone() -> None:
    assert "run.py starts the server by importing" in _reason("app.run()\n", **{"run.py": "import app\n"})


@pytest.mark.parametrize("importer", [
    "from app import app\n", "import app\nserve(app.app)\n", "from app import app\n\napp.run(port=1)\n",
])  # fmt: skip
def test_who_takes_the_app_from_the_file_does_not_start_by_importing_it(importer: str) -> None:
    files = {"app.py": HEAD + "app.run()\n", "serve.py": importer}
    assert '__main__":\n    app.run()\n' in fixed(files, "dev-server").files["app.py"]


def test_views_that_import_the_app_back_do_not_matter() -> None:
    files = {"app.py": HEAD + "import views\napp.run()\n", "views.py": "from app import app\n"}
    assert '__main__":\n    app.run()\n' in fixed(files, "dev-server").files["app.py"]


def test_a_command_of_a_procfile_is_left_alone() -> None:
    outcome = fixed({"app.py": HEAD, "Procfile": "web: flask run\n"}, "dev-server")
    assert outcome.files == {"app.py": HEAD, "Procfile": "web: flask run\n"}
    assert "gunicorn wsgi:app" in outcome.reasons[0]
