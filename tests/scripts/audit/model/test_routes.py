"""Which function answers which URL, however it is hung on the app."""

from __future__ import annotations

from pathlib import Path

import pytest

from scripts.audit.model.values import data

from .interpreting import function, interpreted, routes

HEAD = "from flask import Flask, Blueprint\nfrom flask.views import MethodView, View\napp = Flask(__name__)\n"

WAYS = {
    "route": ("@app.route('/a')\ndef view():\n    pass\n", ["GET /a view"]),
    "route with methods": ("@app.route('/a', methods=['GET', 'POST'])\ndef view():\n"
                           "    pass\n", ["GET|POST /a view"]),
    "get": ("@app.get('/a')\ndef view():\n    pass\n", ["GET /a view"]),
    "two routes": ("@app.get('/a')\n@app.post('/b')\ndef view():\n    pass\n", ["GET /a view", "POST /b view"]),
    "a blueprint": ("b = Blueprint('b', __name__)\n@b.route('/a')\ndef view():\n    pass\n", ["GET /a view"]),
    "below a decorator": ("def d(f):\n    return f\n@app.get('/a')\n@d\ndef view():\n    pass\n", ["GET /a view"]),
    "add_url_rule": ("def view():\n    pass\napp.add_url_rule('/a', 'a', view)\n", ["GET /a view"]),
    "add_url_rule by name": ("def view():\n    pass\n"
                             "app.add_url_rule('/a', view_func=view, methods=['PUT'])\n", ["PUT /a view"]),
    "a method view": ("class V(MethodView):\n    def get(self):\n        pass\n    def post(self):\n        pass\n"
                      "app.add_url_rule('/a', view_func=V.as_view('v'))\n", ["GET /a V.get", "POST /a V.post"]),
    "a view": ("class V(View):\n    def dispatch_request(self):\n        pass\n"
               "app.add_url_rule('/a', view_func=V.as_view('v'))\n",
               ["GET /a V.dispatch_request"]),
    "an inherited method": ("class B(MethodView):\n    def get(self):\n        pass\nclass V(B):\n    pass\n"
                            "app.add_url_rule('/a', view_func=V.as_view('v'))\n", ["GET /a B.get"]),
    "flask_restful": ("from flask_restful import Api, Resource\napi = Api(app)\nclass R(Resource):\n"
                      "    def get(self):\n        pass\n"
                      "api.add_resource(R, '/a', '/b')\n", ["GET /a R.get", "GET /b R.get"]),
    "flask_restx": ("from flask_restx import Api, Resource\napi = Api(app)\n@api.route('/a')\n"
                    "class R(Resource):\n    def get(self):\n"
                    "        pass\n", ["GET /a R.get"]),
    "in a factory": ("def create_app():\n    made = Flask(__name__)\n    @made.get('/a')\n    def view():\n"
                     "        pass\n    return made\n",
                     ["GET /a create_app.view"]),
    "a prefix": ("P = '/v1'\n@app.get(P + '/a')\ndef view():\n    pass\n", ["GET /v1/a view"]),
    "an async view": ("@app.get('/a')\nasync def view():\n    pass\n", ["GET /a view"]),
}  # fmt: skip


@pytest.mark.parametrize("code, expected", WAYS.values(), ids=WAYS.keys())
def test_a_route_is_known(tmp_path: Path, code: str, expected: list[str]) -> None:
    assert routes(interpreted(tmp_path, app=HEAD + code)) == expected


@pytest.mark.parametrize("code", [
    "class Box:\n    def get(self, key):\n        return lambda f: f\nbox = Box()\n@box.get('/a')\ndef view():\n"
    "    pass\n",
    "@app.before_request\ndef hook():\n    pass\n",
    "{}.get('/a')\n",
])  # fmt: skip
def test_what_only_looks_like_a_route_is_none(tmp_path: Path, code: str) -> None:
    assert routes(interpreted(tmp_path, app=HEAD + code)) == []


@pytest.mark.parametrize(
    "rule, shape",
    [("<name>", "value"), ("<int:name>", "number"), ("<uuid:name>", "number"), ("<path:name>", "value")],
)
def test_a_variable_of_a_url_is_of_the_request(tmp_path: Path, rule: str, shape: str) -> None:
    code = f"{HEAD}@app.get('/{rule}')\ndef view(name):\n    print(name)\n"
    [call] = function(interpreted(tmp_path, app=code), "view").calls
    assert [each.shape for each in data(call.arguments[0], "request")] == [shape]


@pytest.mark.parametrize("hook", ["before_request", "teardown_appcontext", "context_processor"])
def test_a_hook_is_known_by_decorator_and_by_call(tmp_path: Path, hook: str) -> None:
    code = f"{HEAD}@app.{hook}\ndef one():\n    pass\ndef two():\n    pass\napp.{hook}(two)\n"
    project = interpreted(tmp_path, app=code)
    assert function(project, "one").hooks == function(project, "two").hooks == [hook]
