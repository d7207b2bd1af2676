"""A copy of the runtime in somebody's repository: whole, in parts, changed there, and upgraded."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

from scripts import cli
from scripts.audit.model.build import build
from scripts.audit.model.kit_copy import kit_folders
from scripts.vendor import copy, manifest, slices, swap
from scripts.vendor.merge import merge

APP = "from flask import Flask\napp = Flask(__name__)\n\n\n@app.get('/')\ndef home():\n    return 'hi'\n"


@pytest.fixture
def shop(tmp_path: Path) -> Path:
    folder = tmp_path / "shop"
    folder.mkdir()
    (folder / "shop.py").write_text(APP)
    return folder


def _run(*words: str | Path) -> int:
    try:
        return cli.main(["vendor", *map(str, words)])
    except SystemExit as left:
        return int(left.code or 0)


def _tree(folder: Path) -> dict[str, bytes]:
    return {str(path.relative_to(folder)): path.read_bytes() for path in folder.rglob("*") if path.is_file()}


def test_the_copy_is_the_runtime_with_licence_version_and_hashes(shop: Path) -> None:
    assert _run(shop) == 0
    found = _tree(shop / "hardened")
    assert found["LICENSE"] and found["README.md"]
    told = json.loads(found[manifest.NAME])
    assert told["version"] == manifest.version()
    assert told["files"]["database_pool.py"] == manifest.digest(found["database_pool.py"])
    assert found["database_pool.py"] == (slices.RUNTIME / "database_pool.py").read_bytes()
    assert not any("shop" in name or "pycache" in name for name in found)
    assert _run(shop, "--status") == 0


def test_twice_is_the_same_bytes(shop: Path) -> None:
    _run(shop)
    before = _tree(shop)
    assert _run(shop) == 0
    assert _tree(shop) == before


def test_a_dry_run_writes_nothing(shop: Path, capsys: Any) -> None:
    before = _tree(shop)
    assert _run(shop, "--dry-run") == 0
    assert _tree(shop) == before
    assert "would be" in capsys.readouterr().out


def test_a_persons_files_are_never_overwritten(shop: Path, capsys: Any) -> None:
    (shop / "wsgi.py").write_text("# mine\n")
    (shop / "requirements.txt").write_bytes(b"Flask==3.1\r\npsycopg2==2.9.9")
    assert _run(shop) == 0
    assert (shop / "wsgi.py").read_text() == "# mine\n"
    assert (shop / "requirements.txt").read_bytes() == b"Flask==3.1\r\npsycopg2==2.9.9\r\ngunicorn>=27\r\n"
    assert "wsgi.py is there already and stays" in capsys.readouterr().out


def test_requirements_of_a_windows_shell_stay_in_their_encoding(shop: Path) -> None:
    (shop / "requirements.txt").write_bytes("flask\r\n".encode("utf-16"))
    _run(shop)
    text = (shop / "requirements.txt").read_bytes().decode("utf-16")
    assert text.split() == ["flask", "psycopg2-binary>=2.9", "gunicorn>=27"]


@pytest.mark.parametrize(
    ("into", "said"),
    [
        ("../out", "not inside"), ("logging", "module of Python"), ("flask", "installed package"),
        ("no-name", "cannot be imported"), ("class", "cannot be imported"), ("shop", "hidden"),
        (".", "not inside"), ("taken", "no vendored copy"),
    ],
)  # fmt: skip
def test_a_place_in_somethings_way_is_refused(shop: Path, into: str, said: str, capsys: Any) -> None:
    (shop / "taken").mkdir()
    (shop / "taken" / "mine.py").write_text("")
    before = _tree(shop.parent)
    assert _run(shop, "--into", into) == 2
    assert said in capsys.readouterr().err
    assert _tree(shop.parent) == before


def test_no_folder_and_an_unknown_slice_are_refused(shop: Path, capsys: Any) -> None:
    assert _run(shop / "nothing") == 2
    assert _run(shop, "--slice", "pond") == 2
    assert "there is no slice 'pond'" in capsys.readouterr().err


def test_status_names_what_was_changed(shop: Path, capsys: Any) -> None:
    _run(shop, "--into", "db")
    folder = shop / "db"
    (folder / "http.py").write_text("# edited\n")
    (folder / "ops.css").unlink()
    (folder / "mine.py").write_text("")
    capsys.readouterr()
    assert _run(shop, "--status", "--format", "json") == 1
    told = json.loads(capsys.readouterr().out)
    assert (told["edited"], told["deleted"], told["added"]) == (["http.py"], ["ops.css"], ["mine.py"])


def test_line_ends_of_a_checkout_are_no_edits(shop: Path) -> None:
    _run(shop)
    path = shop / "hardened" / "http.py"
    path.write_bytes(path.read_bytes().replace(b"\n", b"\r\n"))
    assert _run(shop, "--status") == 0


def _older(folder: Path, changes: dict[str, bytes | None]) -> None:
    """Make a copy one of an older kit, in which these files were others, or not there."""
    told = manifest.read(folder)
    files = copy.contents(folder)
    pristine = {**files, **{name: data for name, data in changes.items() if data is not None}}
    pristine = {name: data for name, data in pristine.items() if changes.get(name, b"") is not None}
    old = manifest.Manifest("0.0.1", told.slices, {name: manifest.digest(data) for name, data in pristine.items()})
    sealed = {manifest.NAME: old.text().encode(), manifest.PRISTINE: manifest.packed(pristine)}
    swap.put(folder, {**pristine, **sealed})


def test_an_upgrade_replaces_merges_adds_and_removes(shop: Path, capsys: Any) -> None:
    _run(shop)
    folder = shop / "hardened"
    http = (folder / "http.py").read_bytes()
    head, _, tail = http.partition(b"\n")
    _older(folder, {"http.py": head + b" OLD\n" + tail, "ids.py": b"# old\n", "rows.py": None, "gone.py": b"#\n"})
    (folder / "http.py").write_bytes((folder / "http.py").read_bytes() + b"\n# mine\n")
    (folder / "own.py").write_text("# mine\n")
    assert _run(shop, "--upgrade") == 0
    assert (folder / "http.py").read_bytes() == http + b"\n# mine\n"
    assert (folder / "ids.py").read_bytes() == (slices.RUNTIME / "ids.py").read_bytes()
    assert (folder / "rows.py").exists() and (folder / "own.py").exists() and not (folder / "gone.py").exists()
    assert "merged http.py" in capsys.readouterr().out
    assert _run(shop, "--status") == 1
    assert manifest.read(folder).version == manifest.version()


def test_an_edited_copy_with_other_line_ends_is_merged_and_keeps_them(shop: Path) -> None:
    _run(shop)
    folder = shop / "hardened"
    http = (folder / "http.py").read_bytes()
    _older(folder, {"http.py": b"# old\n" + http})
    (folder / "http.py").write_bytes((b"# old\n" + http + b"# mine\n").replace(b"\n", b"\r\n"))
    assert _run(shop, "--upgrade") == 0
    assert (folder / "http.py").read_bytes() == (http + b"# mine\n").replace(b"\n", b"\r\n")


def test_what_a_killed_run_has_left_anywhere_is_put_away_by_the_next(shop: Path) -> None:
    _run(shop, "--into", "app/db/kit", "--no-files")
    folder = shop / "app" / "db"
    (folder / "kit").rename(folder / ".kit.vendor-old")
    (folder / ".kit.vendor-new").mkdir()
    (folder / ".kit.vendor-new" / manifest.NAME).write_text("{}")
    assert _run(shop, "--status") == 0
    assert [path.name for path in folder.iterdir()] == ["kit"]


def test_a_copy_below_what_is_no_package_gets_no_entry_point_that_could_not_import_it(
    shop: Path, capsys: Any
) -> None:
    assert _run(shop, "--into", "src/kit") == 0
    assert not (shop / "wsgi.py").exists()
    assert "src/ is no package" in capsys.readouterr().out
    (shop / "app").mkdir()
    (shop / "app" / "db.py").write_text("")
    assert _run(shop, "--into", "app/db") == 2


def test_a_conflict_writes_nothing_and_shows_where(shop: Path, tmp_path: Path, capsys: Any) -> None:
    _run(shop)
    folder = shop / "hardened"
    _older(folder, {"http.py": b"old\n", "ids.py": b"old\n"})
    (folder / "http.py").write_bytes(b"mine\n")
    before = _tree(shop)
    assert _run(shop, "--upgrade", "--conflicts", tmp_path / "look") == 1
    assert _tree(shop) == before
    assert b"<<<<<<< yours" in (tmp_path / "look" / "http.py").read_bytes()
    assert "1 conflict" in capsys.readouterr().out


def test_deletions_on_one_side_and_changes_on_the_other_conflict() -> None:
    found = merge({"a": b"1", "b": b"1"}, {"b": b"2"}, {"a": b"2"})
    assert set(found.conflicts) == {"a", "b"}
    assert not found.files


STEPS = """
import os, sys
from pathlib import Path
from scripts.vendor import swap
at, count = int(sys.argv[2]), 0
def counted(name, original):
    def call(*args, **kwargs):
        global count
        count += 1
        if count == at:
            os._exit(9)
        return original(*args, **kwargs)
    return call
for owner, name in ((Path, "rename"), (Path, "open"), (Path, "mkdir"), (swap.shutil, "rmtree")):
    setattr(owner, name, counted(name, getattr(owner, name)))
swap.put(Path(sys.argv[1]), {"new.py": b"new", "deep/er.py": b"new"})
"""


def test_a_swap_killed_at_any_step_leaves_the_old_copy_or_the_new_one(tmp_path: Path) -> None:
    old, new = {"old.py": b"old"}, {"new.py": b"new", "deep/er.py": b"new"}
    target = tmp_path / "copy"
    for step in range(1, 20):
        swap.put(target, old)
        done = subprocess.run(
            [sys.executable, "-c", STEPS, str(target), str(step)], cwd=Path(__file__).parents[3], check=False
        )
        swap.recover(target)
        assert _tree(target) in (old, new)
        assert [path.name for path in tmp_path.iterdir()] == ["copy"]
        if done.returncode == 0:
            assert step > 5
            return
    raise AssertionError("the swap has more steps than were tried")


@pytest.mark.skipif(os.geteuid() == 0, reason="root may write everywhere")
def test_a_folder_that_may_not_be_written_is_refused(shop: Path, capsys: Any) -> None:
    shop.chmod(0o500)
    assert _run(shop) == 2
    shop.chmod(0o700)
    assert "cannot write" in capsys.readouterr().err


@pytest.fixture(scope="module")
def bare(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder of packages with flask and psycopg2 and what they need, and nothing else."""
    from importlib import metadata

    from packaging.requirements import Requirement

    folder = tmp_path_factory.mktemp("bare")
    todo, seen = ["flask", "psycopg2-binary"], set()
    while todo:
        name = todo.pop()
        if name.lower() in seen:
            continue
        seen.add(name.lower())
        found = metadata.distribution(name)
        for file in found.files or []:
            top = file.parts[0]
            source = Path(str(found.locate_file(top)))
            if top != ".." and source.exists() and not (folder / top).exists():
                (folder / top).symlink_to(source)
        for text in found.requires or []:
            need = Requirement(text)
            if need.marker is None or need.marker.evaluate({"extra": ""}):
                todo.append(need.name)
    return folder


def _python(bare: Path, where: Path, *words: str, **environment: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [sys.executable, "-S", *words], cwd=where, capture_output=True, text=True, check=False, timeout=60,
        env={"PYTHONPATH": str(bare), "PATH": os.environ["PATH"], "PYTHONDONTWRITEBYTECODE": "1", **environment},
    )  # fmt: skip


@pytest.mark.parametrize("into", ["hardened", "app/db"])
def test_its_own_test_passes_with_flask_and_psycopg2_alone(shop: Path, bare: Path, url: str, into: str) -> None:
    if "/" in into:
        (shop / "app").mkdir()
        (shop / "app" / "__init__.py").write_text("")
    assert _run(shop, "--into", into, "--no-files") == 0
    module = into.replace("/", ".") + ".selftest"
    done = _python(bare, shop, "-m", module, DATABASE_URL=url)
    assert done.returncode == 0, done.stderr
    assert "Ran 7 tests" in done.stderr and "skipped" not in done.stderr


@pytest.mark.parametrize("name", slices.SLICES)
def test_each_slice_imports_alone(shop: Path, bare: Path, name: str) -> None:
    assert _run(shop, "--slice", name) == 0
    assert not (shop / "wsgi.py").exists()
    every = ["import importlib, pathlib, hardened"]
    every += ["[getattr(hardened, each) for each in hardened.__all__]"]
    every += ["names = [path.stem for path in pathlib.Path('hardened').glob('*.py')]"]
    every += ["[importlib.import_module(f'hardened.{name}') for name in names]"]
    done = _python(bare, shop, "-c", "; ".join(every))
    assert done.returncode == 0, done.stderr
    assert _run(shop, "--status") == 0


def test_the_audit_knows_a_copy_and_a_slice(shop: Path) -> None:
    _run(shop, "--into", "whole")
    _run(shop, "--into", "part", "--slice", "nested")
    assert kit_folders(build(shop)) == ("part/", "whole/")


def test_what_is_beside_it_serves_the_app(shop: Path, url: str) -> None:
    gunicorn = Path(sys.executable).with_name("gunicorn")
    if not gunicorn.exists():
        pytest.skip("gunicorn is not installed beside this interpreter")
    _run(shop)
    done = subprocess.run(
        [sys.executable, "-c", "import wsgi; print(wsgi.application.test_client().get('/').text)"],
        cwd=shop, capture_output=True, text=True, check=False, timeout=60,
    )  # fmt: skip
    assert done.stdout == "hi\n", done.stderr
    checked = subprocess.run(
        [str(gunicorn), "--check-config", "-c", "gunicorn.conf.py", "wsgi:application"],
        cwd=shop, capture_output=True, text=True, check=False, timeout=60,
    )  # fmt: skip
    assert checked.returncode == 0, checked.stderr


def test_the_docs_list_the_slices() -> None:
    text = (Path(__file__).parents[3] / "docs" / "vendor.md").read_text()
    rows = [line for line in text.splitlines() if " files " in line and " kB  " in line]
    listed = {row.split()[0]: [each.strip() for each in row.partition("kB")[2].split(", ")] for row in rows}
    assert listed == {**{name: list(words[:-1]) for name, words in slices.SLICES.items()}, "all": ["everything"]}
