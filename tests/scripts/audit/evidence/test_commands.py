"""What command lines start."""

from __future__ import annotations

import pytest

from scripts.audit.evidence.commands import starts
from scripts.audit.finding import Place

HERE = Place("Procfile", 1)


@pytest.mark.parametrize("command, server, app, workers, threads", [
    ("gunicorn run:app", "gunicorn", "run:app", None, None),
    ("gunicorn -w 4 --threads=8 -b 0.0.0.0:80 shop.web:create_app()", "gunicorn", "shop.web:create_app", 4, 8),
    ("gunicorn -w4 run:app", "gunicorn", "run:app", 4, None),
    ("gunicorn --workers ${WEB_CONCURRENCY:-3} run:app", "gunicorn", "run:app", 3, None),
    ("PORT=80 exec /srv/venv/bin/gunicorn run:app", "gunicorn", "run:app", None, None),
    ("python -m gunicorn run:app", "gunicorn", "run:app", None, None),
    ("poetry run gunicorn run:app", "gunicorn", "run:app", None, None),
    ("./wait-for-it.sh db:5432 -- gunicorn run:app", "gunicorn", "run:app", None, None),
    ("uwsgi --http :80 --module run:app --processes 4 --threads 2", "uwsgi", "run:app", 4, 2),
    ("waitress-serve --call run:app", "waitress", "run:app", None, None),
    ("flask --app run run --host 0.0.0.0", "flask", "run", None, None),
    ("python -m flask run", "flask", "", None, None),
    ("python3.11 -u app.py", "python", "app.py", None, None),
    (["python", "app.py"], "python", "app.py", None, None),
    ('bash -c "cd /srv && gunicorn run:app"', "gunicorn", "run:app", None, None),
    (["sh", "-c", "exec gunicorn run:app"], "gunicorn", "run:app", None, None),
])  # fmt: skip
def test_a_start_is_read(
    command: str | list[str], server: str, app: str, workers: int | None, threads: int | None
) -> None:
    [start] = starts(command, HERE)
    assert (start.server, start.workers, start.threads) == (server, workers, threads)
    assert start.app.removesuffix("()") == app


def test_a_chain_starts_all_of_its_parts() -> None:
    found = starts("python migrate.py && gunicorn run:app || python app.py", HERE)
    assert [each.server for each in found] == ["python", "gunicorn", "python"]


@pytest.mark.parametrize("command", [
    "flask db upgrade", "pip install gunicorn", "python -c 'print(1)'", "echo gunicorn", "", "'", "python", "&& ;",
    "python -m pytest", "sh -c",
])  # fmt: skip
def test_what_starts_nothing_is_left_alone(command: str) -> None:
    assert list(starts(command, HERE)) == []


def test_a_module_is_named_as_code_names_it() -> None:
    assert [each.module for each in starts("python ./shop/run.py; gunicorn shop.run:app", HERE)] == [
        "shop.run",
        "shop.run",
    ]
