"""What is read, what is left out, and that nothing breaks the reading."""

from __future__ import annotations

from pathlib import Path

import pytest

from scripts.audit.model.build import build

from .interpreting import callees, interpreted


@pytest.mark.parametrize("data, reason", [
    (b"def f(:\n", "does not parse"),
    (b"print 'a'\n", "this is Python 2"),
    (b"a = '\xff'\n", ""),
    (b"\x00\x01\x02", ""),
    (b"# coding: nonsense\n", ""),
    (b"x = " + b"(" * 500 + b")" * 500, ""),
])  # fmt: skip
def test_a_file_that_cannot_be_parsed_is_kept_with_its_reason(tmp_path: Path, data: bytes, reason: str) -> None:
    (tmp_path / "odd.py").write_bytes(data)
    [broken] = build(tmp_path).broken
    assert broken.path == "odd.py"
    assert reason in broken.reason


def test_other_encodings_tabs_and_windows_line_ends_are_read(tmp_path: Path) -> None:
    (tmp_path / "a.py").write_bytes("# coding: latin-1\nname = 'é'\r\nif name:\r\n\tpass\r\n".encode("latin-1"))
    (tmp_path / "b.py").write_bytes(b"\xef\xbb\xbfname = 1\n")
    project = build(tmp_path)
    assert (project.broken, len(project.modules)) == ([], 2)


def test_tests_environments_and_links_to_folders_are_left_out(tmp_path: Path) -> None:
    for name in (
        "app.py",
        "test_app.py",
        "tests/helper.py",
        "venv/lib.py",
        "node_modules/x.py",
        "mine/pyvenv.cfg",
        "mine/lib.py",
    ):
        (tmp_path / name).parent.mkdir(exist_ok=True)
        (tmp_path / name).write_text("")
    (tmp_path / "loop").symlink_to(tmp_path)
    assert [module.path for module in build(tmp_path).modules] == ["app.py"]


ODD = {
    "deeply nested expressions": "x = " + "-" * 400 + "1\n",
    "a long sum": "x = " + " + ".join(["'a'"] * 900) + "\n",
    "a long chain": "x = y" + ".a()" * 300 + "\n",
    "a class that is its own base": "class A:\n    pass\nclass A(A):\n    pass\n",
    "a function that returns itself": "def f():\n    return f\nf()()()\n",
    "a dict in itself": "d = {}\nd['d'] = d\nfor x in d:\n    d[x] = [d]\n",
    "return in finally": "def f():\n    try:\n        return 1\n    finally:\n        return 2\n",
    "del, global, starred": "global a\na, *b = [1, 2]\ndel a, b[0]\n",
    "a decorator zoo": "import functools\n@functools.wraps\n@(lambda f: f)\n@[print][0]\n@a.b['c'](1)\ndef f():\n"
    "    pass\n",
    "lambda defaults": "f = lambda a=1, *b, c=2, **d: (yield)\n",
    "a match": "match x:\n    case {'a': [1, *rest], **more} if rest:\n        pass\n"
    "    case Point(x=0) | None as p:\n        pass\n",
    "async everything": "async def f():\n    async for a in b:\n        async with c as d:\n"
    "            return [e async for e in f()]\n",
    "annotations alone": "a: int\nclass B:\n    b: 'B'\n",
    "a builder that is fed to itself": "import x\nq = x.Q()\nfor n in range(9):\n    q = q.a().b().c()\n"
    "    q = q.d(q).e(q)\n",
    "functions that call each other with more": "def f(a):\n    return g([a])\ndef g(a):\n"
    "    return f({'a': a})\nf(1)\n",
}


@pytest.mark.parametrize("code", ODD.values(), ids=ODD.keys())
def test_odd_code_is_interpreted_without_a_traceback(tmp_path: Path, code: str) -> None:
    project = interpreted(tmp_path, app=f"{code}def last():\n    pass\ndef view():\n    last()\n")
    assert project.broken or callees(project, "view") == ["last"]
