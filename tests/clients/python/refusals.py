"""What an error must look like, however it reached us."""

from http.client import responses

from browserbase import APIStatusError


def assert_refused(error: APIStatusError, status: int, *texts: str) -> None:
    """The SDK read the body: `{statusCode, error, message}`, and a message that says these things."""
    assert error.status_code == status
    assert error.response.headers["content-type"] == "application/json"
    assert_body(error.body, status, *texts)
    assert f"{status}" in str(error) and error.body["message"] in str(error)


def assert_body(body: object, status: int, *texts: str) -> None:
    assert isinstance(body, dict)
    message = body.get("message")
    assert body == {"statusCode": status, "error": responses[status], "message": message}
    for text in texts:
        assert text in message
