"""One request of a person: filled in, sent by Locust's client, judged, and what is to be saved taken out.

What counts as a right answer, and how an error is called, is decided here alone.
"""

from __future__ import annotations

import errno
import json
import re
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any
from urllib.parse import urlencode

from geventhttpclient.response import HTTPConnectionClosed, HTTPParseError

from ..scenario import Step
from ..templates import fill, fill_json, fill_path, names_in

KINDS = {
    errno.ECONNREFUSED: "refused", errno.ECONNRESET: "reset", errno.EPIPE: "reset", errno.ETIMEDOUT: "timeout",
    errno.EADDRNOTAVAIL: "no local port", errno.EMFILE: "too many open files", errno.EHOSTUNREACH: "no route",
}  # fmt: skip
SNIPPET = 200  # characters of a body that a message shows
FORM = "application/x-www-form-urlencoded"


@dataclass
class Outcome:
    """How a request ended.

    Attributes:
        kind: of the error; "" for a right answer.
        status: 0 when none came.
        saved: values taken from the answer, with the type that its JSON has.
        snippet: the begin of the body, of a wrong answer.
    """

    kind: str = ""
    status: int = 0
    saved: dict[str, Any] = field(default_factory=dict)
    snippet: str = ""


def ask(client: Any, step: Step, headers: Mapping[str, str], values: Mapping[str, Any]) -> Outcome:
    """Send one step and judge its answer.

    Args:
        client: Locust's FastHttpSession of the person.
        headers: the scenario's; those whose values are not known yet are left out.
        values: by name.
    """
    sent = {name: text for name, text in headers.items() if all(used in values for used in names_in(text))}
    sent = {name: fill(text, values) for name, text in {**sent, **step.headers}.items()}
    if any(re.search(r"[\r\n\0]", text) for text in sent.values()):
        return Outcome("a header's value has a line break")
    data = None
    if step.form is not None:
        data = urlencode({name: fill(str(text), values) for name, text in step.form.items()})
        sent.setdefault("Content-Type", FORM)
    with client.request(
        step.method.upper(), fill_path(step.path, values), name=step.name, headers=sent, data=data,
        json=None if step.json is None else fill_json(step.json, values),
        allow_redirects=not any(300 <= code < 400 for code in step.expect), catch_response=True,
    ) as answer:  # fmt: skip
        outcome = _judged(step, answer)
        if outcome.kind:
            answer.failure(outcome.kind)
        else:
            answer.success()
    return outcome


def _judged(step: Step, answer: Any) -> Outcome:
    status = answer.status_code or 0
    if not status:
        return Outcome(_kind(getattr(answer, "error", None) or answer.request_meta["exception"]))
    if answer.request_meta["exception"] is not None and answer.content is None:
        return Outcome(_kind(answer.request_meta["exception"]), status)
    body = answer.text or ""
    if status not in step.expect if step.expect else status >= 400:
        return Outcome(f"http {status}", status, snippet=body[:SNIPPET])
    if step.contains and step.contains not in body:
        return Outcome("without the text", status, snippet=body[:SNIPPET])
    saved: dict[str, Any] = {}
    for name, way in step.save.items():
        value = _taken(way, answer, body)
        if value is None:
            return Outcome(f"no {name} in the answer", status, snippet=body[:SNIPPET])
        saved[name] = value
    return Outcome("", status, saved)


def _taken(way: str, answer: Any, body: str) -> Any:
    kind, _, rest = way.partition(":")
    if kind == "header":
        return (answer.headers or {}).get(rest)
    if kind == "text":
        found = re.search(rest, body)
        return found[1] if found else None
    try:
        value = json.loads(body)
        for part in rest.split("."):
            value = value[int(part)] if isinstance(value, list) else value[part]
    except (ValueError, KeyError, IndexError, TypeError):
        return None
    return value


def _kind(error: BaseException | None) -> str:
    number = getattr(error, "errno", None)
    if number in KINDS:
        return KINDS[number]
    if isinstance(error, TimeoutError) or "timed out" in str(error) or "timeout" in type(error).__name__.lower():
        return "timeout"
    if isinstance(error, HTTPConnectionClosed):
        return "closed"
    if isinstance(error, HTTPParseError):
        return "protocol"
    if "ssl" in type(error).__name__.lower():
        return "tls"
    return type(error).__name__.lower() if error is not None else "no answer"
