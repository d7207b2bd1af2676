"""Where imports go."""

from __future__ import annotations

import ast

import pytest

from scripts.fix.apply import edited
from scripts.fix.fixer import Import
from scripts.fix.imports import NameTaken, import_edits
from scripts.fix.source import Source

ADOPT = Import("a.py", "hardened", "adopt")
OS = Import("a.py", "os")


def _added(text: str, *wanted: Import) -> str:
    source = Source("a.py", text)
    made = edited(source, import_edits(source, wanted))
    ast.parse(made)
    again = Source("a.py", made)
    assert import_edits(again, wanted) == []
    return made


@pytest.mark.parametrize(
    "before, after",
    [
        pytest.param("", "from hardened import adopt\n", id="empty"),
        pytest.param("x = 1\n", "from hardened import adopt\nx = 1\n", id="no import"),
        pytest.param('"""Doc."""\nx = 1\n', '"""Doc."""\nfrom hardened import adopt\nx = 1\n', id="docstring"),
        pytest.param('"""Doc."""', '"""Doc."""\nfrom hardened import adopt', id="docstring alone, no newline"),
        pytest.param(
            "from __future__ import annotations\nx = 1\n",
            "from __future__ import annotations\nfrom hardened import adopt\nx = 1\n",
            id="future",
        ),
        pytest.param(
            "#!/usr/bin/python\n# words\nx = 1\n",
            "#!/usr/bin/python\n# words\nfrom hardened import adopt\nx = 1\n",
            id="comments at the top",
        ),
        pytest.param("@a\ndef f(): pass\n", "from hardened import adopt\n@a\ndef f(): pass\n", id="decorator"),
        pytest.param(
            "import a\nx = 1\nimport b  # why\n",
            "import a\nx = 1\nimport b  # why\nfrom hardened import adopt\n",
            id="code between imports",
        ),
        pytest.param(
            "import a\nadopt(1)\nimport b\n",
            "import a\nfrom hardened import adopt\nadopt(1)\nimport b\n",
            id="used before the last import",
        ),
        pytest.param(
            "from a import (\n    b,\n)\n",
            "from a import (\n    b,\n)\nfrom hardened import adopt\n",
            id="several lines",
        ),
        pytest.param(
            "import a; x = (\n1)\ny = 1\n",
            "import a; x = (\n1)\nfrom hardened import adopt\ny = 1\n",
            id="a statement that goes on",
        ),
        pytest.param(
            "import a\ntry:\n    import b\nexcept ImportError:\n    b = None\nx = 1\n",
            "import a\ntry:\n    import b\nexcept ImportError:\n    b = None\nfrom hardened import adopt\nx = 1\n",
            id="try",
        ),
        pytest.param("import a\r\nx = 1\r\n", "import a\r\nfrom hardened import adopt\r\nx = 1\r\n", id="CRLF"),
        pytest.param("from hardened import other\n", "from hardened import other, adopt\n", id="beside its like"),
        pytest.param(
            "from hardened import (\n    other,\n)\n",
            "from hardened import (\n    other, adopt,\n)\n",
            id="beside its like in brackets",
        ),
        pytest.param("from hardened import adopt\n", "from hardened import adopt\n", id="there"),
        pytest.param(
            "def f():\n    from hardened import adopt\n",
            "from hardened import adopt\ndef f():\n    from hardened import adopt\n",
            id="only in a function",
        ),
        pytest.param(
            "def f():\n    adopt()\nfrom hardened import adopt\n",
            "def f():\n    adopt()\nfrom hardened import adopt\n",
            id="used in a function above it",
        ),
        pytest.param(
            "if x:\n    from hardened import adopt\n",
            "from hardened import adopt\nif x:\n    from hardened import adopt\n",
            id="only sometimes",
        ),
    ],
)
def test_a_name_is_imported_once_before_it_is_used(before: str, after: str) -> None:
    assert _added(before, ADOPT) == after


@pytest.mark.parametrize(
    "before, after",
    [
        pytest.param("import flask\nx = 1\n", "import os\nimport flask\nx = 1\n", id="before the others"),
        pytest.param("import os.path\n", "import os.path\n", id="there by a part of it"),
        pytest.param("import sys, os\n", "import sys, os\n", id="there with others"),
        pytest.param(
            "from os import environ\n", "import os\nfrom os import environ\n", id="a name of it is not it"
        ),
        pytest.param("import os as system\n", "import os\nimport os as system\n", id="under another name"),
        pytest.param(
            "from __future__ import annotations\nimport flask\n",
            "from __future__ import annotations\nimport os\nimport flask\n",
            id="future",
        ),
        pytest.param("x = 1; import flask\n", "x = 1; import flask\nimport os\n", id="no line of its own"),
    ],
)
def test_a_module_of_the_standard_library_comes_first(before: str, after: str) -> None:
    assert _added(before, OS) == after


def test_several_are_added_in_order() -> None:
    wanted = (OS, ADOPT, Import("a.py", "hardened", "prefetched"), ADOPT)
    assert _added("import flask\n", *wanted) == (
        "import os\nimport flask\nfrom hardened import adopt, prefetched\n"
    )


def test_a_part_of_a_package_goes_beside_the_package() -> None:
    assert (
        _added("import psycopg2\n", Import("a.py", "psycopg2.extras"))
        == "import psycopg2\nimport psycopg2.extras\n"
    )


@pytest.mark.parametrize(
    "source",
    [
        "os = 1\n",
        "def os(): pass\n",
        "def f(os): pass\n",
        "from a import os\n",
        "import a as os\n",
        "for os in x: pass\n",
        "try: x\nexcept E as os: pass\n",
        "class os: pass\n",
        "[os for os in x]\n",
    ],
)
def test_a_name_that_is_taken_is_not_imported(source: str) -> None:
    with pytest.raises(NameTaken, match=r"line 1|line 2"):
        import_edits(Source("a.py", source), [OS])
