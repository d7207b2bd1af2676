"""The ops page in a real headless Chromium: each part, by mouse and by keys, large and small, light and dark."""

from __future__ import annotations

import json
import threading
import time
from collections.abc import Callable, Iterator
from functools import lru_cache
from socketserver import ThreadingMixIn
from typing import Any
from wsgiref.simple_server import WSGIRequestHandler, WSGIServer, make_server

import pytest

from backend.ops import OpsPage
from scripts.stack import binaries

playwright = pytest.importorskip(
    "playwright.sync_api", reason="playwright is not installed (pip install playwright)"
)
CHROMIUM = binaries.chromium()
pytestmark = pytest.mark.skipif(CHROMIUM is None, reason="chromium is not installed (apt-get install chromium)")
PARTS = ("overview", "queries", "repeats", "slow", "requests", "workers", "pools", "pgbouncer")
EVIL = "<img src=x onerror=alert(1)><script>alert(2)</script>"
TOKEN = "the token of the test"
DESKTOP, PHONE = {"width": 1280, "height": 900}, {"width": 360, "height": 740}


def rows_of(entries: int, now: float) -> dict[str, Any]:
    """Return so many rows of each kind; the second of each has markup in all of its texts."""

    def named(text: str, number: int) -> str:
        return EVIL if number == 1 else f"{text}{number}"

    queries = [
        {
            "id": f"q{number}", "text": named("SELECT * FROM table_", number),
            "summary": named("SELECT table_", number),
            "kind": "SELECT", "site": f"{named('shop/view_', number)}.py:{number} in view", "count": number,
            "seconds": (entries - number) / 10, "mean": 0.01, "slowest": number / 1000, "rows": 1, "errors": 0,
            "requests": 1, "most_per_request": number % 61, "route": named("/route/", number),
        }
        for number in range(entries)
    ]  # fmt: skip
    incidents = [
        {
            "id": f"i{number}", "route": named("/route/", number), "times": 2, "first": now - 60,
            "last": now - number, "count": 60, "seconds": 0.03, "total_seconds": (entries - number) / 10,
            "share": 0.7, "request_id": "x",
            "lines": [
                {"site": named("a.py:", number), "text": named("SELECT ", number), "count": 60, "seconds": 0.1},
            ],
            "stack": [named("a.py:", number)], "advice": named("do it at once ", number),
            "rewrite": named("fetch_by_ids(conn, 'users', ids)  # ", number),
        }
        for number in range(entries)
    ]  # fmt: skip
    slow = [
        {
            "id": f"s{number}", "text": named("SELECT slow_", number), "summary": named("SELECT slow_", number),
            "site": named("b.py:", number), "route": named("/route/", number), "times": 1, "timeouts": 0,
            "slowest": (entries - number) / 10, "seconds": 1.0, "first": now, "last": now, "rows": -1,
            "plan": named("Seq Scan on orders_", number) if number % 2 else "", "plan_when": now,
        }
        for number in range(entries)
    ]  # fmt: skip
    routes = [
        {
            "method": "GET", "route": named("/route/", number), "count": 3, "errors": number % 2, "seconds": 1.0,
            "mean": 0.3, "p50": 0.2, "p95": 0.9, "slowest": 1.0, "queries": 9, "query_seconds": 0.1,
            "queries_per_request": 3.0,
        }
        for number in range(entries)
    ]  # fmt: skip
    return {"queries": queries, "incidents": incidents, "slow": slow, "routes": routes}


def data_of(entries: int) -> dict[str, Any]:
    """Return what /ops/data.json says with so many entries of each kind."""
    now, has = time.time(), int(entries > 0)
    gauges = {"in_flight": has, "oldest_request": 0.2 * has, "rss_bytes": 5e7, "threads": 9, "open_files": 30}
    connections = {"used": 8 * has, "idle": 0, "maxconn": 8 * has, "waiting": 2 * has}
    holder = {
        "thread": "gthread-1",
        "seconds": 2.5,
        "state": "running a query",
        "taken_at": EVIL,
        "now_at": "a.py:1",
    }
    pool = {
        "worker": "7-a", "pid": 7, "number": 0, "name": "DATABASE_URL", **connections, "longest_lease": 2.5,
        "timeouts": 1, "wait_time": 3.0, "holders": [holder],
        "waiters": [{"thread": "t", "seconds": 1.0, "now_at": "b"}],
    }  # fmt: skip
    worker = {
        "worker": "7-a", "pid": 7, "when": now, "started": now - 99, "uptime": 99.0, "requests": 12 * has,
        "errors": has, "cpu_seconds": time.process_time(), "health": EVIL if has else "ok", "is_stale": False,
        **gauges, **connections,
    }  # fmt: skip
    series = {name: [has] * 60 for name in ("requests", "errors", "queries", "seconds", "slow", "repeats", "p95")}
    service = {
        "workers": 1, "requests": 12 * has, "errors": has, "queries": 50 * has, "query_seconds": 1.0,
        "seconds": 2.0,
        "p50": 0.01 * has, "p95": 0.04 * has, "cpu_seconds": 1.0, "repeats": 3, "slow": 2, **gauges, **connections,
    }  # fmt: skip
    return {
        "version": 1, "now": now, "scope": "service" if has else "worker",
        "note": "" if has else "Only one worker.",
        "service": service, "series": {"step": 5, "until": int(now), **series}, "workers": [worker],
        "ended_workers": has, "pools": [pool] * has,
        "pgbouncer": {"pools": [{"database": EVIL, "user": "app", "cl_active": 3}]} if has else None,
        **rows_of(entries, now),
    }  # fmt: skip


@lru_cache(maxsize=4)
def encoded(entries: int) -> bytes:
    """Return the data as JSON; the figures of a test stand still."""
    return json.dumps(data_of(entries)).encode()


class _Server(ThreadingMixIn, WSGIServer):
    daemon_threads = True


class _Quiet(WSGIRequestHandler):
    def log_message(self, *_: Any) -> None:
        pass


class Service:
    """The page with made-up data, on a port of its own.

    Attributes:
        entries: how many rows of each kind there are.
        proxied: adds the header of a proxy, so that nobody is on this machine.
        is_up: False has it answer 503.
    """

    def __init__(self) -> None:
        self.entries, self.proxied, self.is_up = 0, False, True
        self.polls = 0
        self._page = OpsPage(self._data, TOKEN)
        self._server = make_server("127.0.0.1", 0, self._app, _Server, _Quiet)
        threading.Thread(target=self._server.serve_forever, daemon=True).start()
        self.url = f"http://127.0.0.1:{self._server.server_port}/ops/"

    def stop(self) -> None:
        """Stop answering."""
        self._server.shutdown()
        self._server.server_close()

    def _data(self) -> bytes:
        self.polls += 1
        return encoded(self.entries)

    def _app(self, environ: dict[str, Any], start_response: Callable[..., Any]) -> Any:
        if not self.is_up:
            start_response("503 Service Unavailable", [("Content-Length", "0")])
            return []
        if self.proxied:
            environ["HTTP_X_FORWARDED_FOR"] = "203.0.113.9"
        return self._page(environ, start_response)


@pytest.fixture(scope="module")
def chromium() -> Iterator[Any]:
    """One browser for all tests of this file."""
    with playwright.sync_playwright() as running:
        browser = running.chromium.launch(
            executable_path=CHROMIUM, args=["--no-sandbox", "--disable-dev-shm-usage"]
        )
        yield browser
        browser.close()


@pytest.fixture
def service() -> Iterator[Service]:
    """The page's server."""
    running = Service()
    yield running
    running.stop()


@pytest.fixture
def open_page(chromium: Any, service: Service) -> Iterator[Callable[..., Any]]:
    """A function that opens the page; whatever the browser has to complain about fails the test.

    An answer with 401 or 503 is noted on the console, and no complaint where a test is about it. A text has no
    icon, so the browser looks for the site's.
    """
    contexts: list[Any] = []
    complaints: list[str] = []

    def told(message: Any) -> None:
        is_expected = "401" in message.text or "503" in message.text or "favicon" in str(message.location)
        if message.type in ("error", "warning") and not is_expected:
            complaints.append(message.text)

    def requested(request: Any) -> None:
        if not request.url.startswith(service.url):
            complaints.append(f"asked for {request.url}")

    def start(entries: int = 3, size: dict[str, int] = DESKTOP, scheme: str = "light", **more: Any) -> Any:
        service.entries = entries
        context = chromium.new_context(viewport=size, color_scheme=scheme, **more)
        context.set_default_timeout(30_000)
        contexts.append(context)
        page = context.new_page()
        page.on("console", told)
        page.on("pageerror", lambda error: complaints.append(str(error)))
        page.on("request", requested)
        page.on("dialog", lambda dialog: complaints.append(f"alert: {dialog.message}"))
        page.goto(service.url)
        if not service.proxied and more.get("java_script_enabled", True):
            page.wait_for_selector(".state.live")
        return page

    yield start
    for context in contexts:
        context.close()
    assert complaints == []


def overflow(page: Any) -> int:
    """Return by how many pixels the page is wider than the window."""
    return int(page.evaluate("document.documentElement.scrollWidth - document.documentElement.clientWidth"))


SAYS = {
    "overview": "Nothing. All is well", "queries": "No queries so far", "repeats": "No N+1 so far",
    "slow": "No slow queries so far", "requests": "No requests so far", "workers": "7", "pools": "No pool so far",
    "pgbouncer": "PgBouncer is not asked",
}  # fmt: skip


@pytest.mark.parametrize(("size", "scheme"), [(DESKTOP, "light"), (PHONE, "dark")], ids=["desktop", "phone"])
def test_with_nothing_to_show_each_part_says_what_would_be_there(open_page: Any, size: Any, scheme: str) -> None:
    page = open_page(0, size, scheme)
    assert page.locator("#note").inner_text() == "Only one worker."
    for part in PARTS:
        page.click(f"#tab-{part}")
        assert SAYS[part] in page.locator(f"#part-{part}").inner_text(), part
        assert overflow(page) == 0, part


FIRST = {
    "overview": "2 callers wait", "queries": "table_0", "repeats": "60 queries in one request of /route/0",
    "slow": "SELECT slow_0", "requests": "/route/0", "workers": EVIL, "pools": "gthread-1", "pgbouncer": EVIL,
}  # fmt: skip


@pytest.mark.parametrize(("size", "scheme"), [(DESKTOP, "dark"), (PHONE, "light")], ids=["desktop", "phone"])
def test_with_ten_thousand_entries_each_part_is_there_at_once(open_page: Any, size: Any, scheme: str) -> None:
    page = open_page(10_000, size, scheme)
    for part in PARTS:
        page.click(f"#tab-{part}")
        assert FIRST[part] in page.locator(f"#part-{part}").inner_text(), part
        assert overflow(page) == 0, part
        assert page.locator(f"#part-{part} *").count() < 5000, part
    page.click("#tab-queries")
    assert "50 of 10,000" in page.locator("#part-queries").inner_text()
    page.get_by_role("button", name="Show 50 more").click()
    assert page.locator("#part-queries tbody tr").count() == 100
    page.fill("#filter-queries", "TABLE_77 ".strip())
    assert "50 of 111" in page.locator("#part-queries").inner_text()  # 77, 770 to 779 and 7700 to 7799
    took = page.evaluate(
        "() => { const start = performance.now(); document.querySelector('#filter-queries')"
        ".dispatchEvent(new Event('input')); return performance.now() - start; }"
    )
    assert took < 1000  # 15 ms where nobody takes the processor away


def test_markup_in_the_data_is_shown_as_text(open_page: Any) -> None:
    page = open_page(3)
    for part in PARTS:
        page.click(f"#tab-{part}")
        assert page.locator(f"#part-{part} img, #part-{part} script").count() == 0
    page.click("#tab-repeats")
    assert EVIL in page.locator("#part-repeats").inner_text()


def test_a_statement_stays_open_and_sorting_works_while_figures_change(open_page: Any, service: Service) -> None:
    page = open_page(3)
    page.click("#tab-queries")
    page.locator("#part-queries summary").first.click()
    assert "SELECT * FROM table_0" in page.locator("#part-queries pre").first.inner_text()
    page.get_by_role("group", name="Sort by").get_by_role("button", name="Slowest").click()
    assert "table_2" in page.locator("#part-queries tbody tr").first.inner_text()
    service.entries = 5
    playwright.expect(page.locator("#part-queries tbody tr")).to_have_count(5)
    assert "table_4" in page.locator("#part-queries tbody tr").first.inner_text()
    assert page.locator("#part-queries details[open]").count() == 1


def test_the_rewrite_can_be_copied(open_page: Any) -> None:
    page = open_page(3, permissions=["clipboard-read", "clipboard-write"])
    page.click("#tab-repeats")
    page.locator("#part-repeats").get_by_role("button", name="Copy").first.click()
    playwright.expect(page.locator("#said")).to_have_text("Copied.")
    assert page.evaluate("navigator.clipboard.readText()") == "fetch_by_ids(conn, 'users', ids)  # 0"


def test_everything_can_be_done_with_the_keyboard(open_page: Any) -> None:
    page = open_page(60)
    focused = "document.activeElement.textContent || document.activeElement.id"
    page.keyboard.press("Tab")
    assert page.evaluate(focused) == "Skip to the figures"
    page.keyboard.press("Enter")
    assert page.evaluate("document.activeElement.id") == "main"
    page.focus("#pause")
    page.keyboard.press("Tab")
    assert page.evaluate("document.activeElement.id") == "tab-overview"
    for part in PARTS[1:]:
        page.keyboard.press("ArrowRight")
        assert page.evaluate("document.activeElement.id") == f"tab-{part}"
        assert page.locator(f"#part-{part}").is_visible()
    page.keyboard.press("Home")
    page.keyboard.press("ArrowRight")
    page.keyboard.press("Tab")
    assert page.evaluate("document.activeElement.id") == "part-queries"
    page.keyboard.press("Tab")
    page.keyboard.type("table_5")
    assert "of 11" in page.locator("#part-queries").inner_text()
    page.keyboard.press("Tab")
    page.keyboard.press("Tab")
    page.keyboard.press("Space")
    assert page.evaluate("document.activeElement.getAttribute('aria-pressed')") == "true"
    for _ in range(5):
        page.keyboard.press("Tab")
    page.keyboard.press("Enter")
    assert page.locator("#part-queries details[open]").count() == 1


def test_each_control_has_a_name_and_each_table_its_caption_and_heads(open_page: Any) -> None:
    page = open_page(3)
    for part in PARTS:
        page.click(f"#tab-{part}")
        for table in page.locator(f"#part-{part} table:visible").all():
            assert table.locator("caption").inner_text()
            assert (
                table.locator("thead th[scope=col]").count()
                == table.locator("tbody tr").first.locator("th, td").count()
            )
            assert table.locator("tbody th[scope=row]").count() == table.locator("tbody tr").count()
        nameless = page.evaluate(
            "[...document.querySelectorAll('button, a, input')].filter(each => each.checkVisibility()"
            " && !(each.textContent.trim() || (each.labels && each.labels.length))).length"
        )
        assert nameless == 0, part
    assert page.locator("[id]").count() == page.evaluate(
        "new Set([...document.querySelectorAll('[id]')].map(e => e.id)).size"
    )
    assert page.locator("[role=tab][aria-selected=true]").count() == 1


CONTRAST = """() => {
  const parse = (text) => (text.match(/[\\d.]+/g) || []).map(Number);
  const light = (rgb) => rgb.slice(0, 3).map((v) => v / 255)
    .map((v) => (v <= 0.03928 ? v / 12.92 : ((v + 0.055) / 1.055) ** 2.4))
    .reduce((sum, v, at) => sum + v * [0.2126, 0.7152, 0.0722][at], 0);
  const ground = (element) => {
    for (let at = element; at; at = at.parentElement) {
      const color = parse(getComputedStyle(at).backgroundColor);
      if (color.length === 3 || color[3] > 0) return color;
    }
    return [255, 255, 255];
  };
  const poor = [];
  for (const element of document.querySelectorAll("body *")) {
    const own = [...element.childNodes].some((node) => node.nodeType === 3 && node.textContent.trim());
    if (!own || !element.checkVisibility() || element.closest(".unseen, .skip")) continue;
    const [a, b] = [light(parse(getComputedStyle(element).color)), light(ground(element))];
    const ratio = (Math.max(a, b) + 0.05) / (Math.min(a, b) + 0.05);
    if (ratio < 4.5) poor.push(`${element.className || element.tagName}: ${ratio.toFixed(2)}`);
  }
  return poor;
}"""


@pytest.mark.parametrize("scheme", ["light", "dark"])
def test_every_text_has_contrast(open_page: Any, scheme: str) -> None:
    page = open_page(3, DESKTOP, scheme)
    for part in PARTS:
        page.click(f"#tab-{part}")
        assert page.evaluate(CONTRAST) == [], part


def test_it_says_when_the_service_does_not_answer_and_when_it_does_again(open_page: Any, service: Service) -> None:
    page = open_page(3)
    service.is_up = False
    page.wait_for_selector("#alert:not([hidden])")
    assert "The figures below are old. Trying again." in page.locator("#alert").inner_text()
    assert "broken" in page.locator("#state").get_attribute("class")
    service.is_up = True
    page.wait_for_selector("#alert", state="hidden")
    page.wait_for_selector(".state.live")
    assert page.locator("#said").inner_text() == "The service answers again."


def test_pause_keeps_it_still(open_page: Any, service: Service) -> None:
    page = open_page(3)
    page.click("#pause")
    assert page.locator("#state").inner_text().startswith("Paused")
    time.sleep(0.3)  # what was on its way
    polls = service.polls
    time.sleep(2.5)
    assert service.polls == polls
    page.click("#pause")
    page.wait_for_selector(".state.live")
    assert service.polls > polls


def test_without_javascript_it_has_the_numbers_and_the_text(open_page: Any) -> None:
    page = open_page(3, PHONE, java_script_enabled=False)
    assert "8 of 8" in page.locator("body").inner_text()
    assert overflow_without_script(page)
    page.click("a[href='data.txt']")
    text = page.locator("body").inner_text()
    assert "60 queries in /route/0" in text
    assert EVIL in text
    assert page.locator("img").count() == 0


def overflow_without_script(page: Any) -> bool:
    """Tell whether the list of numbers fits: there is no script to ask for the page's width."""
    box = page.locator("dl").bounding_box()
    return bool(box["x"] >= 0 and box["x"] + box["width"] <= PHONE["width"])


@pytest.mark.parametrize("scheme", ["light", "dark"])
def test_a_browser_logs_in_and_out(open_page: Any, service: Service, scheme: str) -> None:
    service.proxied = True
    page = open_page(3, PHONE, scheme)
    assert page.evaluate("document.activeElement.id") == "token"
    assert page.evaluate(CONTRAST) == []
    page.keyboard.type("wrong")
    page.keyboard.press("Enter")
    page.wait_for_selector("text=That token is not the one.")
    page.fill("#token", TOKEN)
    page.keyboard.press("Enter")
    page.wait_for_selector(".state.live")
    (cookie,) = page.context.cookies()
    assert (cookie["httpOnly"], cookie["sameSite"], cookie["path"]) == (True, "Strict", "/ops")
    assert page.evaluate("document.cookie") == ""
    assert overflow(page) == 0
    page.get_by_role("button", name="Log out").click()
    page.wait_for_selector("#token")
    assert page.context.cookies() == []
