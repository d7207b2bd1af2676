"""H403: an app behind a proxy that takes the proxy for its visitor."""

from __future__ import annotations

import ast
from collections.abc import Iterator

from ..evidence import as_evidence, evidence
from ..evidence.nodes import nodes
from ..finding import Confidence, Evidence, Finding, Place, Severity
from ..model.code import Module
from ..model.project import Project
from ..rule import Rule
from .literals import dotted
from .web_use import home, mentions, reads

READ = tuple(
    prefix + name
    for prefix in ("request.", "flask.request.")
    for name in ("remote_addr", "is_secure", "scheme", "url_root", "host_url", "access_route")
)
HANDLED = r"ProxyFix|X-Forwarded|HTTP_X_|X-Real-IP|forwarded_allow_ips|proxy_fix|CF-Connecting-IP"
SHOWN = 5


def _check(project: Project) -> Iterator[Finding]:
    proxies = evidence(project).proxies
    place = home(project)
    if not proxies or place is None or mentions(project, f"(?i){HANDLED}"):
        return
    uses = [use for module in project.modules for use in _uses(module)]
    if not uses:
        return
    what = ", ".join(sorted({text for _, text in uses}))
    confidence = Confidence.medium if any(each.name != "router" for each in proxies) else Confidence.low
    message = f"no ProxyFix although {proxies[0].text}: {what} describes the proxy, not the visitor"
    said = tuple(Evidence(where, text) for where, text in uses[:SHOWN])
    yield RULE.at(place, message, evidence=(as_evidence(proxies[0]), *said), confidence=confidence)


def _uses(module: Module) -> Iterator[tuple[Place, str]]:
    """Yield what depends on the address or the scheme that the visitor used."""
    for read in reads(module, *READ):
        yield module.place(read), dotted(read)
    for node in nodes(module, ast.Call, ast.ImportFrom):
        if isinstance(node, ast.Call) and dotted(node.func).endswith("url_for"):
            if any(
                each.arg == "_external" and getattr(each.value, "value", None) is True for each in node.keywords
            ):
                yield module.place(node), "url_for(_external=True)"
        elif isinstance(node, ast.ImportFrom) and node.module == "flask_limiter.util":
            yield module.place(node), "get_remote_address"


RULE = Rule(
    id="H403",
    name="missing-proxy-fix",
    finds="An app behind nginx, a platform's router or an ingress that uses the visitor's address or the scheme,"
    " without ProxyFix.",
    why="Behind a proxy every visitor has the proxy's address and speaks plain HTTP: a rate limit counts all as"
    " one, logs name nobody, links in mails and OAuth redirects say http://.",
    fix="`app.wsgi_app = ProxyFix(app.wsgi_app, x_for=1, x_proto=1, x_host=1)` of `werkzeug.middleware.proxy_fix`,"
    " with the number of proxies in front; the kit's nginx template sends the headers.",
    leaves_alone=(
        "An app without a proxy in its deployment files.",
        "One that uses neither address nor scheme, or reads the forwarded headers itself.",
    ),
    severity=Severity.medium,
    check=_check,
    example='import os\n\nfrom flask import Flask, request\n\napp = Flask(__name__)\nPORT = os.environ["PORT"]\n'
    '\n\n@app.route("/")\ndef index():\n    return request.remote_addr\n',
    instead="import os\n\nfrom flask import Flask, request\nfrom werkzeug.middleware.proxy_fix import ProxyFix\n\n"
    'app = Flask(__name__)\napp.wsgi_app = ProxyFix(app.wsgi_app)\nPORT = os.environ["PORT"]\n\n\n'
    '@app.route("/")\ndef index():\n    return request.remote_addr\n',
)
