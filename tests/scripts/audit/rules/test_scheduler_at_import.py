"""H405: what starts with each worker, and what one process can be singled out for."""

from __future__ import annotations

from pathlib import Path

import pytest

from scripts.audit.finding import Severity
from scripts.audit.rules.scheduler_at_import import RULE

from ..looking import findings, places

HEAD = ("import os, threading, time\nfrom apscheduler.schedulers.background import BackgroundScheduler\n"
        "from flask import Flask\n"
        "app = Flask(__name__)\n@app.get('/')\ndef index():\n    return ''\n")  # fmt: skip


@pytest.mark.parametrize("code, place", [
    ("s = BackgroundScheduler()\ns.start()\n", "9:1"),
    ("def begin():\n    s = BackgroundScheduler()\n    s.start()\nbegin()\n", "10:5"),
    ("from flask_apscheduler import APScheduler\ns = APScheduler()\ns.init_app(app)\ns.start()\n", "11:1"),
    ("def create_app():\n    made = Flask(__name__)\n    BackgroundScheduler().start()\n"
     "    return made\n", "10:5"),
    ("def work():\n    while True:\n        time.sleep(9)\n"
     "threading.Thread(target=work, daemon=True).start()\n", "11:1"),
    ("def work():\n    pass\nt = threading.Timer(9, work)\nt.start()\n", "11:1"),
    ("class Worker(threading.Thread):\n    def run(self):\n        pass\nWorker().start()\n", "11:1"),
    ("@app.before_first_request\ndef begin():\n    BackgroundScheduler().start()\n", "10:5"),
    ("if os.environ.get('WERKZEUG_RUN_MAIN') == 'true':\n    BackgroundScheduler().start()\n", "9:5"),
])  # fmt: skip
def test_a_start_in_each_worker_is_found(tmp_path: Path, code: str, place: str) -> None:
    assert places(RULE, tmp_path, {"app.py": HEAD + code}) == [f"app.py:{place}"]


@pytest.mark.parametrize("code", [
    "s = BackgroundScheduler()\n",
    "if __name__ == '__main__':\n    BackgroundScheduler().start()\n",
    "if os.environ.get('RUN_JOBS'):\n    BackgroundScheduler().start()\n",
    "if app.config['SCHEDULER']:\n    BackgroundScheduler().start()\n",
    "def begin():\n    BackgroundScheduler().start()\n",
    "@app.cli.command()\ndef jobs():\n    BackgroundScheduler().start()\n",
    "import fcntl\ndef begin():\n    fcntl.flock(open('/tmp/x', 'w'), fcntl.LOCK_EX)\n"
    "    BackgroundScheduler().start()\nbegin()\n",
    "@app.post('/jobs')\ndef post():\n    threading.Thread(target=print).start()\n    return ''\n",
])  # fmt: skip
def test_a_start_in_one_process_is_left_alone(tmp_path: Path, code: str) -> None:
    assert places(RULE, tmp_path, {"app.py": HEAD + code}) == []


def test_a_script_that_the_app_does_not_import_is_left_alone(tmp_path: Path) -> None:
    script = "from apscheduler.schedulers.background import BackgroundScheduler\nBackgroundScheduler().start()\n"
    assert places(RULE, tmp_path, {"app.py": HEAD, "clock.py": script}) == []


@pytest.mark.parametrize("code, severity, words", [
    ("s = BackgroundScheduler()\ns.add_job(print, 'interval', seconds=9)\n"
     "s.start()\n", Severity.high, "its 1 job,"),
    ("def work():\n    while True:\n        time.sleep(9)\n"
     "threading.Thread(target=work).start()\n", Severity.medium, "endless thread for work()"),
    ("def work():\n    print()\nthreading.Thread(target=work).start()\n", Severity.low, "a thread for work()"),
])  # fmt: skip
def test_jobs_are_worse_than_threads(tmp_path: Path, code: str, severity: Severity, words: str) -> None:
    [finding] = findings(RULE, tmp_path, {"app.py": HEAD + code})
    assert finding.severity == severity
    assert words in finding.message


def test_a_module_that_only_puts_the_app_together_is_the_app(tmp_path: Path) -> None:
    views = "from flask import Blueprint\npages = Blueprint('pages', __name__)\n"
    views += "@pages.get('/')\ndef page():\n    pass\n"
    server = (
        "from apscheduler.schedulers.background import BackgroundScheduler\nfrom flask import Flask\n"
        "from views import pages\napp = Flask(__name__)\napp.register_blueprint(pages)\n"
        "s = BackgroundScheduler()\ns.start()\n"
    )
    assert places(RULE, tmp_path, {"views.py": views, "server.py": server}) == ["server.py:7:1"]
    alone = "from apscheduler.schedulers.background import BackgroundScheduler\nBackgroundScheduler().start()\n"
    assert places(RULE, tmp_path, {"views.py": views, "server.py": server, "jobs.py": alone}) == ["server.py:7:1"]
