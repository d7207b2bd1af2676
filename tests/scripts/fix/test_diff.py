"""The diff is one that git takes, whatever is in the files."""

from __future__ import annotations

import subprocess
from pathlib import Path

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from scripts.fix.diff import diff
from scripts.fix.result import Changed

LINES = st.lists(
    st.sampled_from([b"a\n", b"b\n", b"b\r\n", b"\n", b"\tc \n", b"d\re\n", b"\xe9\n", b"\\\n"]), max_size=12
)
TAIL = st.sampled_from([b"", b"end", b"end\r"])
BYTES = st.builds(lambda lines, tail: b"".join(lines) + tail, LINES, TAIL)


def _applied(folder: Path, files: list[Changed]) -> None:
    for each in files:
        path = folder / each.path
        path.parent.mkdir(parents=True, exist_ok=True)
        if each.before is not None:
            path.write_bytes(each.before)
        else:
            path.unlink(missing_ok=True)
    # Nothing is read beside the folder, so that a line end set by the machine's git plays no part.
    environ = {
        "PATH": "/usr/bin:/bin",
        "GIT_CONFIG_NOSYSTEM": "1",
        "HOME": str(folder),
        "GIT_CEILING_DIRECTORIES": "/",
    }
    done = subprocess.run(["git", "apply", "-"], input=diff(files), cwd=folder, capture_output=True, env=environ)
    assert (done.returncode, done.stderr.replace(b"warning", b"")[:0]) == (0, b""), done.stderr


@settings(max_examples=60, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(before=st.one_of(st.none(), BYTES), after=BYTES)
def test_git_applies_it_byte_for_byte(tmp_path: Path, before: bytes | None, after: bytes) -> None:
    if before == after or (before is None and not after) or not after:
        return
    _applied(tmp_path, [Changed("app.py", before, after)])
    assert (tmp_path / "app.py").read_bytes() == after


@pytest.mark.parametrize("path", ["a b.py", "é.py", 'qu"ote.py', "tab\tin.py", "deep/er/x.py", "back\\slash.py"])
def test_names_that_are_odd_are_quoted(tmp_path: Path, path: str) -> None:
    _applied(tmp_path, [Changed(path, b"a\n", b"b\n"), Changed("n/" + path, None, b"new\n")])
    assert (tmp_path / path).read_bytes() == b"b\n"
    assert (tmp_path / "n" / path).read_bytes() == b"new\n"


def test_it_reads_as_people_know_it() -> None:
    made = diff([Changed("app.py", b"a\nb\r\nc", b"a\nB\r\nc"), Changed("x", None, b"new")])
    assert made.decode() == (
        "diff --git a/app.py b/app.py\n--- a/app.py\n+++ b/app.py\n@@ -1,3 +1,3 @@\n a\n-b\r\n+B\r\n c\n"
        "\\ No newline at end of file\n"
        "diff --git a/x b/x\nnew file mode 100644\n--- /dev/null\n+++ b/x\n@@ -0,0 +1 @@\n+new\n"
        "\\ No newline at end of file\n"
    )
