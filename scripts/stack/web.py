"""Web servers: Gunicorn with our own config, and Flask's development server for the legacy twin."""

from __future__ import annotations

import http.client
import socket
import sys
from collections.abc import Mapping, Sequence
from pathlib import Path

from ..errors import CommandError
from .child import Child, PortTaken, clean_environment
from .ports import free_port, listening_socket
from .runfolder import RunFolder

ROOT = Path(__file__).resolve().parent.parent.parent
ANSWER_SECONDS = 5.0  # that a server which is starting may keep one question waiting
GUNICORN_RUNNER = Path(__file__).resolve().parent / "run_gunicorn.py"


class Web:
    """A web server on loopback.

    Attributes:
        host, port: where it listens.
        child: its process.
    """

    def __init__(self, host: str, port: int, child: Child, path: str) -> None:
        self.host, self.port, self.child = host, port, child
        self._path = path

    @property
    def url(self) -> str:
        """Its address, for people."""
        host = f"[{self.host}]" if ":" in self.host else self.host
        return f"http://{host}:{self.port}"

    def wait_until_ready(self, seconds: float = 30.0) -> None:
        """Wait for the first answer.

        Raises:
            CommandError: it ended, or did not answer in time.
        """
        self.child.wait_until(self._answers, seconds)

    def _answers(self) -> bool:
        host = {"0.0.0.0": "127.0.0.1", "::": "::1"}.get(self.host, self.host)
        client = http.client.HTTPConnection(host, self.port, timeout=ANSWER_SECONDS)
        try:
            client.request("GET", self._path)
            client.getresponse().read()
            return True
        except (OSError, http.client.HTTPException):
            return False
        finally:
            client.close()

    def stop(self) -> None:
        """Stop it, letting requests in flight finish."""
        self.child.stop(30)


def start_gunicorn(
    run: RunFolder,
    environ: Mapping[str, str],
    host: str = "127.0.0.1",
    port: int = 0,
    python: str = sys.executable,
    cwd: Path = ROOT,
    options: Sequence[str] = (),
    name: str = "gunicorn",
    listener: socket.socket | None = None,
    app: str = "wsgi:application",
) -> Web:
    """Start Gunicorn with deploy/gunicorn.conf.py; it need not answer yet.

    Args:
        run: the folder of the run.
        environ: the app's settings, beyond the environment that every server gets.
        host, port: where to listen; port 0 is a free one.
        python: the interpreter; it needs the app's packages, Gunicorn comes from ours if it has none.
        cwd: the app's working folder.
        options: more of Gunicorn's command line.
        name: unique in the run.
        listener: a socket that listens already, instead of host and port.
        app: what it serves, as `module:name`.

    Raises:
        CommandError: the address is in use or not ours.
    """
    listener = listener or open_listener(host, port)
    with listener:
        bound = listener.getsockname()
        child = Child(
            name,
            [
                python, str(GUNICORN_RUNNER), "--config", str(ROOT / "deploy" / "gunicorn.conf.py"),
                "--bind", f"fd://{listener.fileno()}", *options, app,
            ],
            run,
            clean_environment(run, {"PYTHONUNBUFFERED": "1", **environ}),
            cwd=cwd,
            pass_fds=[listener.fileno()],
        )  # fmt: skip
    return Web(bound[0], bound[1], child, "/livez")


def open_listener(host: str, port: int) -> socket.socket:
    """Return a listening socket.

    Raises:
        CommandError: the address is in use or not ours.
    """
    try:
        return listening_socket(host, port)
    except (OSError, TypeError) as error:
        reason = error.strerror if isinstance(error, OSError) else "it is no host name"
        raise CommandError(f"cannot listen on {host}:{port} ({reason}); give another --port or --host") from None


def start_flask(run: RunFolder, app: Path, environ: Mapping[str, str], name: str, ready_path: str) -> Web:
    """Start Flask's own server, threaded, without the debugger: the best that `app.run` can do.

    Raises:
        CommandError: it did not come up.
    """
    for attempt in range(5):
        port = free_port()
        command = [sys.executable, "-m", "flask", "--app", str(app), "run", "--with-threads", "--no-reload"]
        child = Child(
            f"{name}-{attempt}" if attempt else name,
            [*command, "--no-debugger", "--port", str(port)],
            run,
            clean_environment(run, {"PYTHONUNBUFFERED": "1", **environ}),
        )
        web = Web("127.0.0.1", port, child, ready_path)
        try:
            web.wait_until_ready()
            return web
        except CommandError as error:
            child.stop()
            if attempt == 4 or not isinstance(error, PortTaken):
                raise
    raise AssertionError("unreachable")
