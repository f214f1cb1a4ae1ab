"""What every test can ask for: the official client, sessions that are released afterwards, projects and keys."""

from typing import Iterator

import pytest
from browserbase import Browserbase
from playwright.sync_api import Playwright, sync_playwright

from administration import Tenant, create_tenant
from sessions import Sessions


@pytest.fixture(scope="session")
def client() -> Browserbase:
    """The official client as `wharf up` tells it to be, but it believes no answer that its types do not allow, and
    repeats nothing: a second attempt would hide a defect."""
    return Browserbase(max_retries=0, _strict_response_validation=True)


@pytest.fixture
def sessions(client: Browserbase) -> Iterator[Sessions]:
    """Creates sessions, and releases them after the test."""
    created = Sessions(client)
    yield created
    created.release_all()


@pytest.fixture(scope="module")
def playwright() -> Iterator[Playwright]:
    with sync_playwright() as started:
        yield started


@pytest.fixture(scope="session")
def stranger() -> Tenant:
    """Another project, with a key of its own."""
    return create_tenant("stranger")
