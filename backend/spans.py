"""What can be put around code: one object that is a decorator and a context manager, with and without parentheses.

    @timeit                     @timeit("name")                 with timer("name") as span:
    def profile(): ...          def profile(): ...                  ...

Kinds of spans (time, memory) say what happens at the start and the end of one. A generator's span runs only while
the generator does, not while its consumer works; an `async def`'s from the first step to the last. Knows no table.
If this is wrong, a decorated function behaves in another way than it did before.
"""

from __future__ import annotations

import functools
import inspect
import sys
from collections.abc import Callable, Generator
from threading import get_ident
from types import FrameType
from typing import Any, Protocol, TypeVar


class Span(Protocol):
    """One run of what is measured."""

    def begin(self) -> None:
        """Start, or go on after a pause."""

    def pause(self) -> None:
        """Stop counting until `begin`."""

    def end(self) -> None:
        """Note what was measured."""


Kind = TypeVar("Kind", bound="Around")


class Around:
    """Measures what it is put around; each kind says how in `new_span`.

    It can be entered many times, within itself and in several threads at once.

    Args:
        name: what the spans are called; None takes the function's name, or the line of the `with`.
    """

    def __init__(self, name: str | None = None) -> None:
        self.name = name
        # By thread, the innermost last; a thread touches no entry but its own.
        self._open: dict[int, list[Any]] = {}

    def new_span(self, name: str) -> Any:
        """Return a span that has not begun."""
        raise NotImplementedError

    def named(self: Kind, name: str | None, **options: Any) -> Kind:
        """Return another one of this kind."""
        return type(self)(name, **options)

    def __call__(self, what: Any = None, **options: Any) -> Any:
        """Decorate a function; or return one of this kind with a name.

        Args:
            what: the function, or the name.
            **options: of the kind.

        Raises:
            TypeError: it is neither; or a class, or an asynchronous generator, which cannot be measured like that.
        """
        if what is None or isinstance(what, str):
            return self.named(what or self.name, **options)
        if isinstance(what, (staticmethod, classmethod)):
            return type(what)(self(what.__func__))
        if isinstance(what, type) or not callable(what) or inspect.isasyncgenfunction(what):
            raise TypeError(f"{what!r} cannot be timed; put this on a function, or give a name: timer('name')")
        return self._around(what)

    def _around(self, function: Callable[..., Any]) -> Any:
        name, new_span = self.name or _name_of(function), self.new_span
        if inspect.isgeneratorfunction(function):

            def generate(*args: Any, **kwargs: Any) -> Any:
                return (yield from _Steps(function(*args, **kwargs), new_span(name)))

            return functools.wraps(function)(generate)
        if inspect.iscoroutinefunction(function):

            async def wait(*args: Any, **kwargs: Any) -> Any:
                span = new_span(name)
                span.begin()
                try:
                    return await function(*args, **kwargs)
                finally:
                    span.end()

            return functools.wraps(function)(wait)

        def call(*args: Any, **kwargs: Any) -> Any:
            span = new_span(name)
            span.begin()
            try:
                return function(*args, **kwargs)
            finally:
                span.end()

        return functools.wraps(function)(call)

    def __enter__(self) -> Any:
        span = self.new_span(self.name or _line_of(sys._getframe(1)))
        self._open.setdefault(get_ident(), []).append(span)
        span.begin()
        return span

    def __exit__(self, *_: object) -> None:
        span = self._innermost()
        if span is not None:
            span.end()
            self.ended(span)

    def _innermost(self) -> Any:
        """Take out the span that this thread began last."""
        me = get_ident()
        if me not in self._open:  # begun in another thread, as the block of a generator may be
            me = next(iter([*self._open]), me)
        spans = self._open.get(me)
        if not spans:
            return None
        span = spans.pop()
        if not spans:
            self._open.pop(me, None)
        return span

    def ended(self, span: Any) -> None:
        """Hear of the end of a `with` block."""


def _name_of(function: Any) -> str:
    module, name = getattr(function, "__module__", None), getattr(function, "__qualname__", None)
    return f"{module}.{name}" if module and name else name or type(function).__name__


def _line_of(frame: FrameType) -> str:
    return f"{frame.f_globals.get('__name__', '?')}.{frame.f_code.co_name}:{frame.f_lineno}"


class _Steps(Generator[Any, Any, Any]):
    """A generator whose span runs while it does; `send`, `throw` and `close` reach it, and so does its return."""

    __slots__ = ("_span", "_steps")

    def __init__(self, steps: Generator[Any, Any, Any], span: Span) -> None:
        self._steps, self._span = steps, span

    def __next__(self) -> Any:
        return self._step(self._steps.__next__)

    def send(self, value: Any) -> Any:
        return self._step(self._steps.send, value)

    def throw(self, *error: Any) -> Any:
        return self._step(self._steps.throw, *error)

    def close(self) -> None:
        self._span.begin()
        try:
            self._steps.close()
        finally:
            self._span.end()

    def _step(self, step: Callable[..., Any], *args: Any) -> Any:
        self._span.begin()
        try:
            value = step(*args)
        except BaseException:
            self._span.end()
            raise
        self._span.pause()
        return value
