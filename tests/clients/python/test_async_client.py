"""The asynchronous client with asynchronous Playwright: several sessions at once."""

import asyncio
import time

from browserbase import AsyncBrowserbase
from playwright.async_api import Playwright, async_playwright

from sessions import COMPLETED_WITHIN, PAGES_URL

SESSIONS = 3


async def drive(client: AsyncBrowserbase, playwright: Playwright) -> str:
    session = await client.sessions.create(keep_alive=False)
    assert session.status == "RUNNING"
    browser = await playwright.chromium.connect_over_cdp(session.connect_url)
    [context] = browser.contexts
    [page] = context.pages
    await page.goto(f"{PAGES_URL}/")
    assert await page.title() == "Wharf test page"
    await browser.close()

    deadline = time.monotonic() + COMPLETED_WITHIN
    while (await client.sessions.retrieve(session.id)).status != "COMPLETED":
        assert time.monotonic() < deadline
        await asyncio.sleep(0.02)
    return session.id


async def drive_several() -> list[str]:
    async with AsyncBrowserbase(max_retries=0, _strict_response_validation=True) as client:
        async with async_playwright() as playwright:
            return await asyncio.gather(*(drive(client, playwright) for _ in range(SESSIONS)))


def test_sessions_side_by_side() -> None:
    assert len(set(asyncio.run(drive_several()))) == SESSIONS
