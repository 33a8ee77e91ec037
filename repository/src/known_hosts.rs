//! Which keys SSH hosts have.

use std::collections::HashMap;

use git2::CertificateCheckStatus;
use git2::cert::Cert;
use serde::{Deserialize, Serialize};

use crate::Url;

/// Largest text that is taken, bytes.
const LIMIT: usize = 1 << 20;

/// The keys of hosts, as in the file `known_hosts` of ssh(1): `host[,host].. type base64`, and `[host]:port` for another
/// port than 22. Hashed names, patterns and certificate authorities are not understood; without a list the user's own
/// `~/.ssh/known_hosts` counts. A host that is not in it is not talked to.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct KnownHosts {
    /// Keys in base64, by host.
    keys: HashMap<String, Vec<String>>,
}

/// A line that is none of `known_hosts`.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum InvalidKnownHosts {
    /// The text is too long.
    #[error("the known hosts have more than {LIMIT} bytes")]
    TooLong,
    /// A line makes no sense.
    #[error("line {line} of the known hosts {what}")]
    Line {
        /// From 1.
        line: usize,
        /// What is wrong with it.
        what: &'static str,
    },
}

impl KnownHosts {
    /// Reads such a text.
    ///
    /// # Errors
    /// See [`InvalidKnownHosts`].
    pub fn parse(text: &str) -> Result<Self, InvalidKnownHosts> {
        if text.len() > LIMIT {
            return Err(InvalidKnownHosts::TooLong);
        }
        let mut keys: HashMap<String, Vec<String>> = HashMap::new();
        for (index, line) in text.lines().enumerate() {
            let wrong = |what| InvalidKnownHosts::Line {
                line: index + 1,
                what,
            };
            let line = line.trim();
            if line.is_empty() || line.starts_with('#') {
                continue;
            }
            if line.starts_with('@') {
                return Err(wrong("has a marker, which is not understood here"));
            }
            if line.starts_with('|') {
                return Err(wrong("has a hashed name; write the name itself"));
            }
            let mut words = line.split_ascii_whitespace();
            let (Some(hosts), Some(_kind), Some(key)) = (words.next(), words.next(), words.next())
            else {
                return Err(wrong("is not `host type key`"));
            };
            for host in hosts.split(',') {
                if host.contains(['*', '?', '!']) {
                    return Err(wrong("has a pattern, which is not understood here"));
                }
                let host = host.to_ascii_lowercase();
                keys.entry(host).or_default().push(key.to_owned());
            }
        }
        Ok(Self { keys })
    }

    /// Whether a host has shown one of its keys.
    pub(crate) fn check(
        &self,
        url: &Url,
        certificate: &Cert<'_>,
    ) -> Result<CertificateCheckStatus, git2::Error> {
        let Some(key) = certificate.as_hostkey().and_then(|key| key.hostkey()) else {
            // TLS has its own way.
            return Ok(CertificateCheckStatus::CertificatePassthrough);
        };
        let host = url.host().trim_start_matches('[').trim_end_matches(']');
        let name = match url.port() {
            None | Some(22) => host.to_owned(),
            Some(port) => format!("[{host}]:{port}"),
        };
        let shown = base64(key);
        let message = match self.keys.get(&name) {
            Some(keys) if keys.contains(&shown) => {
                return Ok(CertificateCheckStatus::CertificateOk);
            }
            Some(_) => format!("the host {name} shows another key than the known one"),
            None => format!("the key of the host {name} is not known"),
        };
        Err(git2::Error::new(
            git2::ErrorCode::Certificate,
            git2::ErrorClass::Ssh,
            message,
        ))
    }
}

/// Standard base64 with padding; too little for a dependency.
fn base64(bytes: &[u8]) -> String {
    const DIGITS: &[u8; 64] = b"ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/";
    let mut text = String::with_capacity(bytes.len().div_ceil(3) * 4);
    for group in bytes.chunks(3) {
        let at = |index: usize| u32::from(group.get(index).copied().unwrap_or_default());
        let bits = at(0) << 16 | at(1) << 8 | at(2);
        for digit in 0..4 {
            if digit > group.len() {
                text.push('=');
            } else {
                let index = (bits >> (18 - 6 * digit)) & 63;
                text.push(char::from(DIGITS[index as usize]));
            }
        }
    }
    text
}

#[cfg(test)]
mod tests {
    use super::{KnownHosts, base64};

    #[test]
    fn base64_is_the_standard_one() {
        for (bytes, text) in [
            ("", ""),
            ("f", "Zg=="),
            ("fo", "Zm8="),
            ("foo", "Zm9v"),
            ("foobar", "Zm9vYmFy"),
        ] {
            assert_eq!(base64(bytes.as_bytes()), text);
        }
    }

    #[test]
    fn lines_are_understood_or_named() {
        let hosts =
            KnownHosts::parse("# ours\n\nA.example,[b.example]:2222 ssh-ed25519 AAAA\n").unwrap();
        assert_eq!(hosts.keys["a.example"], ["AAAA"]);
        assert_eq!(hosts.keys["[b.example]:2222"], ["AAAA"]);
        let error = |text: &str| KnownHosts::parse(text).unwrap_err().to_string();
        assert_eq!(
            error("x"),
            "line 1 of the known hosts is not `host type key`"
        );
        assert_eq!(
            error("\n|1|a|b ssh-rsa k"),
            "line 2 of the known hosts has a hashed name; write the name itself"
        );
        assert!(error("*.x ssh-rsa k").contains("pattern"));
        assert!(error("@revoked x ssh-rsa k").contains("marker"));
    }
}
