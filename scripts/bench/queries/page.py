"""The HTML page of `bench queries`."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from ...demo.report.figures import long_date
from ..frame import render_frame
from ..output import Bar
from . import plots
from .plan import USUAL
from .result import Result
from .table import explanations, notes, tables

TITLE = "One query instead of sixty-one"
PAGE = """\
<header>
<p class="date">Measured on <time datetime="{{ result.date }}">{{ date }}</time></p>
<h1>{{ heading }}</h1>
<p class="lead">The same machine, the same PostgreSQL, the same minutes: every way to ask has its turn in each
round, in an order that changes. Figures are medians.</p>
<p class="lead">{{ result.noise_line()|first_upper }}.</p>
<p class="legend"><span>{{ sign("square", "hardened") }}ours</span>
<span>{{ sign("square", "legacy") }}the others</span></p>
</header>
{% for title, text, group in groups if group %}
<section aria-labelledby="part-{{ loop.index }}">
<h2 id="part-{{ loop.index }}">{{ title }}</h2>
<p>{{ text }}</p>
{{ panels(group) }}
</section>
{% endfor %}
<section aria-labelledby="numbers">
<h2 id="numbers">Numbers</h2>
{% for table in tables %}
<h3 id="table-{{ loop.index }}">{{ table.title|first_upper }}</h3>
<div class="scroll" role="region" aria-labelledby="table-{{ loop.index }}" tabindex="0">
<table aria-labelledby="table-{{ loop.index }}">
<thead><tr><th scope="col" class="text">{{ table.corner|first_upper }}</th>
{% for name in table.head %}<th scope="col">{{ name|typeset }}</th>{% endfor %}</tr></thead>
<tbody>
{% for line in table.lines %}
<tr><th scope="row" class="{{ "of-hardened" if line.is_ours }}">{{ line.label }}</th>
{% for cell in line.cells %}<td>{{ cell }}</td>{% endfor %}</tr>
{% endfor %}
</tbody>
</table>
</div>
{% endfor %}
<ul class="reading">
{% for text in explanations %}
<li>{{ text|first_upper }}</li>
{% endfor %}
</ul>
</section>
{% if bars %}
<section aria-labelledby="bars">
<h2 id="bars">What ours has to reach</h2>
<ul class="reading">
{% for bar in bars %}
<li><b>{{ "Holds" if bar.holds else "Fails" }}:</b> {{ bar.text|typeset }}: {{ bar.reached|typeset }}</li>
{% endfor %}
</ul>
</section>
{% endif %}
<section aria-labelledby="experiment">
<h2 id="experiment">The experiment</h2>
<ul class="reading">
{% for note in notes %}
<li>{{ note|first_upper }}</li>
{% endfor %}
</ul>
<p>To measure again:</p>
<pre tabindex="0"><code>{{ result.command }}</code></pre>
</section>
"""


def render_page(result: Result, bars: Sequence[Bar]) -> str:
    """Return the whole page as HTML."""
    return render_frame(
        TITLE,
        PAGE,
        heading=TITLE,
        result=result,
        date=long_date(result.date),
        groups=_groups(result),
        tables=tables(result),
        explanations=list(explanations(result)),
        bars=bars,
        notes=list(notes(result)),
    )


def _groups(result: Result) -> list[tuple[str, str, list[Any]]]:
    return [
        (
            f"A profile with {USUAL} appointments",
            "From asking to the bytes of an HTTP body, as multiples of ours. Shorter is better; a bar with a gap "
            "goes on beyond ten times ours. +0.5 ms and +2 ms are networks, there and back.",
            plots.by_way(result),
        ),
        (
            "By the number of appointments",
            "Each method beside ours, the line with discs. Lower is better; the axis of time is logarithmic and "
            "the same for all.",
            plots.by_children(result),
        ),
        (
            "Whole requests",
            f"{result.plan.users} requests in flight for profiles with 20 appointments, under Gunicorn. The ideal "
            "is an empty Flask route and PostgreSQL, one after the other, and nothing else. Longer is better.",
            plots.requests(result),
        ),
        (
            "Long lists",
            "A page far into a list, and all of a list as a CSV response; memory is how much a fresh process "
            "grows. Shorter is better.",
            plots.lists(result),
        ),
    ]
