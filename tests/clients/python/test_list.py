"""Finding sessions again."""

import uuid
from typing import Iterator, NamedTuple

import pytest
from browserbase import Browserbase

from administration import Tenant
from sessions import Sessions


class Stored(NamedTuple):
    """Two sessions that differ in their metadata, and a mark that only they have."""

    mark: str
    first: str
    second: str


@pytest.fixture(scope="module")
def stored(client: Browserbase) -> Iterator[Stored]:
    sessions = Sessions(client)
    mark = uuid.uuid4().hex
    common = {"mark": mark, "env": "staging", "tags": ["a"]}
    first = sessions.create(user_metadata={**common, "order": {"status": "shipped", "items": 3}, "paid": True})
    second = sessions.create(user_metadata={**common, "order": {"status": "open", "items": 3.5}, "note": "it's"})
    yield Stored(mark, first.id, second.id)
    sessions.release_all()


def ids(client: Browserbase, q: str) -> list[str]:
    return [session.id for session in client.sessions.list(q=q)]


def test_by_a_string_newest_first(client: Browserbase, stored: Stored) -> None:
    assert ids(client, f"user_metadata['mark']:'{stored.mark}'") == [stored.second, stored.first]
    assert ids(client, f"user_metadata['mark']:'{stored.mark[1:]}'") == []


@pytest.mark.parametrize(
    "condition, expected",
    [
        ("user_metadata['order']['status']:'shipped'", {"first"}),
        ("user_metadata['order']['items']:3", {"first"}),
        ("user_metadata['order']['items']:3.5", {"second"}),
        ("user_metadata['order']['items']:'3'", set()),
        ("user_metadata['paid']:true", {"first"}),
        ("user_metadata['paid']:false", set()),
        ("user_metadata['note']:'it''s'", {"second"}),
        ("user_metadata['env']:'staging' AND user_metadata['order']['status']:'open'", {"second"}),
        ("user_metadata['order']['status']:'open' AND user_metadata['order']['status']:'shipped'", set()),
        ("user_metadata['env']:'''; DROP TABLE sessions; --'", set()),
    ],
)
def test_by_several_conditions(client: Browserbase, stored: Stored, condition: str, expected: set[str]) -> None:
    found = ids(client, f"user_metadata['mark']:'{stored.mark}' AND {condition}")
    assert found == [id for id in (stored.second, stored.first) if id in {getattr(stored, it) for it in expected}]


def test_a_session_of_a_list(client: Browserbase, stored: Stored) -> None:
    [second, _] = client.sessions.list(q=f"user_metadata['mark']:'{stored.mark}'")
    assert second.user_metadata["order"] == {"status": "open", "items": 3.5}
    assert second.status == "RUNNING"
    assert not {"connectUrl", "seleniumRemoteUrl", "signingKey"} & second.to_dict().keys()


def test_by_status(client: Browserbase, sessions: Sessions) -> None:
    session = sessions.create()

    def statuses_that_list_it() -> list[str]:
        statuses = ["PENDING", "RUNNING", "ERROR", "TIMED_OUT", "COMPLETED"]
        return [status for status in statuses if session.id in {s.id for s in client.sessions.list(status=status)}]

    assert statuses_that_list_it() == ["RUNNING"]
    sessions.release(session.id)
    assert statuses_that_list_it() == ["COMPLETED"]


def test_by_status_and_metadata(client: Browserbase, stored: Stored) -> None:
    q = f"user_metadata['mark']:'{stored.mark}'"
    assert len(client.sessions.list(status="RUNNING", q=q)) == 2
    assert client.sessions.list(status="ERROR", q=q) == []


def test_another_projects_sessions_are_not_listed(stored: Stored, stranger: Tenant) -> None:
    theirs = stranger.client()
    assert theirs.sessions.list() == []
    assert theirs.sessions.list(q=f"user_metadata['mark']:'{stored.mark}'") == []
