//! The WebDriver address. Nothing is served there yet, but a Selenium client is told so in words that it shows.

use axum::Json;
use axum::http::StatusCode;
use axum::response::IntoResponse;

/// W3C WebDriver's shape of an error. With this status and code, clients raise `UnknownCommandException` or the like,
/// with the message.
pub(crate) async fn refuse() -> impl IntoResponse {
    let error = serde_json::json!({
        "value": {
            "error": "unknown command",
            "message": "Selenium is not served yet. Connect to the session's connectUrl with a CDP client, such as \
                        Playwright's chromium.connectOverCDP or Puppeteer's puppeteer.connect.",
            "stacktrace": "",
        }
    });
    (StatusCode::NOT_IMPLEMENTED, Json(error))
}
