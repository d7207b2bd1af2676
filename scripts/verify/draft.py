"""A first recipe, with every request that would be made, for a person to fill in."""

from __future__ import annotations

import json

from .ask import Request

HEAD = """\
# A recipe for `harden verify --recipe`; every key may be left out. docs/verify.md explains each.
app = {app}
time_limit = 10.0
# env = {{ DATABASE_URL = "{{url}}" }}          # also {{dsn}} {{host}} {{port}} {{dbname}} {{user}} {{password}}
# schema = ["schema.sql"]                     # in this order; else SQL files are looked for
# setup = "flask init-db"                     # or whatever makes the tables
# seed_sql = "INSERT INTO ..."
# session = {{ user_id = 1 }}                   # signed with the app's own key
# discover = false                            # ask the routes below alone

# [[login]]                                   # steps instead of a session; the cookies are kept
# path = "/login"
# form = {{ username = "u1", password = "x" }}

# [keys]                                      # values of parameters, or the column that has them
# question_id = "question.id"

# [[ignore]]
# pattern = "generated in [0-9.]+ s"          # or json = "a.*.b", header = "X-Time", column = "table.column"
# route = "/*"
# reason = "a time"
"""


def draft(app: str, requests: list[Request], notes: list[str]) -> str:
    """Return a recipe as TOML, the routes as they would be asked."""
    lines = [HEAD.format(app=json.dumps(app))]
    lines += [f"# {note}" for note in notes]
    for request in requests:
        lines += ["", "[[routes]]"]
        lines += [f"method = {json.dumps(request.method)}"] if request.method != "GET" else []
        lines.append(f"path = {json.dumps(request.path)}")
        lines += ["form = {}"] if request.method in ("POST", "PUT", "PATCH") else []
    return "\n".join([*lines, ""])
