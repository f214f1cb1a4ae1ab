"""A project's limits: how many sessions at once, and how many in a minute."""

import browserbase
import httpx
import pytest
from browserbase import DefaultHttpxClient

from administration import create_tenant
from refusals import assert_refused
from sessions import Sessions

# The window of the creation rate, in seconds.
WINDOW = 60


def window(headers: httpx.Headers) -> tuple[int, int]:
    """Creations allowed and left. The reset is within the window."""
    assert 0 <= int(headers["x-ratelimit-reset"]) <= WINDOW
    return int(headers["x-ratelimit-limit"]), int(headers["x-ratelimit-remaining"])


def test_429_for_one_session_too_many() -> None:
    client = create_tenant("one at once", concurrency=1, creates_per_minute=10).client()
    raw = client.sessions.with_raw_response.create()
    assert window(raw.headers) == (10, 9)

    with pytest.raises(browserbase.RateLimitError) as refused:
        client.sessions.create()
    message = "You've exceeded your max concurrent sessions limit (limit 1, currently 1)"
    assert_refused(refused.value, 429, message, "Release a session", "concurrency")
    headers = refused.value.response.headers
    assert window(headers) == (10, 9), "what was refused does not count"
    assert 1 <= int(headers["retry-after"]) <= 5

    client.sessions.update(raw.parse().id, status="REQUEST_RELEASE")
    sessions = Sessions(client)
    assert sessions.create().status == "RUNNING"
    sessions.release_all()


def test_a_client_that_tries_again_gets_the_slot_that_was_released() -> None:
    tenant = create_tenant("tried again", concurrency=1, creates_per_minute=10)
    client = tenant.client()
    first = client.sessions.create()
    statuses: list[int] = []

    def release_when_refused(response: httpx.Response) -> None:
        statuses.append(response.status_code)
        if response.status_code == 429:
            client.sessions.update(first.id, status="REQUEST_RELEASE")

    patient = tenant.client(
        max_retries=browserbase.DEFAULT_MAX_RETRIES,
        http_client=DefaultHttpxClient(event_hooks={"response": [release_when_refused]}),
    )
    second = patient.sessions.create()
    assert statuses == [429, 201]
    assert second.status == "RUNNING"
    client.sessions.update(second.id, status="REQUEST_RELEASE")


def test_429_for_one_creation_too_many() -> None:
    client = create_tenant("two a minute", concurrency=5, creates_per_minute=2).client()
    for left in [1, 0]:
        raw = client.sessions.with_raw_response.create()
        assert window(raw.headers) == (2, left)
        client.sessions.update(raw.parse().id, status="REQUEST_RELEASE")

    with pytest.raises(browserbase.RateLimitError) as refused:
        client.sessions.create()
    assert_refused(refused.value, 429, "session creation limit (limit 2 per minute, currently 2)", "resets in", "creates-per-minute")
    headers = refused.value.response.headers
    assert window(headers) == (2, 0)
    assert 1 <= int(headers["retry-after"]) <= WINDOW
    assert abs(int(headers["retry-after"]) - int(headers["x-ratelimit-reset"])) <= 1
