"""What the HTML pages share: one file each, without a script or an outside asset, in the demo's style.

Colours, fonts and the macros that write SVG are the demo's: they are taken from its template, so that all pages
look alike and a change there is a change here.
"""

from __future__ import annotations

from typing import Any

import jinja2
from markupsafe import Markup

from ..demo import report
from ..demo.report.figures import typeset

HEAD = """\
<!doctype html>
<html lang="en">
<head>
<meta charset="utf-8">
<meta name="viewport" content="width=device-width, initial-scale=1">
<meta name="color-scheme" content="light dark">
<meta http-equiv="Content-Security-Policy" content="default-src 'none'; style-src 'unsafe-inline'; img-src data:">
<link rel="icon" href="data:,">
<title>{{ title }}</title>
<style>{{ style }}</style>
</head>
<body>
<main>
"""
FOOT = """\
</main>
</body>
</html>
"""


def render_frame(title: str, body: str, **values: Any) -> str:
    """Return a whole page.

    Args:
        title: as the browser shows it.
        body: the template of what is in `<main>`; it may use the demo's macros, and the filters `typeset` and
            `first_upper`.
        **values: of the template.
    """
    environment = jinja2.Environment(
        undefined=jinja2.StrictUndefined, autoescape=True, trim_blocks=True, lstrip_blocks=True,
        keep_trailing_newline=True,
    )  # fmt: skip
    environment.filters.update(typeset=typeset, first_upper=_first_upper)
    macros, style = _borrowed(environment)
    return environment.from_string(macros + HEAD + body + FOOT).render(title=title, style=style, **values)


def _borrowed(environment: jinja2.Environment) -> tuple[str, Markup]:
    """Return the macros and the style sheet of the demo's page."""
    loader = jinja2.PackageLoader(report.__name__, "")
    source = loader.get_source(environment, "report.html.j2")[0]
    macros, _, page = source.partition("<!doctype html>")
    style = page.partition("<style>")[2].partition("</style>")[0]
    return macros, Markup(style)


def _first_upper(text: str) -> str:
    return text[:1].upper() + text[1:]
