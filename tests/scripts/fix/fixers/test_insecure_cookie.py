"""Cookies with a log-in."""

from __future__ import annotations

import pytest

from ..fixing import fixed

VIEW = '@app.route("/")\ndef view():\n    session["a"] = 1\n    return ""\n'


def _app(line: str = "") -> str:
    return f"from flask import Flask, session\n\napp = Flask(__name__)\n{line}\n{VIEW}"


def test_the_sessions_cookie_is_set_behind_the_app() -> None:
    made = _app('app.config.update(SESSION_COOKIE_SECURE=True, SESSION_COOKIE_SAMESITE="Lax")\n')
    assert fixed({"app.py": _app()}, "insecure-cookie", unsafe=True).files["app.py"] == made


def test_in_a_factory_it_has_the_factorys_indentation() -> None:
    source = (
        "from flask import Flask, session\n\ndef create_app():\n\tapp = Flask(\n\t\t__name__)\n\treturn app\n\n"
        "def view():\n\tsession['a'] = 1\n"
    )
    made = fixed({"app.py": source}, "insecure-cookie", unsafe=True).files["app.py"]
    assert (
        "\t\t__name__)\n\tapp.config.update(SESSION_COOKIE_SECURE=True, SESSION_COOKIE_SAMESITE='Lax')\n" in made
    )


@pytest.mark.parametrize(
    "before, after",
    [
        ('r.set_cookie("token", x)', 'r.set_cookie("token", x, secure=True, httponly=True)'),
        ('r.set_cookie("token", x, secure=False,)', 'r.set_cookie("token", x, secure=True, httponly=True,)'),
        (
            'r.set_cookie(\n        "token", x, httponly=True\n    )',
            'r.set_cookie(\n        "token", x, httponly=True, secure=True\n    )',
        ),
    ],
)
def test_a_cookie_of_the_apps_own_gets_what_it_lacks(before: str, after: str) -> None:
    source = f"from flask import Flask\napp = Flask(__name__)\n\ndef view(r, x):\n    {before}\n"
    made = fixed({"app.py": source}, "insecure-cookie", unsafe=True).files["app.py"]
    assert made == source.replace(before, after)


def test_a_flag_that_is_off_goes_on() -> None:
    source = _app('app.config["SESSION_COOKIE_SECURE"] = False\n')
    assert fixed({"app.py": source}, "insecure-cookie", unsafe=True).files["app.py"] == source.replace(
        "False", "True"
    )


def test_all_of_it_is_unsafe() -> None:
    outcome = fixed({"app.py": _app()}, "insecure-cookie")
    assert outcome.files["app.py"] == _app() and len(outcome.unsafe) == 1


def test_an_app_inside_of_another_statement_is_left_alone() -> None:
    source = _app().replace("app = Flask(__name__)", "app = wrap(Flask(__name__))")
    outcome = fixed({"app.py": source}, "insecure-cookie", unsafe=True)
    assert outcome.files["app.py"] == source


def test_a_comment_behind_the_last_argument_is_left_alone() -> None:
    source = 'from flask import Flask\n\ndef view(r, x):\n    r.set_cookie("token", x  # why\n    )\n'
    outcome = fixed({"app.py": source}, "insecure-cookie", unsafe=True)
    assert outcome.files["app.py"] == source
    assert "a comment" in outcome.reasons[0]
