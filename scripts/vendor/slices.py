"""Parts of the runtime that stand alone: what they export, and every module behind that.

The modules are found by following the imports in the syntax trees, lazy ones included, so that a slice cannot miss
one. `__init__.py` is cut down to what is there. Imports nothing of the runtime.
"""

from __future__ import annotations

import ast
from collections.abc import Iterable, Mapping
from functools import cache
from pathlib import Path

from ..errors import CommandError

RUNTIME = Path(__file__).resolve().parents[2] / "backend"
INIT = "__init__.py"
ALL = "all"
# A slice is the modules whose names people import; the rest follows.
SLICES: Mapping[str, tuple[str, ...]] = {
    "pool": ("database_pool", "database_helper", "pool_options", "errors"),
    "nested": ("nested", "nested_pages", "shorthand", "formats", "formatted", "http", "errors"),
    "batch": ("batch", "batch_write", "batched", "loader", "returned", "errors"),
    "pagination": ("pagination", "numbered_pages", "page_routes", "errors"),
    "streaming": ("streaming", "stream_source", "row_formats", "errors"),
    "cache": ("cache", "after_commit", "query_cache", "prefetch", "cache_stats", "errors"),
    "auth": ("auth", "tokens", "projection", "cache", "errors"),
    "secrets": ("one_time", "one_time_postgres", "one_time_redis", "oauth_state", "rate_limits", "errors"),
    "http": ("http_policy", "versioned", "compress", "trusted_hosts", "static_files", "http", "errors"),
    "dashboards": ("batch_routes", "batch_parts", "declared", "report_routes", "bulk_decrypt", "errors"),
    "monitor": ("monitor", "query_counter", "query_assertions", "timers", "timings", "memory_timers", "errors"),
}


def chosen(names: Iterable[str]) -> tuple[str, ...]:
    """Return the slices in a fixed order, each once; `all` for everything.

    Raises:
        CommandError: There is no such slice.
    """
    wanted = set(names) or {ALL}
    unknown = sorted(wanted - set(SLICES) - {ALL})
    if unknown:
        raise CommandError(f"there is no slice {unknown[0]!r}; there are {', '.join(SLICES)}, and {ALL}")
    return (ALL,) if ALL in wanted else tuple(name for name in SLICES if name in wanted)


def files(names: tuple[str, ...]) -> dict[str, bytes]:
    """Return the files of some slices by their path in the copy."""
    if names == (ALL,):
        found = [path for path in sorted(RUNTIME.iterdir()) if path.is_file()]
        return {path.name: path.read_bytes() for path in found}
    roots = [module for name in names for module in SLICES[name]]
    modules = closure(roots)
    found = [RUNTIME / f"{module}.py" for module in sorted(modules)]
    kept = {path.name: path.read_bytes() for path in found}
    if "ops" in modules:
        kept |= {path.name: path.read_bytes() for path in sorted(RUNTIME.glob("ops*")) if path.suffix != ".py"}
    return {**kept, INIT: cut_down(set(roots) & modules).encode()}


def closure(roots: Iterable[str]) -> set[str]:
    """Return modules with all that they import, wherever in their code."""
    found: set[str] = set()
    todo = list(roots)
    while todo:
        module = todo.pop()
        if module not in found:
            found.add(module)
            todo += imports(module)
    return found


@cache
def imports(module: str) -> tuple[str, ...]:
    """Return the modules of the runtime that one of them imports."""
    tree = ast.parse((RUNTIME / f"{module}.py").read_bytes())
    found: set[str] = set()
    for node in ast.walk(tree):
        if isinstance(node, ast.ImportFrom) and node.level == 1:
            found |= {node.module.split(".")[0]} if node.module else {alias.name for alias in node.names}
    return tuple(sorted(each for each in found if (RUNTIME / f"{each}.py").is_file()))


def cut_down(modules: set[str]) -> str:
    """Return an `__init__.py` that exports what these modules export of the whole one."""
    source = (RUNTIME / INIT).read_text()
    tree = ast.parse(source)
    kept = [
        node
        for node in tree.body
        if isinstance(node, ast.ImportFrom) and (node.module or node.names[0].name) in modules
    ]
    names = sorted(alias.asname or alias.name for node in kept for alias in node.names)
    lines = [
        f'"""{ast.get_docstring(tree)}"""',
        "",
        *(ast.get_source_segment(source, node) or "" for node in kept),
        "",
    ]
    return "\n".join([*lines, "__all__ = [", *(f'    "{name}",' for name in names), "]", ""])
