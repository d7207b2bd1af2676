"""Hashed names: made once, named by url_for, kept for a year by WhiteNoise and by the front's own rule."""

from __future__ import annotations

import json
import re
from pathlib import Path
from typing import Any

import pytest
from flask import Flask, url_for

from backend import hashed_static, serve_static, write_hashed
from backend.static_files import LIST, is_hashed

ROOT = Path(__file__).resolve().parents[2]


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    static = tmp_path / "static"
    (static / "img").mkdir(parents=True)
    (static / "app.js").write_text("alert(1)")
    (static / "img" / "logo.min.svg").write_text("<svg/>")
    (static / "noext").write_text("x")
    (static / ".hidden").write_text("x")
    (static / "link.js").symlink_to(static / "app.js")
    return static


def _app(folder: Path) -> Flask:
    app = Flask("static", static_folder=str(folder))
    hashed_static(app)
    serve_static(app)
    return app


def _url(app: Flask, name: str) -> str:
    with app.test_request_context():
        return url_for("static", filename=name)


def _get(app: Flask, url: str) -> tuple[bytes, str]:
    with app.test_client().get(url) as answer:
        return answer.data, answer.headers["Cache-Control"]


def test_url_for_names_the_hash_and_whitenoise_keeps_it_for_a_year(folder: Path) -> None:
    names = write_hashed(folder)
    assert set(names) == {"app.js", "img/logo.min.svg", "noext"} and names["noext"] == "noext"
    app = _app(folder)
    url = _url(app, "app.js")
    assert re.fullmatch(r"/static/app\.[0-9a-f]{12,}\.js", url)
    assert _get(app, url) == (b"alert(1)", "public, max-age=31536000, immutable")
    assert _get(app, "/static/app.js") == (b"alert(1)", "max-age=300, public")
    assert _get(app, _url(app, "img/logo.min.svg"))[0] == b"<svg/>"


def test_other_contents_are_another_name_and_the_old_one_stays(folder: Path) -> None:
    before = write_hashed(folder)
    assert write_hashed(folder) == before
    (folder / "app.js").write_text("alert(2)")
    after = write_hashed(folder)
    assert after["app.js"] != before["app.js"] and (folder / before["app.js"]).read_text() == "alert(1)"
    assert (folder / after["app.js"]).read_text() == "alert(2)"


def test_in_development_nothing_changes(folder: Path) -> None:
    app = _app(folder)
    assert _url(app, "app.js") == "/static/app.js" and _get(app, "/static/app.js")[0] == b"alert(1)"


def test_a_broken_list_is_said(folder: Path) -> None:
    (folder / LIST).write_text("[]")
    with pytest.raises(ValueError, match=r"write_hashed\(\)"):
        hashed_static(Flask("static", static_folder=str(folder)))


def test_the_front_and_the_app_agree_on_what_a_hash_is() -> None:
    template = (ROOT / "deploy" / "templates" / "nginx-site.conf.j2").read_text()
    rule = re.search(r'"~(\[\.-\].*?)\\z"', template)
    assert rule is not None
    for name in ("app.3f2a9c1b.js", "app.20260101.js", "app.deadbeef.js", "app.js", "a-1a2b3c4d.css", "x.1a.js"):
        assert is_hashed(name) is (re.search(rule[1] + r"\Z", name) is not None), name


def test_a_hash_without_a_letter_or_a_digit_grows_until_it_has_both(folder: Path, monkeypatch: Any) -> None:
    from backend import static_files

    class Odd:
        def __init__(self, *_: Any) -> None: ...

        def hexdigest(self) -> str:
            return "1" * 20 + "a" * 44

    monkeypatch.setattr("backend.static_files.hashlib.sha256", Odd)
    names = write_hashed(folder)
    assert is_hashed(names["app.js"]) and "1" * 20 + "a" in names["app.js"]
    assert json.loads((folder / static_files.LIST).read_text()) == names
