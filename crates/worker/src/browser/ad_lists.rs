//! What is an advertisement: by lists of rules as ad blockers have them, such as EasyList.
//!
//! The lists are files of the operator's. They are read when the first session asks, once for all sessions: EasyList's
//! 52,000 rules for requests then take some 6 MiB, and a question 3 to 5 µs.

use std::fmt;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use adblock::lists::{ParseOptions, ParsedLine, RuleTypes, parse_filter};
use adblock::request::Request;
use adblock::{Engine, FilterSet};
use tokio::sync::OnceCell;
use url::{Host, Url};
use wharf_egress::{Blocklist, RequestKind};

use super::Impossible;

/// Files with rules.
#[derive(Debug, Clone, Default)]
pub struct AdLists {
    files: Vec<PathBuf>,
    rules: Arc<OnceCell<Arc<AdRules>>>,
}

/// The rules of all lists.
pub(super) struct AdRules(Engine);

/// A list cannot be had.
#[derive(Debug, thiserror::Error)]
enum BadList {
    #[error("cannot read {}: {source}", .path.display())]
    Unreadable { path: PathBuf, source: std::io::Error },
    /// It would block nothing, and be taken for one that does.
    #[error("{} is no list: it has no rule for requests", .path.display())]
    NoRules { path: PathBuf },
    #[error("the thread that read the lists ended")]
    Ended,
}

impl AdLists {
    /// These files, which need not be there until a session asks.
    pub fn of(files: Vec<PathBuf>) -> Self {
        Self {
            files,
            rules: Arc::default(),
        }
    }

    /// Reads them, unless somebody has: takes 60 ms, in another thread.
    ///
    /// # Errors
    /// There is none, or one cannot be read or has no rules. The next call tries again.
    pub(super) async fn read(&self) -> Result<(), Impossible> {
        if self.files.is_empty() {
            return Err(not_offered());
        }
        let read = self.rules.get_or_try_init(|| async {
            let files = self.files.clone();
            let rules = tokio::task::spawn_blocking(move || AdRules::read(&files)).await;
            rules.unwrap_or(Err(BadList::Ended)).map(Arc::new)
        });
        read.await.map(drop).map_err(|error| {
            tracing::warn!(%error, "advertisements are not kept out: {error}");
            not_offered()
        })
    }

    /// What was read.
    ///
    /// # Errors
    /// Nothing was.
    pub(super) fn rules(&self) -> Result<Arc<AdRules>, Impossible> {
        self.rules.get().cloned().ok_or_else(not_offered)
    }
}

fn not_offered() -> Impossible {
    Impossible::NotOffered(
        "body/browserSettings/blockAds: this server has no list of what advertisements are (wharf's --ad-list); leave it out"
            .to_owned(),
    )
}

impl AdRules {
    fn read(files: &[PathBuf]) -> Result<Self, BadList> {
        let mut set = FilterSet::new(false);
        for path in files {
            let text = read_text(path).map_err(|source| BadList::Unreadable {
                path: path.clone(),
                source,
            })?;
            // What is hidden within a page is not a proxy's to hide.
            let options = ParseOptions {
                rule_types: RuleTypes::NetworkOnly,
                ..ParseOptions::default()
            };
            if !has_rules(&text, options) {
                return Err(BadList::NoRules { path: path.clone() });
            }
            set.add_filter_list(text, options);
        }
        Ok(Self(Engine::new_with_filter_set(set)))
    }

    fn matches(&self, url: &str, host: &str, from: &str, kind: &str) -> bool {
        // Said here, so that the engine does not ask the list of public suffixes, which it was built without.
        let third_party = site(host) != site(from);
        let request = Request::preparsed(url, host, from, kind, third_party, "GET");
        self.0.check_network_request(&request).should_block()
    }
}

/// Whether there is a rule for requests. The parser takes nearly any line for one, of a page in HTML too; but a rule has no
/// space, and no list begins with a tag.
fn has_rules(text: &str, options: ParseOptions) -> bool {
    let text = text.trim_start_matches('\u{feff}').trim_start();
    let is_rule = |line: &str| {
        !line.contains(char::is_whitespace)
            && matches!(parse_filter(line, false, options), Ok(ParsedLine::Network(_)))
    };
    !text.starts_with('<') && text.lines().any(|line| is_rule(line.trim()))
}

fn read_text(path: &Path) -> std::io::Result<String> {
    Ok(String::from_utf8_lossy(&std::fs::read(path)?).into_owned())
}

impl Blocklist for AdRules {
    /// Whether a rule names the whole host, whoever asks: of a tunnel nothing else is known. So a rule for a path, for some
    /// sites, or against third parties only, does not count; nor does an exception for a single URL or site.
    fn blocks_host(&self, host: &str) -> bool {
        [format!("https://{host}/"), format!("https://{host}/a1/b2.c3?d4")]
            .iter()
            .all(|url| self.matches(url, host, host, "other"))
    }

    fn blocks_url(&self, url: &str, referrer: Option<&str>, kind: RequestKind) -> bool {
        let Some(host) = host(url) else {
            return false;
        };
        let from = referrer.and_then(self::host).unwrap_or_else(|| host.clone());
        self.matches(url, &host, &from, name(kind))
    }
}

impl fmt::Debug for AdRules {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.debug_struct("AdRules").finish_non_exhaustive()
    }
}

fn host(url: &str) -> Option<String> {
    let url = Url::parse(url).ok()?;
    Some(url.host_str()?.to_owned())
}

/// The end of a host's name that stands for who it belongs to: two labels, or three below one such as `co.uk`.
fn site(host: &str) -> &str {
    if !matches!(Host::parse(host), Ok(Host::Domain(_))) {
        return host;
    }
    let mut labels = host.rsplit('.');
    let (last, second) = (labels.next().unwrap_or(""), labels.next().unwrap_or(""));
    let kept = if last.len() == 2 && second.len() <= 3 {
        3
    } else {
        2
    };
    let start = host.rmatch_indices('.').nth(kept - 1);
    start.map_or(host, |(dot, _)| &host[dot + 1..])
}

/// As rules call them.
fn name(kind: RequestKind) -> &'static str {
    match kind {
        RequestKind::Document => "document",
        RequestKind::Frame => "subdocument",
        RequestKind::Script => "script",
        RequestKind::Style => "stylesheet",
        RequestKind::Image => "image",
        RequestKind::Media => "media",
        RequestKind::Font => "font",
        RequestKind::WebSocket => "websocket",
        RequestKind::Other => "xmlhttprequest",
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    const LIST: &str = "[Adblock Plus 2.0]\n! a comment\n||ads.example^\n||cdn.example^$third-party\n||tracker.example^$script\n\
        ||partner.example^$domain=shop.example\n||mixed.example/banner/\n||spared.example^\n@@||spared.example^\n\
        ||spared-once.example^\n@@||spared-once.example/needed.js\n/advert-*.png$image\nnews.example##.ad\n";

    fn rules(text: &str) -> AdRules {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("list.txt");
        std::fs::write(&path, text).unwrap();
        AdRules::read(&[path]).unwrap()
    }

    #[test]
    fn a_host_is_blocked_when_all_of_it_is_whoever_asks() {
        let rules = rules(LIST);
        for host in ["ads.example", "a.b.ads.example", "spared-once.example"] {
            assert!(rules.blocks_host(host), "{host}");
        }
        for host in [
            "cdn.example",
            "tracker.example",
            "partner.example",
            "mixed.example",
            "spared.example",
            "notads.example",
            "ads.example.org",
            "news.example",
            "127.0.0.1",
            "[::1]",
            "localhost",
            "",
        ] {
            assert!(!rules.blocks_host(host), "{host}");
        }
    }

    #[test]
    fn of_a_url_more_is_known() {
        let rules = rules(LIST);
        let page = Some("http://www.shop.example/");
        let asked = |url, kind| rules.blocks_url(url, page, kind);
        assert!(asked("http://cdn.example/x", RequestKind::Script));
        assert!(!rules.blocks_url(
            "http://cdn.example/x",
            Some("http://www.cdn.example/"),
            RequestKind::Script
        ));
        assert!(!rules.blocks_url("http://cdn.example/x", None, RequestKind::Script));
        assert!(asked("http://tracker.example/x", RequestKind::Script));
        assert!(!asked("http://tracker.example/x", RequestKind::Image));
        assert!(asked("http://partner.example/x", RequestKind::Other));
        assert!(!rules.blocks_url(
            "http://partner.example/x",
            Some("http://other.example/"),
            RequestKind::Other
        ));
        assert!(asked("http://mixed.example/banner/1", RequestKind::Image));
        assert!(!asked("http://mixed.example/", RequestKind::Image));
        assert!(!asked(
            "http://spared-once.example/needed.js",
            RequestKind::Script
        ));
        assert!(asked("http://shop.example/advert-1.png", RequestKind::Image));
        // Somebody goes there.
        assert!(!rules.blocks_url("http://cdn.example/", None, RequestKind::Document));
        assert!(!asked("not a URL", RequestKind::Image));
    }

    #[test]
    fn sites_are_told_apart_by_the_end_of_their_names() {
        for (host, expected) in [
            ("www.example.com", "example.com"),
            ("a.b.example.co.uk", "example.co.uk"),
            ("example.co.uk", "example.co.uk"),
            ("www.example.de", "example.de"),
            ("localhost", "localhost"),
            ("127.0.0.1", "127.0.0.1"),
            ("[::1]", "[::1]"),
            ("", ""),
        ] {
            assert_eq!(site(host), expected, "{host}");
        }
    }

    #[tokio::test]
    async fn without_a_list_it_is_not_offered_until_there_is_one() {
        assert_eq!(AdLists::default().read().await, Err(not_offered()));
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("list.txt");
        let lists = AdLists::of(vec![path.clone()]);
        assert_eq!(lists.read().await, Err(not_offered()));
        assert_eq!(lists.rules().unwrap_err(), not_offered());
        std::fs::write(&path, LIST).unwrap();
        lists.read().await.unwrap();
        let (one, other) = (lists.rules().unwrap(), lists.clone().rules().unwrap());
        assert!(one.blocks_host("ads.example") && Arc::ptr_eq(&one, &other));
    }

    #[tokio::test]
    async fn what_is_no_list_is_not_taken_for_one() {
        let folder = tempfile::tempdir().unwrap();
        let path = |name: &str| folder.path().join(name);
        std::fs::write(path("good"), LIST).unwrap();
        for text in [
            "",
            "\n \n",
            "[Adblock Plus 2.0]\n! only a comment\nnews.example##.ad\n",
            "<!doctype html>\n<html>\n||ads.example^\n</html>\n",
            "\u{feff}\n  <html></html>",
            "The requested page was not found\n",
        ] {
            std::fs::write(path("bad"), text).unwrap();
            let lists = AdLists::of(vec![path("good"), path("bad")]);
            assert_eq!(lists.read().await, Err(not_offered()), "{text}");
            let told = AdRules::read(&[path("bad")]).unwrap_err().to_string();
            assert!(told.contains("bad is no list"), "{told}");
        }
    }

    proptest! {
        #[test]
        fn nothing_that_a_browser_may_ask_panics(host in "\\PC{0,20}", rest in "\\PC{0,40}", line in "\\PC{0,40}") {
            let rules = rules(&format!("{LIST}{line}\n"));
            rules.blocks_host(&host);
            rules.blocks_url(&rest, Some(&host), RequestKind::Other);
            rules.blocks_url(&format!("http://{host}/{rest}"), Some(&format!("http://{host}")), RequestKind::Image);
            let _ = site(&host);
        }
    }
}
