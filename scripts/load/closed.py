"""Run a closed model in a process of its own and bring back what it measured.

Closed means: each of `users` sends its next request when the last one is answered. A slow server is asked
less often, so its latency looks better than under traffic that does not wait ("coordinated omission", see the
README of giltene/wrk2). Throughput, errors and two servers compared under the same users are what this model
is good for.
"""

from __future__ import annotations

import base64
import json
import subprocess
import sys
import tempfile
from array import array
from pathlib import Path
from typing import IO, Any

from .result import LoadError, Result
from .target import parse_target
from .workload import Workload, encode

# The folder that holds `scripts`: the child starts there, so that no other `scripts` is imported.
_ROOT = Path(__file__).resolve().parents[2]

# For the interpreter to start and to write the result, in seconds.
_OVERHEAD = 20.0


def run_closed(
    workload: Workload,
    users: int,
    seconds: float,
    *,
    warmup_seconds: float = 0.0,
    warmup_requests: int = 0,
    drain_timeout: float = 30.0,
    allow_remote: bool = False,
) -> Result:
    """Load a target with `users` virtual users for `seconds`, after an uncounted warm-up.

    Args:
        workload: Target and requests.
        users: Requests in flight at any moment.
        seconds: No request is started after that.
        warmup_seconds: Length of the warm-up.
        warmup_requests: Requests per user in the warm-up, instead of a length.
        drain_timeout: How long, in seconds, requests in flight are waited for at the end of each phase; what
            is not answered by then is an error "timeout".
        allow_remote: Whether the target may be another host.

    Raises:
        ValueError: An argument is out of range, or the target is not on this machine (`RemoteTarget`).
        LoadError: The generator itself failed.
    """
    if users < 1 or seconds <= 0 or drain_timeout < 0:
        raise ValueError(
            f"users={users} seconds={seconds} drain_timeout={drain_timeout} is no run; "
            "give one user or more, a time above 0, and a drain of 0 or more"
        )
    if warmup_seconds < 0 or warmup_requests < 0 or (warmup_seconds and warmup_requests):
        raise ValueError("give warmup_seconds or warmup_requests, not both, and not below 0")
    job = {
        **_describe(workload, allow_remote),
        "users": users,
        "seconds": seconds,
        "warmup_seconds": warmup_seconds,
        "warmup_requests": warmup_requests,
        "drain_timeout": drain_timeout,
    }
    warmup = warmup_seconds or (drain_timeout if warmup_requests else 0.0)
    answer = _run_generator(job, warmup + seconds + 2 * drain_timeout + _OVERHEAD)
    latencies = array("d")
    latencies.frombytes(base64.b64decode(answer.pop("latencies")))
    return Result(users=users, seconds=seconds, latencies=latencies, **answer)


def _describe(workload: Workload, allow_remote: bool) -> dict[str, Any]:
    target = parse_target(workload.target, allow_remote)
    return {
        "host": target.host,
        "port": target.port,
        "socket_path": target.socket_path,
        "requests": [
            (encode(request, target.host_header).decode("ascii"), list(request.expect))
            for request in workload.requests
        ],
    }


def _run_generator(job: dict[str, Any], limit: float) -> dict[str, Any]:
    line = json.dumps(job).encode() + b"\n"
    command = [sys.executable, "-m", "scripts.load.generator"]
    with tempfile.TemporaryFile() as out, tempfile.TemporaryFile() as err:
        with subprocess.Popen(
            command, stdin=subprocess.PIPE, stdout=out, stderr=err, cwd=_ROOT, bufsize=0
        ) as child:
            try:
                _send(child, line)
                # Stdin stays open: its end would tell the generator to stop.
                child.wait(limit)
            except subprocess.TimeoutExpired:
                raise LoadError(f"the generator did not end within {limit:.0f} s and was stopped") from None
            finally:
                # Also after Ctrl-C, and harmless when it has ended.
                child.kill()
        return _read_answer(child.returncode, out, err)


def _send(child: subprocess.Popen[bytes], line: bytes) -> None:
    rest = memoryview(line)
    assert child.stdin is not None
    try:
        while rest:
            rest = rest[child.stdin.write(rest) :]
    except BrokenPipeError:
        pass  # It died at the start; what it said is on its stderr.


def _read_answer(code: int, out: IO[bytes], err: IO[bytes]) -> dict[str, Any]:
    out.seek(0)
    text = out.read()
    if code != 0 or not text:
        err.seek(0)
        lines = err.read().decode(errors="replace").strip().splitlines()
        raise LoadError(_explain(code, lines[-1] if lines else ""))
    answer: dict[str, Any] = json.loads(text)
    if "failure" in answer:
        raise LoadError(f"the generator could not run: {answer['failure']}")
    return answer


def _explain(code: int, last_line: str) -> str:
    if "No module named 'httptools'" in last_line or "No module named 'uvloop'" in last_line:
        return f"{last_line}: the generator needs it; run pip install httptools uvloop"
    return f"the generator ended with code {code}: {last_line or 'it said nothing'}"
