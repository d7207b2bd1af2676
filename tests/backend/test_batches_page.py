"""docs/batches.md names everything that it is about."""

from __future__ import annotations

import inspect
from pathlib import Path

import pytest

import backend
from backend import QueryStore

PAGE = (Path(__file__).resolve().parents[2] / "docs" / "batches.md").read_text(encoding="utf-8")
FUNCTIONS = [
    "batched", "cache_queries", "cached_cursor", "execute_many", "exists_by_ids", "fetch_by_ids", "fetch_grouped",
    "insert_many", "json_by_ids", "loading", "owned_by_ids", "query_cache", "uncached", "upsert_many",
]  # fmt: skip
CLASSES = ["CachingConnection", "Found", "Lazy", "Loader", "Ownership", "QueryStore", "Written"]
OBVIOUS = {"conn", "ids", "table", "sql", "rows", "owner", "app", "factory", "self", "key"}


@pytest.mark.parametrize("name", FUNCTIONS)
def test_every_function_and_parameter_is_on_the_page(name: str) -> None:
    assert f"`{name}" in PAGE or f"{name}(" in PAGE
    for parameter in set(inspect.signature(getattr(backend, name)).parameters) - OBVIOUS:
        assert f"`{parameter}" in PAGE or f"{parameter}=" in PAGE, parameter


@pytest.mark.parametrize("name", CLASSES)
def test_every_class_is_on_the_page(name: str) -> None:
    assert f"`{name}" in PAGE or f"={name}" in PAGE


def test_every_method_and_attribute_that_an_app_uses_is_on_the_page() -> None:
    methods = [name for name in vars(backend.Loader) if not name.startswith("_")]
    for name in [*methods, "get", "missing", "by_id", "rows", "rowcount", "hits", "misses", "writes"]:
        assert f"{name}(" in PAGE or f".{name}`" in PAGE or f"cache.{name}" in PAGE, name
    assert {"hits", "misses", "writes"} < set(vars(QueryStore(1, 1, frozenset())))
