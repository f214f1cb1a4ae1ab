"""What generated clients send that a stricter server would trip over, byte for byte."""

import os
from typing import Iterator, Optional, Union

import httpx
import pytest

from refusals import assert_body
from sessions import PROJECT_ID

MEBIBYTE = 1 << 20
JSON = {"content-type": "application/json"}


@pytest.fixture(scope="module")
def http() -> Iterator[httpx.Client]:
    headers = {"x-bb-api-key": os.environ["BROWSERBASE_API_KEY"]}
    with httpx.Client(base_url=os.environ["BROWSERBASE_BASE_URL"], headers=headers, timeout=30) as client:
        yield client


def release(http: httpx.Client, created: httpx.Response) -> None:
    answer = http.post(f"/v1/sessions/{created.json()['id']}", json={"status": "REQUEST_RELEASE"})
    assert answer.status_code == 200


@pytest.mark.parametrize(
    "body, headers",
    [
        (None, JSON),
        (None, {}),
        (b"{}", JSON),
        (b'{"projectId": null, "timeout": null}', {"content-type": "application/json; charset=utf-8"}),
        (b"{}", {"content-type": "text/plain"}),
    ],
)
def test_bodies_that_ask_for_nothing(http: httpx.Client, body: Optional[bytes], headers: dict[str, str]) -> None:
    created = http.post("/v1/sessions", content=body, headers=headers)
    assert created.status_code == 201
    assert created.headers["content-type"] == "application/json"
    assert created.json()["projectId"] == PROJECT_ID
    release(http, created)


@pytest.mark.parametrize(
    "body, text",
    [
        (b"{", "body is not valid JSON"),
        (b'{"timeout": 60,}', "body is not valid JSON"),
        (b"\xff\xfe", "body is not valid JSON"),
        (b"[]", "body must be an object"),
        (b'"x"', "body must be an object"),
        (b'{"userMetadata": {"a": "' + b"x" * MEBIBYTE + b'"}}', f"body must not be larger than {MEBIBYTE} bytes"),
    ],
)
def test_bodies_that_are_refused(http: httpx.Client, body: bytes, text: str) -> None:
    refused = http.post("/v1/sessions", content=body, headers=JSON)
    assert refused.status_code == 400
    assert_body(refused.json(), 400, text)


@pytest.mark.parametrize("key", [None, "", "bb_live_", "bb_live_ü".encode()])
def test_no_key(key: Union[str, bytes, None]) -> None:
    headers: dict[str, Union[str, bytes]] = {} if key is None else {"X-BB-API-Key": key}
    refused = httpx.get(f"{os.environ['BROWSERBASE_BASE_URL']}/v1/sessions", headers=headers)
    assert refused.status_code == 401
    assert_body(refused.json(), 401, "API key")


def test_a_method_that_a_route_does_not_take(http: httpx.Client) -> None:
    refused = http.put("/v1/sessions", json={})
    assert refused.status_code == 405
    assert_body(refused.json(), 405, "/v1/sessions", "PUT")


def test_a_query_that_is_empty(http: httpx.Client) -> None:
    refused = http.get("/v1/sessions?q=")
    assert refused.status_code == 400
    assert_body(refused.json(), 400, "querystring/q", "column 1")


def test_an_answer_carries_the_id_of_its_log_lines(http: httpx.Client) -> None:
    ids = {http.get("/v1/projects").headers["x-request-id"] for _ in range(2)}
    assert len(ids) == 2
