"""The page of a run, or of several: one file, without a script or an outside asset."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

from markupsafe import Markup

from ...bench.chart import MACROS, STYLE, Chart, Curve, draw
from ...bench.frame import render_frame
from ...demo.report.figures import long_date, measured, percent
from .reading import Run
from .text import COLUMNS, differences

PERCENTILES = {"p50_ms": "p50", "p95_ms": "p95", "p99_ms": "p99"}
SEEN = {
    "machine_cpu": ("CPU of the machine, share of all cores", 100.0, "%"),
    "server_cpu": ("CPU of the server's processes, cores", 1.0, ""),
    "server_rss_mb": ("Resident memory of the server, MiB", 1.0, ""),
    "server_files": ("Open files of the server", 1.0, ""),
    "pool_in_use": ("Connections leased from the pools", 1.0, ""),
    "pool_waiting": ("Requests waiting for a connection", 1.0, ""),
    "connections": ("Connections at the database", 1.0, ""),
    "connections_active": ("Connections at work in the database", 1.0, ""),
}
BODY = """\
<style>{{ chart_style }}</style>
<header>
<p class="date">Measured on <time datetime="{{ runs[0].date }}">{{ date }}</time></p>
<h1>{{ runs[0].label if runs|length == 1 else "%d runs side by side"|format(runs|length) }}</h1>
<p class="lead">{% for run in runs %}{{ run.label }}: {{ run.people }}, think {{ run.think }},
{{ run.seconds|round|int }} seconds,
{{ "no request failed" if not run.totals.failed else run.totals.failed ~ " requests failed" }}. {% endfor %}</p>
{% for line in warnings %}<p><b>Read with care:</b> {{ line }}.</p>{% endfor %}
{% if runs|length > 1 %}
<p class="legend">{% for run in runs %}<span>{{ key(loop.index0 % 8) }}{{ run.label }}</span> {% endfor %}</p>
{% endif %}
</header>
{% for title, text, charts in groups if charts %}
<section aria-labelledby="part-{{ loop.index }}">
<h2 id="part-{{ loop.index }}">{{ title }}</h2>
<p>{{ text }}</p>
<div class="panels">
{% for drawn in charts %}{{ chart(drawn) }}{% endfor %}
</div>
</section>
{% endfor %}
<section aria-labelledby="numbers">
<h2 id="numbers">Numbers</h2>
<p>Milliseconds, from the moment a request was meant to start. A dash stands where there are too few answers for
the percentile.</p>
{% for run in runs %}
<h3 id="run-{{ loop.index }}">{{ run.label }}</h3>
<div class="scroll" role="region" aria-labelledby="run-{{ loop.index }}" tabindex="0">
<table aria-labelledby="run-{{ loop.index }}">
<thead><tr><th scope="col" class="text">Step</th><th scope="col">requests/s</th>
{% for head in columns.values() %}<th scope="col">{{ head }}</th>{% endfor %}
<th scope="col">failed</th></tr></thead>
<tbody>
{% for name, part in rows(run) %}
<tr><th scope="row">{{ name }}</th><td>{{ measured(part["rps"]) }}</td>
{% for column in columns %}<td>{{ measured(part[column]) }}</td>{% endfor %}
<td>{{ percent(part.error_share) }}</td></tr>
{% endfor %}
</tbody>
</table>
</div>
{% for kind, count in run.totals.error_kinds.items() %}<p>Failed: {{ count }} times {{ kind }}.</p>{% endfor %}
{% if run.budgets %}<ul class="reading">
{% for text, reached, holds in run.budgets %}
<li><b>{{ "Holds" if holds else "Broken" }}:</b> {{ text }}: {{ reached }}</li>
{% endfor %}</ul>{% endif %}
{% endfor %}
</section>
{% if hidden %}<section aria-labelledby="hidden"><h2 id="hidden">Not seen</h2>
<p>Without figures, and so without a plot: {{ hidden|join(", ") }}. Pools need the ops token (HARDEN_OPS_TOKEN),
connections --dsn, the rest a server on the same machine.</p></section>{% endif %}
<section aria-labelledby="experiment">
<h2 id="experiment">The experiment</h2>
<p>Each person does a task, thinks, and does the next one; an open model has arrivals at a rate, whatever the
server does. The clock starts when a request was meant to start, so a slow answer cannot hide those that it kept
waiting. The load generator is Locust; latencies are kept in HDR histograms.</p>
{% for run in runs %}
<h3>{{ run.label }}</h3>
<pre><code>{{ run.command }}</code></pre>
<dl class="facts">
{% for name, value in facts(run) %}<div><dt>{{ name }}</dt><dd>{{ value }}</dd></div>
{% endfor %}
</dl>
{% endfor %}
</section>
"""


def render_page(runs: Sequence[Run]) -> str:
    """Return the page."""
    shown, hidden = _seen(runs)
    warnings = [*differences(runs)] if len(runs) > 1 else []
    warnings += [f"{run.label}: {line}" if len(runs) > 1 else line for run in runs for line in run.warnings]
    title = runs[0].label if len(runs) == 1 else f"{len(runs)} runs side by side"
    return render_frame(
        title, MACROS + BODY, runs=runs, date=long_date(runs[0].date), warnings=warnings, hidden=hidden,
        groups=_groups(runs, shown), columns=COLUMNS, rows=_rows, measured=measured, percent=percent, facts=_facts,
        chart_style=Markup(STYLE),
    )  # fmt: skip


def _groups(runs: Sequence[Run], shown: list[Chart]) -> list[tuple[str, str, list[Chart]]]:
    return [
        ("Latency over time", "Each second's percentiles; ramp and warm-up are shaded. The axis is logarithmic.",
         _over_time(runs)),
        ("Percentiles", "How long the slowest requests took, by nines. Lower is better.", _curves(runs)),
        ("Throughput", "Right answers, and failed requests, in each second.", _rates(runs)),
        ("What the server used", "The highest of these is what limits it.", shown),
    ]  # fmt: skip


def _over_time(runs: Sequence[Run]) -> list[Chart]:
    reach = [
        value
        for run in runs
        for second in run.timeline
        for key in PERCENTILES
        if (value := second.get(key)) is not None
    ]
    charts = []
    for number, run in enumerate(runs):
        curves = [Curve(name, _series(run, key), style) for style, (key, name) in enumerate(PERCENTILES.items())]
        title = "p50, p95 and p99" if len(runs) == 1 else run.label
        begin = run.ramp + run.warmup
        charts.append(draw(f"time-{number}", title, curves, _seconds, _milliseconds, is_log_y=True, reach=reach,
                           spans=[(0.0, begin)] if begin else ()))  # fmt: skip
    return charts


def _curves(runs: Sequence[Run]) -> list[Chart]:
    """Plot milliseconds over 1 / (1 - percentile), on logarithmic axes: 10 is p90, 100 is p99."""
    curves = []
    for number, run in enumerate(runs):
        points = [(100 / (100 - each), value) for each, value in run.totals.curve if each < 100]
        if points:
            curves.append(Curve(_word(runs, number), points, number))
    if not curves:
        return []
    return [draw("curve", "All requests", curves, _nines, _milliseconds, is_log_x=True, is_log_y=True)]


def _rates(runs: Sequence[Run]) -> list[Chart]:
    charts = [_lines(runs, "rps", "Answers per second", 1.0, lambda value: f"{value:g}")]
    if any(run.totals.failed for run in runs):
        charts.append(_lines(runs, "failed", "Failed per second", 1.0, lambda value: f"{value:g}"))
    return charts


def _seen(runs: Sequence[Run]) -> tuple[list[Chart], list[str]]:
    shown, hidden = [], []
    for key, (title, factor, unit) in SEEN.items():
        if any(second.get(key) is not None for run in runs for second in run.timeline):
            shown.append(_lines(runs, key, title, factor, _with_unit(unit)))
        else:
            hidden.append(title[0].lower() + title[1:])
    return shown, hidden


def _with_unit(unit: str) -> Callable[[float], str]:
    return lambda value: f"{value:g}{unit}"


def _lines(runs: Sequence[Run], key: str, title: str, factor: float, write: Callable[[float], str]) -> Chart:
    curves = [
        Curve(_word(runs, number), _series(run, key, factor), number) for number, run in enumerate(runs)
    ]
    return draw(key.replace("_", "-"), title, curves, _seconds, write)


def _series(run: Run, key: str, factor: float = 1.0) -> list[tuple[float, float | None]]:
    found = ((second["t"] or 0.0, second.get(key)) for second in run.timeline)
    return [(t, None if value is None else value * factor) for t, value in found]


def _word(runs: Sequence[Run], number: int) -> str:
    return "" if len(runs) == 1 else runs[number].label.partition(",")[0][:9]


def _seconds(value: float) -> str:
    return f"{value:g} s"


def _milliseconds(value: float) -> str:
    return f"{value / 1000:g} s" if value >= 1000 else f"{value:g} ms"


def _nines(value: float) -> str:
    return f"p{100 - 100 / value:.6g}" if value > 1 else "p0"


def _rows(run: Run) -> list[tuple[str, Any]]:
    return [*run.steps.items(), ("all", run.totals)]


def _facts(run: Run) -> list[tuple[str, str]]:
    lag = run.generator_lag_ms
    return [
        ("target", run.target), ("scenario", run.scenario), ("model", run.model),
        ("ramp and warm-up", f"{run.ramp:g} s, {run.warmup:g} s"),
        ("generator", f"{run.generator_cpu:.0%} of a core, timers {measured(lag)} ms late (p95)"),
        *((name.replace("_", " "), str(value)) for name, value in run.machine.items() if value is not None),
    ]  # fmt: skip
