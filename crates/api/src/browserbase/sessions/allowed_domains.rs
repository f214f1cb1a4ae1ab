//! Reading `browserSettings.allowedDomains`.

use serde::Deserializer;
use serde::de::{Deserialize, Error};
use wharf_domain::AllowedDomain;

/// Each is read by itself, so that an error names it.
pub(super) fn read<'de, D: Deserializer<'de>>(deserializer: D) -> Result<Vec<AllowedDomain>, D::Error> {
    let domains = Vec::<AllowedDomain>::deserialize(deserializer)?;
    if domains.len() > AllowedDomain::MOST {
        return Err(D::Error::custom(format!(
            "must hold at most {} domains, not {}",
            AllowedDomain::MOST,
            domains.len()
        )));
    }
    Ok(domains)
}

#[cfg(test)]
mod tests {
    use serde_json::{Value, json};

    use super::*;
    use crate::browserbase::sessions::options::SessionOptions;
    use crate::extract::parse;

    fn options(domains: &Value) -> Result<SessionOptions, String> {
        let body = json!({ "browserSettings": { "allowedDomains": domains } });
        parse(body.to_string().as_bytes())
    }

    #[test]
    fn they_are_stored_shown_and_sent_as_a_browser_spells_them() {
        let options = options(&json!(["*.Example.com", "b\u{fc}cher.example."])).unwrap();
        let stored = options.to_stored();
        let spelled = json!(["example.com", "xn--bcher-kva.example"]);
        assert_eq!(stored["browserSettings"]["allowedDomains"], spelled);
        assert_eq!(json!(options.browser().allowed_domains), spelled);
        assert!(options.needs().is_empty());
    }

    #[test]
    fn the_one_that_is_wrong_is_named() {
        let refused = options(&json!(["example.com", "https://example.com/"])).unwrap_err();
        assert!(
            refused.starts_with("body/browserSettings/allowedDomains/1 must be a host name"),
            "{refused}"
        );
        let refused = options(&json!("example.com")).unwrap_err();
        assert!(
            refused.starts_with("body/browserSettings/allowedDomains must be an array"),
            "{refused}"
        );
    }

    #[test]
    fn there_are_not_too_many() {
        let domains = |count: usize| json!(vec!["a.example"; count]);
        assert!(options(&domains(AllowedDomain::MOST)).is_ok());
        let refused = options(&domains(AllowedDomain::MOST + 1)).unwrap_err();
        assert!(refused.contains("at most 500 domains, not 501"), "{refused}");
    }
}
