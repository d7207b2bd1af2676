"""The page: right and wrong answers over time with the faults shaded, and the tables."""

from __future__ import annotations

import math
from collections import Counter
from collections.abc import Mapping, Sequence
from typing import Any

from markupsafe import Markup

from ..bench.chart import MACROS, STYLE, Chart, Curve, draw
from ..bench.frame import render_frame
from ..demo.report.figures import long_date, measured
from .faults import FAULTS
from .figures import by_fault, totals
from .running import GOOD, Run

SLICE = 0.25  # seconds
MOST_CHARTS = 60
BODY = """\
<style>{{ chart_style }}</style>
<header>
<p class="date">Measured on <time datetime="{{ day }}">{{ date }}</time></p>
<h1>{{ found.runs - found.broken_runs }} of {{ found.runs }} runs kept every promise</h1>
<p class="lead">{{ "{:,}".format(found.requests) }} requests during {{ found.faults }} faults:
{{ "{:,}".format(found.acknowledged) }} payments were acknowledged, {{ found.failed }} requests were answered with
an error, {{ found.unknown }} had no answer. Every acknowledged payment has to be in the database once.</p>
{% for line in broken %}<p><b>Broken:</b> {{ line }}</p>{% endfor %}
</header>
<section aria-labelledby="faults"><h2 id="faults">By fault</h2>
<div class="scroll" role="region" aria-labelledby="faults" tabindex="0"><table aria-labelledby="faults">
<thead><tr><th scope="col" class="text">Fault, alone</th><th scope="col">times</th><th scope="col">requests</th>
<th scope="col">failed</th><th scope="col">no answer</th><th scope="col">slowest, s</th>
<th scope="col">nobody answered, s</th><th scope="col">recovery, s</th></tr></thead>
<tbody>{% for each in faults %}
<tr><th scope="row">{{ says[each.fault] }}</th><td>{{ each.times }}</td><td>{{ each.requests }}</td>
<td>{{ each.failed }}</td><td>{{ each.unknown }}</td><td>{{ measured(each.longest) }}</td>
<td>{{ measured(each.gap) }}</td><td>{{ measured(each.recovery) }}</td></tr>
{% endfor %}</tbody></table></div></section>
<section aria-labelledby="runs"><h2 id="runs">Runs</h2>
<p>Answers per quarter of a second; the faults are shaded.</p>
<p class="legend"><span>{{ key(0) }}right</span> <span>{{ key(1) }}failed or without an answer</span></p>
<div class="panels">{% for drawn in charts %}{{ chart(drawn) }}{% endfor %}</div></section>
<section aria-labelledby="experiment"><h2 id="experiment">The experiment</h2>
<p>Payers never send a payment twice and know which were acknowledged; readers know what they must see. At the end
the database is asked. The machine: {{ machine }}.</p>
<pre><code>{{ command }}</code></pre></section>
"""


def render_page(runs: Sequence[Run], day: str, command: str, machine: str) -> str:
    """Return the page."""
    broken = [f"seed {run.seed}: {sentence}" for run in runs for sentence in run.broken]
    return render_frame(
        "Chaos: what was promised and kept", MACROS + BODY, found=totals(runs), faults=by_fault(runs),
        broken=broken, says={name: fault.says for name, fault in FAULTS.items()},
        charts=[_chart(run) for run in runs[:MOST_CHARTS]], day=day, date=long_date(day), command=command,
        machine=machine, measured=measured, chart_style=Markup(STYLE),
    )  # fmt: skip


def _chart(run: Run) -> Chart:
    count = math.ceil((run.ended - run.began) / SLICE)
    right: Counter[int] = Counter()
    wrong: Counter[int] = Counter()
    for event in run.events:
        (right if event.kind in GOOD else wrong)[int((event.ended - run.began) / SLICE)] += 1
    curves = [
        Curve("right", [(number * SLICE, float(right[number])) for number in range(count)], 0),
        Curve("failed", [(number * SLICE, float(wrong[number])) for number in range(count)], 1),
    ]
    spans = [(span.began - run.began, span.healed - run.began) for span in run.spans]
    said = ", ".join(span.fault for span in run.spans)
    title = f"Seed {run.seed}: {said}"
    return draw(f"seed-{run.seed}", title, curves, lambda x: f"{x:g} s", lambda y: f"{y:g}", spans=spans)


def as_dict(runs: Sequence[Run], header: Mapping[str, Any]) -> dict[str, Any]:
    """Return everything as JSON; times are seconds from the begin of each run."""
    return {
        **header,
        "totals": totals(runs),
        "faults": [vars(each) for each in by_fault(runs)],
        "runs": [
            {
                "seed": run.seed, "seconds": run.ended - run.began, "back": run.back, "broken": run.broken,
                "spans": [
                    {"fault": span.fault, "began": span.began - run.began, "healed": span.healed - run.began}
                    for span in run.spans
                ],
            }
            for run in runs
        ],
    }  # fmt: skip
