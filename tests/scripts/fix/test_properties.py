"""Whatever a file looks like: it parses afterwards, no call is lost, and the rest stays byte for byte.

That a second run changes nothing is asserted by `fixed`.
"""

from __future__ import annotations

import ast
import difflib

from hypothesis import HealthCheck, example, given, settings
from hypothesis import strategies as st

from scripts.fix.checks import calls

from .fixing import fixed

RULES = ("debug-on", "dev-server", "hardcoded-credentials", "random-secret-key", "insecure-cookie")
ADDED = (b"import os", b"if __name__ ==", b"app.config.update(SESSION_COOKIE_SECURE")
BOM = b"\xef\xbb\xbf"
MAY_GO = {"os.urandom", "str", "uuid.uuid4", "secrets.token_hex"}
HEADS = (
    "",
    '"""Shop."""\n',
    "#!/usr/bin/env python\n# words\n",
    "from __future__ import annotations\n",
    '"""Shop,\n  in two lines"""\nfrom __future__ import annotations\n',
)
IMPORTS = (
    "import os\n",
    "",
    "import os as system\n",
    "from os import environ\n",
    "try:\n    import os\nexcept ImportError:\n    raise\n",
    "import sys; sys.path.insert(0, '.')\n",
)
SETTINGS = (
    "app.debug = True\n",
    "app.config['DEBUG'] = True  # später\n",
    "app.config.update(DEBUG=True, X=f'{app}')\n",
    "app.secret_key = 'top-s3cret'\n",
    "app.secret_key = os.urandom(24)\n",
    "app.secret_key = str(uuid.uuid4())\n",
    "app.secret_key = (b'a'\n    b'\\xff')\n",
    "conn = psycopg2.connect(host='h', password='Sup3r-x9')\n",
    "conn = psycopg2.connect(\n    'dbname=a user=b password=Sup3r-x9',  # no\n)\n",
    "TEXT = '''\n    debug=True\n'''\n",
    "class Config:\n    DEBUG = True\n\n\napp.config.from_object(Config)\n",
    "if TEXT:\n    app.config['DEBUG'] = 1\nelse:\n    pass\n",
)
STARTS = (
    "app.run(debug=True)\n",
    "app.run('0.0.0.0', 80, True)\n",
    "if __name__ == '__main__':\n    app.run(debug=True)\n",
    "app.run(\n    debug=True,\n\n    # a comment\n    port=1)\n",
    "def main():\n    app.run(debug=True)\n\n\nmain()\n",
    "if __name__ == '__main__':\n    app.run()\n\nconn.close()\n",
    "app.run()\nprint('''\nbye\n  ''')\nconn.close()\n",
    "try:\n    app.run(debug=True)\nfinally:\n    conn.close()\n",
    "with app.app_context():\n    app.run(debug=True)\n",
    "",
)
VIEW = "@app.route('/')\ndef view():\n    session['a'] = 'é'\n    r.set_cookie('token', x)\n    return ''\n"


@st.composite
def _sources(draw: st.DrawFn) -> bytes:
    """Return a small app in some layout."""
    settings_ = "".join(draw(st.lists(st.sampled_from(SETTINGS), max_size=4, unique=True)))
    text = "".join(
        [
            draw(st.sampled_from(HEADS)),
            "import uuid\nimport psycopg2\n" if draw(st.booleans()) else "",
            "from flask import Flask, session\n",
            draw(st.sampled_from(IMPORTS)),
            "app = Flask(__name__)\n",
            settings_,
            draw(st.sampled_from(["", VIEW])),
            draw(st.sampled_from(STARTS)),
        ]
    )
    return _laid_out(draw, text)


def _laid_out(draw: st.DrawFn, text: str) -> bytes:
    quotes = draw(st.sampled_from(["'", '"']))
    text = text.replace("'''", '"""') if quotes == '"' else text
    text = text.replace("'", quotes) if quotes == '"' and '"""' not in text else text
    step = draw(st.sampled_from(["    ", "  ", "\t"]))
    text = text.replace("    ", step)
    if draw(st.booleans()):
        text = text.replace("\ndef ", "\n\n# ----\ndef ").replace("\napp.", "\n\n\napp.")
    if draw(st.booleans()):
        text = text.rstrip("\n")
    end = draw(st.sampled_from(["\n", "\r\n", "\r"]))
    encoding = draw(st.sampled_from(["utf-8", "utf-8-sig", "latin-1"]))
    if encoding == "latin-1":
        lines = text.splitlines(keepends=True)
        at = 1 if lines[0].startswith("#!") else 0
        text = "".join([*lines[:at], "# -*- coding: latin-1 -*-\n", *lines[at:]])
    return text.replace("\n", end).encode(encoding)


@settings(max_examples=50, deadline=None, suppress_health_check=[HealthCheck.too_slow])
@given(_sources())
@example(b"from flask import Flask\r\napp = Flask(__name__)\r\napp.run(debug=True)")
def test_only_what_is_meant_changes(before: bytes) -> None:
    ast.parse(before)
    outcome = fixed({"app.py": before}, *RULES, unsafe=True)
    after = outcome.bytes["app.py"]
    assert after.startswith(BOM) == before.startswith(BOM)
    lost = calls(ast.parse(before)) - calls(ast.parse(after))
    assert set(lost) <= MAY_GO
    _assert_rest_stays(
        before.removeprefix(BOM),
        after.removeprefix(BOM),
        {
            line
            for change in outcome.changes
            for each in change.findings
            for line in range(change.place.line, change.place.end_line + 1)
        },
    )


def _assert_rest_stays(before: bytes, after: bytes, meant: set[int]) -> None:
    """See that lines beside the findings are kept, or got an indentation, and that new ones are of our kind."""
    old, new = _lines(before), _lines(after)
    stripped = ([line.lstrip(b" \t") for line in old], [line.lstrip(b" \t") for line in new])
    matcher = difflib.SequenceMatcher(None, *stripped, autojunk=False)
    for kind, start, end, new_start, new_end in matcher.get_opcodes():
        if kind == "equal":
            for one, other in zip(old[start:end], new[new_start:new_end], strict=True):
                assert other.endswith(one)
            continue
        beside = [line for line in range(start + 1, end + 1) if line not in meant]
        # A file without an end of line gets one where something follows its last line.
        assert all(old[line - 1].rstrip(b"\r\n") + _end(before) in new for line in beside)
        for line in new[new_start:new_end] if kind == "insert" else []:
            assert line.strip().startswith(ADDED), line
    if b"\r\n" in before:
        assert after.count(b"\n") == after.count(b"\r\n")


def _lines(data: bytes) -> list[bytes]:
    return data.splitlines(keepends=True)


def _end(data: bytes) -> bytes:
    return b"\r\n" if b"\r\n" in data else b"\r" if b"\r" in data else b"\n"
