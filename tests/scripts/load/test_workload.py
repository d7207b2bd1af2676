import pytest

from scripts.load.workload import Request, Workload, encode


def test_get_has_no_body_and_no_length() -> None:
    assert encode(Request("/api/a?limit=2"), "localhost:1") == (
        b"GET /api/a?limit=2 HTTP/1.1\r\nHost: localhost:1\r\nUser-Agent: harden-load\r\nAccept: */*\r\n\r\n"
    )


def test_json_body_has_type_and_length() -> None:
    data = encode(Request("/v", method="POST", json_body={"ids": [1, 2], "name": "ü"}), "h")
    head, _, body = data.partition(b"\r\n\r\n")
    assert body == b'{"ids":[1,2],"name":"\\u00fc"}'
    assert b"\r\nContent-Type: application/json\r\n" in head
    assert head.endswith(b"\r\nContent-Length: %d" % len(body))


def test_post_without_body_says_so() -> None:
    assert b"Content-Length: 0" in encode(Request("/v", method="POST"), "h")


def test_own_headers_replace_the_defaults_whatever_their_case() -> None:
    data = encode(Request("/", headers={"HOST": "shop", "X-Token": "t"}), "h")
    assert data.count(b"Host:") == 1
    assert b"\r\nHost: shop\r\n" in data
    assert b"\r\nX-Token: t\r\n" in data


@pytest.mark.parametrize("path", ["", "api", "/a b", "/a\r\nX: y", "/ü"])
def test_a_path_that_would_break_the_request_line_is_refused(path: str) -> None:
    with pytest.raises(ValueError, match="path"):
        Request(path)


@pytest.mark.parametrize(("name", "value"), [("X", "a\r\nY: b"), ("X: y", "a"), ("", "a"), ("X y", "a")])
def test_a_header_that_would_break_the_head_is_refused(name: str, value: str) -> None:
    with pytest.raises(ValueError, match="header"):
        Request("/", headers={name: value})


@pytest.mark.parametrize("method", ["HEAD", "get", "CONNECT"])
def test_a_method_whose_answer_has_no_body_of_its_own_is_refused(method: str) -> None:
    with pytest.raises(ValueError, match="method"):
        Request("/", method=method)


def test_an_empty_workload_is_refused() -> None:
    with pytest.raises(ValueError, match="at least one request"):
        Workload("http://127.0.0.1:1", [])
