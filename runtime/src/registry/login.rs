//! Whether a registry takes a log-in, without asking for any image (distribution specification, "Determining support" and
//! "Token Authentication").
//!
//! ```text
//! GET /v2/ -> 401, Basic  -> GET /v2/ with it
//!          -> 401, Bearer -> GET REALM?service=.. with it -> GET /v2/ with the token
//! ```

use reqwest::header::WWW_AUTHENTICATE;
use reqwest::{RequestBuilder, Response, StatusCode, Url};

use super::auth::{self, Authorization, MAX_TOKEN};
use super::challenge::{self, Challenge};
use super::client::Client;
use super::endpoint::registry_url;
use super::error::{Error, Place};
use super::request::{body, refused_at, shown, transport_at};

impl Client {
    /// Asks a registry (`docker.io`, `host:port`) whether it knows this user.
    ///
    /// # Errors
    /// It does not, cannot be reached, or asks for something else.
    pub async fn verify_log_in(
        &self,
        registry: &str,
        user: &str,
        secret: &str,
    ) -> Result<(), Error> {
        let mut url = registry_url(registry, &self.settings)?;
        url.set_path("/v2/");
        let place = |url: &Url| Place {
            image: registry.to_owned(),
            url: shown(url),
        };
        let refuse = |reason| Error::Challenge {
            place: place(&url),
            reason,
        };
        let response = self.ask(&url, &place(&url), |request| request).await?;
        if response.status() != StatusCode::UNAUTHORIZED {
            // It lets anybody in, and says nothing of who is known.
            return accepted(&place(&url), response).await;
        }
        let mut challenges: Vec<Challenge> = Vec::new();
        for header in response.headers().get_all(WWW_AUTHENTICATE) {
            let read = header.to_str().ok().and_then(challenge::parse);
            challenges.extend(
                read.ok_or_else(|| refuse("the registry's WWW-Authenticate header is malformed"))?,
            );
        }
        let scheme = |name| challenges.iter().find(|challenge| challenge.scheme == name);
        let authorization = if let Some(bearer) = scheme("bearer") {
            let mut realm = auth::token_server(bearer, &url, &self.settings).map_err(&refuse)?;
            {
                let mut query = realm.query_pairs_mut();
                query.append_pair("account", user);
                query.append_pair("client_id", "slipway");
                if let Some(service) = bearer.parameter("service") {
                    query.append_pair("service", service);
                }
            }
            let at = place(&realm);
            let response = self
                .ask(&realm, &at, |request| {
                    request.basic_auth(user, Some(secret))
                })
                .await?;
            if !response.status().is_success() {
                return accepted(&at, response).await;
            }
            let bytes = body(response, MAX_TOKEN, self.settings.timing.document)
                .await
                .map_err(|error| error.at(at))?;
            let token = bytes.as_deref().and_then(auth::token_of);
            let token = token.ok_or_else(|| refuse("the token server gave no token"))?;
            Authorization::Bearer(token)
        } else if scheme("basic").is_some() {
            Authorization::Basic {
                user: user.to_owned(),
                password: secret.to_owned(),
            }
        } else {
            return Err(refuse("the registry asks for an unknown kind of log-in"));
        };
        let with = |request: RequestBuilder| match &authorization {
            Authorization::Basic { user, password } => request.basic_auth(user, Some(password)),
            Authorization::Bearer(token) => request.bearer_auth(token),
        };
        let response = self.ask(&url, &place(&url), with).await?;
        accepted(&place(&url), response).await
    }

    /// Asks once; redirects are not followed.
    async fn ask(
        &self,
        url: &Url,
        place: &Place,
        with: impl FnOnce(RequestBuilder) -> RequestBuilder,
    ) -> Result<Response, Error> {
        let request = with(self.http(url)?.get(url.clone()));
        request
            .send()
            .await
            .map_err(|error| transport_at(place.clone(), error))
    }
}

async fn accepted(place: &Place, response: Response) -> Result<(), Error> {
    if response.status().is_success() {
        Ok(())
    } else {
        Err(refused_at(place.clone(), response).await)
    }
}

#[cfg(test)]
mod tests {
    use super::super::fake::{Answer, Fake, settings};
    use super::*;

    /// What the registry was asked, and what came of it.
    async fn log_in(fake: &Fake) -> String {
        let client = Client::new(&settings()).unwrap();
        let result = client.verify_log_in(&fake.host(), "me", "secret").await;
        let end = result.map_or_else(|error| error.to_string(), |()| "welcome".to_owned());
        format!("{}\n{end}", fake.log()).replace(&fake.address.port().to_string(), "PORT")
    }

    #[tokio::test]
    async fn a_registry_that_wants_a_password_gets_it() {
        // `me:secret`
        let right = "Basic bWU6c2VjcmV0";
        let fake = Fake::start(move |request| match request.headers.get("authorization") {
            Some(given) if given == right => Answer::new(200, "{}"),
            _ => Answer::new(401, "").header("WWW-Authenticate", "Basic realm=\"r\""),
        })
        .await;
        insta::assert_snapshot!(log_in(&fake).await, @r"
        GET /v2/
        GET /v2/ [authorization: Basic bWU6c2VjcmV0]
        welcome
        ");
    }

    #[tokio::test]
    async fn a_token_server_is_asked_for_a_token_of_no_repository() {
        let fake = Fake::start(|request| {
            let authorization = request.headers.get("authorization").map(String::as_str);
            match (&*request.path, authorization) {
                ("/v2/", Some("Bearer T")) => Answer::new(200, "{}"),
                ("/v2/", _) => {
                    let host = &request.headers["host"];
                    let challenge = format!("Bearer realm=\"http://{host}/token\",service=\"s\"");
                    Answer::new(401, "").header("WWW-Authenticate", challenge)
                }
                (_, Some("Basic bWU6c2VjcmV0")) => Answer::new(200, r#"{"access_token":"T"}"#),
                _ => Answer::new(
                    401,
                    r#"{"errors":[{"message":"incorrect username or password"}]}"#,
                ),
            }
        })
        .await;
        insta::assert_snapshot!(log_in(&fake).await, @r"
        GET /v2/
        GET /token?account=me&client_id=slipway&service=s [authorization: Basic bWU6c2VjcmV0]
        GET /v2/ [authorization: Bearer T]
        welcome
        ");
    }

    #[tokio::test]
    async fn a_refusal_has_the_registrys_words_and_not_the_password() {
        let fake = Fake::start(|_| {
            Answer::new(401, r#"{"errors":[{"message":"who are you"}]}"#)
                .header("WWW-Authenticate", "Basic realm=\"r\"")
        })
        .await;
        let said = log_in(&fake).await;
        insta::assert_snapshot!(said.lines().last().unwrap(), @"127.0.0.1:PORT at http://127.0.0.1:PORT/v2/: access denied (401: who are you); log in, or check the image's name");
        let fake = Fake::start(|_| {
            Answer::new(401, "").header("WWW-Authenticate", "Bearer realm=\"http://evil.example/\"")
        })
        .await;
        let said = log_in(&fake).await;
        insta::assert_snapshot!(said, @r"
        GET /v2/
        127.0.0.1:PORT at http://127.0.0.1:PORT/v2/: the registry names a token server that is not https
        ");
    }
}
