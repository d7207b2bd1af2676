"""What stands on the screen: a head with the gauges, one view, and the keys; or all of it as plain text."""

from __future__ import annotations

import time
from typing import Any

from rich.console import Console, ConsoleOptions, Group, RenderableType
from rich.segment import Segment, Segments
from rich.text import Text

from .figures import complaints, count, number, part, per_second, seconds, series, size, spark, text
from .views import VIEWS

KEYS = "q quit   1-5 views   left/right next view   up/down PgUp/PgDn Home/End scroll   p pause"
WIDE_BAR = 20
LOW = 16  # lines of a screen on which those of the head are cut rather than wrapped


def head(data: dict[str, Any], url: str, *, is_unicode: bool, note: str = "") -> list[Text]:
    """Return the lines above every view."""
    service, wrong = part(data, "service"), complaints(data)
    first = Text.assemble(
        ("harden top", "bold"), f"  {url}  {_time_of(data)}  {count(service.get('workers'))} workers  ",
        ("unhealthy", "bold red") if wrong else ("ok", "green"),
    )  # fmt: skip
    lines = [first, _traffic(data, service, is_unicode=is_unicode), _connections(service)]
    lines += [Text(f"! {line}", style="red") for line in wrong[:3]]
    if len(wrong) > 3:
        lines.append(Text(f"! and {len(wrong) - 3} more", style="red"))
    if note:
        lines.append(Text(note, style="yellow"))
    return lines


def _time_of(data: dict[str, Any]) -> str:
    now = min(number(data.get("now")), 1e11)  # what lies beyond has no name
    return time.strftime("%H:%M:%S", time.localtime(now))


def _traffic(data: dict[str, Any], service: dict[str, Any], *, is_unicode: bool) -> Text:
    errors = per_second(data, "errors")
    line = Text.assemble(
        f"requests {per_second(data, 'requests'):.1f}/s  ",
        (f"errors {errors:.1f}/s", "red" if errors else ""),
        f" ({count(service.get('errors'))} of {count(service.get('requests'))})  ",
        f"p50 {seconds(service.get('p50'))}  p95 {seconds(service.get('p95'))}  ",
        f"in flight {count(service.get('in_flight'))}  queries {per_second(data, 'queries'):.1f}/s  ",
        f"slow {count(service.get('slow'))}  N+1 {count(service.get('repeats'))}",
    )
    if is_unicode:
        line.append(f"  {spark(series(data, 'requests')[:-1], 24)}", "cyan")
    return line


def _connections(service: dict[str, Any]) -> Text:
    used, most, waiting = (number(service.get(name)) for name in ("used", "maxconn", "waiting"))
    share = min(1.0, used / most) if most else 0.0
    style = "red" if waiting else "yellow" if share > 0.8 else "green"
    filled = round(WIDE_BAR * share)
    return Text.assemble(
        "connections [", ("#" * filled, style), "." * (WIDE_BAR - filled), f"] {used:.0f} used, ",
        f"{count(service.get('idle'))} idle of {most:.0f}, ", (f"{waiting:.0f} waiting", "red" if waiting else ""),
        f"  memory {size(service.get('rss_bytes'))}  cpu {seconds(service.get('cpu_seconds'))}  ",
        f"threads {count(service.get('threads'))}",
    )  # fmt: skip


def plain(console: Console, data: dict[str, Any], url: str, most: int = 10) -> str:
    """Return every view as text, with so many rows of each table at most."""
    note = text(data.get("note"))
    with console.capture() as captured:
        for line in head(data, url, is_unicode=console.encoding.startswith("utf"), note=note):
            console.print(line, soft_wrap=True)
        for view in VIEWS.values():
            for block in view(data):
                console.print()
                console.print(block.table(console.width, most))
    return "\n".join(line.rstrip() for line in captured.get().splitlines())


class Screen:
    """One view of the latest data, and how far down it is scrolled.

    Attributes:
        view: the number of the view, from 0.
        offset: the first line that is shown.
    """

    def __init__(self, url: str) -> None:
        self._url = url
        self._room = self._length = 0
        self._drawn: tuple[tuple[dict[str, Any], int, int], list[list[Segment]]] | None = None
        self.view = self.offset = 0

    def show(self, view: int) -> None:
        """Change to another view, at its beginning."""
        self.view, self.offset = view % len(VIEWS), 0

    def scroll(self, lines: int) -> None:
        """Move down by so many lines, up when negative; not beyond either end."""
        self.offset = max(0, min(self.offset + lines, self._length - self._room))

    @property
    def page(self) -> int:
        """How many lines a page has."""
        return max(1, self._room - 1)

    def render(self, console: Console, data: dict[str, Any], note: str) -> RenderableType:
        """Return what fills the console as it is now."""
        options: ConsoleOptions = console.options.update(height=None)
        top = Group(*head(data, self._url, is_unicode=console.encoding.startswith("utf"), note=note), self._tabs())
        is_low = console.size.height < LOW
        above = console.render_lines(top, options.update(no_wrap=is_low, overflow="ellipsis"))
        lines = self._body(console, options, data)
        height = max(2, console.size.height)
        above = above[: height - 1]
        self._room, self._length = max(0, height - len(above) - 1), len(lines)
        self.scroll(0)
        shown = lines[self.offset : self.offset + self._room]
        shown += [[Segment(" ")]] * (self._room - len(shown))
        last = console.render_lines(Text(self._footer(), style="dim"), options.update(no_wrap=True))[:1]
        return _joined([*above, *shown, *last])

    def _body(self, console: Console, options: ConsoleOptions, data: dict[str, Any]) -> list[list[Segment]]:
        """Return all lines of the view; scrolling alone draws none of them anew."""
        key = data, self.view, console.width
        if self._drawn is None or self._drawn[0][0] is not data or self._drawn[0][1:] != key[1:]:
            body: list[RenderableType] = []
            for block in list(VIEWS.values())[self.view](data):
                body += [Text(""), block.table(console.width)]
            self._drawn = key, console.render_lines(Group(*body), options)
        return self._drawn[1]

    def _tabs(self) -> Text:
        tabs = Text()
        for number_, name in enumerate(VIEWS):
            tabs.append(f" {number_ + 1} {name} ", "reverse" if number_ == self.view else "dim")
        return tabs

    def _footer(self) -> str:
        below = self._length - self.offset - self._room
        return f"{below} lines below   {KEYS}" if below > 0 else KEYS


def _joined(lines: list[list[Segment]]) -> Segments:
    joined: list[Segment] = []
    for number_, line in enumerate(lines):
        if number_:
            joined.append(Segment.line())
        joined += line
    return Segments(joined)
