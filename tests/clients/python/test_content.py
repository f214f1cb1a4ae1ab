"""What a session's pages are kept from: other domains, and advertisements."""

from typing import Iterator
from urllib.parse import urlsplit

import browserbase
import pytest
from browserbase import Browserbase
from playwright.sync_api import BrowserContext, Error, Page, Playwright, Route

from sessions import PAGES_URL, SECURE_PAGES_URL, Sessions, only_page

PORT = urlsplit(PAGES_URL).port
ELSEWHERE = f"http://localhost:{PORT}/"
REFUSED = "ERR_BLOCKED_BY_CLIENT"


@pytest.fixture
def page(sessions: Sessions, playwright: Playwright) -> Iterator[Page]:
    """That of a session whose pages may go to 127.0.0.1 only; `localhost` is another host."""
    session = sessions.create(browser_settings={"allowed_domains": ["127.0.0.1"]})
    browser = playwright.chromium.connect_over_cdp(session.connect_url)
    yield only_page(browser)
    browser.close()


@pytest.mark.parametrize("routed", [False, True], ids=["plain", "routed"])
def test_pages_stay_on_the_allowed_domains(page: Page, routed: bool) -> None:
    seen: list[str] = []

    def look(route: Route) -> None:
        seen.append(route.request.url)
        route.continue_()

    if routed:
        page.context.route("**/*", look)
    page.goto(f"{PAGES_URL}/")
    assert page.title() == "Wharf test page"
    for url in [ELSEWHERE, f"{PAGES_URL}/redirect"]:
        # Each in another page: the browser's own page about it comes after the error, and into the way of what is next.
        with pytest.raises(Error, match=REFUSED):
            page.context.new_page().goto(url)
    assert (ELSEWHERE in seen) is routed
    assert_popups_and_contexts_stay(page)
    assert_a_script_stays(page)


def assert_popups_and_contexts_stay(page: Page) -> None:
    page.goto(f"{PAGES_URL}/links")
    with page.context.expect_event("requestfailed", lambda request: request.url == ELSEWHERE) as failed:
        page.click("a")
    assert REFUSED in failed.value.failure
    another = page.context.browser.new_context()
    with pytest.raises(Error, match=REFUSED):
        another.new_page().goto(ELSEWHERE)
    another.close()


def assert_a_script_stays(page: Page) -> None:
    with page.expect_event("requestfailed", lambda request: request.url == ELSEWHERE) as failed:
        page.goto(f"{PAGES_URL}/leaves")
    assert REFUSED in failed.value.failure


def test_frames_and_what_clients_answer_themselves_are_not_limited(page: Page) -> None:
    page.goto(f"{PAGES_URL}/frames")
    page.frames[1].wait_for_url(ELSEWHERE)
    assert page.frames[1].title() == "Wharf test page"
    page.route("**/mocked", lambda route: route.fulfill(body="<title>Mocked</title>", content_type="text/html"))
    page.goto(f"{PAGES_URL}/mocked")
    assert page.title() == "Mocked"


def test_credentials_of_a_client_still_work(page: Page) -> None:
    context: BrowserContext = page.context.browser.new_context(http_credentials={"username": "me", "password": "secret"})
    opened = context.new_page()
    opened.goto(f"{PAGES_URL}/private")
    assert opened.title() == "Private"
    context.close()


@pytest.mark.parametrize("wrong", ["https://example.com", "example.com/path", "example.com:443", "*", ""])
def test_400_for_what_is_no_domain(client: Browserbase, wrong: str) -> None:
    with pytest.raises(browserbase.BadRequestError) as refused:
        client.sessions.create(browser_settings={"allowed_domains": ["example.com", wrong]})
    assert refused.value.body["message"].startswith("body/browserSettings/allowedDomains/1 must be a host name")


def test_advertisements_are_kept_out_on_demand(sessions: Sessions, playwright: Playwright) -> None:
    for blocked in [True, False]:
        session = sessions.create(browser_settings={"block_ads": blocked, "ignore_certificate_errors": True})
        browser = playwright.chromium.connect_over_cdp(session.connect_url)
        page = only_page(browser)
        page.goto(f"http://ads.localhost:{PORT}/")
        assert page.title() == ("Not allowed" if blocked else "Wharf test page")
        secure = f"https://ads.localhost:{urlsplit(SECURE_PAGES_URL).port}/"
        if blocked:
            with pytest.raises(Error, match="ERR_TUNNEL_CONNECTION_FAILED"):
                page.goto(secure)
        else:
            page.goto(secure)
        browser.close()
