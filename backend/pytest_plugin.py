"""The pytest plugin: a test fails when it sends too many queries, or one line's again and again.

    pytest_plugins = ["yourpkg.backend.pytest_plugin"]      # in the top conftest.py

Fixtures `assert_queries`, `no_repeats`, `query_counter`; markers `max_queries(4)`, `no_repeats`, `allow_repeats`;
`--fail-on-repeats` for a whole run, `--query-report` for a summary; `harden_install` in the ini file.
It is no entry point: it would load in every project of an environment that has the kit. Counted is the test
itself, not its fixtures' set-up. The one module that needs pytest; nothing else imports it. If this is wrong, an
N+1 passes the tests.
"""

from __future__ import annotations

from collections.abc import Callable, Generator, Iterator
from contextlib import suppress
from typing import Any

import pytest
from werkzeug.test import Client

from . import dropin, monitor, query_assertions, unpooled
from .close_log import CloseLog
from .errors import HardenError, MonitorError
from .events import Repeats
from .query_assertions import refuse_count, refuse_repeats
from .query_counter import PAIR, QueryCounter, switch_off, switch_on
from .repeats import place_of

SHOWN = 10
COUNT, MILLISECONDS, REPEATS = "queries", "query_ms", "query_repeats"  # properties of a test's report
MARKERS = (
    "max_queries(count): the test fails when it sends more queries",
    "no_repeats(limit=2): the test fails when a line runs a statement more often within one request",
    "allow_repeats(reason): --fail-on-repeats leaves the test alone",
)
FAULT = pytest.StashKey[HardenError]()
_client: Any = Client


def pytest_addoption(parser: pytest.Parser) -> None:
    """Add the options."""
    group = parser.getgroup("harden", "queries (hardening kit)")
    group.addoption(
        "--fail-on-repeats", action="store_true",
        help="fail each test in which a line runs one statement again and again (N+1)",
    )  # fmt: skip
    group.addoption(
        "--query-report", action="store_true", help="show the tests with most queries, and what repeats"
    )
    parser.addini(
        "harden_install", default="false",
        help="how plain psycopg2 is seen: `watch` (connections stay the app's own), `true` (pooled, "
        "as in production), `false` (the app uses the kit already)",
    )  # fmt: skip
    parser.addini("harden_repeat_limit", default=str(PAIR), help="runs of a line that are no repeats yet")


def pytest_configure(config: pytest.Config) -> None:
    """Have queries seen, as the ini file says, before the app is imported."""
    for marker in MARKERS:
        config.addinivalue_line("markers", marker)
    how = str(config.getini("harden_install")).strip().lower()
    if how not in ("true", "false", "watch"):
        raise pytest.UsageError(f"harden_install is {how!r}; it must be watch, true or false")
    if not str(config.getini("harden_repeat_limit")).strip().isdigit():
        raise pytest.UsageError("harden_repeat_limit must be a whole number, such as 2")
    plugin = _Run(config, how)
    config.pluginmanager.register(plugin, "harden-queries")
    plugin.begin()
    config.add_cleanup(plugin.end)


@pytest.fixture(name="assert_queries")
def _assert_queries() -> Callable[..., QueryCounter]:
    """`with assert_queries(max=4): ...` fails when the block sends more queries."""
    return query_assertions.assert_queries


@pytest.fixture(name="no_repeats")
def _no_repeats() -> Callable[..., QueryCounter]:
    """`with no_repeats(): ...` fails when a line runs one statement again and again."""
    return query_assertions.no_repeats


@pytest.fixture
def query_counter(request: pytest.FixtureRequest) -> Iterator[QueryCounter]:
    """A QueryCounter that counts from here to the end of the test: `query_counter.count`."""
    with QueryCounter(request.node.name) as counter:
        yield counter


class _TestCounter(QueryCounter):
    """Counts the queries of one test, and judges them by its markers and the run's options."""

    def __init__(self, item: pytest.Item, config: pytest.Config) -> None:
        __tracebackhide__ = True
        self.most, limit = _most_queries(item), item.get_closest_marker("no_repeats")
        self.found_fault = False
        self.is_marked = self.most is not None or limit is not None
        is_excused = _is_excused(item)
        self.is_strict = limit is not None or (config.getoption("--fail-on-repeats") and not is_excused)
        allowed = int(config.getini("harden_repeat_limit"))
        if limit is not None:
            given = [*limit.args, *limit.kwargs.values()] or [allowed]
            allowed = _whole(given, "no_repeats takes one number or none: @pytest.mark.no_repeats(limit=3)")
        super().__init__(item.name, limit=allowed)

    def _judge(self) -> None:
        __tracebackhide__ = True
        self.found_fault = True
        if self.is_marked:
            self.check_sight()
        if self.most is not None:
            refuse_count(self, 0, self.most)
        if self.is_strict:
            refuse_repeats(self)
        self.found_fault = False


def _most_queries(item: pytest.Item) -> int | None:
    __tracebackhide__ = True
    marker = item.get_closest_marker("max_queries")
    if marker is None:
        return None
    given = [*marker.args, *marker.kwargs.values()]
    return _whole(given, "max_queries takes one number: @pytest.mark.max_queries(4)")


def _whole(given: list[Any], advice: str) -> int:
    """Return a marker's only argument, a whole number of 0 or more."""
    __tracebackhide__ = True
    if len(given) != 1 or type(given[0]) is not int or given[0] < 0:
        raise pytest.UsageError(f"{advice}; it was given {', '.join(map(repr, given)) or 'none'}")
    return given[0]


def _is_excused(item: pytest.Item) -> bool:
    __tracebackhide__ = True
    marker = item.get_closest_marker("allow_repeats")
    if marker is None:
        return False
    if not any(isinstance(reason, str) and reason.strip() for reason in (*marker.args, *marker.kwargs.values())):
        raise pytest.UsageError('allow_repeats needs a reason: @pytest.mark.allow_repeats("three rows at most")')
    return True


class _Run:
    """One run of pytest; with pytest-xdist, one in each process, and the counts arrive with the tests' reports."""

    def __init__(self, config: pytest.Config, how: str) -> None:
        self._config, self._how = config, how
        self._counts_all = bool(config.getoption("--fail-on-repeats") or config.getoption("--query-report"))
        self._tests: list[tuple[int, float, str]] = []
        self._repeats: dict[str, int] = {}
        self._run_client = _client.run_wsgi_app

    def begin(self) -> None:
        switch_on()  # now: a cursor that a fixture makes before the first counted block is to be seen as well
        if self._how == "true":
            dropin.install(0)
        elif self._how == "watch":
            unpooled.watch_connects()
        _client.run_wsgi_app = _apart(self._run_client)

    def end(self) -> None:
        switch_off()
        _client.run_wsgi_app = self._run_client
        if self._how == "true":
            dropin.uninstall()
        with suppress(MonitorError):  # the app's own install() stands before it, and the process ends anyhow
            unpooled.unwatch_connects()

    @pytest.hookimpl(wrapper=True)
    def pytest_runtest_call(self, item: pytest.Item) -> Generator[None, Any, Any]:
        __tracebackhide__ = True
        counter = _TestCounter(item, self._config)
        if not (self._counts_all or counter.is_marked):
            return (yield)
        try:
            with counter:
                _count_in_context_of(item)
                return (yield)
        except HardenError as error:
            if counter.found_fault:  # not the test's own: where in the plugin it was raised says nothing
                item.stash[FAULT] = error
            raise
        finally:
            if self._counts_all:
                item.user_properties += [
                    (COUNT, counter.count), (MILLISECONDS, round(counter.seconds * 1000, 1)),
                    (REPEATS, "\n".join(map(_without_times, counter.repeats))),
                ]  # fmt: skip

    @pytest.hookimpl(wrapper=True)
    def pytest_runtest_makereport(
        self, item: pytest.Item, call: pytest.CallInfo[None]
    ) -> Generator[None, Any, Any]:
        report = yield
        if call.excinfo is not None and call.excinfo.value is item.stash.get(FAULT, None):
            report.longrepr = str(call.excinfo.value)
        return report

    @pytest.hookimpl(tryfirst=True)
    def pytest_runtest_teardown(self) -> None:
        drop_in = dropin.installed() if self._how == "true" else None
        if drop_in is not None:
            drop_in.close()  # before fixtures drop a database: an idle connection would keep it

    def pytest_runtest_logreport(self, report: pytest.TestReport) -> None:
        found: dict[str, Any] = dict(report.user_properties)
        if report.when == "call" and COUNT in found:
            self._tests.append((found[COUNT], found[MILLISECONDS], report.nodeid))
            for line in filter(None, found[REPEATS].split("\n")):
                self._repeats[line] = self._repeats.get(line, 0) + 1

    @pytest.hookimpl(tryfirst=True)
    def pytest_sessionfinish(self, session: pytest.Session) -> None:
        if self._saw_nothing() and session.exitstatus == pytest.ExitCode.OK:
            session.exitstatus = pytest.ExitCode.TESTS_FAILED

    def _saw_nothing(self) -> bool:
        """Tell whether --fail-on-repeats was asked for where no query of any test could be seen."""
        is_strict = self._config.getoption("--fail-on-repeats") and not hasattr(self._config, "workerinput")
        return bool(is_strict and self._tests and not any(count for count, _, _ in self._tests))

    def pytest_terminal_summary(self, terminalreporter: Any) -> None:
        if self._saw_nothing():
            terminalreporter.section("queries", red=True)
            terminalreporter.line(
                "--fail-on-repeats saw no query in the whole run; set `harden_install = watch` in the ini file, "
                "or call install() before the app connects"
            )
        elif self._config.getoption("--query-report"):
            terminalreporter.section("queries")
            for line in self._summary():
                terminalreporter.line(line)

    def _summary(self) -> Iterator[str]:
        tests = sorted(self._tests, key=lambda test: (-test[0], test[2]))
        yield f"{sum(count for count, _, _ in tests)} queries in {len(tests)} tests; most of them in:"
        for count, milliseconds, name in tests[:SHOWN]:
            yield f"{count:>7} queries {milliseconds:>9.1f} ms  {name}"
        if self._repeats:
            yield "Repeats:"
        for line, tests_with in sorted(self._repeats.items())[: 2 * SHOWN]:
            yield f"  {line} (in {tests_with} test{'s' * (tests_with != 1)})"


def _count_in_context_of(item: pytest.Item) -> None:
    """Have the queries of a `unittest.IsolatedAsyncioTestCase` counted: it took its context when it was made."""
    context = getattr(getattr(item, "instance", None), "_asyncioTestContext", None)  # since Python 3.11
    if context is not None:
        context.run(monitor.at_work.set, monitor.current())


def _without_times(found: Repeats) -> str:
    """Return a report such that it is the same in each test that has it."""
    lines = "; ".join(f"{place_of(line)}: {line.statement.text[:120]}" for line in found.lines)
    return f"{found.route or 'the test itself'}: {lines}"


def _apart(run: Any) -> Any:
    """Return werkzeug's way from a test client to the app, such that each request of a counted block is known."""

    def run_wsgi_app(self: Any, environ: dict[str, Any], *args: Any, **kwargs: Any) -> Any:
        around = monitor.current()
        if not isinstance(around, CloseLog):
            return run(self, environ, *args, **kwargs)
        method = environ.get("REQUEST_METHOD", "")
        watched = CloseLog("client", method, f"{method} {environ.get('PATH_INFO', '')}")
        monitor.begin(watched)
        try:
            return run(self, environ, *args, **kwargs)
        finally:
            monitor.at_work.set(around)
            watched.end()

    return run_wsgi_app
