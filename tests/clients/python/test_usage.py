"""What a session costs, while it runs."""

from browserbase import Browserbase
from playwright.sync_api import Playwright

from sessions import PAGES_URL, Sessions, only_page, until

# A sample is taken and reported every five seconds each.
SEEN_WITHIN = 15
MEBIBYTE = 1 << 20
GIBIBYTE = 1 << 30


def test_a_busy_page_shows_in_the_sessions_usage(
    client: Browserbase, sessions: Sessions, playwright: Playwright
) -> None:
    session = sessions.create()
    browser = playwright.chromium.connect_over_cdp(session.connect_url)
    only_page(browser).goto(f"{PAGES_URL}/busy")

    seen = until(
        lambda: client.sessions.retrieve(session.id).to_dict(),
        lambda shown: shown["memoryUsage"] > 0 and shown["avgCpuUsage"] > 0,
        within=SEEN_WITHIN,
    )
    # Percent of one core, and bytes: no idle browser of a few megabytes, and not the whole machine.
    assert 5 <= seen["avgCpuUsage"] <= 400
    assert 20 * MEBIBYTE <= seen["memoryUsage"] <= 4 * GIBIBYTE
    browser.close()
    final = sessions.ended(session.id).to_dict()
    assert final["memoryUsage"] >= seen["memoryUsage"], "the highest use does not fall"
