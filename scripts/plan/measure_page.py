"""The page of `harden plan --html`: users against latency and throughput, with the measured points on it."""

from __future__ import annotations

from collections.abc import Sequence

from ..bench.chart import MACROS, STYLE, Chart, Curve, draw
from ..bench.frame import render_frame
from ..capacity.advise import next_bottleneck
from ..capacity.calibrated import Calibrated
from ..capacity.outcome import Outcome
from ..capacity.predict import predict
from ..capacity.system import System
from .measure_check import Point

STEPS = 10  # predictions of the curve
BEYOND = 1.15  # times the users of saturation
BODY = MACROS + """\
<style>{{ chart_style }}</style>
<h1>How many users it carries</h1>
<p>Predicted for {{ system }}. It saturates at about {{ "{:,.0f}".format(most) }} users, first: {{ station }}.
{% if is_checked %}Dots are measurements at numbers of users that the calibration did not use.{% endif %}</p>
{% for each in charts %}
{{ chart(each) }}
{% endfor %}
<h2>Where this comes from</h2>
<ul>
{% for line in said %}
<li>{{ line }}</li>
{% endfor %}
</ul>
"""


def page(calibrated: Calibrated, system: System, points: Sequence[Point], said: Sequence[str]) -> str:
    """Return the page."""
    station, most = next_bottleneck(calibrated, system)
    counts = sorted({max(round(most * BEYOND * step / STEPS), 1) for step in range(1, STEPS + 1)})
    seen = [predict(calibrated, system, users) for users in counts]
    return render_frame(
        "How many users it carries", BODY, system=str(system), station=station, most=most, said=said,
        is_checked=bool(points), charts=[latency(seen, points), throughput(seen, points)], chart_style=STYLE,
    )  # fmt: skip


def latency(seen: Sequence[Outcome], points: Sequence[Point]) -> Chart:
    """Return users against p50, p95 and p99, in ms."""
    curves = []
    for style, percent in enumerate((50, 95, 99)):
        curves.append(Curve(f"p{percent}", [(each.users, _ms(each.percentile(percent))) for each in seen], style))
        if points:
            dots = [(point.users, _ms(point.percentile(percent))) for point in points]
            curves.append(Curve("", dots, style, is_dots=True))
    return draw("latency", "Latency in ms, by users", curves, _count, _count, is_log_y=True)


def throughput(seen: Sequence[Outcome], points: Sequence[Point]) -> Chart:
    """Return users against answers per second."""
    curves = [Curve("predicted", [(each.users, each.throughput) for each in seen])]
    if points:
        curves.append(Curve("", [(point.users, point.rps) for point in points], 1, is_dots=True))
    return draw("throughput", "Answers per second, by users", curves, _count, _count)


def _ms(seconds: float | None) -> float | None:
    return None if seconds is None else seconds * 1000


def _count(value: float) -> str:
    return f"{value:,.0f}" if value >= 1 else f"{value:g}"
