"""Alembic revisions: in the right place of the chain, run and taken back by real Alembic."""

from __future__ import annotations

import importlib.util
import os
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import pytest

from scripts import cli

from .conftest import DROP, INDEX, Shop, change, report

Capture = pytest.CaptureFixture[str]
ENV = """
import os
from alembic import context
from sqlalchemy import create_engine

if context.is_offline_mode():
    context.configure(url="postgresql://", literal_binds=True)
    with context.begin_transaction():
        context.run_migrations()
else:
    with create_engine(os.environ["URL"]).connect() as connection:
        context.configure(connection=connection, transaction_per_migration=PER_MIGRATION)
        with context.begin_transaction():
            context.run_migrations()
"""
REVISION = '''
"""One."""
from alembic import op
revision{kind} = "{revision}"
down_revision{kind} = {below}

def upgrade():
    op.execute("CREATE TABLE made_by_{revision} (a int)")

def downgrade():
    op.execute("DROP TABLE made_by_{revision}")
'''
MAKO = "${upgrades if upgrades else 'pass'}"


class Repository:
    """A folder with Alembic's files."""

    def __init__(self, folder: Path) -> None:
        self.folder, self.versions = folder, folder / "db" / "versions"
        self.versions.mkdir(parents=True)
        (folder / "alembic.ini").write_text("[alembic]\nscript_location = %(here)s/db\n")
        (folder / "db" / "env.py").write_text(ENV.replace("PER_MIGRATION", "False"))
        (folder / "db" / "script.py.mako").write_text(MAKO)

    def add(self, revision: str, below: str, kind: str = "") -> None:
        """Add a revision of the app's own."""
        text = REVISION.format(revision=revision, below=below, kind=kind)
        (self.versions / f"{revision}.py").write_text(text)

    def write(self, *findings: object, choice: str = "auto") -> int:
        """Let `harden migrate write` add its own."""
        source = report(self.folder, *(findings or (change(),)))  # type: ignore[arg-type]
        return cli.main(["migrate", "write", "--from", str(source), "--out", str(self.folder / "sql"), "--code",
                         str(self.folder), "--alembic", choice])  # fmt: skip

    def alembic(self, shop: Shop | None, *words: str) -> subprocess.CompletedProcess[str]:
        """Run real Alembic."""
        if importlib.util.find_spec("alembic") is None:
            pytest.skip("alembic is not installed (pip install alembic)")
        url = shop.cluster.url(shop.name, shop.cluster.user) if shop else "postgresql://"
        done = subprocess.run([sys.executable, "-m", "alembic", *words], cwd=self.folder, text=True,
                              capture_output=True, env={**os.environ, "URL": url})  # fmt: skip
        assert done.returncode == 0, done.stderr
        return done


@pytest.fixture
def repository(tmp_path: Path) -> Repository:
    """With two revisions."""
    made = Repository(tmp_path / "app")
    made.add("aaa", "None")
    made.add("bbb", '"aaa"', ": str")
    return made


def _ours(repository: Repository) -> list[Path]:
    return [path for path in sorted(repository.versions.glob("*.py")) if len(path.stem) > 3]


def test_alembic_makes_the_index_and_takes_it_back(shop: Shop, repository: Repository) -> None:
    assert repository.write() == 0
    repository.alembic(shop, "upgrade", "head")
    assert shop.indexes() == {"orders_customer_id_idx": True}
    assert shop.execute("SELECT to_regclass('made_by_bbb') IS NOT NULL") == [(True,)]
    repository.alembic(shop, "downgrade", "-1")
    assert shop.indexes() == {}
    assert shop.execute("SELECT to_regclass('made_by_bbb') IS NOT NULL, (TABLE alembic_version)") == [
        (True, "bbb")
    ]


def test_alembic_drops_an_invalid_leftover_first(shop: Shop, repository: Repository) -> None:
    assert repository.write() == 0
    shop.execute(INDEX)
    shop.execute("UPDATE pg_index SET indisvalid = false WHERE indexrelid = 'orders_customer_id_idx'::regclass")
    repository.alembic(shop, "upgrade", "head")
    assert shop.indexes() == {"orders_customer_id_idx": True}


def test_each_kind_runs_by_alembic_and_the_chain_is_one(shop: Shop, repository: Repository) -> None:
    shop.execute("ALTER TABLE orders ADD CONSTRAINT fk FOREIGN KEY (customer_id) REFERENCES customers NOT VALID")
    shop.execute("CREATE INDEX old_idx ON orders (status)")
    odd = '"a:b \'%x% \\\\q"'
    findings = [
        change(),
        change("drop index", up="DROP INDEX public.old_idx", name="public.old_idx",
               down="CREATE INDEX CONCURRENTLY old_idx ON public.orders (status)"),
        change("rebuild index", up="REINDEX INDEX public.orders_pkey", down="", name="public.orders_pkey"),
        change("validate constraint", up="ALTER TABLE public.orders VALIDATE CONSTRAINT fk", down="", name="fk"),
        change(up=f"CREATE INDEX CONCURRENTLY {odd} ON public.orders (customer_id) WHERE status <> ':odd \\\\ "
                  "%s'::text",
               down=f"DROP INDEX public.{odd}", name=f"public.{odd}"),
    ]  # fmt: skip
    assert repository.write(*findings) == 0
    assert len(_ours(repository)) == 5
    assert len(repository.alembic(None, "heads").stdout.splitlines()) == 1
    repository.alembic(shop, "upgrade", "head")
    assert shop.indexes() == {"orders_customer_id_idx": True, "a:b '%x% \\\\q": True}
    assert shop.execute("SELECT convalidated FROM pg_constraint WHERE conname = 'fk'") == [(True,)]
    repository.alembic(shop, "downgrade", "base")
    assert shop.indexes() == {"old_idx": True}


def test_the_offline_script_is_plain_sql(repository: Repository) -> None:
    assert repository.write() == 0
    text = repository.alembic(None, "upgrade", "head", "--sql").stdout
    before, _, after = text.partition(f"{INDEX};")
    assert before.rstrip().rpartition("COMMIT;")[2].count("BEGIN") == 0
    assert "BEGIN;" in after


def test_a_second_write_adds_nothing(repository: Repository, capsys: Capture) -> None:
    assert repository.write() == 0
    before = _ours(repository)
    assert repository.write() == 0
    assert _ours(repository) == before
    repository.add("ccc", f'"{before[0].stem.partition("_")[0]}"')
    assert (
        repository.write(change(), change("drop index", up="DROP INDEX public.a", down="", name="public.a")) == 0
    )
    (new,) = set(_ours(repository)) - set(before)
    assert "down_revision = 'ccc'" in new.read_text()


def test_the_first_revision_has_none_below_it(tmp_path: Path) -> None:
    repository = Repository(tmp_path / "app")
    assert repository.write() == 0
    assert "down_revision = None" in _ours(repository)[0].read_text()


def test_a_merge_is_one_head(repository: Repository) -> None:
    repository.add("ccc", '"aaa"')
    repository.add("ddd", '("bbb", "ccc")')
    assert repository.write() == 0
    assert "down_revision = 'ddd'" in _ours(repository)[0].read_text()


def test_several_heads_are_refused_before_anything_is_written(repository: Repository, capsys: Capture) -> None:
    repository.add("ccc", '"aaa"')
    assert repository.write() == 2
    assert "2 heads (bbb, ccc)" in capsys.readouterr().err
    assert _ours(repository) == [] and not (repository.folder / "sql").exists()


def test_flask_migrates_ini_lies_beside_the_versions_and_names_no_folder(tmp_path: Path) -> None:
    (tmp_path / "app" / "migrations" / "versions").mkdir(parents=True)
    (tmp_path / "app" / "migrations" / "alembic.ini").write_text("[alembic]\n# no script_location\n")
    source = report(tmp_path, change())
    assert cli.main(["migrate", "write", "--from", str(source), "--out", str(tmp_path / "sql"), "--code",
                     str(tmp_path / "app")]) == 0  # fmt: skip
    assert len(list((tmp_path / "app" / "migrations" / "versions").glob("*.py"))) == 1


def test_without_alembic_there_are_no_revisions_and_yes_says_so(tmp_path: Path, capsys: Capture) -> None:
    (tmp_path / "app").mkdir()
    source = report(tmp_path, change("drop index", up=DROP, down=INDEX))
    arguments = ["migrate", "write", "--from", str(source), "--out", str(tmp_path / "sql"), "--code",
                 str(tmp_path / "app"), "--alembic"]  # fmt: skip
    assert cli.main([*arguments, "auto"]) == 0
    assert cli.main([*arguments, "yes"]) == 2
    assert "no alembic.ini below" in capsys.readouterr().err


@pytest.mark.parametrize("text", ["revision = (", 'revision = "a"\ndown_revision = "a"\n', "revision = f()\n"])
def test_broken_revisions_are_refused(text: str, repository: Repository, write: Callable[..., Path]) -> None:
    for path in repository.versions.glob("*.py"):
        path.unlink()
    (repository.versions / "broken.py").write_text(text)
    assert repository.write() == 2
