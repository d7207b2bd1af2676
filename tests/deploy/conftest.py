"""Fixtures of the tests of what is rendered."""

from __future__ import annotations

import shutil
from collections.abc import Iterator

import pytest

from scripts.stack import Stack

from .front_running import Place


@pytest.fixture
def place(stack: Stack) -> Iterator[Place]:
    """Where a front is written for one test."""
    path = stack.run.path / "front"
    yield Place(path)
    shutil.rmtree(path)
