"""An app whose views stream: rows without end, an error in the middle, and what the pool says meanwhile."""

import logging
import os
import resource
from pathlib import Path

from flask import Flask, jsonify, request

from backend import Hardening, StreamOptions, get_pool, stream_csv, stream_json, stream_ndjson

logging.basicConfig(level=logging.INFO)
app = Flask(__name__)
Hardening(app)
KINDS = {"csv": stream_csv, "ndjson": stream_ndjson, "json": stream_json}
# In the SELECT list a series is made row by row; in FROM all of it would be stored first.
ENDLESS = "SELECT n, repeat('x', 100) AS filler FROM (SELECT generate_series(1, 100000000) AS n) s"
FAILS = "SELECT 1 / (100000 - n) AS x, repeat('x', 100) AS filler FROM (SELECT generate_series(1, 1000000) AS n) s"


def _options():
    return StreamOptions(
        stall_timeout=float(request.args.get("stall", 60)), most=int(request.args.get("most", 0)),
        via=request.args.get("via", "auto"),
    )  # fmt: skip


@app.get("/endless.<kind>")
def endless(kind):
    return KINDS[kind](ENDLESS, options=_options(), filename="endless.csv")


@app.get("/fails.<kind>")
def fails(kind):
    return KINDS[kind](FAILS, options=_options())


@app.get("/rows.<kind>")
def rows(kind):
    return KINDS[kind](
        "SELECT n FROM generate_series(1, %(n)s) n", {"n": int(request.args["n"])}, options=_options()
    )


@app.get("/state")
def state():
    pages = int(Path("/proc/self/statm").read_text().split()[1])
    return jsonify(
        used=get_pool().stats()["used"], pid=os.getpid(), opened=get_pool().stats()["opened"],
        memory=pages * resource.getpagesize(),
    )  # fmt: skip
