"""What can be asked for when a session is created."""

from datetime import timedelta

import pytest
from browserbase import Browserbase
from playwright.sync_api import Error, Playwright

from sessions import SECURE_PAGES_URL, Sessions, only_page

REGIONS = ["us-west-2", "us-east-1", "eu-central-1", "ap-southeast-1"]


@pytest.mark.parametrize("region", REGIONS)
def test_every_region(client: Browserbase, sessions: Sessions, region: str) -> None:
    session = sessions.create(region=region)
    assert (session.region, session.status) == (region, "RUNNING")
    assert client.sessions.retrieve(session.id).region == region


@pytest.mark.parametrize("seconds", [60, 21600])
def test_the_timeout_counts_from_the_start(client: Browserbase, sessions: Sessions, seconds: int) -> None:
    session = sessions.create(api_timeout=seconds)
    assert session.expires_at - session.started_at == timedelta(seconds=seconds)
    assert client.sessions.retrieve(session.id).expires_at == session.expires_at


@pytest.mark.parametrize("width, height", [(1288, 711), (390, 844)])
def test_the_viewport_is_the_size_of_the_page(
    sessions: Sessions, playwright: Playwright, width: int, height: int
) -> None:
    session = sessions.create(browser_settings={"viewport": {"width": width, "height": height}})
    browser = playwright.chromium.connect_over_cdp(session.connect_url)
    assert only_page(browser).evaluate("[innerWidth, innerHeight]") == [width, height]
    # A page that is opened later has it as well.
    with browser.contexts[0].expect_page() as opened:
        only_page(browser).evaluate("open('about:blank')")
    assert opened.value.evaluate("[innerWidth, innerHeight]") == [width, height]
    browser.close()


def test_the_viewport_without_a_wish(sessions: Sessions, playwright: Playwright) -> None:
    browser = playwright.chromium.connect_over_cdp(sessions.create().connect_url)
    assert only_page(browser).evaluate("[innerWidth, innerHeight]") == [1280, 720]
    browser.close()


def test_a_certificate_that_nobody_signed_is_refused(sessions: Sessions, playwright: Playwright) -> None:
    browser = playwright.chromium.connect_over_cdp(sessions.create().connect_url)
    with pytest.raises(Error, match="ERR_CERT_AUTHORITY_INVALID"):
        only_page(browser).goto(f"{SECURE_PAGES_URL}/")
    browser.close()


def test_a_certificate_that_nobody_signed_is_taken_on_demand(sessions: Sessions, playwright: Playwright) -> None:
    session = sessions.create(browser_settings={"ignore_certificate_errors": True})
    browser = playwright.chromium.connect_over_cdp(session.connect_url)
    page = only_page(browser)
    page.goto(f"{SECURE_PAGES_URL}/")
    assert page.title() == "Wharf test page"
    browser.close()


def test_what_is_not_built_yet_is_kept_and_shown(client: Browserbase, sessions: Sessions) -> None:
    session = sessions.create(
        browser_settings={
            "block_ads": True,
            "solve_captchas": False,
            "record_session": False,
            "log_session": True,
            "os": "linux",
            "captcha_image_selector": "#image",
            "captcha_input_selector": "#input",
        },
        proxies=False,
    )
    shown = client.sessions.retrieve(session.id).to_dict()
    assert shown["browserSettings"] == {
        "blockAds": True,
        "solveCaptchas": False,
        "recordSession": False,
        "logSession": True,
        "os": "linux",
        "captchaImageSelector": "#image",
        "captchaInputSelector": "#input",
    }
    assert shown["proxies"] is False


def test_fields_that_nobody_knows_are_ignored(sessions: Sessions) -> None:
    old_client = {"fingerprint": {"httpVersion": "1", "devices": ["desktop"]}}
    session = sessions.create(browser_settings=old_client, extra_body={"unheardOf": [1, None]})
    assert session.status == "RUNNING"
    assert "unheardOf" not in session.to_dict()


def test_metadata_of_511_characters(client: Browserbase, sessions: Sessions) -> None:
    metadata = {"a": "x" * (511 - len('{"a":""}'))}
    session = sessions.create(user_metadata=metadata)
    assert session.user_metadata == metadata
    assert client.sessions.retrieve(session.id).user_metadata == metadata
