//! What the browser shows when there is no answer from the world.

use http_body_util::{Either, Full};
use hyper::body::Bytes;
use hyper::header::{CACHE_CONTROL, CONNECTION, CONTENT_TYPE, HeaderName, HeaderValue};
use hyper::{Response, StatusCode};

use crate::body::AnswerBody;
use crate::failure::Failure;

/// On answers of our own only: why.
pub(crate) const REASON: HeaderName = HeaderName::from_static("x-wharf-egress");

/// The page for a request that failed.
pub(crate) fn response(failure: &Failure, host: &str) -> Response<AnswerBody> {
    let mut response = Response::new(Either::Left(Full::new(Bytes::from(html(failure, host)))));
    *response.status_mut() = failure.status();
    let headers = response.headers_mut();
    headers.insert(CONTENT_TYPE, HeaderValue::from_static("text/html; charset=utf-8"));
    headers.insert(CACHE_CONTROL, HeaderValue::from_static("no-store"));
    if let Ok(code) = HeaderValue::try_from(failure.code()) {
        headers.insert(REASON, code);
    }
    if failure.status() == StatusCode::BAD_REQUEST {
        headers.insert(CONNECTION, HeaderValue::from_static("close"));
    }
    response
}

/// The same as bytes, for a connection that has no HTTP parser yet.
pub(crate) fn bytes(failure: &Failure) -> String {
    let (status, body) = (failure.status(), html(failure, ""));
    format!(
        "HTTP/1.1 {status}\r\ncontent-type: text/html; charset=utf-8\r\ncache-control: no-store\r\n{REASON}: {}\r\n\
         content-length: {}\r\nconnection: close\r\n\r\n{body}",
        failure.code(),
        body.len(),
    )
}

fn html(failure: &Failure, host: &str) -> String {
    let (status, reason) = (failure.status(), escaped(&failure.to_string()));
    let title = match status {
        StatusCode::FORBIDDEN => "Not allowed",
        StatusCode::BAD_REQUEST => "Not understood",
        StatusCode::SERVICE_UNAVAILABLE => "Too much at once",
        _ => "Not reached",
    };
    let host = if host.is_empty() {
        String::new()
    } else {
        format!("<p><b>{}</b></p>\n", escaped(host))
    };
    format!(
        "<!doctype html>\n<html lang=\"en\"><head><meta charset=\"utf-8\"><title>{title}</title>\n\
         <style>body{{font:16px/1.5 system-ui,sans-serif;max-width:40em;margin:4em auto;padding:0 1em}}\
         code{{color:#666}}</style></head>\n<body><h1>{title}</h1>\n{host}<p>{reason}.</p>\n\
         <p><code>{} {}</code> from this browser's proxy</p></body></html>\n",
        status.as_u16(),
        escaped(&failure.code()),
    )
}

fn escaped(text: &str) -> String {
    let mut escaped = String::with_capacity(text.len());
    for character in text.chars() {
        match character {
            '&' => escaped.push_str("&amp;"),
            '<' => escaped.push_str("&lt;"),
            '>' => escaped.push_str("&gt;"),
            '"' => escaped.push_str("&quot;"),
            '\'' => escaped.push_str("&#39;"),
            other => escaped.push(other),
        }
    }
    escaped
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_page_runs_nothing_of_what_it_was_given() {
        let page = html(&Failure::NameNotFound, "<script>alert('1')</script>&\"");
        assert!(
            page.contains("&lt;script&gt;alert(&#39;1&#39;)&lt;/script&gt;&amp;&quot;"),
            "{page}"
        );
        assert!(!page.contains("<script") && !page.contains("http:") && page.contains("502 name-not-found"));
    }

    #[test]
    fn the_length_of_a_page_is_that_of_its_body() {
        let page = bytes(&Failure::TooManyExchanges);
        let (head, body) = page.split_once("\r\n\r\n").unwrap();
        assert!(head.starts_with("HTTP/1.1 503 Service Unavailable\r\n"), "{head}");
        assert!(
            head.contains(&format!("content-length: {}\r\n", body.len())),
            "{head}"
        );
    }
}
