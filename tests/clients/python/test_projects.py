"""Projects, as their own key sees them."""

from browserbase import Browserbase

from administration import Tenant, create_tenant
from sessions import PROJECT_ID, Sessions


def test_the_keys_project(client: Browserbase) -> None:
    project = client.projects.retrieve(PROJECT_ID)
    assert (project.id, project.name, project.default_timeout) == (PROJECT_ID, "default", 3600)
    assert project.concurrency == 1000
    assert project.created_at <= project.updated_at
    assert project.owner_id


def test_the_list_has_the_keys_project_and_no_other(client: Browserbase, stranger: Tenant) -> None:
    assert client.projects.list() == [client.projects.retrieve(PROJECT_ID)]
    [theirs] = stranger.client().projects.list()
    assert (theirs.id, theirs.name) == (stranger.project, "stranger")


def test_a_session_counts_as_a_minute_at_least() -> None:
    tenant = create_tenant("metered", concurrency=2)
    client = tenant.client(_strict_response_validation=True)
    usage = client.projects.usage(tenant.project)
    assert (usage.browser_minutes, usage.proxy_bytes) == (0, 0)

    sessions = Sessions(client)
    sessions.create()
    sessions.release_all()
    assert client.projects.usage(tenant.project).browser_minutes == 1
