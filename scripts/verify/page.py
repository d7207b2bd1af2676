"""A verification as one HTML file that needs nothing else. Whatever an app answered is escaped, never run."""

from __future__ import annotations

from collections.abc import Iterable
from html import escape

from .compare import Difference
from .report import HEADS, Report, cells_of
from .run import Result

STYLE = """
body{font:14px/1.5 system-ui,sans-serif;margin:2rem auto;max-width:72rem;padding:0 1rem}
body{color:#1a1a1a;background:#fff}table{border-collapse:collapse;width:100%}
th,td{padding:.3rem .6rem;text-align:left;vertical-align:top;border-bottom:1px solid #ddd}
td.n,th.n{text-align:right;font-variant-numeric:tabular-nums}code,pre{overflow-wrap:anywhere}
pre{white-space:pre-wrap;margin:0}.differs{color:#b00020;font-weight:600}.varies{color:#7a5900}.same{color:#1b6e2c}
@media(prefers-color-scheme:dark){body{background:#161616;color:#e6e6e6}th,td{border-color:#444}
.differs{color:#ff8a80}.varies{color:#ffd54f}.same{color:#81c784}}
"""
START = (
    "<!doctype html>\n<html lang=en><meta charset=utf-8><meta name=viewport content='width=device-width'>"
    f"<title>harden verify</title><style>{STYLE}</style>"
)


def page(report: Report) -> str:
    """Return the report as HTML."""
    heads = "".join(f"<th{_number(place)}>{head}</th>" for place, head in enumerate(HEADS))
    return (
        f"{START}<h1>{escape(report.summary)}</h1>"
        f"<p>before: <code>{escape(report.before)}</code> ({escape(report.served[0])})<br>"
        f"after: <code>{escape(report.after)}</code> ({escape(report.served[1])})<br>{escape(report.totals())}</p>"
        f"{_compared('when the app is imported', report.at_import)}"
        f"<table><tr>{heads}</tr>{''.join(map(_row, report.results))}</table>"
        f"<ul>{''.join(f'<li>{escape(note)}</li>' for note in report.notes)}</ul></html>\n"
    )


def _number(place: int) -> str:
    return " class=n" if 0 < place < len(HEADS) - 1 else ""


def _row(result: Result) -> str:
    cells = cells_of(result)
    middle = "".join(f"<td class=n>{escape(cell)}</td>" for cell in cells[1:-1])
    row = (
        f"<tr><td><code>{escape(result.request.label)}</code></td>{middle}"
        f"<td class={result.word}>{escape(cells[-1])}</td></tr>"
    )
    details = _compared("differences", result.verdict.differences) + "".join(
        f"<p>{escape(note)}</p>" for note in result.verdict.notes
    )
    if not details:
        return row
    is_open = " open" if result.verdict.differences else ""
    folded = f"<details{is_open}><summary>details</summary>{details}</details>"
    return f"{row}<tr><td colspan={len(HEADS)}>{folded}</td></tr>"


def _compared(title: str, differences: Iterable[Difference]) -> str:
    rows = "".join(
        f"<tr><td>{escape(each.what)}</td><td><pre>{escape(each.before)}</pre></td>"
        f"<td><pre>{escape(each.after)}</pre></td></tr>"
        for each in differences
    )
    return f"<table><tr><th>{escape(title)}</th><th>before</th><th>after</th></tr>{rows}</table>" if rows else ""
