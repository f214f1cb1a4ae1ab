//! What an upload must be: certificates, and nothing else.

use base64::Engine;
use base64::prelude::BASE64_STANDARD;
use rustls_pki_types::CertificateDer;
use rustls_pki_types::pem::PemObject;

/// The largest upload, in bytes. A certificate has one or two thousand.
pub const MOST_BYTES: usize = 64 * 1024;

/// Certificates in one upload. A browser is told of them one by one before it starts, and has some seconds for that.
const MOST: usize = 50;

/// Characters of a line of PEM.
const LINE: usize = 64;

/// The certificates of the file, in PEM as everybody writes it: comments between them are gone.
///
/// # Errors
/// A clause that says what else was found.
pub(super) fn certificates(file: &[u8]) -> Result<String, String> {
    if file.len() > MOST_BYTES {
        return Err(format!("it has more than {MOST_BYTES} bytes"));
    }
    let text = std::str::from_utf8(file)
        .map_err(|_| "it is not text; `openssl x509 -inform der` makes PEM of DER".to_owned())?;
    refuse_other_blocks(text)?;
    let mut normal = String::new();
    for (number, certificate) in CertificateDer::pem_slice_iter(file).enumerate() {
        let number = number + 1;
        if number > MOST {
            return Err(format!(
                "it has more than {MOST} certificates; upload several files"
            ));
        }
        let certificate = certificate.map_err(|error| format!("block {number} is broken: {error}"))?;
        webpki::anchor_from_trusted_cert(&certificate)
            .map_err(|error| format!("block {number} is no X.509 certificate: {error}"))?;
        normal.push_str(&encoded(&certificate));
    }
    match normal.is_empty() {
        true => Err("there is no block that begins with -----BEGIN CERTIFICATE-----".to_owned()),
        // Lines may be longer than ours, so ours may be more.
        false if normal.len() > MOST_BYTES => Err(format!("it has more than {MOST_BYTES} bytes")),
        false => Ok(normal),
    }
}

/// Names what somebody may have uploaded by mistake; a private key above all, which nobody may think safe here.
fn refuse_other_blocks(text: &str) -> Result<(), String> {
    let labels = text
        .lines()
        .filter_map(|line| line.trim().strip_prefix("-----BEGIN ")?.strip_suffix("-----"));
    for label in labels {
        if label.contains("PRIVATE KEY") {
            return Err(
                "there is a private key in it, which was not stored; whoever else saw it should not have it"
                    .to_owned(),
            );
        }
        if label != "CERTIFICATE" {
            return Err("there is a block in it that is no CERTIFICATE".to_owned());
        }
    }
    Ok(())
}

fn encoded(certificate: &CertificateDer<'_>) -> String {
    let encoded = BASE64_STANDARD.encode(certificate);
    let mut pem = "-----BEGIN CERTIFICATE-----\n".to_owned();
    let mut rest = encoded.as_str();
    while !rest.is_empty() {
        let (line, after) = rest.split_at(LINE.min(rest.len()));
        pem.push_str(line);
        pem.push('\n');
        rest = after;
    }
    pem + "-----END CERTIFICATE-----\n"
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    const CERTIFICATE: &str = include_str!("../../../egress/tests/fixtures/upstream.pem");

    #[test]
    fn a_browser_is_not_kept_busy_with_certificates() {
        let once = certificates(CERTIFICATE.as_bytes()).unwrap();
        assert!(certificates(once.repeat(MOST).as_bytes()).is_ok());
        let refused = certificates(once.repeat(MOST + 1).as_bytes()).unwrap_err();
        assert!(refused.contains("50 certificates"), "{refused}");
    }

    #[test]
    fn certificates_are_kept_and_what_stands_between_them_is_not() {
        let once = certificates(CERTIFICATE.as_bytes()).unwrap();
        let chatty = format!(
            "# ours\r\n{}\nand again\n{CERTIFICATE}",
            CERTIFICATE.replace('\n', "\r\n")
        );
        assert_eq!(certificates(chatty.as_bytes()).unwrap(), format!("{once}{once}"));
        assert_eq!(certificates(once.as_bytes()).unwrap(), once);
    }

    #[test]
    fn what_is_no_certificate_is_refused_with_the_reason() {
        let key =
            format!("{CERTIFICATE}-----BEGIN EC PRIVATE KEY-----\nAAAA\n-----END EC PRIVATE KEY-----\n");
        let encrypted = key.replace("EC PRIVATE", "ENCRYPTED PRIVATE");
        let request = CERTIFICATE.replace("CERTIFICATE", "CERTIFICATE REQUEST");
        let nonsense = "-----BEGIN CERTIFICATE-----\nAAAA\n-----END CERTIFICATE-----\n";
        let long = format!("{}{CERTIFICATE}", " ".repeat(MOST_BYTES));
        for (file, words) in [
            ("", "there is no block"),
            ("hello", "there is no block"),
            (key.as_str(), "private key"),
            (encrypted.as_str(), "private key"),
            (request.as_str(), "no CERTIFICATE"),
            (nonsense, "no X.509 certificate"),
            (long.as_str(), "more than 65536 bytes"),
        ] {
            let told = certificates(file.as_bytes()).unwrap_err();
            assert!(told.contains(words), "{file:.40}: {told}");
        }
        assert!(certificates(b"\x30\x82\xff").unwrap_err().contains("DER"));
        let cut = &CERTIFICATE[..CERTIFICATE.len() / 2];
        assert!(certificates(cut.as_bytes()).is_err(), "{cut}");
    }

    proptest! {
        /// Whatever is accepted is certificates alone, and stays what it is.
        #[test]
        fn a_damaged_file_is_refused_or_means_certificates(at in 0..CERTIFICATE.len(), byte in any::<u8>()) {
            let mut file = CERTIFICATE.as_bytes().to_vec();
            file[at] = byte;
            if let Ok(kept) = certificates(&file) {
                prop_assert_eq!(certificates(kept.as_bytes()).unwrap(), kept);
            }
        }
    }
}
