"""The HTML page of `bench pool`."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from ...demo.report.figures import long_date
from ..frame import render_frame
from ..output import Bar
from . import plots
from .result import Result
from .table import notes, sections

PAGE = """\
<header>
<p class="date">Measured on <time datetime="{{ result.date }}">{{ date }}</time></p>
<h1>Connection pools side by side</h1>
<p class="lead">The same machine, the same PostgreSQL, the same minutes: {{ result.plan.rounds }} rounds, in each
of which every pool has its turn, in an order that rotates. Figures are medians.</p>
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
{% for section in sections %}
<h3 id="table-{{ loop.index }}">{{ section.title|first_upper }}</h3>
<div class="scroll" role="region" aria-labelledby="table-{{ loop.index }}" tabindex="0">
<table aria-labelledby="table-{{ loop.index }}">
<thead><tr><th scope="col" class="text">Pool</th>
{% for column in section.columns %}<th scope="col">{{ column.name|typeset }}</th>{% endfor %}</tr></thead>
<tbody>
{% for row in result.rows %}
<tr><th scope="row" class="{{ "of-hardened" if row.is_ours }}">{{ row.label }}</th>
{% for column in section.columns %}<td>{{ column.cell(row) }}</td>{% endfor %}</tr>
{% endfor %}
</tbody>
</table>
</div>
{% endfor %}
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
        "Connection pools side by side",
        PAGE,
        result=result,
        date=long_date(result.date),
        groups=_groups(result),
        sections=sections(result),
        bars=bars,
        notes=list(notes(result)),
    )


def _groups(result: Result) -> list[tuple[str, str, list[Any]]]:
    plan = result.plan
    return [
        ("One thread", "Shorter is better. A bar with a gap goes on beyond ten times ours.", plots.costs(result)),
        (
            f"{plan.crowd} threads on {plan.size} connections",
            f"Each visit holds its connection for {plan.hold_ms:g} ms. Throughput and fairness: longer is better. "
            "Waits: further left is better, on a logarithmic axis in milliseconds; a disc is the median, a ring "
            "p99, a tick the longest.",
            plots.contention(result),
        ),
        (
            "Cost by threads",
            "What one visit with SELECT 1 costs the process, in microseconds, by the number of threads; ours is "
            "the line with discs. Lower is better; both axes are logarithmic and all panels share them.",
            plots.by_threads(result),
        ),
        ("Storm, memory, recovery", "Shorter is better.", plots.events(result)),
    ]
