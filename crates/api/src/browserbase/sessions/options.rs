//! The options of a session: checked when they come in, stored, and shown again.

use serde::de::{SeqAccess, Visitor, value::SeqAccessDeserializer};
use serde::{Deserialize, Deserializer, Serialize};
use serde_json::Value;
use utoipa::ToSchema;
use uuid::Uuid;
use wharf_control::sessions::Capability;
use wharf_domain::{AllowedDomain, CertificateId, IdleTimeout, Viewport};
use wharf_protocol::{BrowserOptions, ProxyPassword, ProxyPlace, ProxyRoad};
use wharf_store::sessions::Session as StoredSession;

use super::allowed_domains;

/// What is stored of a create call beside the session's own columns.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize, ToSchema)]
#[serde(rename_all = "camelCase", default)]
pub(crate) struct SessionOptions {
    /// How the browser is to be.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(super) browser_settings: Option<BrowserSettings>,
    /// The extension to load.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(super) extension_id: Option<String>,
    /// Where traffic goes out.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(super) proxies: Option<Proxies>,
    /// How proxies are spoken to.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(super) proxy_settings: Option<ProxySettings>,
    /// How long it may go without a byte from a client, in seconds.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schema(value_type = Option<i32>)]
    pub(super) idle_timeout: Option<IdleTimeout>,
}

/// How the browser is to be.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize, ToSchema)]
#[serde(rename_all = "camelCase", default, expecting = "an object")]
pub(crate) struct BrowserSettings {
    /// The profile to start from.
    #[serde(skip_serializing_if = "Option::is_none")]
    context: Option<ContextSettings>,
    /// The extension to load.
    #[serde(skip_serializing_if = "Option::is_none")]
    extension_id: Option<String>,
    /// The size that pages are laid out in; 1280 × 720 without.
    #[serde(skip_serializing_if = "Option::is_none")]
    viewport: Option<ViewportSettings>,
    /// Whether advertisements are kept out: hosts that serve nothing else, and over plain HTTP single URLs too.
    #[serde(skip_serializing_if = "Option::is_none")]
    block_ads: Option<bool>,
    /// Whether captchas are solved. Stored and shown; it changes nothing.
    #[serde(skip_serializing_if = "Option::is_none")]
    solve_captchas: Option<bool>,
    /// Whether the session is recorded. Stored and shown; it changes nothing yet.
    #[serde(skip_serializing_if = "Option::is_none")]
    record_session: Option<bool>,
    /// Whether the session's traffic is logged. Stored and shown; it changes nothing yet.
    #[serde(skip_serializing_if = "Option::is_none")]
    log_session: Option<bool>,
    /// The older name of `verified`.
    #[serde(skip_serializing_if = "Option::is_none")]
    advanced_stealth: Option<bool>,
    /// Whether the browser is to pass for a person's.
    #[serde(skip_serializing_if = "Option::is_none")]
    verified: Option<bool>,
    /// The operating system that the browser is to pass for. `linux` is what it is; the others are refused, because Chromium
    /// cannot say the same thing everywhere: with another user agent its client hints, `navigator.platform` or its workers
    /// still say Linux.
    #[serde(skip_serializing_if = "Option::is_none")]
    os: Option<OperatingSystem>,
    /// Selects the image of a custom captcha. Stored and shown; it changes nothing.
    #[serde(skip_serializing_if = "Option::is_none")]
    captcha_image_selector: Option<String>,
    /// Selects the input of a custom captcha. Stored and shown; it changes nothing.
    #[serde(skip_serializing_if = "Option::is_none")]
    captcha_input_selector: Option<String>,
    /// The domains that pages may navigate to, with all below them, 500 at most; anywhere when empty. Frames within a page,
    /// and what it loads, are not limited.
    #[serde(
        skip_serializing_if = "Vec::is_empty",
        deserialize_with = "allowed_domains::read"
    )]
    #[schema(value_type = Vec<String>)]
    allowed_domains: Vec<AllowedDomain>,
    /// Whether pages with broken certificates load; they do not without.
    #[serde(skip_serializing_if = "Option::is_none")]
    ignore_certificate_errors: Option<bool>,
}

/// The profile to start from.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, ToSchema)]
#[serde(expecting = "an object")]
pub(crate) struct ContextSettings {
    /// Its id.
    id: Uuid,
    /// Whether changes are saved at the end.
    #[serde(default)]
    persist: bool,
}

/// The size of pages in CSS pixels, 100 to 8192 each.
#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize, ToSchema)]
#[serde(try_from = "RawViewport")]
pub(crate) struct ViewportSettings {
    #[serde(flatten)]
    #[schema(inline)]
    size: ViewportSize,
}

#[derive(Debug, Clone, Copy, PartialEq, Serialize, ToSchema)]
struct ViewportSize {
    width: u32,
    height: u32,
}

#[derive(Deserialize)]
#[serde(expecting = "an object")]
struct RawViewport {
    width: i64,
    height: i64,
}

/// An operating system that a browser can pass for.
#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize, ToSchema)]
#[serde(rename_all = "lowercase")]
pub(crate) enum OperatingSystem {
    Windows,
    Mac,
    Linux,
    Mobile,
    Tablet,
}

/// How proxies are spoken to.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize, ToSchema)]
#[serde(rename_all = "camelCase", default, expecting = "an object")]
pub(crate) struct ProxySettings {
    /// Certificates to trust, ten at most: what pages and https proxies show may be signed by them. See `POST /v1/certificates`.
    ca_certificates: Vec<Uuid>,
}

/// `true`, or rules of which the first that matches a host decides.
#[derive(Debug, Clone, PartialEq, Serialize, ToSchema)]
#[serde(untagged)]
pub(crate) enum Proxies {
    /// Whether traffic goes through the operator's own proxy.
    Switch(bool),
    /// Ordered rules.
    Rules(Vec<ProxyRule>),
}

/// Where traffic to some hosts goes out.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, ToSchema)]
#[serde(tag = "type", rename_all = "lowercase", rename_all_fields = "camelCase")]
pub(crate) enum ProxyRule {
    /// Through the operator's own proxy.
    Browserbase {
        /// The hosts, as a regular expression; all without.
        #[serde(skip_serializing_if = "Option::is_none")]
        domain_pattern: Option<String>,
        /// Where the proxy is to be: `country` (two letters, as in DE), and if you like `state` and `city`. The nearest is taken.
        #[serde(skip_serializing_if = "Option::is_none")]
        #[schema(value_type = Option<Object>)]
        geolocation: Option<serde_json::Map<String, Value>>,
    },
    /// Through the caller's proxy.
    External {
        /// Its address.
        server: String,
        /// The hosts, as a regular expression; all without.
        #[serde(skip_serializing_if = "Option::is_none")]
        domain_pattern: Option<String>,
        /// Its user.
        #[serde(skip_serializing_if = "Option::is_none")]
        username: Option<String>,
        /// Its password.
        #[serde(skip_serializing_if = "Option::is_none")]
        #[schema(value_type = Option<String>)]
        password: Option<ProxyPassword>,
    },
    /// Directly.
    None {
        /// The hosts, as a regular expression; all without.
        #[serde(skip_serializing_if = "Option::is_none")]
        domain_pattern: Option<String>,
    },
}

impl SessionOptions {
    /// The options of a stored session. What a later version wrote and this one cannot read is not shown.
    pub(super) fn from_stored(session: &StoredSession) -> Self {
        serde_json::from_value(session.options.clone()).unwrap_or_else(|error| {
            tracing::warn!(session = %session.id, %error, "stored options are not shown: is a newer program writing?");
            Self::default()
        })
    }

    /// What is stored: no password, wherever it was written, for only the launch needs it.
    pub(super) fn to_stored(&self) -> Value {
        let mut stored = self.clone();
        if let Some(Proxies::Rules(rules)) = &mut stored.proxies {
            for rule in rules {
                if let ProxyRule::External { server, password, .. } = rule {
                    *password = None;
                    *server = without_credentials(server);
                }
            }
        }
        serde_json::to_value(stored).expect("options are plain JSON")
    }

    pub(super) fn context_id(&self) -> Option<Uuid> {
        self.browser_settings
            .as_ref()?
            .context
            .as_ref()
            .map(|context| context.id)
    }

    /// What changes how the browser starts.
    pub(super) fn browser(&self) -> BrowserOptions {
        let settings = self.browser_settings.clone().unwrap_or_default();
        BrowserOptions {
            viewport: settings.viewport.and_then(|viewport| {
                Viewport::new(i64::from(viewport.size.width), i64::from(viewport.size.height)).ok()
            }),
            ignore_certificate_errors: settings.ignore_certificate_errors.unwrap_or(false),
            // Read by the control plane, from the ids.
            ca_certificates: Vec::new(),
            allowed_domains: settings.allowed_domains,
            block_ads: settings.block_ads.unwrap_or(false),
            proxies: match &self.proxies {
                None | Some(Proxies::Switch(false)) => Vec::new(),
                Some(Proxies::Switch(true)) => vec![wharf_protocol::ProxyRule {
                    domain_pattern: None,
                    road: ProxyRoad::BuiltIn {
                        somewhere: false,
                        place: None,
                    },
                }],
                Some(Proxies::Rules(rules)) => rules.iter().cloned().map(ProxyRule::into_road).collect(),
            },
        }
    }

    /// The certificates to trust.
    pub(super) fn ca_certificates(&self) -> Vec<CertificateId> {
        let settings = self.proxy_settings.as_ref();
        let named = settings.map(|settings| settings.ca_certificates.as_slice());
        named
            .unwrap_or_default()
            .iter()
            .copied()
            .map(CertificateId::from)
            .collect()
    }

    /// What the session makes no sense without.
    pub(super) fn needs(&self) -> Vec<Capability> {
        let settings = self.browser_settings.clone().unwrap_or_default();
        [
            (settings.context.is_some(), Capability::Contexts),
            (
                self.extension_id.is_some() || settings.extension_id.is_some(),
                Capability::Extensions,
            ),
            (
                settings.verified == Some(true) || settings.advanced_stealth == Some(true),
                Capability::Verified,
            ),
            (
                settings.os.is_some_and(|os| os != OperatingSystem::Linux),
                Capability::OperatingSystem,
            ),
        ]
        .into_iter()
        .filter_map(|(needed, capability)| needed.then_some(capability))
        .collect()
    }
}

impl ProxyRule {
    fn into_road(self) -> wharf_protocol::ProxyRule {
        let (domain_pattern, road) = match self {
            Self::None { domain_pattern } => (domain_pattern, ProxyRoad::Direct),
            Self::Browserbase {
                domain_pattern,
                geolocation,
            } => {
                let place = geolocation
                    .filter(|place| !place.is_empty())
                    .map(|place| place_of(&place));
                let somewhere = place.is_some();
                (domain_pattern, ProxyRoad::BuiltIn { somewhere, place })
            }
            Self::External {
                server,
                domain_pattern,
                username,
                password,
            } => (
                domain_pattern,
                ProxyRoad::External {
                    server,
                    username,
                    password,
                },
            ),
        };
        wharf_protocol::ProxyRule { domain_pattern, road }
    }
}

/// Everything before the last `@` goes but the scheme, for the address may be malformed and is stored before that is seen.
fn without_credentials(server: &str) -> String {
    match server.rsplit_once('@') {
        Some((before, host)) => match before.split_once("://") {
            Some((scheme, _)) => format!("{scheme}://{host}"),
            None => host.to_owned(),
        },
        None => server.to_owned(),
    }
}

/// What is no text says nothing: whoever looks for the place asks for what is missing.
fn place_of(geolocation: &serde_json::Map<String, Value>) -> ProxyPlace {
    let text = |field: &str| Some(geolocation.get(field)?.as_str()?.to_owned());
    ProxyPlace {
        country: text("country"),
        state: text("state"),
        city: text("city"),
    }
}

impl TryFrom<RawViewport> for ViewportSettings {
    type Error = String;

    fn try_from(raw: RawViewport) -> Result<Self, String> {
        let viewport = Viewport::new(raw.width, raw.height)
            .map_err(|error| format!("has a {}: it {error}", error.side))?;
        Ok(Self {
            size: ViewportSize {
                width: viewport.width(),
                height: viewport.height(),
            },
        })
    }
}

impl<'de> Deserialize<'de> for Proxies {
    /// By hand, because an untagged enum forgets which field was wrong.
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        struct SwitchOrRules;

        impl<'de> Visitor<'de> for SwitchOrRules {
            type Value = Proxies;

            fn expecting(&self, formatter: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
                formatter.write_str("a boolean or an array of rules")
            }

            fn visit_bool<E>(self, on: bool) -> Result<Proxies, E> {
                Ok(Proxies::Switch(on))
            }

            fn visit_seq<A: SeqAccess<'de>>(self, rules: A) -> Result<Proxies, A::Error> {
                Vec::deserialize(SeqAccessDeserializer::new(rules)).map(Proxies::Rules)
            }
        }

        deserializer.deserialize_any(SwitchOrRules)
    }
}
