"""One side while it runs: its own copy of the database, Gunicorn over its code, its cookies.

`renewed` throws both away and makes them anew: after a request that wrote, and after one that did not end.
"""

from __future__ import annotations

import json
import subprocess
import time
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from ..errors import CommandError
from ..stack import Stack
from ..stack.child import Child, clean_environment
from ..stack.web import GUNICORN_RUNNER, ROOT, Web, open_listener
from .ask import Answer, Request, ask
from .contents import Contents, contents_of
from .databases import Databases
from .template import INSIDE

BOOT_SECONDS = 60.0
PROBE_SECONDS = 60.0
QUIET_SECONDS = 3.0
READY = "harden-verify: a worker is ready"
BOOTING = "Booting worker with pid"
PRELOAD_SECONDS = 2.0
ENDING = 0.0  # seconds: after the last answer nothing of its workers is waited for


@dataclass(frozen=True)
class Build:
    """How a side is served.

    Attributes:
        name: before or after.
        folder: its code.
        app: as HARDEN_APP names it, seen from the folder.
        python: its interpreter.
        kit_path: what that borrows of the kit's packages.
        workers: of Gunicorn.
        environ: returns its variables for where a copy is.
        before_import, after_import: of the recipe.
        config: Gunicorn's configuration.
    """

    name: str
    folder: Path
    app: str
    python: str
    kit_path: str
    workers: int
    environ: Callable[[dict[str, str]], dict[str, str]]
    before_import: str = ""
    after_import: str = ""
    config: Path = INSIDE / "harden_verify_gunicorn.py"
    session: dict[str, Any] = field(default_factory=dict)
    login: tuple[Request, ...] = ()
    time_limit: float = 10.0


@dataclass(frozen=True)
class Reply:
    """One request's answer and what the server saw of it; None where it does not tell.

    Attributes:
        answer: what came back.
        contents: of the database afterwards.
        wrote: whether they are others than before.
        statements, connections: how many.
        errors: statements that failed.
        port: of the server that answered.
        base: the contents before the server's first request.
        place: how often the same was asked in this run before.
    """

    answer: Answer
    contents: Contents
    wrote: bool
    statements: int | None
    connections: int | None
    errors: tuple[str, ...]
    port: int
    base: Contents
    place: int


class Side:
    """A server with its own database.

    Args:
        stack: where it runs.
        databases: where its copy is made.
        template: what is copied.
        build: how it is served.
    """

    def __init__(self, stack: Stack, databases: Databases, template: str, build: Build) -> None:
        self.build = build
        self._stack, self._databases, self._template = stack, databases, template
        self._count = 0
        self._web: Web | None = None
        self._conn: Any = None
        self.database = ""
        self.cookies: dict[str, str] = {}
        self._contents = self._base = Contents()
        self._first_ready = 0.0

    @property
    def port(self) -> int:
        """Where it listens."""
        return self._web.port if self._web else 0

    def start(self) -> None:
        """Begin to serve a fresh copy; `wait` follows."""
        self._count += 1
        self._first_ready = 0.0
        self.database = self._databases.create(self.build.name, self._template)
        environ = process_environ(self._stack, self.build, self._databases.parts(self.database),
                                  self._databases.dsn(self.database))  # fmt: skip
        environ["_HARDEN_VERIFY_SERVE"] = "1"
        listener = open_listener("127.0.0.1", 0)
        with listener:
            port = listener.getsockname()[1]
            command = [
                self.build.python, str(GUNICORN_RUNNER), "--config", str(self.build.config), "--bind",
                f"fd://{listener.fileno()}", "--workers", str(self.build.workers), "--pythonpath", str(INSIDE),
                "--timeout", "120", "--graceful-timeout", "1", "harden_verify_side:application",
            ]  # fmt: skip
            child = Child(f"{self.build.name}-{self._count}", command, self._stack.run, environ,
                          cwd=self.build.folder, pass_fds=[listener.fileno()])  # fmt: skip
        self._web = Web("127.0.0.1", port, child, "/")

    def wait(self, cookie: list[str] | None) -> None:
        """Wait until it listens with all workers, then log in.

        Args:
            cookie: a signed session, as name and value.

        Raises:
            CommandError: it does not boot; with the last line of its error.
        """
        assert self._web is not None
        try:
            self._web.child.wait_until(self._is_booted, BOOT_SECONDS)
        except CommandError as error:
            reason = self._why(str(error)).replace(f"{self.build.folder}/", "")
            raise CommandError(f"{self.build.name} does not boot: {reason}") from None
        self.cookies = {cookie[0]: cookie[1]} if cookie else {}
        self._conn = self._databases.connect(self.database)
        for request in self.build.login:
            answer = ask(self.port, request, self.cookies, self.build.time_limit)
            if answer.failure or answer.status >= 400:
                raise CommandError(
                    f"the login step {request.label} of {self.build.name} got "
                    f"{answer.failure or answer.status}; correct [[login]] in the recipe"
                )
        self._wait_until_quiet()
        self._contents = self._base = contents_of(self._conn)

    def ask(self, request: Request, place: int) -> Reply:
        """Ask one request, and look at the database afterwards."""
        statements = self._databases.statements(self.database)
        logged = self._databases.logged(self.database)
        # A fresh jar a request: one answer's cookie must not decide what the next route is asked with.
        answer = ask(self.port, request, dict(self.cookies), self.build.time_limit)
        if not answer.failure:
            self._wait_until_quiet()
        now = self._databases.statements(self.database)
        later = self._databases.logged(self.database)
        contents = contents_of(self._conn)
        wrote, self._contents = contents != self._contents, contents
        errors = later[1][len(logged[1]) :] if later and logged else []
        if answer.failure and not self._is_serving():
            answer = Answer(seconds=answer.seconds, failure=f"{answer.failure} (the server is gone)")
        return Reply(
            answer, contents, wrote,
            None if now is None or statements is None else now - statements,
            None if later is None or logged is None else later[0] - logged[0],
            tuple(errors), self.port, self._base, place,
        )  # fmt: skip

    def stop(self) -> None:
        """End the server at once and drop its copy."""
        if self._web is not None:
            self._web.child.stop(ENDING)
            self._web = None
        if self._conn is not None:
            self._conn.close()
            self._conn = None
        if self.database:
            self._databases.drop(self.database)
            self.database = ""

    def _is_booted(self) -> bool:
        assert self._web is not None
        text = self._web.child.log.read_text(encoding="utf-8", errors="replace")
        # Each worker says so before it imports the app; it answers once it has. HTTP to `/` would be a request
        # of the app's own, which may write or never end.
        ready = text.count(READY)
        if ready and not self._first_ready:
            self._first_ready = time.monotonic()
        # With preload_app the master alone imports it, and says so once, before it boots its workers.
        is_preloaded = 0 <= text.find(READY) < text.find(BOOTING) and text.count(BOOTING) >= self.build.workers
        waited = ready and time.monotonic() > self._first_ready + PRELOAD_SECONDS  # where nothing is logged
        return bool(ready >= self.build.workers or is_preloaded or waited)

    def _is_serving(self) -> bool:
        return self._web is not None and self._web.child.is_running()

    def _wait_until_quiet(self) -> None:
        deadline = time.monotonic() + QUIET_SECONDS
        while self._databases.is_busy(self.database) and time.monotonic() < deadline:
            time.sleep(0.01)

    def _why(self, said: str) -> str:
        assert self._web is not None
        text = self._web.child.log.read_text(encoding="utf-8", errors="replace")
        lines = [line for line in text.splitlines() if "AppLoadError:" in line or "SettingsError:" in line]
        return lines[-1].partition("Error: ")[2] if lines else said


def process_environ(stack: Stack, build: Build, parts: dict[str, str], dsn: str) -> dict[str, str]:
    """Return the environment of a side's process."""
    return clean_environment(stack.run, {
        "PYTHONUNBUFFERED": "1", "PYTHONDONTWRITEBYTECODE": "1", "PYTHONHASHSEED": "0",
        **build.environ(parts),
        "_HARDEN_VERIFY_DSN": dsn, "_HARDEN_VERIFY_APP": build.app, "_HARDEN_VERIFY_KIT": str(ROOT),
        "_HARDEN_VERIFY_BEFORE_IMPORT": build.before_import, "_HARDEN_VERIFY_AFTER_IMPORT": build.after_import,
        "_HARDEN_VERIFY_SESSION": json.dumps(build.session), "_HARDEN_KIT_PATH": build.kit_path,
    })  # fmt: skip


def probe(stack: Stack, databases: Databases, database: str, build: Build) -> dict[str, Any]:
    """Import a side's app once and return its routes and a session cookie.

    Raises:
        CommandError: it does not import, or is no Flask app.
    """
    answer = stack.run.path / f"probe-{build.name}.json"
    answer.unlink(missing_ok=True)
    environ = process_environ(stack, build, databases.parts(database), databases.dsn(database))
    environ["_HARDEN_VERIFY_ANSWER"] = str(answer)
    try:
        done = subprocess.run(
            [build.python, str(INSIDE / "harden_verify_probe.py")], cwd=build.folder, env=environ,
            capture_output=True, text=True, errors="replace", stdin=subprocess.DEVNULL, timeout=PROBE_SECONDS,
        )  # fmt: skip
    except subprocess.TimeoutExpired:
        raise CommandError(
            f"{build.name} does not end its import within {PROBE_SECONDS:g} s; does its module start something "
            "that never returns? Move that under if __name__ == '__main__'"
        ) from None
    if not answer.exists():
        last = (done.stderr.strip() or "no output").splitlines()[-1]
        raise CommandError(f"{build.name} does not import: {last}")
    found: dict[str, Any] = json.loads(answer.read_text(encoding="utf-8"))
    if "error" in found:
        raise CommandError(f"{build.name} does not import: {found['error']}".replace(f"{build.folder}/", ""))
    return found
