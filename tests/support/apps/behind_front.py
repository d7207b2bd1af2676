"""The shop, and views that tell what has come through a front: headers, slowness, and a body that breaks off."""

import os
import time

from flask import jsonify, request

from backend import stream_csv
from backend.shop import create_app

app = create_app()


@app.route("/echo", methods=["GET", "POST"])
def echo():
    return jsonify(
        headers=[[name.lower(), value] for name, value in request.headers], size=len(request.get_data()),
        remote=request.remote_addr, url=request.base_url, path=request.environ["RAW_URI"],
        scripts=request.environ.get("SCRIPT_NAME"), host=os.environ.get("FRONT_TEST_HOST"),
    )  # fmt: skip


@app.route("/slow", methods=["GET", "POST"])
def slow():
    time.sleep(float(request.args["seconds"]))
    return "done"


@app.get("/big")
def big():
    return "x" * 5_000_000


@app.get("/secure")
def secure():
    return "x", 200, {"Strict-Transport-Security": "max-age=1; preload", "X-Content-Type-Options": "other"}


@app.get("/whole.csv")
def whole():
    return stream_csv("SELECT n, repeat('x', 100) AS filler FROM generate_series(1, 100000) n")


@app.get("/broken.csv")
def broken():
    return stream_csv(
        "SELECT 1 / (50000 - n) AS x, repeat('x', 100) AS f FROM (SELECT generate_series(1, 100000) AS n) s"
    )
