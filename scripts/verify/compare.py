"""Compares what one request got from both sides: status, headers, body, database, and what failed.

What the older side answers differently from run to run is masked. What only the newer side answers differently is
a difference: a worker's memory that is shared no longer looks like that.
"""

from __future__ import annotations

import json
import re
from dataclasses import dataclass, field, replace
from fnmatch import fnmatchcase
from typing import Any

from .ask import Answer, Request, without_host
from .contents import Contents, compared, varying_between
from .recipe import Ignore
from .side import Reply
from .varying import Mask

# These say how, when and by whom something was sent; Set-Cookie is compared by names.
LEFT_OUT = frozenset({
    "date", "server", "connection", "content-length", "transfer-encoding", "keep-alive", "set-cookie",
    "last-modified", "etag", "x-request-id", "server-timing", "x-response-time",
})  # fmt: skip
MOST_SHOWN = 5
LONGEST = 240  # characters of a difference that are shown


@dataclass(frozen=True)
class Difference:
    """One thing that is not the same; `before` and `after` are shown beside each other."""

    what: str
    before: str
    after: str


@dataclass
class Verdict:
    """What the comparison of one request came to.

    Attributes:
        share: of the body's characters that were compared.
        notes: what is no difference, and worth knowing.
    """

    differences: list[Difference] = field(default_factory=list)
    share: float = 1.0
    notes: list[str] = field(default_factory=list)

    @property
    def word(self) -> str:
        """Return it in one word."""
        if self.differences:
            return "differs"
        return "varies" if self.share < 1 else "same"


def verdict(request: Request, before: list[Reply], after: list[Reply], ignores: list[Ignore]) -> Verdict:
    """Compare two sides.

    Args:
        request: what was asked.
        before, after: replies of each side in all runs. Those of one place in their run are compared with each
            other, so that a counter which goes up alike is the same.
        ignores: of the recipe.
    """
    rules = [each for each in ignores if fnmatchcase(request.path, each.route)]
    found = Verdict()
    for place in sorted({each.place for each in (*before, *after)}):
        one, other = ([_cleaned(each, rules) for each in side if each.place == place] for side in (before, after))
        _answers(found, one, other)
    if not any(each.answer.failure for each in (*before, *after)):
        one_first, other_first = ([each for each in side if each.place == 0] for side in (before, after))
        _databases(found, one_first, other_first, rules)
        _errors(found, before, after)
    found.notes += [f"left out: {_named(each)} ({each.reason})" for each in rules]
    found.notes = list(dict.fromkeys(found.notes))
    found.differences = list(dict.fromkeys(found.differences))
    return found


def _answers(found: Verdict, ones: list[Answer], others: list[Answer]) -> None:
    """Compare what was answered when the same was asked for the n-th time in a run."""
    if not ones or not others:  # one side wrote or failed before it came to that; which is said elsewhere
        return
    if not _failures(found, ones, others):
        _statuses(found, ones, others)
        _headers(found, ones, others)
        _bodies(found, ones, others)


def _failures(found: Verdict, ones: list[Answer], others: list[Answer]) -> bool:
    one = next((each.failure for each in ones if each.failure), "")
    other = next((each.failure for each in others if each.failure), "")
    if bool(one) != bool(other):
        found.differences.append(Difference("answer", one or _short(ones[0]), other or _short(others[0])))
    elif one:
        found.notes.append(f"both sides: {one}")
    return bool(one or other)


def _short(answer: Answer) -> str:
    return f"{answer.status}, {len(answer.body)} bytes"


def _statuses(found: Verdict, ones: list[Answer], others: list[Answer]) -> None:
    known = {each.status for each in ones}
    for other in others:
        if other.status not in known:
            found.differences.append(Difference("status", str(ones[0].status), str(other.status)))
            return
    if len(known) > 1:
        found.notes.append(f"the status varies: {', '.join(map(str, sorted(known)))}")


def _headers(found: Verdict, ones: list[Answer], others: list[Answer]) -> None:
    for name in sorted({*_names(ones), *_names(others)}):
        values = [[each.all(name) for each in side] for side in (ones, others)]
        varies = any(value != values[0][0] for value in values[0])
        if varies:
            found.notes.append(f"header {name} varies")
        elif any(value != values[0][0] for value in values[1]):
            other = next(value for value in values[1] if value != values[0][0])
            found.differences.append(Difference(f"header {name}", _listed(values[0][0]), _listed(other)))
    cookies = [[_cookie_names(each) for each in side] for side in (ones, others)]
    if any(each not in cookies[0] for each in cookies[1]):
        other = next(each for each in cookies[1] if each not in cookies[0])
        found.differences.append(Difference("cookies set", _listed(cookies[0][0]), _listed(other)))


def _names(answers: list[Answer]) -> set[str]:
    return {key.lower() for each in answers for key, _ in each.headers} - LEFT_OUT


def _listed(values: list[str]) -> str:
    return ", ".join(values) or "none"


def _cookie_names(answer: Answer) -> list[str]:
    return sorted({value.partition("=")[0].strip() for value in answer.all("set-cookie")})


def _bodies(found: Verdict, ones: list[Answer], others: list[Answer]) -> None:
    first = ones[0].body
    if all(each.body == first for each in (*ones, *others)):
        return
    texts = [_text(each) for each in ones]
    mask = Mask(texts[0], texts[1:])
    found.share = min(found.share, mask.compared)
    shown: set[tuple[str, str]] = set()
    for other in others:
        if _text(other) in texts:
            continue
        passages = mask.against(_text(other))
        if passages and _is_equal_json(ones, other):
            found.notes.append("the JSON is equal when parsed; its text is written otherwise")
            continue
        shown |= {(one, each) for one, each in passages}
        for one, each in passages[:MOST_SHOWN]:
            difference = Difference("body", *_around(one, each))
            if difference not in found.differences:
                found.differences.append(difference)
    if len(shown) > MOST_SHOWN:
        found.notes.append(f"{len(shown)} passages of the body differ; the first {MOST_SHOWN} are shown")
    if any(_text(each) in texts for each in others) and any(_text(each) not in texts for each in others):
        found.notes.append("after answers sometimes so and sometimes so: state in one worker's memory?")


def _around(one: str, other: str) -> tuple[str, str]:
    return tuple(each if len(each) <= LONGEST else f"{each[:LONGEST]}… ({len(each)} characters)"
                 for each in (one or "nothing", other or "nothing"))  # type: ignore[return-value]  # fmt: skip


def _text(answer: Answer) -> str:
    try:
        return answer.body.decode("utf-8")
    except UnicodeDecodeError:
        return answer.body.decode("latin-1")


def _is_equal_json(ones: list[Answer], other: Answer) -> bool:
    """Tell whether a body is JSON that equals one of the others' with its numbers as they are written."""
    values = [_parsed(each) for each in ones]
    mine = _parsed(other)
    return mine is not None and any(mine == each for each in values)


def _parsed(answer: Answer) -> Any:
    if "json" not in answer.header("content-type"):
        return None
    try:
        return [json.loads(answer.body, parse_float=_Number, parse_int=_Number)]
    except ValueError:
        return None


class _Number(str):
    """A number's text: 1.0 and 1 are not the same to whoever reads it."""

    def __eq__(self, other: object) -> bool:
        return isinstance(other, _Number) and str(self) == str(other)

    __hash__ = str.__hash__


def _databases(found: Verdict, before: list[Reply], after: list[Reply], rules: list[Ignore]) -> None:
    # What the sides hold before their first request is compared after one import of each; here, with as many
    # imports as there are workers, it would say that four workers have asked a sequence four times.
    uneven = varying_between(before[0].base.without_sequences(), after[0].base.without_sequences())
    varying = varying_between(before[0].contents, before[-1].contents) | uneven
    varying |= {each.column for each in rules if each.column}
    for each in compared(_moved(before[0]), _moved(after[0]), frozenset(varying)):
        found.differences.append(Difference(*each))
    if varying:
        found.notes.append(f"the database varies in {', '.join(sorted(varying))}")


def _moved(reply: Reply) -> Contents:
    """Return a side's contents with its sequences counted from its first request."""
    moved = {name: value - reply.base.sequences.get(name, 0) for name, value in reply.contents.sequences.items()}
    return replace(reply.contents, sequences=moved)


def _errors(found: Verdict, before: list[Reply], after: list[Reply]) -> None:
    """Statements that fail on the newer side alone: an `except` may have hidden them from the answer."""
    known = {_error_kind(error) for each in before for error in each.errors}
    new = [error for each in after for error in each.errors if _error_kind(error) not in known]
    if new:
        found.differences.append(Difference("failed statements", "none of this kind", new[0]))


def _error_kind(error: str) -> str:
    return re.sub(r"\d+|\"[^\"]*\"", "?", error)


def _cleaned(reply: Reply, rules: list[Ignore]) -> Answer:
    """Return an answer without what the recipe leaves out, and without the server's own address."""
    answer, port = reply.answer, reply.port
    body = re.sub(rb"(?:127\.0\.0\.1|localhost):%d\b" % port, b"HOST", answer.body)
    gone = {each.header.lower() for each in rules if each.header}
    headers = tuple(
        (key, without_host(value, port) if key.lower() == "location" else value)
        for key, value in answer.headers if key.lower() not in gone
    )  # fmt: skip
    for each in rules:
        if each.pattern:
            body = re.sub(each.pattern.encode(), b"", body)
        if each.json:
            body = _without(body, each.json.split("."))
    return Answer(answer.status, headers, body, answer.seconds, answer.failure)


def _without(body: bytes, path: list[str]) -> bytes:
    try:
        document = json.loads(body)
    except ValueError:
        return body
    _drop(document, path)
    return json.dumps(document, sort_keys=True).encode()


def _drop(value: Any, path: list[str]) -> None:
    if isinstance(value, list):
        for each in value:
            _drop(each, path[1:] if path[0] == "*" else path)
    elif isinstance(value, dict):
        if len(path) == 1:
            value.pop(path[0], None)
        elif path[0] in value:
            _drop(value[path[0]], path[1:])


def _named(rule: Ignore) -> str:
    return rule.pattern or rule.json or rule.header or rule.column or rule.route
