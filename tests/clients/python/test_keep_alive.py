"""Sessions that outlive their clients."""

import pytest
from browserbase import Browserbase
from playwright.sync_api import Error, Playwright

from sessions import PAGES_URL, Sessions, only_page


def test_two_clients_leave_and_a_third_finds_the_page(
    client: Browserbase, sessions: Sessions, playwright: Playwright
) -> None:
    session = sessions.create(keep_alive=True)
    assert session.keep_alive is True
    connect = playwright.chromium.connect_over_cdp

    first, second = connect(session.connect_url), connect(session.connect_url)
    only_page(first).goto(f"{PAGES_URL}/")
    only_page(first).evaluate("window.left = 'by the first'")
    only_page(second).wait_for_url(f"{PAGES_URL}/")
    assert only_page(second).evaluate("window.left") == "by the first"

    first.close()
    assert only_page(second).evaluate("1 + 1") == 2, "the other client is still there"
    second.close()

    third = connect(session.connect_url)
    assert client.sessions.retrieve(session.id).status == "RUNNING"
    assert only_page(third).url == f"{PAGES_URL}/"
    assert only_page(third).evaluate("window.left") == "by the first"

    sessions.release(session.id)
    with pytest.raises(Error, match="closed"):
        only_page(third).evaluate("new Promise(() => {})")
    with pytest.raises(Error, match="410"):
        connect(session.connect_url)
    released = sessions.ended(session.id)
    assert released.status == "COMPLETED"
    assert released.to_dict()["endReason"] == "released"

