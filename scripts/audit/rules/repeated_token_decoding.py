"""H411: a request whose token is decoded by the decorator, and by the view once more."""

from __future__ import annotations

import ast
import re
from collections.abc import Iterator
from itertools import pairwise

from ..finding import Confidence, Evidence, Finding, Severity
from ..model.code import Call, Function, Route
from ..model.project import Project
from ..rule import Rule
from .waiting import entries, is_handed_on, named, waiting

DECODES = re.compile(
    r"^jwt(\.api_jwt)?(\.PyJWT\(\))?\.decode$|^jose\.(jwt|jws)\.(decode|verify)$|^authlib\.jose\.(jwt"
    r"|JsonWebToken\(\))\.decode$"
    r"|^itsdangerous\..*Serializer\(\)\.loads$|^flask_jwt_extended\.decode_token$"
    r"|^firebase_admin\.auth\.verify_id_token$"
)  # fmt: skip
TOKENS = re.compile(r"authorization|access.?token|bearer|x-token", re.IGNORECASE)
REMOTE = re.compile(r"firebase")


def _check(project: Project) -> Iterator[Finding]:
    decodes = [call for call in project.calls() if DECODES.search(call.target)]
    if not decodes:
        return
    seconds: dict[Call, tuple[Call, Call, set[str]]] = {}
    for route in project.routes():
        found = list(_decodings(project, route, decodes))
        for (first, before), (second, decode) in pairwise(found):
            if _is_same_token(before, decode) and second is not first:
                seconds.setdefault(second, (first, decode, set()))[2].add(route.name)
    for again, (once, decode, names) in seconds.items():
        yield _finding(once, again, decode, tuple(sorted(names)))


def _decodings(project: Project, route: Route, decodes: list[Call]) -> Iterator[tuple[Call, Call]]:
    """Yield, for each hook, decorator and view that decodes, the call that does it and the decoding behind it."""
    steps = waiting(project).steps
    for entry in entries(project, route):
        inside = steps(entry) if entry is not route.function else _below(entry)
        for decode in decodes:
            if decode.function in inside:
                yield _leading(entry, decode), decode
                break


def _below(view: Function) -> dict[Function, None]:
    """Return what a view runs, what its own decorators put around it aside."""
    found: dict[Function, None] = {view: None}
    todo = [view]
    while todo:
        for call in todo.pop().calls:
            for callee in () if is_handed_on(call) else call.callees:
                if callee not in found:
                    found[callee] = None
                    todo.append(callee)
    return found


def _leading(entry: Function, decode: Call) -> Call:
    """Return the call in an entry that gets to a decoding: the decoding itself where it is in there."""
    if decode.function is entry:
        return decode
    return next(
        (call for call in entry.calls if any(decode.function in _below(callee) for callee in call.callees)), decode
    )


def _is_same_token(first: Call, second: Call) -> bool:
    """Whether two decodings read the same header or cookie: the same call, or the same place of the request."""
    return first is second or bool(_places(first) and _places(first) == _places(second))


def _places(decode: Call) -> set[str]:
    """Return the headers and cookies that are read around a decoding, as the code has them."""
    node = decode.function.node
    found = [
        each.value for each in ast.walk(node) if isinstance(each, ast.Constant) and isinstance(each.value, str)
    ]
    return {each.lower() for each in found if TOKENS.search(each)}


def _finding(first: Call, second: Call, decode: Call, routes: tuple[str, ...]) -> Finding:
    message = (
        f"the token of {named(routes)} is decoded a second time here: the signature is checked twice for"
        f" one request"
    )
    severity = Severity.medium if REMOTE.search(decode.target) else Severity.low
    evidence = [Evidence(first.place, "decoded here first")]
    if decode.place not in (first.place, second.place):
        evidence.append(Evidence(decode.place, f"{decode.target} is in here"))
    return RULE.at(
        second.place,
        message,
        severity=severity,
        confidence=Confidence.medium,
        evidence=tuple(evidence),
        routes=routes,
    )


RULE = Rule(
    id="H411",
    name="repeated-token-decoding",
    finds="A token that one request decodes more than once: in a hook or a decorator, and in another one or in"
          " the view.",
    why="Checking a signature costs some CPU each time; worse, each place has its own algorithms, leeway and error"
    " handling, and one that is laxer than the others decides. With a library that asks a server for keys or"
    " revocations it is a request over the network each time.",
    fix="Decode once, in the hook or the decorator, keep the claims in `g.claims`, and read them from there;"
        " the kit's `Auth` does so.",
    leaves_alone=(
        "Two kinds of token: access and refresh, a link in a mail.",
        "Decodings in two branches, or in two attempts with different keys, of one function.",
        "Helpers that are given the claims.",
    ),
    severity=Severity.low,
    check=_check,
    example="from functools import wraps\n\n"
    "import jwt\n"
    "from flask import Flask, request\n\n"
    "app = Flask(__name__)\n\n\n"
    "def claims():\n"
    '    return jwt.decode(request.headers["Authorization"], app.config["KEY"], algorithms=["HS256"])\n\n\n'
    "def signed_in(view):\n"
    "    @wraps(view)\n"
    "    def wrapper(*args, **kwargs):\n"
    "        claims()\n"
    "        return view(*args, **kwargs)\n"
    "    return wrapper\n\n\n"
    '@app.get("/me")\n'
    "@signed_in\n"
    "def me():\n"
    '    return {"user": claims()["sub"]}\n',
    instead="from functools import wraps\n\n"
    "import jwt\n"
    "from flask import Flask, g, request\n\n"
    "app = Flask(__name__)\n\n\n"
    "def signed_in(view):\n"
    "    @wraps(view)\n"
    "    def wrapper(*args, **kwargs):\n"
    '        token = request.headers["Authorization"]\n'
    '        g.claims = jwt.decode(token, app.config["KEY"], algorithms=["HS256"])\n'
    "        return view(*args, **kwargs)\n"
    "    return wrapper\n\n\n"
    '@app.get("/me")\n'
    "@signed_in\n"
    "def me():\n"
    '    return {"user": g.claims["sub"]}\n',
)  # fmt: skip
