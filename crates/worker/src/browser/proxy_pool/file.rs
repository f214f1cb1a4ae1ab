//! A pool as its operator writes it. What is wrong is told by line and field, and never with what stands there: it may be a
//! password.

use std::ops::Range;

use serde::Deserialize;
use toml::Spanned;
use wharf_egress::{Credentials, Upstream};

use super::Member;
use super::choice::Place;

/// A file of upstreams that cannot be used.
#[derive(Debug, thiserror::Error)]
pub enum BadPool {
    /// The system does not give it.
    #[error("cannot read it: {0}")]
    Unreadable(#[source] std::io::Error),
    /// Something in it makes no sense.
    #[error("line {line}: {reason}")]
    Line {
        /// Counted from 1.
        line: usize,
        /// The field, and what is wrong with it.
        reason: String,
    },
    /// Nothing is in it.
    #[error("it has no [[upstream]]")]
    Empty,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct File {
    #[serde(default)]
    upstream: Vec<Spanned<Entry>>,
}

/// No Debug: it holds a password.
#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Entry {
    server: Spanned<String>,
    username: Option<Spanned<String>>,
    password: Option<String>,
    country: Spanned<String>,
    state: Option<Spanned<String>>,
    city: Option<Spanned<String>>,
}

/// # Errors
/// The first line that makes no sense.
pub(super) fn parse(text: &str) -> Result<Vec<Member>, BadPool> {
    let file: File = toml::from_str(text).map_err(|error| refuse(text, &error))?;
    if file.upstream.is_empty() {
        return Err(BadPool::Empty);
    }
    let entries = file.upstream.into_iter();
    entries.map(|entry| member(text, entry)).collect()
}

fn member(text: &str, entry: Spanned<Entry>) -> Result<Member, BadPool> {
    let whole = entry.span();
    let entry = entry.into_inner();
    let bad = |span: Range<usize>, reason: String| BadPool::Line {
        line: line_of(text, span.start),
        reason,
    };
    let server = Upstream::parse(entry.server.get_ref())
        .map_err(|error| bad(entry.server.span(), format!("server: {error}")))?;
    if server.credentials.is_some() {
        let reason = "server: put the user into username and password".to_owned();
        return Err(bad(entry.server.span(), reason));
    }
    let credentials = match (&entry.username, entry.password) {
        (Some(username), password) => {
            let given = Credentials::new(username.get_ref(), password.unwrap_or_default());
            Some(given.ok_or_else(|| bad(username.span(), "username: it may not hold a colon".to_owned()))?)
        }
        (None, Some(_)) => return Err(bad(whole, "password: it has no username beside it".to_owned())),
        (None, None) => None,
    };
    let text_of = |field: &Option<Spanned<String>>| field.as_ref().map(|field| field.get_ref().clone());
    let (state, city) = (text_of(&entry.state), text_of(&entry.city));
    let place = Place::new(entry.country.get_ref(), state.as_deref(), city.as_deref());
    let place = place.map_err(|(field, reason)| {
        let span = match (field, &entry.state) {
            ("state", Some(state)) => state.span(),
            _ => entry.country.span(),
        };
        bad(span, format!("{field}: it {reason}"))
    })?;
    let username = entry.username.as_ref().map_or("", |username| username.get_ref());
    Ok(Member {
        name: format!("{username}@{server}"),
        upstream: Upstream {
            credentials,
            counted: true,
            // The operator's own choice, within its network more often than not.
            trusted: true,
            ..server
        },
        place,
    })
}

/// The parser's words, as far as they do not repeat what stands in the file.
fn refuse(text: &str, error: &toml::de::Error) -> BadPool {
    let start = error.span().map_or(0, |span| span.start);
    let line = line_of(text, start);
    let message = error.message();
    let safe = ["missing field", "unknown field", "duplicate"];
    let reason = match safe.iter().any(|start| message.starts_with(start)) {
        true => message.to_owned(),
        false => {
            let field = text.lines().nth(line - 1).and_then(|line| line.split_once('='));
            let field = field.map_or("", |(field, _)| field.trim());
            match field.is_empty() {
                true => "it is not TOML".to_owned(),
                false => format!("{field}: a text in quotes is expected"),
            }
        }
    };
    BadPool::Line { line, reason }
}

fn line_of(text: &str, position: usize) -> usize {
    1 + text.bytes().take(position).filter(|&byte| byte == b'\n').count()
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    const GOOD: &str = r#"
# Ours.
[[upstream]]
server = "http://10.0.0.1:3128"
username = "me"
password = "hunter2"
country = "US"
state = "CA"
city = "San Francisco"

[[upstream]]
server = "https://proxy.example"
country = "de"
"#;

    #[test]
    fn a_pool_is_its_upstreams_with_their_places() {
        let members = parse(GOOD).unwrap();
        let servers: Vec<_> = members.iter().map(|member| member.upstream.to_string()).collect();
        assert_eq!(servers, ["http://10.0.0.1:3128", "https://proxy.example:443"]);
        assert!(
            members
                .iter()
                .all(|member| member.upstream.trusted && member.upstream.counted)
        );
        assert!(members[0].upstream.credentials.is_some() && members[1].upstream.credentials.is_none());
        assert_eq!(members[1].place, Place::new("DE", None, None).unwrap());
    }

    #[test]
    fn a_mistake_is_told_by_line_and_field_and_no_password_is() {
        for (from, to, told) in [
            (
                "http://10.0.0.1:3128",
                "socks5://hunter2:1",
                "line 4: server: only http:// and https://",
            ),
            (
                "http://10.0.0.1:3128",
                "http://a:hunter2@b:1",
                "line 4: server: put the user into",
            ),
            ("\"me\"", "\"m:e\"", "line 5: username: it may not hold a colon"),
            ("\"US\"", "\"USA\"", "line 7: country: it must be two letters"),
            (
                "\"CA\"",
                "\"California\"",
                "line 8: state: it must be two letters",
            ),
            ("\"hunter2\"", "\"hunter2", "line 6: password: a text in quotes"),
            ("\"hunter2\"", "['hunter2']", "line 6: password: a text in quotes"),
            ("\"hunter2\"", "hunter2", "line 6: password: a text in quotes"),
            ("state =", "province =", "line 8: unknown field `province`"),
            ("country = \"US\"", "", "line 3: missing field `country`"),
            ("username = \"me\"", "", "line 3: password: it has no username"),
            ("[[upstream]]", "[[upstreams]]", "unknown field `upstreams`"),
            ("[[upstream]]", "upstream", "line 3: "),
        ] {
            let error = parse(&GOOD.replacen(from, to, 1)).err().unwrap().to_string();
            assert!(
                error.contains(told) && !error.contains("hunter2"),
                "{to}: {error}"
            );
        }
        assert!(matches!(parse("# nothing\n"), Err(BadPool::Empty)));
    }

    proptest! {
        #[test]
        fn no_damage_to_a_file_shows_its_password(at in 0..GOOD.len(), with in "[\\PC\n]{0,3}") {
            let mut text = GOOD.to_owned();
            text.replace_range(at..at + 1, &with);
            if let Err(error) = parse(&text) {
                prop_assert!(!error.to_string().contains("unter"), "{}", error);
            }
        }
    }
}
