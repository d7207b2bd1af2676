"""PostgreSQL's JSON goes out as it came."""

from __future__ import annotations

from backend.http import json_response


def test_the_bytes_are_sent_as_they_are() -> None:
    body = '{"price":12.50, "name":"é"}'.encode()
    response = json_response(body, 201)
    assert (response.get_data(), response.status_code) == (body, 201)
    assert response.content_type == "application/json"
