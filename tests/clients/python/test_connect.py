"""The connection itself: the older form of its URL, and how it is refused, strictly before the upgrade."""

import base64
import http.client
import json
import os
from urllib.parse import urlsplit
from uuid import uuid4

import pytest
from browserbase import Browserbase
from playwright.sync_api import Error, Playwright

from administration import Tenant
from refusals import assert_body
from sessions import PAGES_URL, Sessions, only_page

KEY = os.environ["BROWSERBASE_API_KEY"]
HOST = urlsplit(os.environ["BROWSERBASE_BASE_URL"]).netloc


def knock(query: str, *, upgrade: bool = True) -> tuple[int, object]:
    """What a client's opening handshake is answered with: the status and the body."""
    headers = {
        "connection": "Upgrade",
        "upgrade": "websocket",
        "sec-websocket-version": "13",
        "sec-websocket-key": base64.b64encode(os.urandom(16)).decode(),
    }
    connection = http.client.HTTPConnection(HOST, timeout=10)
    try:
        connection.request("GET", f"/?{query}", headers=headers if upgrade else {})
        answer = connection.getresponse()
        assert answer.headers["content-type"] == "application/json"
        return answer.status, json.loads(answer.read())
    finally:
        connection.close()


def assert_turned_away(query: str, status: int, *texts: str) -> None:
    answered, body = knock(query)
    assert answered == status
    assert_body(body, status, *texts)


def test_key_and_session_in_the_url(sessions: Sessions, playwright: Playwright) -> None:
    session = sessions.create()
    url = f"ws://{HOST}?apiKey={KEY}&sessionId={session.id}&enableProxy=true"
    browser = playwright.chromium.connect_over_cdp(url)
    page = only_page(browser)
    page.goto(f"{PAGES_URL}/")
    assert page.title() == "Wharf test page"
    browser.close()
    assert sessions.ended(session.id).status == "COMPLETED"


def test_a_wrong_signing_key(sessions: Sessions, playwright: Playwright) -> None:
    session = sessions.create()
    head, claims, signature = session.signing_key.split(".")
    flipped = ("A" if signature[0] != "A" else "B") + signature[1:]
    for token in ["nonsense", f"{head}.{claims}.{flipped}", f"{head}.{claims}."]:
        assert_turned_away(f"signingKey={token}", 401, "signingKey", "connectUrl")
    with pytest.raises(Error, match="401"):
        playwright.chromium.connect_over_cdp(f"ws://{HOST}/?signingKey={head}.{claims}.{flipped}")


def test_no_key_at_all() -> None:
    assert_turned_away("", 401, "signingKey", "connectUrl")
    assert_turned_away(f"sessionId={uuid4()}", 401, "signingKey", "connectUrl")


def test_an_ended_session(sessions: Sessions, playwright: Playwright) -> None:
    session = sessions.create()
    playwright.chromium.connect_over_cdp(session.connect_url).close()
    assert sessions.ended(session.id).status == "COMPLETED"
    assert_turned_away(f"signingKey={session.signing_key}", 410, "ended", "create a new one")
    assert_turned_away(f"apiKey={KEY}&sessionId={session.id}", 410, "ended", "create a new one")
    with pytest.raises(Error, match="410"):
        playwright.chromium.connect_over_cdp(session.connect_url)


def test_an_unknown_session() -> None:
    unknown = str(uuid4())
    assert_turned_away(f"apiKey={KEY}&sessionId={unknown}", 404, unknown, "not found")


def test_a_key_alone_makes_no_session(client: Browserbase) -> None:
    before = len(client.sessions.list())
    assert_turned_away(f"apiKey={KEY}", 404, "sessionId", "POST /v1/sessions")
    assert len(client.sessions.list()) == before


def test_another_projects_key(sessions: Sessions, stranger: Tenant) -> None:
    session = sessions.create()
    assert_turned_away(f"apiKey={stranger.key}&sessionId={session.id}", 404, session.id, "not found")
    assert_turned_away(f"apiKey=bb_live_wrong&sessionId={session.id}", 401, "key")


def test_no_websocket_is_told_so_and_harms_nothing(client: Browserbase, sessions: Sessions) -> None:
    session = sessions.create()
    status, body = knock(f"signingKey={session.signing_key}", upgrade=False)
    assert status == 426
    assert_body(body, 426, "WebSocket")
    assert client.sessions.retrieve(session.id).status == "RUNNING"
