"""Which routes get to a function, what a call gets to, and what runs at import."""

from __future__ import annotations

from pathlib import Path

from .interpreting import function, interpreted

APP = """
    import psycopg2
    from flask import Flask
    app = Flask(__name__)
    def deep(n):
        psycopg2.connect('').cursor().execute('SELECT 1')
        return deep(n - 1)
    def guard(view):
        def wrapper():
            check()
            return view()
        return wrapper
    def check():
        pass
    def idle():
        pass
    @app.before_request
    def hook():
        seen()
    def seen():
        pass
    @app.get('/')
    @guard
    def view():
        deep(3)
    def begin():
        inner()
    def inner():
        psycopg2.connect('')
    begin()
    if __name__ == '__main__':
        idle()
    """


def test_routes_get_to_helpers_recursion_and_wrappers(tmp_path: Path) -> None:
    project = interpreted(tmp_path, app=APP)
    reach = project.reach
    assert [reach.routes(function(project, name)) for name in ("deep", "check", "seen", "idle")] == [
        ("GET /",),
        ("GET /",),
        ("*",),
        (),
    ]


def test_a_call_gets_to_what_its_callees_do(tmp_path: Path) -> None:
    project = interpreted(tmp_path, app=APP)
    [call] = function(project, "view").calls
    assert [each.does for each in project.reach.behind(call, "execute", "connect")] == ["connect", "execute"]


def test_what_is_called_at_the_top_runs_at_import_and_what_is_guarded_does_not(tmp_path: Path) -> None:
    project = interpreted(tmp_path, app=APP)
    found = {call.function.qualname: project.reach.is_import_time(call) for call in project.calls("connect")}
    assert found == {"deep": False, "inner": True}
    assert not project.reach.is_import_time(function(project, "<module>").calls[-1])
