"""Who may import whom inside the runtime, and what a vendored copy needs: read from the syntax tree."""

from __future__ import annotations

import ast
import shutil
import subprocess
import sys
from graphlib import TopologicalSorter
from pathlib import Path

import pytest

BACKEND = Path(__file__).resolve().parents[2] / "backend"
MODULES = {path.stem: path for path in BACKEND.glob("*.py")}
SHOP = {f"shop.{path.stem}": path for path in (BACKEND / "shop").glob("*.py")}

# A new edge is a decision: make it here as well.
MAY_IMPORT = {
    "__init__": {"database_helper", "database_pool", "errors", "extension", "nested", "pool_options"},
    "app_loader": {"errors", "importing"},
    "connection": set(),
    "database_helper": {"connection", "database_pool", "dropin", "pool_options", "scope", "settings"},
    "database_pool": {
        "connection", "errors", "fork", "guard", "idle", "ledger", "opener", "pool_options", "reset", "waitqueue",
    },
    "dropin": {"connection", "database_pool", "errors", "pool_options", "scope"},
    "endpoints": {"health"},
    "errors": set(),
    "extension": {"database_helper", "endpoints", "errors", "repeats", "scope", "settings"},
    "fork": set(),
    "guard": set(),
    "health": {"database_helper", "database_pool", "dropin", "errors", "liveness"},
    "http": set(),
    "idle": set(),
    "importing": set(),
    "ledger": {"connection"},
    "liveness": set(),
    "nested": {"errors"},
    "opener": {"connection", "liveness", "pool_options", "reset"},
    "pool_options": {"errors", "reset"},
    "repeats": set(),
    "reset": set(),
    "scope": set(),
    "serving": {
        "app_loader", "connection", "database_helper", "dropin", "endpoints", "errors", "extension", "pool_options", "settings", "shop",
    },
    "settings": {"errors"},
    "waitqueue": set(),
}  # fmt: skip
KNOW_FLASK = {"app_loader", "extension", "http", "serving"}
# importing.py runs before the runtime has a name to import the settings from.
READ_ENVIRONMENT = {"settings", "importing"}


def _imports(path: Path) -> tuple[set[str], set[str]]:
    """Return the siblings and the outside packages that a module imports, wherever in it."""
    siblings, outside = set(), set()
    for node in ast.walk(ast.parse(path.read_text())):
        if isinstance(node, ast.ImportFrom) and node.level == 1:
            siblings |= {node.module.split(".")[0]} if node.module else {alias.name for alias in node.names}
        elif isinstance(node, ast.ImportFrom) and node.level == 0:
            outside.add((node.module or "").split(".")[0])
        elif isinstance(node, ast.Import):
            outside |= {alias.name.split(".")[0] for alias in node.names}
    return siblings, outside


@pytest.mark.parametrize("name", sorted(MODULES))
def test_module_imports_only_what_the_table_allows(name: str) -> None:
    assert _imports(MODULES[name])[0] == MAY_IMPORT[name]


def test_imports_form_no_cycle() -> None:
    list(TopologicalSorter(MAY_IMPORT).static_order())


@pytest.mark.parametrize("name", sorted(MODULES))
def test_flask_and_the_environment_are_known_to_few(name: str) -> None:
    outside = _imports(MODULES[name])[1]
    assert not outside - sys.stdlib_module_names - {"flask", "werkzeug", "psycopg2"}
    assert not ({"flask", "werkzeug"} & outside) or name in KNOW_FLASK
    assert "environ" not in MODULES[name].read_text().replace("import_for_environment", "") or (
        name in READ_ENVIRONMENT or "os.environ" not in MODULES[name].read_text()
    )


@pytest.mark.parametrize("name", sorted({**MODULES, **SHOP}))
def test_module_says_what_it_is_for_and_fits_in_one_s_head(name: str) -> None:
    text = {**MODULES, **SHOP}[name].read_text()
    assert ast.get_docstring(ast.parse(text))
    assert len(text.splitlines()) <= 400


@pytest.mark.parametrize("name", sorted({**MODULES, **SHOP}))
def test_no_module_names_its_own_package(name: str) -> None:
    """A copy under another name must work."""
    assert "backend" not in _imports({**MODULES, **SHOP}[name])[1]


APP = """
import sys
class Fence:
    def find_spec(self, name, path=None, target=None):
        if name.split(".")[0] in {refused!r}:
            raise ImportError("not in a production environment: " + name)
sys.meta_path.insert(0, Fence())
sys.path.insert(0, {folder!r})
from flask import Flask
from platform_kit import Hardening, get_db_connection, one
app = Flask("copy")
Hardening(app, DATABASE_URL={url!r})
@app.get("/")
def answer():
    with get_db_connection(autocommit=True) as conn:
        return one("SELECT 1 + 1 AS two").json(conn)
print(app.test_client().get("/").get_data(as_text=True))
"""


def test_a_copy_under_another_name_serves_a_request_with_flask_and_psycopg2_alone(tmp_path: Path, url: str) -> None:
    shutil.copytree(BACKEND, tmp_path / "platform_kit", ignore=shutil.ignore_patterns("shop", "__pycache__"))
    refused = {"jinja2.sandbox", "gunicorn", "pytest", "psycopg", "hypothesis", "httptools", "uvloop", "backend"}
    code = APP.format(refused=refused, folder=str(tmp_path), url=url)
    done = subprocess.run([sys.executable, "-I", "-c", code], capture_output=True, text=True, cwd=tmp_path)
    assert (done.stdout.strip(), done.returncode) == ('{"two":2}', 0), done.stderr
