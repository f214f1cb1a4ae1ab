"""Proxy rules: each host by its road, and every byte of it counted."""

import socket
from typing import Iterator
from urllib.parse import urlsplit

import browserbase
import pytest
from browserbase import Browserbase
from playwright.sync_api import Playwright

from sessions import PAGES_URL, SECURE_PAGES_URL, Sessions, only_page
from upstream import Upstream

PORT = urlsplit(PAGES_URL).port


@pytest.fixture
def upstream() -> Iterator[Upstream]:
    with Upstream() as upstream:
        yield upstream


def test_the_first_rule_that_matches_a_host_is_its_road(
    sessions: Sessions, playwright: Playwright, upstream: Upstream
) -> None:
    rules = [
        {"type": "none", "domainPattern": "^localhost$"},
        upstream.rule(),
    ]
    session = sessions.create(proxies=rules, browser_settings={"ignoreCertificateErrors": True})
    upstream.forget()
    browser = playwright.chromium.connect_over_cdp(session.connect_url)
    page = only_page(browser)
    for url in [f"{PAGES_URL}/", f"http://localhost:{PORT}/", f"{SECURE_PAGES_URL}/"]:
        page.goto(url)
        assert page.title() == "Wharf test page", url
    ours = [target for target in upstream.targets if "accounts.google.com" not in target and "favicon" not in target]
    # A browser may open a second tunnel to where it has one.
    asked = list(dict.fromkeys(ours))
    assert asked == [f"{PAGES_URL}/", urlsplit(SECURE_PAGES_URL).netloc]
    browser.close()

    ended = sessions.ended(session.id)
    assert ended.proxy_bytes == pytest.approx(upstream.bytes, rel=0.01), "the upstream has counted as well"


def test_the_built_in_proxy_counts_what_goes_through_it(sessions: Sessions, playwright: Playwright) -> None:
    for proxies, counted in [(True, True), (False, False)]:
        session = sessions.create(proxies=proxies)
        browser = playwright.chromium.connect_over_cdp(session.connect_url)
        only_page(browser).goto(f"{PAGES_URL}/")
        browser.close()
        assert (sessions.ended(session.id).proxy_bytes > 0) is counted


@pytest.mark.parametrize(
    "rule, words",
    [
        ({"server": "socks5://127.0.0.1:1080"}, "only http:// and https:// proxies"),
        ({"server": "http://127.0.0.1:1/"}, "cannot be reached"),
        ({"server": "http://169.254.169.254:80"}, "metadata"),
        ({"server": "http://127.0.0.1:1", "domainPattern": "("}, "domainPattern"),
    ],
)
def test_400_for_a_rule_that_cannot_be_followed(client: Browserbase, rule: dict[str, str], words: str) -> None:
    rules = [{"type": "none", "domainPattern": "a"}, {"type": "external", **rule}]
    with pytest.raises(browserbase.BadRequestError) as refused:
        client.sessions.create(proxies=rules)
    message = refused.value.body["message"]
    assert message.startswith("body/proxies/1: ") and words in message, message


def test_400_for_a_password_that_the_proxy_refuses(client: Browserbase, upstream: Upstream) -> None:
    with pytest.raises(browserbase.BadRequestError) as refused:
        client.sessions.create(proxies=[upstream.rule(password="wrong")])
    message = refused.value.body["message"]
    assert "refused the credentials" in message and "wrong" not in message, message


def test_400_for_a_proxy_that_has_gone(client: Browserbase) -> None:
    with socket.create_server(("127.0.0.1", 0)) as listener:
        server = f"http://127.0.0.1:{listener.getsockname()[1]}"
    with pytest.raises(browserbase.BadRequestError):
        client.sessions.create(proxies=[{"type": "external", "server": server}])


def test_402_for_a_place_that_nobody_offers(client: Browserbase) -> None:
    with pytest.raises(browserbase.APIStatusError) as refused:
        client.sessions.create(proxies=[{"type": "browserbase", "geolocation": {"country": "DE"}}])
    assert refused.value.status_code == 402
    assert "offers no proxies" in refused.value.body["message"]
