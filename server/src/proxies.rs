//! Proxies that stand before the server: their word counts for who asks.

use std::net::IpAddr;

use axum::http::{HeaderMap, HeaderName};
use ipnet::IpNet;
use serde::Deserialize;

/// What proxies write down for each request: `client, proxy, proxy`, each hop at the end.
const FORWARDED_FOR: HeaderName = HeaderName::from_static("x-forwarded-for");

/// The addresses of proxies, one by one (`127.0.0.1`) or together (`10.0.0.0/8`). Nobody else is believed.
#[derive(Debug, Clone, Default, PartialEq, Eq, Deserialize)]
#[serde(try_from = "Vec<String>")]
pub struct Proxies(Vec<IpNet>);

impl TryFrom<Vec<String>> for Proxies {
    type Error = String;

    fn try_from(texts: Vec<String>) -> Result<Self, String> {
        let parse = |text: &String| {
            let range = text.parse().or_else(|_| text.parse().map(IpAddr::into));
            range.map_err(|_| format!("{text:?} is neither an address nor a range of some"))
        };
        texts.iter().map(parse).collect::<Result<_, _>>().map(Self)
    }
}

impl Proxies {
    /// Who asks, when a request comes from an address: the last of those it went through that is none of the proxies.
    pub(crate) fn client(&self, peer: IpAddr, headers: &HeaderMap) -> IpAddr {
        let mut client = peer.to_canonical();
        let all = headers.get_all(FORWARDED_FOR);
        let hops = all.iter().rev().flat_map(|value| {
            let text = value.to_str().unwrap_or_default();
            text.rsplit(',').map(address)
        });
        for hop in hops {
            // What stands before one that nobody knows may be anybody's word.
            match hop {
                Some(hop) if self.are(client) => client = hop,
                _ => break,
            }
        }
        client
    }

    fn are(&self, address: IpAddr) -> bool {
        self.0.iter().any(|range| range.contains(&address))
    }
}

/// `192.0.2.1`, `2001:db8::1`, and with ports as some write them.
fn address(text: &str) -> Option<IpAddr> {
    let text = text.trim();
    let address = text.parse::<IpAddr>().ok();
    let address = address.or_else(|| Some(text.parse::<std::net::SocketAddr>().ok()?.ip()));
    address.map(|address| address.to_canonical())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn proxies(texts: &[&str]) -> Result<Proxies, String> {
        let texts: Vec<String> = texts.iter().map(|text| (*text).to_owned()).collect();
        Proxies::try_from(texts)
    }

    fn client(peer: &str, forwarded: &[&str]) -> String {
        let proxies = proxies(&["10.0.0.0/8", "::1"]).unwrap();
        let mut headers = HeaderMap::new();
        for value in forwarded {
            headers.append(FORWARDED_FOR, value.parse().unwrap());
        }
        proxies.client(peer.parse().unwrap(), &headers).to_string()
    }

    #[test]
    fn proxies_are_believed_and_nobody_else() {
        for (peer, forwarded, who) in [
            ("10.0.0.1", &["192.0.2.7"][..], "192.0.2.7"),
            ("::1", &["192.0.2.7"], "192.0.2.7"),
            ("::ffff:10.0.0.1", &["192.0.2.7"], "192.0.2.7"),
            // What the client has written itself stands first.
            ("10.0.0.1", &["203.0.113.1, 192.0.2.7"], "192.0.2.7"),
            (
                "10.0.0.1",
                &["203.0.113.1", "192.0.2.7, 10.0.0.2"],
                "192.0.2.7",
            ),
            ("10.0.0.1", &["[2001:db8::1]:443"], "2001:db8::1"),
            ("192.0.2.9", &["192.0.2.7"], "192.0.2.9"),
            ("10.0.0.1", &[], "10.0.0.1"),
            ("10.0.0.1", &["unknown"], "10.0.0.1"),
            ("10.0.0.1", &["192.0.2.7, , 10.0.0.2"], "10.0.0.2"),
        ] {
            assert_eq!(client(peer, forwarded), who, "{peer} {forwarded:?}");
        }
    }

    #[test]
    fn what_is_no_address_is_named() {
        let error = proxies(&["10.0.0.0/33"]).unwrap_err();
        assert!(error.contains("\"10.0.0.0/33\" is neither"), "{error}");
        assert!(proxies(&["proxy.example"]).is_err());
    }
}
