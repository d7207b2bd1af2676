"""Which requests are made: the recipe's, and every route of the app that the methods asked for allow.

Static files are left out, and so is what a route's rule cannot be filled for. A route that the recipe asks itself
is not asked again with guessed values.
"""

from __future__ import annotations

import re
from dataclasses import replace
from typing import Any

from .ask import Request, request_of
from .keys import PARAMETER, Keys
from .recipe import Entry, Recipe

MOST_PER_RULE = 6


def requests_of(rules: list[dict[str, Any]], recipe: Recipe, methods: list[str], keys: Keys) -> list[Request]:
    """Return the requests in order: the recipe's first, then the app's by rule."""
    asked = [_of_entry(entry, recipe, rules) for entry in recipe.routes]
    known = {(request.method, request.rule) for request in asked}
    labels = {request.label for request in asked}
    for each in sorted(rules, key=lambda rule: str(rule["rule"])) if recipe.discover else ():
        if each["endpoint"] == "static" or each["endpoint"].endswith(".static"):
            continue
        for method in methods:
            if method not in each["methods"] or (method, each["rule"]) in known:
                continue
            for path in keys.paths(each["rule"], each["converters"])[:MOST_PER_RULE]:
                request = request_of(method, path, {}, None, recipe.headers, each["rule"])
                if request.label not in labels:
                    labels.add(request.label)
                    asked.append(request)
    return asked


def login_of(recipe: Recipe) -> tuple[Request, ...]:
    """Return the steps that log in."""
    return tuple(
        _request(replace(each, method="POST") if each.form and each.method == "GET" else each, recipe, each.path)
        for each in recipe.login
    )


def rule_for(path: str, rules: list[dict[str, Any]]) -> str:
    """Return the rule that a path is for; the path itself when there is none. Plain rules win over parameters."""
    plain = path.partition("?")[0]
    for each in sorted(rules, key=lambda rule: len(PARAMETER.findall(rule["rule"]))):
        pieces = PARAMETER.split(each["rule"])
        pattern = "".join(
            re.escape(piece) if number % 2 == 0
            else ".+" if each["converters"].get(piece) == "PathConverter" else "[^/]+"
            for number, piece in enumerate(pieces)
        )  # fmt: skip
        if re.fullmatch(pattern, plain):
            return str(each["rule"])
    return plain


def _of_entry(entry: Entry, recipe: Recipe, rules: list[dict[str, Any]]) -> Request:
    return _request(entry, recipe, rule_for(entry.path, rules))


def _request(entry: Entry, recipe: Recipe, rule: str) -> Request:
    headers = {**recipe.headers, **entry.headers}
    return request_of(entry.method.upper(), entry.path, entry.form, entry.json, headers, rule)
