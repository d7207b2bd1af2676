"""What the files of a repository show of its start."""

from __future__ import annotations

from pathlib import Path

import pytest

from scripts.audit.evidence import Deployment, evidence
from scripts.audit.model.reading import read


def deployment(folder: Path, files: dict[str, str]) -> Deployment:
    """Return what a repository of these files shows."""
    for name, text in files.items():
        path = folder / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(text, encoding="utf-8")
    return evidence(read(folder))


def test_a_procfile_has_starts_and_a_router_in_front(tmp_path: Path) -> None:
    found = deployment(
        tmp_path, {"Procfile": "# web: python x.py\nweb: gunicorn -w 2 run:app\nworker: python jobs.py\n"}
    )
    assert [(each.server, each.place.line) for each in found.starts] == [("gunicorn", 2), ("python", 3)]
    assert [each.name for each in found.proxies] == ["heroku"]
    assert found.workers == 2


def test_of_a_dockerfile_the_last_stage_counts(tmp_path: Path) -> None:
    first = "FROM python AS build\nCMD python app.py\n"
    text = first + 'FROM python\nENV A=1 \\\n    B=\'two words\'\nCMD ["gunicorn", \\\n "run:app"]\n'
    found = deployment(tmp_path, {"Dockerfile": text})
    assert [(each.server, each.app, each.place.line) for each in found.starts] == [("gunicorn", "run:app", 6)]
    assert [(each.name, each.value) for each in found.settings] == [("A", "1"), ("B", "two words")]


@pytest.mark.parametrize("text", [
    "services:\n  web:\n    command: gunicorn -w 3 run:app\n",
    'services:\n  web:\n    command: ["gunicorn", "-w", "3", "run:app"]\n',
    'services:\n  web:\n    command: ["gunicorn",\n      "-w", "3", "run:app"]\n',
    "services:\n  web:\n    command:\n      - gunicorn\n      - -w\n      - '3'\n      - run:app\n",
    "services:\n  web:\n    command: >\n      gunicorn -w 3\n      run:app\n    ports: []\n",
    "services:\n  web:\n    command: sh -c \"flask db upgrade && gunicorn -w 3 run:app\" # start\n",
])  # fmt: skip
def test_a_compose_file_says_its_command_in_many_ways(tmp_path: Path, text: str) -> None:
    found = deployment(tmp_path, {"docker-compose.yml": text})
    assert [(each.server, each.workers, each.app) for each in found.starts] == [("gunicorn", 3, "run:app")]


def test_a_compose_file_shows_environment_and_proxy(tmp_path: Path) -> None:
    web = "  web:\n    environment:\n      - FLASK_DEBUG=1\n"
    text = f"services:\n{web}  front:\n    image: nginx:alpine\n    environment:\n      A_B: c\n"
    found = deployment(tmp_path, {"compose.yaml": text})
    assert [(each.name, each.value, each.place.line) for each in found.settings] == [
        ("FLASK_DEBUG", "1", 4),
        ("A_B", "c", 8),
    ]
    assert [each.text for each in found.proxies] == ["nginx stands in front: image nginx:alpine"]


@pytest.mark.parametrize("name, text, servers", [
    ("requirements/prod.txt", "-r base.txt\ngunicorn[gevent]==22\n", ["gunicorn", "gevent"]),
    ("requirements.txt", "flask\ngunicorn-color\n", []),
    ("setup.py", "from setuptools import setup\nsetup(install_requires=['waitress'])\n", ["waitress"]),
    ("app.service", "[Service]\nEnvironment=A=1\nExecStart=/usr/bin/uwsgi --ini app.ini\n", ["uwsgi"]),
    ("uwsgi.ini", "[uwsgi]\nprocesses = 5\nthreads = 2\n", ["uwsgi"]),
    ("apache.conf", "WSGIScriptAlias / /srv/app.wsgi\n", ["mod_wsgi"]),
    ("app.yaml", "runtime: python312\n", ["app-engine"]),
    ("railway.json", '{"deploy": {"startCommand": "gunicorn run:app"}}\n', ["gunicorn"]),
    ("fly.toml", '[processes]\napp = "gunicorn run:app"\n', ["gunicorn"]),
    (".github/workflows/deploy.yml", "steps:\n  - uses: azure/webapps-deploy@v2\n", ["azure"]),
    ("Makefile", "serve:\n\tgunicorn run:app\n", ["gunicorn"]),
    ("zappa_settings.json", "{}", ["zappa"]),
    ("Dockerfile.dev", "CMD gunicorn run:app\n", []),
    ("app.py", "from gevent.pywsgi import WSGIServer\n", ["gevent"]),
    ("wsgi.py", "print('nothing is bound here')\n", []),
    ("README.md", "gunicorn run:app\n", []),
    ("broken.json", "{", []),
])  # fmt: skip
def test_a_server_is_known_by(tmp_path: Path, name: str, text: str, servers: list[str]) -> None:
    found = deployment(tmp_path, {name: text}).servers
    assert [getattr(each, "server", "") or getattr(each, "name", "") for each in found] == servers


def test_sizes_are_the_largest_that_any_file_says(tmp_path: Path) -> None:
    files = {"uwsgi.ini": "[uwsgi]\nprocesses = 5\nthreads = 2\n", "gunicorn.conf.py": "workers = 9\n"}
    found = deployment(tmp_path, files)
    assert (found.workers, found.threads) == (9, 2)


def test_nothing_shows_nothing(tmp_path: Path) -> None:
    assert deployment(tmp_path, {"app.py": "pass\n"}) == Deployment()


def test_an_nginx_file_is_a_proxy(tmp_path: Path) -> None:
    found = deployment(tmp_path, {"nginx/default.conf": "location / {\n  proxy_pass http://web:80;\n}\n"})
    assert [(each.name, each.place.line) for each in found.proxies] == [("nginx", 2)]


def test_it_is_read_once(tmp_path: Path) -> None:
    (tmp_path / "Procfile").write_text("web: gunicorn run:app\n")
    project = read(tmp_path)
    assert evidence(project) is evidence(project)


def test_requirements_as_powershell_writes_them_are_read(tmp_path: Path) -> None:
    (tmp_path / "requirements.txt").write_bytes("Flask==3.0\r\ngunicorn==22\r\n".encode("utf-16"))
    assert [(each.name, each.place.line) for each in evidence(read(tmp_path)).mentions] == [("gunicorn", 2)]


def test_bytes_that_are_no_text_are_survived(tmp_path: Path) -> None:
    (tmp_path / "requirements.txt").write_bytes(bytes(range(256)))
    assert evidence(read(tmp_path)).servers == ()
