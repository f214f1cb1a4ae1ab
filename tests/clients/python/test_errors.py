"""Every error that the API has so far, as the SDK's own exceptions."""

import time
from typing import Callable
from uuid import uuid4

import browserbase
import httpx
import pytest
from browserbase import Browserbase, DefaultHttpxClient

from administration import Tenant, create_tenant
from refusals import assert_refused
from sessions import PROJECT_ID, Sessions

# How long a revoked key may still be believed.
REVOKED_WITHIN = 5


def viewport(**size: object) -> dict[str, object]:
    return {"browser_settings": {"viewport": size}}


@pytest.mark.parametrize(
    "options, texts",
    [
        ({"api_timeout": 59}, ["body/timeout", "between 60 and 21600 seconds", "59"]),
        ({"api_timeout": 21601}, ["body/timeout", "between 60 and 21600 seconds", "21601"]),
        ({"api_timeout": "an hour"}, ["body/timeout must be an integer"]),
        ({"api_timeout": 90.5}, ["body/timeout must be an integer"]),
        ({"region": "mars-1"}, ["body/region", "us-west-2", "us-east-1", "eu-central-1", "ap-southeast-1"]),
        ({"user_metadata": {"a": "x" * 504}}, ["body/userMetadata must be shorter than 512 characters", "512"]),
        ({"user_metadata": {"a": "\0"}}, ["body/userMetadata", "U+0000"]),
        ({"user_metadata": "staging"}, ["body/userMetadata must be an object"]),
        ({"user_metadata": ["staging"]}, ["body/userMetadata must be an object"]),
        ({"keep_alive": "yes"}, ["body/keepAlive must be a boolean"]),
        ({"project_id": 7}, ["body/projectId must be a string"]),
        ({"browser_settings": "big"}, ["body/browserSettings must be an object"]),
        (viewport(width="wide", height=1), ["body/browserSettings/viewport/width must be an integer"]),
        (viewport(width=99, height=711), ["body/browserSettings/viewport", "width", "99"]),
        (viewport(width=1288), ["body/browserSettings/viewport", "height"]),
        ({"browser_settings": {"os": "beos"}}, ["body/browserSettings/os", "windows", "linux"]),
        ({"browser_settings": {"context": {"id": "work"}}}, ["body/browserSettings/context/id must be a UUID"]),
        ({"proxies": "yes"}, ["body/proxies must be a boolean or an array of rules"]),
        ({"proxies": [{"type": "external"}]}, ["body/proxies/0", "server"]),
    ],
)
def test_400_names_the_field(client: Browserbase, options: dict[str, object], texts: list[str]) -> None:
    with pytest.raises(browserbase.BadRequestError) as refused:
        client.sessions.create(**options)
    assert_refused(refused.value, 400, *texts)


@pytest.mark.parametrize(
    "q, column",
    [
        ("metadata['a']:'b'", 1),
        ("user_metadata['a]:'b'", 20),
        ("user_metadata['a']='b'", 19),
        ("user_metadata['a']:'b' OR user_metadata['c']:'d'", 24),
    ],
)
def test_400_points_at_the_column_of_a_query(client: Browserbase, q: str, column: int) -> None:
    with pytest.raises(browserbase.BadRequestError) as refused:
        client.sessions.list(q=q)
    assert_refused(refused.value, 400, "querystring/q", f"column {column}")


def test_400_for_a_status_that_does_not_exist(client: Browserbase, sessions: Sessions) -> None:
    with pytest.raises(browserbase.BadRequestError) as refused:
        client.sessions.list(status="FINISHED")
    assert_refused(refused.value, 400, "querystring/status", "PENDING, RUNNING, ERROR, TIMED_OUT, COMPLETED")

    session = sessions.create()
    with pytest.raises(browserbase.BadRequestError) as refused:
        client.sessions.update(session.id, status="COMPLETED")
    assert_refused(refused.value, 400, "body/status", "REQUEST_RELEASE")
    with pytest.raises(browserbase.BadRequestError) as refused:
        client.post(f"/v1/sessions/{session.id}", body={}, cast_to=object)
    assert_refused(refused.value, 400, "body", "status")


@pytest.mark.parametrize("key", ["wrong", "bb_live_" + "a" * 48])
def test_401_for_a_key_that_does_not_exist(key: str) -> None:
    with pytest.raises(browserbase.AuthenticationError) as refused:
        Browserbase(api_key=key, max_retries=0).sessions.list()
    assert_refused(refused.value, 401, "the API key is not valid")


def test_401_for_a_revoked_key_within_five_seconds() -> None:
    tenant = create_tenant("revoked")
    client = tenant.client()
    assert client.sessions.list() == []

    tenant.revoke_key()
    deadline = time.monotonic() + REVOKED_WITHIN
    with pytest.raises(browserbase.AuthenticationError) as refused:
        while time.monotonic() < deadline:
            client.sessions.list()
    assert_refused(refused.value, 401, "the API key is not valid")


def test_404_for_a_session_that_nobody_has(client: Browserbase) -> None:
    for unknown in [str(uuid4()), "no-uuid"]:
        message = f"Session {unknown} not found"
        assert_not_found(lambda: client.sessions.retrieve(unknown), message)
        assert_not_found(lambda: client.sessions.update(unknown, status="REQUEST_RELEASE"), message)


def test_404_for_what_another_project_has(client: Browserbase, sessions: Sessions, stranger: Tenant) -> None:
    ours, theirs = sessions.create(), stranger.client()
    message = f"Session {ours.id} not found"
    assert_not_found(lambda: theirs.sessions.retrieve(ours.id), message)
    assert_not_found(lambda: theirs.sessions.update(ours.id, status="REQUEST_RELEASE"), message)
    assert client.sessions.retrieve(ours.id).status == "RUNNING"


def test_404_for_another_project(client: Browserbase, sessions: Sessions, stranger: Tenant) -> None:
    for project in [stranger.project, str(uuid4()), "no-uuid"]:
        message = f"Project {project} not found"
        assert_not_found(lambda: client.sessions.create(project_id=project), message)
        assert_not_found(lambda: client.projects.retrieve(project), message)
        assert_not_found(lambda: client.projects.usage(project), message)

    ours, foreign = sessions.create(), stranger.project
    assert_not_found(
        lambda: client.sessions.update(ours.id, status="REQUEST_RELEASE", project_id=foreign),
        f"Project {foreign} not found",
    )
    assert client.sessions.retrieve(ours.id).status == "RUNNING"


def test_404_for_a_route_that_does_not_exist(client: Browserbase) -> None:
    path = "/_stainless_unknown_path"
    assert_not_found(lambda: client.get(path, cast_to=object), f"GET:{path}", "/docs")
    assert_not_found(lambda: client.post(path, body={}, cast_to=object), f"POST:{path}", "/docs")


def assert_not_found(call: Callable[[], object], *texts: str) -> None:
    with pytest.raises(browserbase.NotFoundError) as refused:
        call()
    assert_refused(refused.value, 404, *texts)


@pytest.mark.parametrize(
    "options, field",
    [
        ({"extension_id": str(uuid4())}, "extensionId"),
        ({"browser_settings": {"context": {"id": str(uuid4()), "persist": True}}}, "browserSettings.context"),
        ({"browser_settings": {"verified": True}}, "browserSettings.verified"),
        ({"browser_settings": {"os": "mac"}}, "browserSettings.os"),
    ],
)
def test_501_for_what_cannot_be_ignored_and_is_asked_once(options: dict[str, object], field: str) -> None:
    requests: list[httpx.Request] = []
    client = Browserbase(http_client=DefaultHttpxClient(event_hooks={"request": [requests.append]}))
    assert client.max_retries == 2, "the client would try again"
    with pytest.raises(browserbase.InternalServerError) as refused:
        client.sessions.create(project_id=PROJECT_ID, **options)
    assert_refused(refused.value, 501, f"body/{field} is not available", "leave it out")
    assert refused.value.response.headers["x-should-retry"] == "false"
    assert len(requests) == 1
