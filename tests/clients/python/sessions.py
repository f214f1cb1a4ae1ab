"""Sessions that do not outlive their test, and waiting for what happens to them."""

import os
import time
from typing import Callable, TypeVar

from browserbase import Browserbase
from browserbase.types import SessionCreateResponse, SessionRetrieveResponse
from playwright.sync_api import Browser, Page

PAGES_URL = os.environ["PAGES_URL"]
SECURE_PAGES_URL = os.environ["SECURE_PAGES_URL"]
PROJECT_ID = os.environ["BROWSERBASE_PROJECT_ID"]

# How long a session may take to end after its last client has left.
COMPLETED_WITHIN = 2

Value = TypeVar("Value")


class Sessions:
    """Creates sessions with the official client, and keeps them in mind."""

    def __init__(self, client: Browserbase) -> None:
        self.client = client
        self.created: list[str] = []

    def create(self, **options: object) -> SessionCreateResponse:
        session = self.client.sessions.create(**options)
        self.created.append(session.id)
        return session

    def release(self, session_id: str) -> None:
        self.client.sessions.update(session_id, status="REQUEST_RELEASE")

    def release_all(self) -> None:
        for session_id in self.created:
            self.release(session_id)

    def ended(self, session_id: str) -> SessionRetrieveResponse:
        """The session, once it has ended; within the time that a client's leaving allows."""
        return until(
            lambda: self.client.sessions.retrieve(session_id),
            lambda session: session.status not in ("PENDING", "RUNNING"),
            within=COMPLETED_WITHIN,
        )


def until(look: Callable[[], Value], is_there: Callable[[Value], bool], within: float) -> Value:
    """Looks again and again until what is wanted is there, or fails after so many seconds."""
    deadline = time.monotonic() + within
    while not is_there(seen := look()):
        assert time.monotonic() < deadline, f"not within {within} s; last seen: {seen}"
        time.sleep(0.02)
    return seen


def only_page(browser: Browser) -> Page:
    """The page that a first client finds: there is exactly one, in exactly one context."""
    [context] = browser.contexts
    [page] = context.pages
    return page
