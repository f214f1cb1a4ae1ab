"""A session's life, as the vendor's own examples live it."""

from datetime import datetime, timedelta, timezone
from uuid import UUID

from browserbase import Browserbase
from playwright.sync_api import Playwright

from sessions import PAGES_URL, PROJECT_ID, Sessions, only_page

PNG = b"\x89PNG\r\n\x1a\n"


def test_created_driven_and_completed(client: Browserbase, sessions: Sessions, playwright: Playwright) -> None:
    session = sessions.create(project_id=PROJECT_ID)
    assert session.status == "RUNNING"

    browser = playwright.chromium.connect_over_cdp(session.connect_url)
    page = only_page(browser)
    assert page.url == "about:blank"
    assert page.goto(f"{PAGES_URL}/").ok
    assert page.title() == "Wharf test page"
    assert page.screenshot().startswith(PNG)
    assert client.sessions.retrieve(session.id).status == "RUNNING"
    browser.close()

    ended = sessions.ended(session.id)
    assert ended.status == "COMPLETED"
    assert ended.to_dict()["endReason"] == "disconnected"
    assert session.created_at <= ended.started_at <= ended.ended_at <= ended.expires_at
    assert (ended.started_at, ended.expires_at) == (session.started_at, session.expires_at)


def test_every_field_of_a_created_session(sessions: Sessions) -> None:
    before = datetime.now(timezone.utc)
    session = sessions.create()
    after = datetime.now(timezone.utc)

    assert UUID(session.id).version == 7
    assert session.project_id == PROJECT_ID
    assert (session.status, session.region, session.keep_alive) == ("RUNNING", "us-west-2", False)
    # To the millisecond, as timestamps are on the wire.
    slack = timedelta(milliseconds=1)
    assert before - slack <= session.created_at <= session.started_at <= session.updated_at <= after + slack
    assert session.expires_at == session.started_at + timedelta(hours=1)
    assert session.proxy_bytes == 0
    assert (session.ended_at, session.context_id, session.user_metadata) == (None, None, None)
    assert session.connect_url.startswith("ws://127.0.0.1:")
    assert session.connect_url.endswith(f"?signingKey={session.signing_key}")
    assert session.selenium_remote_url.startswith("http://127.0.0.1:")
    wire = session.to_dict(mode="json")
    assert (wire["avgCpuUsage"], wire["memoryUsage"]) == (0, 0)
    assert None not in wire.values(), "what is absent is left out"


def test_what_can_be_connected_to_only_while_it_runs(client: Browserbase, sessions: Sessions) -> None:
    session = sessions.create()
    running = client.sessions.retrieve(session.id)
    assert running.connect_url == session.connect_url
    assert running.signing_key == session.signing_key
    assert running.selenium_remote_url == session.selenium_remote_url

    sessions.release(session.id)
    ended = client.sessions.retrieve(session.id)
    assert ended.status == "COMPLETED"
    assert (ended.connect_url, ended.signing_key, ended.selenium_remote_url) == (None, None, None)


def test_releasing_twice_changes_nothing_the_second_time(client: Browserbase, sessions: Sessions) -> None:
    session = sessions.create()
    first = client.sessions.update(session.id, status="REQUEST_RELEASE", project_id=PROJECT_ID)
    assert first.status == "COMPLETED"
    assert first.to_dict()["endReason"] == "released"
    second = client.sessions.update(session.id, status="REQUEST_RELEASE")
    assert (second.status, second.ended_at) == (first.status, first.ended_at)


def test_a_client_that_leaves_in_the_middle_of_a_navigation(sessions: Sessions, playwright: Playwright) -> None:
    session = sessions.create()
    browser = playwright.chromium.connect_over_cdp(session.connect_url)
    page = only_page(browser)
    page.goto(f"{PAGES_URL}/")
    with page.expect_request(f"{PAGES_URL}/slow"):
        page.evaluate("setTimeout(() => { location.href = '/slow' })")
    browser.close()
    assert sessions.ended(session.id).status == "COMPLETED"


def test_a_title_that_a_script_sets(sessions: Sessions, playwright: Playwright) -> None:
    browser = playwright.chromium.connect_over_cdp(sessions.create().connect_url)
    page = only_page(browser)
    page.goto(f"{PAGES_URL}/scripted")
    assert page.title() == "Set by a script"
    browser.close()


def test_only_the_default_context_is_there_and_others_can_be_made(sessions: Sessions, playwright: Playwright) -> None:
    browser = playwright.chromium.connect_over_cdp(sessions.create().connect_url)
    only_page(browser).goto(f"{PAGES_URL}/")
    other = browser.new_context()
    page = other.new_page()
    page.goto(f"{PAGES_URL}/")
    assert page.title() == "Wharf test page"
    assert len(browser.contexts) == 2
    browser.close()
