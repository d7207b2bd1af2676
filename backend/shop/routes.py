"""All routes of the shop under /api, and its one shape of error: `{"error": "one sentence"}`.

Must not touch the database. If a handler is missing here, clients that parse JSON meet an HTML page.
"""

from __future__ import annotations

from flask import Blueprint, Response, json, jsonify
from werkzeug.exceptions import HTTPException

from . import appointments, customers, me, payments, reports, vehicles
from .fields import Refused

api = Blueprint("shop", __name__, url_prefix="/api")
for part in (customers, me, vehicles, appointments, payments, reports):
    api.register_blueprint(part.routes)


@api.errorhandler(Refused)
def answer_refusal(error: Refused) -> tuple[Response, int]:
    """Answer a request whose content we refuse; the sentence is written for the client."""
    return jsonify(error=str(error)), error.status


@api.app_errorhandler(HTTPException)
def answer_http_error(error: HTTPException) -> Response:
    """Answer unknown routes, wrong methods and missing rows by the name of the status; headers are kept."""
    response = Response(headers=error.get_response().headers, status=error.code)
    response.data = json.dumps({"error": error.name.lower()})
    response.content_type = "application/json"
    return response
