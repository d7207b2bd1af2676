"""A login at another site, with its states in PostgreSQL, or in Redis where STORE_URL names one."""

from __future__ import annotations

import os
import urllib.parse
import urllib.request
from typing import Any

from flask import Flask, redirect, request, url_for

from backend import OAuthStates, OneTimeSecrets, PostgresSecrets, RedisSecrets

app = Flask(__name__)
_url = os.environ.get("STORE_URL")
_store = RedisSecrets(_url, timeout=5.0) if _url else PostgresSecrets()
logins = OAuthStates(OneTimeSecrets(_store), secure=False)


@app.get("/login")
def login() -> Any:
    if isinstance(_store, PostgresSecrets):
        _store.create_table()
    begun = logins.begin(request.args.get("next"), data=os.getpid())
    asked = {**begun.parameters(), "client_id": "shop", "redirect_uri": url_for("callback", _external=True)}
    return redirect(f"{os.environ['PROVIDER']}/authorize?{urllib.parse.urlencode(asked)}")


@app.get("/callback")
def callback() -> Any:
    finished = logins.finish()
    asked = urllib.parse.urlencode({"code": request.args["code"], "verifier": finished.verifier})
    with urllib.request.urlopen(f"{os.environ['PROVIDER']}/token?{asked}", timeout=10) as answer:
        assert answer.status == 200
    response = redirect(finished.next_url)
    response.set_data(f"{finished.data} {os.getpid()}")
    return response
