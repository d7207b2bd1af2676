"""H302."""

from __future__ import annotations

import subprocess
from pathlib import Path

import pytest

from scripts.audit.finding import Confidence, Severity
from scripts.audit.rules.hardcoded_credentials import RULE

from ..looking import findings, places

PRIVATE = "-----BEGIN RSA " + "PRIVATE KEY-----\\nMIIEvgIBADANBgkqhkiG9w0BAQ"


@pytest.mark.parametrize("code, place", [
    ('psycopg2.connect("postgresql://shop:hunter2@db/shop")', "1:18"),
    ('url = "postgres://shop:hunter2@db.shop.de:5432/shop"', "1:7"),
    ("where = \"dbname='shop' user='shop' password='hunter2'\"", "1:9"),
    ('psycopg2.connect("host=db dbname=shop password=hunter2")', "1:18"),
    ('psycopg2.connect(host="db", password="hunter2")', "1:38"),
    ('connect(database="shop", user="shop", passwd="postgres")', "1:46"),
    ('DB = {"host": "db", "user": "shop", "password": "4711"}', "1:49"),
    ('params = dict(host="db", password="hunter2")', "1:35"),
    ('DB_PASSWORD = "hunter2"', "1:15"),
    ('user, password = "shop", "hunter2"', "1:26"),
    ('class Config:\n    MAIL_PASSWORD = "hunter2"', "2:21"),
    ('app.secret_key = "any words of mine"', "1:18"),
    ("app.secret_key = b'_5#y2L'", "1:18"),
    ('app.config["SECRET_KEY"] = "dev"', "1:28"),
    ('app.config["JWT_SECRET_KEY"] = "joe"', "1:32"),
    ('app.config.from_mapping(SECRET_KEY="dev")', "1:36"),
    ('app.config.update({"SECRET_KEY": "dev"})', "1:34"),
    ('SECRET_KEY = "secret"', "1:14"),
    ('jwt.encode({"user": 1}, "my key")', "1:25"),
    ('jwt.decode(token, key="my key", algorithms=["HS256"])', "1:23"),
    ('jwt.decode(token, "my key".encode(), algorithms=["HS256"])', "1:19"),
    ('URLSafeTimedSerializer("my key")', "1:24"),
    ('if password == "admin123":\n    pass', "1:16"),
    ('if request.form["password"] != "admin123":\n    pass', "1:32"),
    ('if "admin123" == request.form.get("password"):\n    pass', "1:4"),
    ('if form.password.data == "admin123":\n    pass', "1:26"),
    ('server.login("me@example.org", "hunter2")', "1:32"),
    ('os.environ["DB_PASSWORD"] = "hunter2"', "1:29"),
    ('def connect(password="hunter2"):\n    pass', "1:22"),
    ('url = "postgresql://shop:hunter2@" + host', "1:7"),
    ('url = f"postgresql://shop:hunter2@{host}/shop"', "1:7"),
    ('key = "' + "AKIA" + 'IOSFODNN7EXAMPLQ"', "1:7"),
    (f'pem = "{PRIVATE}"', "1:7"),
    ('API_KEY = "9f8e7d6c5b4a39281706"', "1:11"),
])  # fmt: skip
def test_a_literal_is_found(tmp_path: Path, code: str, place: str) -> None:
    assert places(RULE, tmp_path, {"app.py": code + "\n"}) == [f"app.py:{place}"]


@pytest.mark.parametrize("code", [
    'SECRET_KEY = os.environ["SECRET_KEY"]',
    'SECRET_KEY = os.environ.get("SECRET_KEY", "dev")',
    'SECRET_KEY = os.getenv("SECRET_KEY") or "dev"',
    'SECRET_KEY = os.environ["KEY"] if "KEY" in os.environ else "dev"',
    'SECRET_KEY = config("SECRET_KEY", default="dev")',
    'url = os.getenv("DATABASE_URL", "postgresql://shop:hunter2@localhost/shop")',
    'url = f"postgresql://{user}:{password}@{host}/shop"',
    'url = "postgresql://{}:{}@{}/shop".format(user, password, host)',
    'url = "postgresql://%s:%s@db/shop" % (user, password)',
    'url = "postgresql://user:<password>@db/shop"',
    'url = "postgresql://localhost/shop"',
    'text = "dbname=%s password=%s" % (name, password)',
    'psycopg2.connect(host="db", password=os.environ["PGPASSWORD"])',
    'psycopg2.connect(host="db", password="")',
    'psycopg2.connect(host="db", password="your_password")',
    'PASSWORD = "password"',
    'PASSWORD_ERROR = "too-short"',
    'password = request.form["password"]',
    'session["password"] = "given"',
    'rules = [{"key": "password", "type": "string"}]',
    'schema = {"username": "str", "password": "admin"}',
    'User(username="admin", password="admin")',
    'client.post("/login", data={"user_name": "a", "password": "b"})',
    'PASSWORDS = {"admin": "$pbkdf2-sha256$29000$LSVkzB"}',
    'password_hash = "pbkdf2:sha256:600000$abc"',
    'if password == "":\n    pass',
    'if password == confirmation:\n    pass',
    'if field == "password":\n    pass',
    'parser.add_argument("--password", default="x", help="password")',
    '"""Connects to postgresql://shop:hunter2@db/shop."""',
    'cursor.execute("INSERT INTO users (name, password) VALUES (%s, %s)", row)',
    'class Config(BaseSettings):\n    secret_key: str = "dev"',
    'API_KEY = "API_KEY"',
    'TOKEN_URL = "https://accounts.example.org/token"',
    'pwd = "/srv/app"',
])  # fmt: skip
def test_what_is_no_secret_is_left_alone(tmp_path: Path, code: str) -> None:
    assert places(RULE, tmp_path, {"app.py": code + "\n"}) == []


@pytest.mark.parametrize("files, place", [
    pytest.param({".env": "PORT=80\nDB_PASSWORD=postgres\nSECRET_KEY=x1\n"}, ".env:2:1", id="one for the file"),
    pytest.param({".env": "DATABASE_URL=postgresql://a:b@db/c\n"}, ".env:1:1", id="a DSN"),
    pytest.param({"compose.yml": "a:\n  environment:\n    A_PASSWORD: k9-Lampe\n"}, "compose.yml:3:1", id="yaml"),
    pytest.param({"Dockerfile": "FROM python\nENV DB_PASSWORD=k9-Lampe\n"}, "Dockerfile:2:1", id="image"),
    pytest.param({"database.ini": "[postgresql]\npassword=k9-Lampe\n"}, "database.ini:2:1", id="ini"),
    pytest.param({"config.json": '{"host": "db",\n "password": "k9-Lampe"}\n'}, "config.json:2:1", id="JSON"),
    pytest.param({"service.json": f'{{"private_key": "{PRIVATE}"}}\n'}, "service.json:1:1", id="a private key"),
    pytest.param({"notes.txt": "postgres://a:k9-Lampe@db.aws.com/c\n"}, "notes.txt:1:1", id="a far host"),
])  # fmt: skip
def test_files_beside_the_code_are_read(tmp_path: Path, files: dict[str, str], place: str) -> None:
    assert places(RULE, tmp_path, {"app.py": "pass\n", **files}) == [place]


@pytest.mark.parametrize("files", [
    {".env.example": "DB_PASSWORD=postgres\n"},
    {".env": "DB_PASSWORD=\nSECRET_KEY=<your key>\nPORT=80\n"},
    {".env.dev": "DB_PASSWORD=postgres\n"},
    {"compose.yml": "a:\n  environment:\n    POSTGRES_PASSWORD: postgres\n"},
    {"compose.yml": "a:\n  environment:\n    POSTGRES_PASSWORD: ${POSTGRES_PASSWORD}\n"},
    {"database.ini": "[postgresql]\nhost=localhost\npassword=postgres\n"},
    {"docs/users.yml": "password: string\n"},
    {"package-lock.json": '{"password": "k9-Lampe"}\n'},
    {"config_sample.py": 'SECRET_KEY = "dev"\n'},
    {"tests/test_app.py": 'SECRET_KEY = "dev"\n'},
    {"notes.txt": "postgres://a:k9-Lampe@localhost/c\n"},
    {"notes.txt": "connect(host=DB_HOST, dbname=NAME, password=DB_PASS)\n"},
])  # fmt: skip
def test_samples_and_defaults_in_files_are_left_alone(tmp_path: Path, files: dict[str, str]) -> None:
    assert places(RULE, tmp_path, {"app.py": "pass\n", **files}) == []


def test_what_git_does_not_track_is_left_alone(tmp_path: Path) -> None:
    subprocess.run(["git", "init", "-q", str(tmp_path)], check=True)
    files = {
        "app.py": "pass\n",
        ".gitignore": ".env\n",
        ".env": "SECRET_KEY=x1\n",
        "local.py": 'SECRET_KEY = "x1"\n',
    }
    (tmp_path / "app.py").write_text("pass\n")
    subprocess.run(["git", "-C", str(tmp_path), "add", "app.py"], check=True)
    assert places(RULE, tmp_path, files) == []
    subprocess.run(["git", "-C", str(tmp_path), "add", "-f", ".env"], check=True)
    assert places(RULE, tmp_path, files) == [".env:1:1"]


def test_no_value_is_in_a_finding(tmp_path: Path) -> None:
    code = 'a = "postgresql://a:hunter2@db.shop.de/b"\nSECRET_KEY = "hunter2"\nx = password == "hunter2"\n'
    found = findings(RULE, tmp_path, {"app.py": code, ".env": "DB_PASSWORD=hunter2\n"})
    assert len(found) == 4
    assert "hunter2" not in repr(found)


def test_a_host_that_others_reach_is_worst(tmp_path: Path) -> None:
    code = 'a = "postgresql://shop:k9-Lampe@db.shop.de/shop"\nb = "postgresql://shop:k9-Lampe@localhost/shop"\n'
    assert [each.severity for each in findings(RULE, tmp_path, {"app.py": code})] == [
        Severity.critical,
        Severity.high,
    ]


def test_a_file_for_development_is_less_sure(tmp_path: Path) -> None:
    [finding] = findings(RULE, tmp_path, {"config/development.py": 'SECRET_KEY = "x1"\n'})
    assert finding.confidence == Confidence.medium


@pytest.mark.parametrize("code, place", [
    ('from flask import Flask\napp = Flask(__name__)\nWORD = "x y"\napp.secret_key = WORD\n', "app.py:3:8"),
    ('import jwt\nWORD = "x y"\n\ndef sign(user):\n    return jwt.encode({}, WORD)\n', "app.py:2:8"),
    ('import psycopg2\nWORD = "k9"\npsycopg2.connect(host="db", password=WORD)\n', "app.py:2:8"),
])  # fmt: skip
def test_a_literal_under_a_name_that_says_nothing_is_followed(tmp_path: Path, code: str, place: str) -> None:
    assert places(RULE, tmp_path, {"app.py": code}) == [place]


@pytest.mark.parametrize("code", [
    'class TestingConfig:\n    SECRET_KEY = "x y"\n',
    'class Config:\n    pass\n\nclass DevelopmentConfig(Config):\n    SECRET_KEY = "dev"\n',
    'class Config:\n    pass\n\nclass DevConfig(Config):\n    URL = "postgresql://a:postgres@localhost/b"\n',
    'RESET_PASSWORD = "reset_password"\n',
    'url = "postgresql://user:password@your-host/db"\n',
    'import os\nfrom flask import Flask\napp = Flask(__name__)\nW = os.getenv("A", "x")\napp.secret_key = W\n',
])  # fmt: skip
def test_tests_placeholders_and_defaults_are_left_alone(tmp_path: Path, code: str) -> None:
    assert places(RULE, tmp_path, {"app.py": code}) == []


@pytest.mark.parametrize("code", [
    r'pattern = re.compile("postgres://(.*?):(.*?)@(.*?):(\d+)/(.*)")' + "\n",
    'def __init__(self, name="n", password="pass"):\n    pass\n',
    'test_otp_secret = "JHCOGO7VCER3EJ4L"\n',
])  # fmt: skip
def test_patterns_and_models_are_left_alone(tmp_path: Path, code: str) -> None:
    assert places(RULE, tmp_path, {"app.py": code}) == []


def test_a_real_password_is_found_in_a_class_for_development_too(tmp_path: Path) -> None:
    code = 'class Config:\n    pass\n\nclass DevConfig(Config):\n    URL = "postgresql://a:k9-Lampe@localhost/b"\n'
    assert places(RULE, tmp_path, {"app.py": code}) == ["app.py:5:11"]
