"""The report of `harden load`: a run's JSON, read with care, as a table and as a page; several side by side."""

from .page import render_page
from .reading import Run, parse_run, read_runs
from .text import render_text

__all__ = ["Run", "parse_run", "read_runs", "render_page", "render_text"]
