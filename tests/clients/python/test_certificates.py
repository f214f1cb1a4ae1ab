"""Certificates: kept for a project, and trusted by the sessions that name them and by no others."""

from pathlib import Path
from typing import Iterator
from uuid import UUID, uuid4

import browserbase
import pytest
from browserbase import Browserbase
from playwright.sync_api import Error, Playwright

from administration import Tenant
from authority import TITLE, Authority
from refusals import assert_refused
from sessions import PROJECT_ID, Sessions, only_page
from upstream import Upstream


@pytest.fixture(scope="module")
def authority(tmp_path_factory: pytest.TempPathFactory) -> Authority:
    return Authority(tmp_path_factory.mktemp("authority"), "ours")


@pytest.fixture
def uploaded(client: Browserbase, authority: Authority) -> Iterator[str]:
    """The authority's certificate, uploaded; its id."""
    certificate = client.certificates.create(file=authority.certificate)
    yield certificate.id
    try:
        client.certificates.delete(certificate.id)
    except browserbase.NotFoundError:
        """The test has deleted it."""


def test_a_certificate_is_kept_listed_and_deleted(client: Browserbase, authority: Authority) -> None:
    created = client.certificates.create(file=authority.certificate)
    assert UUID(created.id).version == 7
    assert (created.project_id, created.updated_at) == (PROJECT_ID, created.created_at)
    assert client.certificates.retrieve(created.id) == created
    later = client.certificates.create(file=("any name.crt", authority.certificate.read_bytes()))
    assert client.certificates.list() == [later, created]
    for certificate in [later, created]:
        assert client.certificates.delete(certificate.id) is None
    assert client.certificates.list() == []
    for call in [client.certificates.retrieve, client.certificates.delete]:
        with pytest.raises(browserbase.NotFoundError) as refused:
            call(created.id)
        assert_refused(refused.value, 404, f"Certificate {created.id} not found")


def test_nobody_else_has_it(client: Browserbase, stranger: Tenant, uploaded: str) -> None:
    other = stranger.client()
    assert other.certificates.list() == []
    calls = [
        lambda: other.certificates.retrieve(uploaded),
        lambda: other.certificates.delete(uploaded),
        lambda: other.sessions.create(proxy_settings={"ca_certificates": [uploaded]}),
    ]
    for call in calls:
        with pytest.raises(browserbase.NotFoundError) as refused:
            call()
        assert_refused(refused.value, 404, f"Certificate {uploaded} not found")
    assert client.certificates.retrieve(uploaded).id == uploaded


def test_what_is_no_certificate_is_refused(client: Browserbase, authority: Authority) -> None:
    certificate = authority.certificate.read_bytes()
    key = (authority.folder / "authority.key").read_bytes()
    for file, words in [
        (b"", "there is no block"),
        (b"hello", "there is no block"),
        (certificate + key, "private key"),
        (certificate[: len(certificate) // 2], "body/file must be certificates in PEM"),
        (b"-----BEGIN CERTIFICATE-----\nAAAA\n-----END CERTIFICATE-----\n", "no X.509 certificate"),
    ]:
        with pytest.raises(browserbase.BadRequestError) as refused:
            client.certificates.create(file=file)
        assert_refused(refused.value, 400, words)
    for length in [64 * 1024 + 1, 3 << 20]:
        with pytest.raises(browserbase.APIStatusError) as refused:
            client.certificates.create(file=b"x" * length)
        assert refused.value.status_code == 413
        assert "65536 bytes" in refused.value.body["message"]
    with pytest.raises(browserbase.APIStatusError) as refused:
        client.post("/v1/certificates", body={"file": "x"}, cast_to=object)
    assert_refused(refused.value, 415, "multipart/form-data")
    assert client.certificates.list() == []


def goto(playwright: Playwright, connect_url: str, url: str) -> str:
    """The page's title."""
    browser = playwright.chromium.connect_over_cdp(connect_url)
    try:
        page = only_page(browser)
        page.goto(url)
        return page.title()
    finally:
        browser.close()


def test_a_page_is_trusted_by_the_sessions_that_name_its_authority_alone(
    client: Browserbase,
    sessions: Sessions,
    playwright: Playwright,
    authority: Authority,
    uploaded: str,
    tmp_path: Path,
) -> None:
    another = client.certificates.create(file=Authority(tmp_path, "another").certificate)
    with authority.page() as url:
        # At the same time, so that what one trusts could reach the others.
        trusting = sessions.create(proxy_settings={"ca_certificates": [another.id, uploaded, uploaded]})
        others = [sessions.create(), sessions.create(proxy_settings={"ca_certificates": [another.id]})]
        assert goto(playwright, trusting.connect_url, url) == TITLE
        for other in others:
            with pytest.raises(Error, match="ERR_CERT_AUTHORITY_INVALID"):
                goto(playwright, other.connect_url, url)
    client.certificates.delete(another.id)


def test_several_certificates_in_one_file(
    client: Browserbase, sessions: Sessions, playwright: Playwright, authority: Authority, tmp_path: Path
) -> None:
    others = b"".join(Authority(tmp_path, f"other-{number}").certificate.read_bytes() for number in range(3))
    bundle = client.certificates.create(file=others + authority.certificate.read_bytes())
    session = sessions.create(proxy_settings={"ca_certificates": [bundle.id]})
    # Those that run keep what they have.
    client.certificates.delete(bundle.id)
    with authority.page() as url:
        assert goto(playwright, session.connect_url, url) == TITLE


def test_a_session_names_certificates_that_are_there(client: Browserbase, uploaded: str) -> None:
    unknown = str(uuid4())
    with pytest.raises(browserbase.NotFoundError) as refused:
        client.sessions.create(proxy_settings={"ca_certificates": [uploaded, unknown]})
    assert_refused(refused.value, 404, f"Certificate {unknown} not found")
    client.certificates.delete(uploaded)
    with pytest.raises(browserbase.NotFoundError) as refused:
        client.sessions.create(proxy_settings={"ca_certificates": [uploaded]})
    assert_refused(refused.value, 404, f"Certificate {uploaded} not found")
    with pytest.raises(browserbase.BadRequestError) as refused:
        client.sessions.create(proxy_settings={"ca_certificates": [unknown] * 11})
    assert_refused(refused.value, 400, "body/proxySettings/caCertificates", "more than 10")


def test_a_proxy_over_tls_is_trusted_as_pages_are(
    client: Browserbase, sessions: Sessions, playwright: Playwright, authority: Authority, uploaded: str
) -> None:
    with Upstream(authority.server_context()) as upstream, authority.page() as url:
        with pytest.raises(browserbase.BadRequestError) as refused:
            client.sessions.create(proxies=[upstream.rule()])
        assert_refused(refused.value, 400, "body/proxies/0", "TLS with it failed")
        session = sessions.create(
            proxies=[upstream.rule()], proxy_settings={"ca_certificates": [uploaded]}, browser_settings={}
        )
        assert goto(playwright, session.connect_url, url) == TITLE
        assert url.split("/")[2] in upstream.targets
        assert sessions.ended(session.id).proxy_bytes > 0
