"""Gunicorn's configuration: gthread workers sized from the cores, and timeouts that fit together.

    gunicorn -c deploy/gunicorn.conf.py wsgi:application

Sizes come from the settings (WORKERS or WEB_CONCURRENCY, THREADS, HARDEN_PRELOAD); everything else here has
its reason beside it. Needs Gunicorn 27: older ones lose requests on kept connections when a worker stops.
"""

import importlib
import os
import runpy
import shlex
import sys
from pathlib import Path

worker_class = "gthread"  # threads wait for the database together; a worker a request costs five times the memory


def _asked_worker_class():  # type: ignore[no-untyped-def]
    """Return the worker class that `-k` will set instead, for Gunicorn reads its arguments after this file."""
    if "gunicorn.app.base" not in sys.modules:
        return worker_class  # this file is run by somebody else, whose arguments these are
    from gunicorn.config import Config

    parser = Config().parser()
    for words in (sys.argv[1:], shlex.split(os.environ.get("GUNICORN_CMD_ARGS", ""))):
        asked = parser.parse_known_args(words)[0].worker_class
        if asked:
            return asked
    return worker_class


if "gevent" in str(_asked_worker_class()):
    # Gunicorn patches in its workers. By then the runtime is imported, here, and with preload_app the app as
    # well: they would keep real locks, at which one request stops all others, and the number of the one real
    # thread, so that a pool takes all requests for one caller.
    try:
        from gevent import monkey
    except ImportError:
        pass  # Gunicorn says what is missing
    else:
        monkey.patch_all()

_root = Path(__file__).resolve().parent.parent
_runtime = runpy.run_path(str(_root / "backend" / "importing.py"))["import_for_environment"]()
try:
    _settings = importlib.import_module(f"{_runtime.__name__}.settings").load()
    _settings.require_servable()
except ValueError as _error:
    print(f"harden: error: {_error}", file=sys.stderr, flush=True)
    raise SystemExit(2) from _error

if str(_root) not in sys.path:
    sys.path.insert(0, str(_root))  # where wsgi.py is; --check-config does not look at `pythonpath`
if _settings["HARDEN_RUN_DIR"] is None:
    # One name for as long as this master lives, reloads included. The folder is made when workers start, and
    # removed at the end; a folder that somebody named is theirs.
    _chosen = importlib.import_module(f"{_runtime.__name__}.service_folder").choose()
    os.environ["HARDEN_RUN_DIR"] = os.environ["_HARDEN_OWN_RUN_DIR"] = _chosen
_run_dir = _settings["HARDEN_RUN_DIR"] or os.environ["HARDEN_RUN_DIR"]
_own_folder = os.environ.get("_HARDEN_OWN_RUN_DIR")
_cores = importlib.import_module(f"{_runtime.__name__}.surroundings").environment().cores  # a quota counts
workers = _settings["WORKERS"] or max(2, int(_cores + 0.5))  # two, so that one can be replaced
threads = _settings["THREADS"]
preload_app = _settings["HARDEN_PRELOAD"]

# The ladder: pool timeout 10 < statement 20 < graceful 25 < this 30 < the front's read timeout 35.
timeout = 30  # for gthread a heartbeat, not a request's limit
graceful_timeout = 25  # requests in flight may finish; below the service's own stop timeout
keepalive = 75  # above the front's 60, so that the front closes idle connections first
max_requests = 20_000  # memory that leaks somewhere is given back now and then ...
max_requests_jitter = 4_000  # ... by one worker at a time; `pre_request` sees to that
worker_tmp_dir = "/dev/shm" if os.access("/dev/shm", os.W_OK) else None  # a heartbeat must not wait for a disk
backlog = 2048  # a burst while a worker is replaced waits instead of being refused
control_socket_disable = True  # its default lies in $HOME, which a service does not have
accesslog = None  # the front has one
errorlog = "-"


def on_starting(server):  # type: ignore[no-untyped-def]
    """Make the folder in which workers share their figures, theirs also where the master is root."""
    if _own_folder:
        folder = importlib.import_module(f"{_runtime.__name__}.service_folder")
        folder.hold(_own_folder, server.cfg.uid, server.cfg.gid)


def on_exit(server):  # type: ignore[no-untyped-def]
    """Remove it when the last master ends."""
    if _own_folder:
        importlib.import_module(f"{_runtime.__name__}.service_folder").remove(_own_folder)


def _recycling():  # type: ignore[no-untyped-def]
    """Return the module that has one worker at a time replaced, and the folder in which the workers meet."""
    folder = importlib.import_module(f"{_runtime.__name__}.run_folder").open_folder(_run_dir)
    return importlib.import_module(f"{_runtime.__name__}.recycling"), folder


def pre_request(worker, req):  # type: ignore[no-untyped-def]
    """Let a worker that is due serve on while another one is replaced."""
    if worker.nr + worker.cfg.threads >= worker.max_requests:
        recycling, folder = _recycling()
        recycling.wait_for_turn(worker, folder)


def post_worker_init(worker):  # type: ignore[no-untyped-def]
    """Show on /metrics and /ops/ that the worker is there before its first request comes."""
    recycling, folder = _recycling()
    recycling.successor_began(folder)
    for name in ("metrics", "ops_publish"):
        counting = sys.modules.get(f"{_runtime.__name__}.{name}")
        if counting:
            counting.begin()


def post_fork(server, worker):  # type: ignore[no-untyped-def]
    """Let go of the parent's connections, also where the fork was not Python's."""
    helper = sys.modules.get(f"{_runtime.__name__}.health")
    for pool in helper.pools() if helper else ():
        pool._own()


def worker_exit(server, worker):  # type: ignore[no-untyped-def]
    """Say goodbye to PostgreSQL when a worker ends, so that its backends end at once."""
    helper = sys.modules.get(f"{_runtime.__name__}.health")
    for pool in helper.pools() if helper else ():
        pool.drain()
