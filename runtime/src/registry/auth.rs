//! From a challenge to an `Authorization` header (distribution specification, "Token Authentication" and "OAuth2").

use reqwest::Url;
use serde::Deserialize;

use super::challenge::Challenge;
use super::credentials::Credential;
use super::endpoint::{Endpoint, allows_http, host_and_port};
use super::settings::Settings;

/// A larger answer of a token server is refused, in bytes.
pub(super) const MAX_TOKEN: u64 = 256 * 1024;

/// What is sent to a registry.
#[derive(Clone)]
pub(super) enum Authorization {
    Basic { user: String, password: String },
    Bearer(String),
}

/// What to do about a 401.
pub(super) enum Plan {
    /// Send name and password.
    Basic { user: String, password: String },
    /// Ask the token server.
    Token(TokenRequest),
    /// There is nothing we could add.
    Nothing,
    /// Something is wrong with what is asked.
    Refuse(&'static str),
}

/// A question to a token server.
pub(super) struct TokenRequest {
    pub(super) url: Url,
    pub(super) credential: Option<Credential>,
    /// Form fields of a POST; `None` is a GET with everything in the URL.
    pub(super) form: Option<Vec<(&'static str, String)>>,
}

/// A token server's answer; older ones say `token`, OAuth2 says `access_token`.
#[derive(Deserialize)]
struct TokenAnswer {
    #[serde(default)]
    token: Option<String>,
    #[serde(default)]
    access_token: Option<String>,
}

impl TokenAnswer {
    fn into_token(self) -> Option<String> {
        let usable =
            |token: &String| !token.is_empty() && token.bytes().all(|b| b.is_ascii_graphic());
        self.token
            .filter(usable)
            .or(self.access_token.filter(usable))
    }
}

/// Chooses among a registry's challenges.
pub(super) fn plan(
    challenges: &[Challenge],
    credential: Option<Credential>,
    endpoint: &Endpoint,
    origin: &Url,
    settings: &Settings,
) -> Plan {
    if let Some(bearer) = challenges
        .iter()
        .find(|challenge| challenge.scheme == "bearer")
    {
        return token(bearer, credential, endpoint, origin, settings);
    }
    if !challenges
        .iter()
        .any(|challenge| challenge.scheme == "basic")
    {
        return Plan::Refuse("the registry asks for an unknown kind of log-in");
    }
    match credential {
        Some(Credential::Basic { user, password }) => Plan::Basic { user, password },
        Some(Credential::IdentityToken(_)) => {
            Plan::Refuse("the registry wants a password, but the log-in is a token")
        }
        None => Plan::Nothing,
    }
}

/// The token server that a challenge names, if a log-in may go there.
pub(super) fn token_server(
    challenge: &Challenge,
    origin: &Url,
    settings: &Settings,
) -> Result<Url, &'static str> {
    let url = challenge
        .parameter("realm")
        .and_then(|realm| Url::parse(realm).ok())
        .ok_or("the registry names no token server")?;
    let is_secure = url.scheme() == "https";
    // In the clear only where the registry itself is, or where the operator allows it.
    let is_same_host = origin.scheme() == "http" && origin.host() == url.host();
    let may_be_clear =
        url.scheme() == "http" && (is_same_host || allows_http(settings, &host_and_port(&url)));
    if !(is_secure || may_be_clear) || url.host().is_none() {
        return Err("the registry names a token server that is not https");
    }
    Ok(url)
}

/// The token in a token server's answer.
pub(super) fn token_of(answer: &[u8]) -> Option<String> {
    serde_json::from_slice::<TokenAnswer>(answer)
        .ok()?
        .into_token()
}

fn token(
    challenge: &Challenge,
    credential: Option<Credential>,
    endpoint: &Endpoint,
    origin: &Url,
    settings: &Settings,
) -> Plan {
    let mut url = match token_server(challenge, origin, settings) {
        Ok(url) => url,
        Err(reason) => return Plan::Refuse(reason),
    };
    let scope = match challenge.parameter("scope") {
        Some(scope) => scope.to_owned(),
        None => format!("repository:{}:pull", endpoint.repository),
    };
    let service = challenge.parameter("service");
    if let Some(Credential::IdentityToken(refresh)) = credential {
        let mut form = vec![
            ("grant_type", "refresh_token".to_owned()),
            ("refresh_token", refresh),
            ("client_id", "slipway".to_owned()),
            ("scope", scope),
        ];
        form.extend(service.map(|service| ("service", service.to_owned())));
        return Plan::Token(TokenRequest {
            url,
            credential: None,
            form: Some(form),
        });
    }
    {
        let mut query = url.query_pairs_mut();
        if let Some(service) = service {
            query.append_pair("service", service);
        }
        query.append_pair("scope", &scope);
    }
    Plan::Token(TokenRequest {
        url,
        credential,
        form: None,
    })
}

impl std::fmt::Debug for Authorization {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str(match self {
            Self::Basic { .. } => "Basic",
            Self::Bearer(_) => "Bearer",
        })
    }
}
