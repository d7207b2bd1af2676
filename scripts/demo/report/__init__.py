"""Turn measured runs into a text table, a JSON document and one self-contained HTML page.

Everything here is a function of its input: no clock, no network, no file but the template. Same input, same
bytes. `parse_report` checks a document once; the three renderers take what it returns.
"""

from .machine import describe_machine
from .model import Pair, Report, ReportError, Run, parse_report, render_json
from .page import render_page
from .table import render_table

__all__ = [
    "Pair",
    "Report",
    "ReportError",
    "Run",
    "describe_machine",
    "parse_report",
    "render_json",
    "render_page",
    "render_table",
]
