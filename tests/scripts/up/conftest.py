"""What the tests of `up` share: a state folder of their own for each test."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

from ..stack.running import short_state


@pytest.fixture
def state(monkeypatch: pytest.MonkeyPatch) -> Iterator[Path]:
    """HARDEN_STATE for this test, which must leave no run in it."""
    with short_state() as folder:
        monkeypatch.setenv("HARDEN_STATE", str(folder))
        yield folder
